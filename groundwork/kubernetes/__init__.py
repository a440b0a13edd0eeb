"""A Deployment as the objects of a cluster: pure data, which a component creates and judges read."""

from .manifest import Manifest
from .stack import manifests

__all__ = ["Manifest", "manifests"]
