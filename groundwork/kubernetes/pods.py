"""The pod of a workload: what runs in it, with what it is given, and how it is kept small and closed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from ..images import BUILD, repository_of
from ..workload import Check, Exec, Image, MachinePath, Probes, Resources, Workload
from .files import PULL_SECRET, Carried
from .manifest import Object, Place, cores, mebibytes

DRAIN_SECONDS = 5
"""Between the end of a pod's time and its SIGTERM: kube-proxies and gateways hear of it, and send nothing more."""
LIVENESS_SECONDS = 10
"""Between two questions whether it lives, which decide less than readiness and cost as much."""
EPHEMERAL = {"request": "64Mi", "limit": "128Mi"}
"""The kubelet keeps five log files of 10 MiB a container (containerLogMaxFiles, containerLogMaxSize), and nothing else
is written: /tmp is memory."""
CPU_REQUEST = 0.5
"""Share of its limit that a container asks for: 250m of 500m (C3)."""
MACHINE_PATHS: Mapping[MachinePath, str] = {"root": "/", "container_logs": "/var/log/pods"}
"""Where a node has them; the kubelet's own default for logs."""
KEPT_ON_NODES = "/var/lib/groundwork"
"""Where what runs on each node keeps its volumes: that node's and no other's."""
DEFAULT_SHM_MIB = 64
"""What containers have at /dev/shm without asking."""


def pod_template(place: Place, carried: Carried) -> Object:
    """The labels and the spec of the pods of one workload."""
    workload = carried.workload
    return {"metadata": {"labels": place.labels(workload)}, "spec": pod_spec(place, carried)}


def pod_spec(place: Place, carried: Carried) -> Object:
    workload = carried.workload
    uid, gid = map(int, workload.user.split(":"))
    spec: Object = {
        "serviceAccountName": workload.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": priority_class(place, workload),
        "terminationGracePeriodSeconds": workload.grace_seconds + (DRAIN_SECONDS if drains(workload) else 0),
        "securityContext": {
            "runAsNonRoot": not workload.is_root,
            "runAsUser": uid,
            "runAsGroup": gid,
            "fsGroup": gid,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container(carried)],
        "volumes": list(volumes(carried)),
    }
    if workload.role == "job":
        spec["restartPolicy"] = "Never"
    elif workload.per_machine:
        # Also on nodes that take nothing else: whatever runs there is seen.
        spec["tolerations"] = [{"operator": "Exists"}]
    else:
        spec |= apart(place.selector(workload.name))
    if place.deployment.pull_password:
        spec["imagePullSecrets"] = [{"name": place.named(PULL_SECRET)}]
    return spec


def priority_class(place: Place, workload: Workload) -> str:
    """Data before what uses it, when a node has too little memory for all."""
    return f"{place.stack_namespace}-{'service' if workload.role == 'service' else 'app'}"


def drains(workload: Workload) -> bool:
    """Whether others send it requests that a Service leads to it."""
    return workload.port is not None and workload.strategy == "surge"


def apart(selector: dict[str, str]) -> Object:
    """Replicas on nodes and in zones of their own, where there are enough of them."""
    pods = {"labelSelector": {"matchLabels": selector}}
    other_node = {"weight": 100, "podAffinityTerm": pods | {"topologyKey": "kubernetes.io/hostname"}}
    zones = {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
    return {
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [other_node]}},
        "topologySpreadConstraints": [zones | pods],
    }


def container(carried: Carried) -> Object:
    workload = carried.workload
    found: Object = {
        "name": workload.name,
        "image": image_name(workload.image),
        "imagePullPolicy": "Always",
        "env": carried.environment(),
        "resources": resources(workload.resources),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "privileged": False,
            "runAsNonRoot": not workload.is_root,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": list(mounts(carried)),
    }
    if command(workload):
        found["command"] = command(workload)
    if workload.ports:
        found["ports"] = [
            {"name": name, "containerPort": port, "protocol": "TCP"} for name, port in workload.ports.items()
        ]
    if workload.probes:
        found |= probes(workload.probes)
    if drains(workload):
        found["lifecycle"] = {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}}
    return found


