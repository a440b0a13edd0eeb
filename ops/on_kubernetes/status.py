"""Pods of a cluster, and what should make them, as rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ops.on_kubernetes import NAME, RELEASE, is_ready
from ops.place import MIB, Row, blank
from tools.kubectl import Kubectl

Thing = Mapping[str, Any]
KINDS = "pods,deployments.apps,statefulsets.apps,jobs.batch,cronjobs.batch"
UNITS = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip


def rows_of(
    objects: Iterable[Thing], expected: Sequence[Mapping[str, str]], memory: Mapping[str, float]
) -> list[Row]:
    """A row for each pod of what the outputs name (`Kind/name`), one for each that is missing there, and one for each
    that is in no state. `memory` is what each pod uses, in MiB."""
    pods: dict[str, list[Thing]] = {}
    makers: dict[str, Thing] = {}
    for thing in objects:
        if thing["kind"] == "Pod":
            pods.setdefault(str(thing["metadata"]["labels"].get(NAME)), []).append(thing)
        else:
            makers[f"{thing['kind']}/{thing['metadata']['name']}"] = thing
    rows: list[Row] = []
    for entry in expected:
        found = sorted(pods.pop(entry["workload"], []), key=lambda pod: str(pod["metadata"]["name"]))
        rows += rows_for(entry, makers.get(entry["name"]), found, memory)
    for workload, lost in pods.items():
        rows += [
            Row(
                workload=workload, role=str(pod["metadata"]["labels"].get("app.kubernetes.io/component", "")),
                release=release_of(pod), container=pod["metadata"]["name"], state="in no state", ok=False,
            )
            for pod in lost
        ]  # fmt: skip
    return rows


def rows_for(
    entry: Mapping[str, str], maker: Thing | None, pods: Sequence[Thing], memory: Mapping[str, float]
) -> Iterator[Row]:
    """The pods of one workload, and what its controller says of those that it could not make."""
    if maker is None:
        yield blank(entry, "missing", ok=False)
        return
    kind, status = maker["kind"], maker.get("status", {})
    if kind == "CronJob":
        yield blank(entry, "suspended" if maker["spec"].get("suspend") else "scheduled", ok=True)
        return
    if kind == "Job":
        yield job_row(entry, status, pods, memory)
        return
    wanted = maker["spec"].get("replicas", 1)
    enough = status.get("readyReplicas", 0) >= wanted
    # What was evicted stays in the list, and has been replaced by another.
    living = [pod for pod in pods if not (enough and pod["status"].get("phase") in ("Failed", "Succeeded"))]
    for pod in living:
        yield pod_row(entry, pod, memory)
    there = [pod for pod in living if "deletionTimestamp" not in pod["metadata"]]
    if not wanted and not there:
        yield blank(entry, "scaled to 0", ok=False)
    for _ in range(wanted - len(there)):
        yield blank(entry, refusal(status) or "missing", ok=False)


def job_row(entry: Mapping[str, str], status: Thing, pods: Sequence[Thing], memory: Mapping[str, float]) -> Row:
    """One row, however often it was tried: the pod of the last try stands for all."""
    own = [pod for pod in pods if release_of(pod) == entry["release"]]
    if not own:
        return blank(entry, "done" if status.get("succeeded") else "missing", ok=bool(status.get("succeeded")))
    last = max(own, key=lambda pod: str(pod["status"].get("startTime", "")))
    return pod_row(entry, last, memory)


def refusal(status: Thing) -> str:
    """Why a controller makes no pod, such as a quota that is used up."""
    for one in status.get("conditions", ()):
        if one["type"] == "ReplicaFailure" and one["status"] == "True":
            return str(one["reason"])
    return ""


def pod_row(entry: Mapping[str, str], pod: Thing, memory: Mapping[str, float]) -> Row:
    metadata, name = pod["metadata"], pod["metadata"]["name"]
    container: Thing = next(iter(pod["status"].get("containerStatuses", ())), {})
    state = container.get("state", {})
    word, ok, health = verdict(pod, container, entry)
    times = [state.get(kind, {}).get(key) for kind, key in (("running", "startedAt"), ("terminated", "finishedAt"))]
    limits = pod["spec"]["containers"][0].get("resources", {}).get("limits", {})
    return Row(
        workload=entry["workload"], role=entry["role"], release=release_of(pod), container=name,
        state=word, ok=ok, health=health, restarts=container.get("restartCount", 0),
        since=next((time for time in times if time), metadata.get("creationTimestamp")),
        memory_mib=memory.get(name), limit_mib=mib_of(limits["memory"]) if "memory" in limits else None,
    )  # fmt: skip


def verdict(pod: Thing, container: Thing, entry: Mapping[str, str]) -> tuple[str, bool, str]:
    """The word for a pod's state, whether that is as it should be, and its health where it runs."""
    state, status = container.get("state", {}), pod["status"]
    if "deletionTimestamp" in pod["metadata"]:
        return "ending", True, ""
    if "terminated" in state or status.get("phase") in ("Succeeded", "Failed"):
        code = state.get("terminated", {}).get("exitCode", 0 if status.get("phase") == "Succeeded" else 1)
        if entry["role"] == "job":
            return ("done", True, "") if code == 0 else (f"failed ({code})", False, "")
        return status.get("reason") or f"exited ({code})", False, ""
    if "waiting" in state:
        # Such as CrashLoopBackOff, ImagePullBackOff, CreateContainerConfigError.
        return state["waiting"].get("reason", "waiting"), False, ""
    if "running" not in state:
        return unplaced(status), False, ""
    if entry["role"] == "job":
        return "running", False, ""
    if release_of(pod) != entry["release"]:
        return "old release", False, ""
    ready = is_ready(pod)
    return "running", ready, "healthy" if ready else "unhealthy" if container.get("started") else "starting"


def unplaced(status: Thing) -> str:
    """A pod that no node has taken yet, with the scheduler's own word."""
    reasons = [one.get("reason") for one in status.get("conditions", ()) if one["type"] == "PodScheduled"]
    return str(next((reason for reason in reasons if reason), "pending"))


def release_of(pod: Thing) -> str:
    return str(pod["metadata"]["labels"].get(RELEASE, ""))


def memory_of(kubectl: Kubectl) -> dict[str, float]:
    """What each pod uses in MiB, as the cluster's metrics API tells; nothing where it has none."""
    done = kubectl.run("get", "--raw", f"/apis/metrics.k8s.io/v1beta1/namespaces/{kubectl.namespace}/pods")
    if done.returncode:
        return {}
    return {
        pod["metadata"]["name"]: sum(mib_of(one["usage"]["memory"]) for one in pod["containers"])
        for pod in json.loads(done.stdout)["items"]
    }


def mib_of(quantity: str) -> float:
    """A quantity of the API, such as `128Mi` or `1e9`, in MiB."""
    found = re.fullmatch(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)([kKMGT]?i?)", quantity)
    return float(found[1]) * UNITS.get(found[2], 1) / MIB if found else 0.0
