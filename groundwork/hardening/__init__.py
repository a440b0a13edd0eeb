"""Hardening: what every machine is made into before containers come, as a script and as a cloud-init document."""

from .cloud_init import document
from .script import digest, ready_command, script
from .stack import hardenings
from .state import Hardening

__all__ = ["Hardening", "digest", "document", "hardenings", "ready_command", "script"]
