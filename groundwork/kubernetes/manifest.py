"""One object of a cluster, and what all objects of a stack say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..deployment import Deployment
from ..targets import KubernetesTarget
from ..workload import Workload

Object = dict[str, Any]
"""As in YAML; only the texts of a Secret may be Templates."""

CREATED_AT_ONCE = {"pulumi.com/skipAwait": "true"}
"""For objects that are ready when others are, or whose controller the cluster may lack."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """`body` is sent as it is, once all of `after` (their keys) are ready. What `holds_data` may outlive its stack."""

    body: Object
    after: tuple[str, ...] = ()
    holds_data: bool = False

    @property
    def kind(self) -> str:
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    @property
    def key(self) -> str:
        """Its name in the stack, which never changes while it is the same object."""
        return key_of(self.kind, self.name)


def key_of(kind: str, name: str) -> str:
    return f"{kind.lower()}-{name}"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A namespace of the stack, and the labels by which its objects are known. There is the stack's own, and beside it
    one `of_machines`, for what runs on each node and sees the node itself."""

    deployment: Deployment
    target: KubernetesTarget
    of_machines: bool = False

    @property
    def namespace(self) -> str:
        prefix = self.deployment.prefix
        return self.target.machines_namespace_of(prefix) if self.of_machines else self.target.namespace_of(prefix)

    @property
    def stack_namespace(self) -> str:
        return self.target.namespace_of(self.deployment.prefix)

    def named(self, name: str) -> str:
        """The name of something that both namespaces have: keys are those of one stack."""
        return f"machines-{name}" if self.of_machines else name

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """What runs in this namespace."""
        return tuple(one for one in self.deployment.workloads if one.per_machine == self.of_machines)

    def of(self, workload: Workload) -> Place:
        """Where a workload runs."""
        return replace(self, of_machines=workload.per_machine)

    def selector(self, name: str) -> dict[str, str]:
        """What selects the pods of a workload. It never changes: most selectors can't be changed."""
        return {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": self.deployment.prefix}

    def labels(self, workload: Workload | None = None) -> dict[str, str]:
        """The recommended labels of Kubernetes."""
        common = {
            "app.kubernetes.io/instance": self.deployment.prefix,
            "app.kubernetes.io/part-of": self.deployment.system,
            "app.kubernetes.io/managed-by": "groundwork",
        }
        if workload is None:
            return common
        return common | {
            "app.kubernetes.io/name": workload.name,
            "app.kubernetes.io/component": workload.role,
            "app.kubernetes.io/version": workload.release,
        }

    def metadata(
        self, name: str, workload: Workload | None = None, annotations: Mapping[str, str] | None = None
    ) -> Object:
        """Of an object in the stack's namespace."""
        return {"namespace": self.namespace} | self.global_metadata(name, workload, annotations)

    def global_metadata(
        self, name: str, workload: Workload | None = None, annotations: Mapping[str, str] | None = None
    ) -> Object:
        """Of an object that is in no namespace."""
        labels = self.labels(workload)
        # What only names an owner must not change with every release of it.
        labels.pop("app.kubernetes.io/version", None)
        found: Object = {"name": name, "labels": labels}
        return found | ({"annotations": dict(annotations)} if annotations else {})


def mebibytes(amount: int) -> str:
    """A quantity as the API server writes it itself, so that what is stored is what was sent."""
    return f"{amount // 1024}Gi" if amount % 1024 == 0 else f"{amount}Mi"


def millicores(amount: float) -> int:
    return round(amount * 1000)


def cores(amount: float) -> str:
    """Likewise, of processors."""
    milli = millicores(amount)
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"
