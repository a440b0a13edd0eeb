"""The stack around its monitoring: what every part of that is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..catalog import Sizing
from ..placement import Placement
from ..settings import Settings
from ..system import System
from ..targets import KubernetesTarget
from ..workload import Image, Resources, SecretRef
from .programs import resources_of
from .settings import Monitoring


@dataclass(frozen=True, kw_only=True)
class Around:
    """`images` are those of all workloads by name, `secrets` the system's by name."""

    system: System
    settings: Settings
    monitoring: Monitoring
    placement: Placement
    sizings: Mapping[str, Sizing]
    images: Mapping[str, Image]
    secrets: Mapping[str, SecretRef]
    project: str
    stack: str

    @property
    def labels(self) -> Mapping[str, str]:
        """By these its alerts are told from those of other stacks."""
        return {"system": self.system.name, "stack": self.stack}

    @property
    def machines_namespace(self) -> str:
        """Of a cluster: where what runs on each node is."""
        target = self.settings.target
        owner = f"{self.project}-{self.stack}"
        return target.machines_namespace_of(owner) if isinstance(target, KubernetesTarget) else ""

    def resources(self, name: str, usual: Resources) -> Resources:
        """Limits of one program."""
        return resources_of(self.monitoring, name, usual)