def command(workload: Workload) -> list[str]:
    if workload.delay_seconds:
        return ["/bin/sh", "-c", f'sleep {workload.delay_seconds} && exec "$@"', "sh", *workload.command]
    return list(workload.command)


def image_name(image: Image) -> str:
    return f"{repository_of(image.reference.removeprefix(BUILD))}@{image.digest}"


def resources(limits: Resources) -> Object:
    """All the memory that it may take is set aside for it; of the processor, which can be shared, a part."""
    memory = mebibytes(limits.memory_mib)
    return {
        "requests": {
            "cpu": cores(limits.cpus * CPU_REQUEST),
            "memory": memory,
            "ephemeral-storage": EPHEMERAL["request"],
        },
        "limits": {"cpu": cores(limits.cpus), "memory": memory, "ephemeral-storage": EPHEMERAL["limit"]},
    }


def probes(given: Probes) -> Object:
    """Three questions: has it started (as long as a start may take), does it live, can it take traffic."""
    liveness, readiness = check(given.liveness), check(given.readiness)
    timeout = {"timeoutSeconds": given.timeout_seconds}
    patience = given.failures * given.period_seconds
    return {
        "startupProbe": liveness
        | timeout
        | {
            "periodSeconds": given.period_seconds,
            "failureThreshold": math.ceil(given.startup_seconds / given.period_seconds),
        },
        "livenessProbe": liveness
        | timeout
        | {"periodSeconds": LIVENESS_SECONDS, "failureThreshold": math.ceil(patience / LIVENESS_SECONDS)},
        "readinessProbe": readiness | timeout | {"periodSeconds": given.period_seconds, "failureThreshold": 2},
    }


def check(given: Check) -> Object:
    if isinstance(given, Exec):
        return {"exec": {"command": ["/bin/sh", "-c", given.command]}}
    return {"httpGet": {"path": given.path, "port": given.port, "scheme": "HTTP"}}


def volumes(carried: Carried) -> Iterator[Object]:
    workload = carried.workload
    files = carried.volume()
    if files:
        yield files
    for path, size in in_memory(workload).items():
        yield {"name": slug(path), "emptyDir": {"medium": "Memory", "sizeLimit": mebibytes(size)}}
    for volume in workload.volumes:
        if workload.per_machine:
            kept = f"{KEPT_ON_NODES}/{carried.place.namespace}/{volume.name}"
            yield {"name": volume.name, "hostPath": {"path": kept, "type": "DirectoryOrCreate"}}
        else:
            yield {"name": volume.name, "persistentVolumeClaim": {"claimName": volume.name}}
    for name in workload.machine_paths:
        yield {"name": dashed(name), "hostPath": {"path": MACHINE_PATHS[name], "type": "Directory"}}


def mounts(carried: Carried) -> Iterator[Object]:
    workload = carried.workload
    if workload.files:
        yield carried.mount()
    for path in in_memory(workload):
        yield {"name": slug(path), "mountPath": path}
    for volume in workload.volumes:
        yield {"name": volume.name, "mountPath": volume.path}
    for name, path in workload.machine_paths.items():
        # What the node mounts later is seen too.
        seen = {"readOnly": True, "mountPropagation": "HostToContainer"}
        yield {"name": dashed(name), "mountPath": path} | seen


def in_memory(workload: Workload) -> dict[str, int]:
    """Directories held in memory, with their size in MiB."""
    shm = {"/dev/shm": workload.shm_mib} if workload.shm_mib > DEFAULT_SHM_MIB else {}
    return dict(workload.tmpfs) | shm


def dashed(name: MachinePath) -> str:
    return f"machine-{name}".replace("_", "-")


def slug(path: str) -> str:
    return path.strip("/").replace("/", "-")
