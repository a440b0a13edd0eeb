"""The one table of what is simulated. A new resource type is one row in the module of its package.

`tests/e2e/test_sim_matches_plugins.py` compares every row with the plugin where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sim.types import aws, command, docker, kubernetes, random, tls
from sim.types.row import ResourceType
from sim.values import Properties

TYPES: Mapping[str, ResourceType] = {
    **aws.TYPES,
    **command.TYPES,
    **docker.TYPES,
    **kubernetes.TYPES,
    **random.TYPES,
    **tls.TYPES,
}

FUNCTIONS: Mapping[str, Callable[[Properties, Properties], Properties]] = aws.FUNCTIONS

PACKAGES = tuple(sorted({token.split(":")[0] for token in TYPES}))

__all__ = ["FUNCTIONS", "PACKAGES", "TYPES", "ResourceType"]
