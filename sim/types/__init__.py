"""The one table of what is simulated. A new resource type is one row in the module of its package.

`tests/e2e/test_sim_matches_plugins.py` compares every row with the plugin where there is one.
"""

from __future__ import annotations

from collections.abc import Mapping

from sim.types import docker, kubernetes, random
from sim.types.row import ResourceType

TYPES: Mapping[str, ResourceType] = {**docker.TYPES, **kubernetes.TYPES, **random.TYPES}

PACKAGES = tuple(sorted({token.split(":")[0] for token in TYPES}))

__all__ = ["PACKAGES", "TYPES", "ResourceType"]
