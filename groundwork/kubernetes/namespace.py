"""The stack's namespace, and what holds for everything in it."""

from __future__ import annotations

from collections.abc import Iterator

from ..workload import Workload
from .manifest import CREATED_AT_ONCE, Manifest, Object, Place, cores, mebibytes, millicores
from .pods import CPU_REQUEST, EPHEMERAL

PRIORITIES = {
    "service": (2000, "Data of a stack of Groundwork."),
    "app": (1000, "What serves the data of a stack of Groundwork, and its jobs."),
}
"""Above the default of 0, and far below what the cluster itself needs. A class can't change its value: another one
needs another name."""


def around(place: Place) -> Iterator[Manifest]:
    yield namespace(place, "restricted")
    yield quota(place)
    yield limits(place)
    for name, (value, meaning) in PRIORITIES.items():
        yield priority(place, name, value, meaning)


def namespace(place: Place, level: str) -> Manifest:
    """It refuses every pod that has more rights than `level` of the Pod Security Standards."""
    body: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": place.global_metadata(place.namespace)}
    modes = {
        f"pod-security.kubernetes.io/{mode}{suffix}": value
        for mode in ("enforce", "audit", "warn")
        for suffix, value in (("", level), ("-version", "latest"))
    }
    body["metadata"]["labels"] |= modes
    # Its claims would go with it.
    return Manifest(body=body, holds_data=True)


def most(workload: Workload) -> int:
    """How many pods of it may be counted at once: a release beside its predecessor. What stops before the next one
    starts is counted twice as well, since the quota's controller learns of its end only later (seen)."""
    return 2 * workload.most_replicas


def quota(place: Place) -> Manifest:
    """What the plan needs with every release under way, and no more: a mistake stays in its own namespace."""
    workloads = place.workloads
    memory = sum(most(one) * one.resources.memory_mib for one in workloads)
    # Rounded as each pod's own are, or the last one might not fit.
    cpus = sum(most(one) * millicores(one.resources.cpus) for one in workloads) / 1000
    cpu_requests = sum(most(one) * millicores(one.resources.cpus * CPU_REQUEST) for one in workloads) / 1000
    claims = [volume for one in workloads for volume in one.volumes]
    hard = {
        "pods": str(sum(map(most, workloads))),
        "requests.cpu": cores(cpu_requests),
        "limits.cpu": cores(cpus),
        "requests.memory": mebibytes(memory),
        "limits.memory": mebibytes(memory),
        "persistentvolumeclaims": str(len(claims)),
        "requests.storage": mebibytes(sum(volume.size_gib for volume in claims) * 1024),
    }
    return Manifest(
        body={
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": place.metadata("plan", annotations=CREATED_AT_ONCE),
            "spec": {"hard": hard},
        }
    )


def limits(place: Place) -> Manifest:
    """For containers that say nothing, such as one that a person starts to look around; and for none more than the
    largest of the plan."""
    workloads = place.workloads
    small: Object = {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": EPHEMERAL["limit"]}
    largest: Object = {
        "cpu": cores(max(one.resources.cpus for one in workloads)),
        "memory": mebibytes(max(64, *(one.resources.memory_mib for one in workloads))),
    }
    return Manifest(
        body={
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": place.metadata("plan"),
            "spec": {"limits": [{"type": "Container", "default": small, "defaultRequest": small, "max": largest}]},
        }
    )


def priority(place: Place, name: str, value: int, meaning: str) -> Manifest:
    return Manifest(
        body={
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": place.global_metadata(f"{place.namespace}-{name}"),
            "value": value,
            "preemptionPolicy": "PreemptLowerPriority",
            "description": meaning,
        }
    )
