"""A stack on a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from groundwork.deployment import Deployment
from groundwork.faults import FaultsError
from groundwork.kubeconfig import kubeconfig_of
from groundwork.targets import KubernetesTarget
from groundwork.workload import Workload
from ops.place import Line, Replica, Row, Tunnel, Wanted, newest_ready
from tools.engine.checkout import UserError
from tools.kubectl import Kubectl, found

NAME, INSTANCE, RELEASE = (f"app.kubernetes.io/{label}" for label in ("name", "instance", "version"))


@dataclass(frozen=True, kw_only=True)
class OnKubernetes:
    """Its pods, by the labels of the stack."""

    kubectl: Kubectl
    instance: str
    prefix: str = ""
    """Pods are named in a namespace of their own."""

    def selector(self, workload: str = "") -> str:
        return f"--selector={INSTANCE}={self.instance}" + (f",{NAME}={workload}" if workload else "")

    def rows(self, expected: Sequence[Mapping[str, str]]) -> list[Row]:
        from ops.on_kubernetes.status import KINDS, memory_of, rows_of

        objects = self.kubectl.data("get", KINDS, self.selector())["items"]
        return rows_of(objects, expected, memory_of(self.kubectl))

    def lines(self, workload: str, wanted: Wanted) -> Iterator[Line]:
        from ops.on_kubernetes.logs import lines_in

        return lines_in(self.kubectl, self.selector(workload), wanted)

    def replicas(self, workload: str) -> list[Replica]:
        pods = self.kubectl.data("get", "pods", self.selector(workload))["items"]
        return [replica_of(pod) for pod in pods if runs(pod)]

    def inside(self, replica: Replica, words: Sequence[str], *, terminal: bool) -> tuple[list[str], Mapping[str, Any]]:
        flags = ["--stdin", *(["--tty"] if terminal else ["--quiet"])]
        return self.kubectl.command("exec", *flags, replica.name, "--", *words), self.kubectl.environment

    def tunnel(
        self, deployment: Deployment, workload: Workload, remote: int, local: int
    ) -> AbstractContextManager[Tunnel]:
        from ops.on_kubernetes.tunnel import tunnel_to

        replica = newest_ready(self.replicas(workload.name))
        if replica is None:
            raise UserError(f"No pod of {workload.name} runs: `ops status` shows why.")
        return tunnel_to(self.kubectl, replica.name, remote, local)


def cluster_of(target: KubernetesTarget, instance: str, environment: Mapping[str, str]) -> OnKubernetes:
    """The stack's cluster; UserError where the kubeconfig or kubectl is missing."""
    try:
        kubeconfig = kubeconfig_of(target, environment)
    except FaultsError as error:
        raise UserError(str(error)) from None
    kubectl = Kubectl(
        program=found(environment), kubeconfig=kubeconfig, context=target.context,
        namespace=target.namespace_of(instance), environment=environment,
    )  # fmt: skip
    return OnKubernetes(kubectl=kubectl, instance=instance)


def runs(pod: Mapping[str, Any]) -> bool:
    return pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]


def is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", ())}
    return conditions.get("Ready") == "True"


def replica_of(pod: Mapping[str, Any]) -> Replica:
    return Replica(
        name=pod["metadata"]["name"], release=pod["metadata"]["labels"].get(RELEASE, ""),
        ready=is_ready(pod), started=pod["status"].get("startTime", ""),
    )  # fmt: skip
