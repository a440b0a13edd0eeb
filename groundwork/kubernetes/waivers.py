"""Where a workload departs on purpose from what judges of manifests ask for: the reason, beside the object itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..workload import Template, Workload

HIGH_USER = 10000
"""From here on users of a pod are none of the node's (kube-score, checkov)."""


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """Checks, by the names that kube-score and checkov have for them, which do not hold here."""

    kube_score: str = ""
    checkov: str = ""
    reason: str


OF_ROOT = "reads logs of the node, which are root's, with no capability"
NODE_PORT = Waiver(kube_score="service-type", reason="the stack asks for a port on every node")


def waivers_of(workload: Workload) -> Iterator[Waiver]:
    if any(int(part) < HIGH_USER for part in workload.user.split(":")):
        yield Waiver(
            kube_score="container-security-context-user-group-id",
            checkov="CKV_K8S_40",
            reason=OF_ROOT if workload.is_root else "runs as the user of its image, to whom its files belong",
        )
    if workload.is_root:
        yield Waiver(checkov="CKV_K8S_23", reason=OF_ROOT)
    if any(isinstance(value, Template) for value in workload.env.values()):
        yield Waiver(checkov="CKV_K8S_35", reason="the system wants its secrets in the environment")
    if workload.role == "monitoring" and workload.probes and workload.probes.liveness == workload.probes.readiness:
        yield Waiver(kube_score="pod-probes-identical", reason="it waits for nothing: while it lives it is ready")
    if workload.strategy == "surge" and workload.replicas == 1 and workload.port:
        yield Waiver(kube_score="deployment-replicas", reason="the stack asks for one replica")


def marks(found: Sequence[Waiver]) -> dict[str, str]:
    """Annotations by which the judges know."""
    scored, checked = ([one for one in found if getattr(one, judge)] for judge in ("kube_score", "checkov"))
    ignored = {"kube-score/ignore": ",".join(one.kube_score for one in scored)} if scored else {}
    because = {f"groundwork/why-{one.kube_score}": one.reason for one in scored}
    skipped = {f"checkov.io/skip{number}": f"{one.checkov}={one.reason}" for number, one in enumerate(checked, 1)}
    return ignored | because | skipped
