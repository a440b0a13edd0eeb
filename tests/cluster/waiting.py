"""Waiting for what controllers do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tests.cluster.client import Api, Object

T = TypeVar("T")

SECONDS = 120
"""On a machine that is busy; most of it takes two."""


def wait_for(question: Callable[[], T], what: str, seconds: float = SECONDS) -> T:
    """The first answer that is true; AssertionError after `seconds`."""
    until = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < until, f"waited {seconds:.0f} s for: {what}; the last answer: {answer!r}"
        time.sleep(0.2)


def unready(api: Api, namespace: str) -> list[str]:
    """What is not yet as it was asked for: controllers whose pods are not all new and ready, and unfinished jobs."""
    found = []
    for kind in ("Deployment", "StatefulSet", "DaemonSet"):
        for one in api.objects("apps/v1", kind, namespace):
            if not (is_on_every_node(one) if kind == "DaemonSet" else is_rolled_out(one)):
                found.append(f"{kind}/{one['metadata']['name']}")
    for one in api.objects("batch/v1", "Job", namespace):
        if not one["status"].get("succeeded"):
            found.append(f"Job/{one['metadata']['name']}")
    return found


def is_rolled_out(one: Object) -> bool:
    status, wanted = one.get("status", {}), one["spec"].get("replicas", 1)
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")]
    return status.get("observedGeneration") == one["metadata"]["generation"] and counts == [wanted] * 4


def is_on_every_node(one: Object) -> bool:
    status = one.get("status", {})
    wanted = status.get("desiredNumberScheduled", 0)
    counts = [status.get(name, 0) for name in ("updatedNumberScheduled", "numberReady", "numberAvailable")]
    return wanted > 0 and status.get("observedGeneration") == one["metadata"]["generation"] and counts == [wanted] * 3


def wait_until_ready(api: Api, *namespaces: str) -> None:
    left: list[str] = ["everything"]

    def ready() -> bool:
        left[:] = [one for namespace in namespaces for one in unready(api, namespace)]
        return not left

    try:
        wait_for(ready, f"{' and '.join(namespaces)} to be ready")
    except AssertionError as error:
        said = [one for namespace in namespaces for one in complaints(api, namespace)]
        raise AssertionError(f"{error}; not ready: {left}; {said}") from None


def complaints(api: Api, namespace: str) -> list[str]:
    """What controllers, the scheduler and the server have warned of."""
    warnings = [one for one in api.objects("v1", "Event", namespace) if one["type"] == "Warning"]
    return [f"{one['reason']} {one['involvedObject']['name']}: {one['message']}" for one in warnings]


def refusals(api: Api, namespace: str) -> list[str]:
    """Pods that were not admitted: too privileged, too large, or more than the quota has. Two that were counted at once
    are no such thing: the later one is counted again."""
    return [one for one in complaints(api, namespace) if one.startswith("FailedCreate ") and " is forbidden: " in one]


def wait_until_gone(api: Api, *namespaces: str) -> None:
    def gone() -> bool:
        return {one["metadata"]["name"] for one in api.objects("v1", "Namespace")}.isdisjoint(namespaces)

    wait_for(gone, f"{' and '.join(namespaces)} to be gone")
