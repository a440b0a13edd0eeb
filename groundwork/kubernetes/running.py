"""The controllers of a workload's pods, and what else a workload has: Service, claims, scaling, budget."""

from __future__ import annotations

from ..monitoring.scrape import replicas_name
from ..workload import Autoscale, Volume, Workload
from .files import Carried
from .manifest import CREATED_AT_ONCE, Manifest, Object, Place, key_of, mebibytes
from .pods import pod_template
from .waivers import marks, waivers_of

HISTORY = 3
"""Old ReplicaSets that `kubectl rollout undo` can go back to; going back for good is `ops rollback`."""
JOB_TRIES = 3
MISSED_SECONDS = 600
"""How late a scheduled job may still start, when the controller was away."""


def controller_of(workload: Workload) -> str:
    """The kind of object that runs it. A StatefulSet, unlike a Deployment, never has two pods of one name, also when a
    node is lost: that is what databases and singletons need."""
    if workload.role == "job":
        return "CronJob" if workload.schedule else "Job"
    if workload.per_machine:
        return "DaemonSet"
    return "Deployment" if workload.strategy == "surge" else "StatefulSet"


def controller_name(workload: Workload) -> str:
    """A job can't be changed, so every release of it is one of its own."""
    once = controller_of(workload) == "Job"
    return f"{workload.name}-{workload.release}" if once else workload.name


def controller_key(workload: Workload) -> str:
    return key_of(controller_of(workload), controller_name(workload))


def controller(place: Place, carried: Carried, after: tuple[str, ...]) -> Manifest:
    workload = carried.workload
    kind = controller_of(workload)
    make = {
        "Deployment": deployment,
        "StatefulSet": stateful_set,
        "DaemonSet": daemon_set,
        "Job": job,
        "CronJob": cron_job,
    }[kind]
    # Nobody waits for what is done later.
    said = marks(list(waivers_of(workload))) | (CREATED_AT_ONCE if workload.delay_seconds else {})
    body = {
        "apiVersion": "batch/v1" if workload.role == "job" else "apps/v1",
        "kind": kind,
        "metadata": place.metadata(controller_name(workload), workload, said),
        "spec": make(place, carried),
    }
    return Manifest(body=body, after=after)


def deployment(place: Place, carried: Carried) -> Object:
    workload = carried.workload
    # With an autoscaler, a number here would undo what it decided at every `up`.
    replicas = {} if workload.autoscale else {"replicas": workload.replicas}
    return replicas | {
        "selector": {"matchLabels": place.selector(workload.name)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "revisionHistoryLimit": HISTORY,
        "progressDeadlineSeconds": workload.timeout_seconds + 120,
        "template": pod_template(place, carried),
    }


def stateful_set(place: Place, carried: Carried) -> Object:
    workload = carried.workload
    return {
        "replicas": 1,
        "serviceName": workload.name,
        # In order, a pod that never gets ready would stand in the way of the release that mends it.
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "RollingUpdate"},
        "revisionHistoryLimit": HISTORY,
        "selector": {"matchLabels": place.selector(workload.name)},
        "template": pod_template(place, carried),
    }


def daemon_set(place: Place, carried: Carried) -> Object:
    return {
        "updateStrategy": {"type": "RollingUpdate"},
        "revisionHistoryLimit": HISTORY,
        "selector": {"matchLabels": place.selector(carried.workload.name)},
        "template": pod_template(place, carried),
    }


def job(place: Place, carried: Carried) -> Object:
    workload = carried.workload
    return {
        "backoffLimit": JOB_TRIES,
        "activeDeadlineSeconds": workload.timeout_seconds + workload.delay_seconds,
        "template": pod_template(place, carried),
    }


def cron_job(place: Place, carried: Carried) -> Object:
    return {
        "schedule": carried.workload.schedule,
        "timeZone": place.deployment.time_zone,
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": MISSED_SECONDS,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {
            "metadata": {"labels": place.labels(carried.workload)},
            "spec": {"backoffLimit": JOB_TRIES, "template": pod_template(place, carried)},
        },
    }


def service(place: Place, workload: Workload) -> Manifest | None:
    """Its name in the network. A StatefulSet's leads to its one pod, a DaemonSet's to each of them, any other one to
    one of those that are ready."""
    ports = [
        {"name": name, "port": port, "targetPort": port, "protocol": "TCP"}
        for name, port in workload.ports.items()
    ]
    kind = controller_of(workload)
    if kind not in ("Deployment", "StatefulSet", "DaemonSet") or (kind != "StatefulSet" and not ports):
        return None
    spec: Object = {"type": "ClusterIP", "selector": place.selector(workload.name)}
    spec |= {"ports": ports} if ports else {}
    spec |= {"clusterIP": "None"} if kind != "Deployment" else {}
    return Manifest(
        body={
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": place.metadata(workload.name, workload, CREATED_AT_ONCE),
            "spec": spec,
        }
    )


def replicas_service(place: Place, workload: Workload) -> Manifest | None:
    """Leads to every pod by itself, ready or not, where `service` leads to one of those that are ready."""
    if workload.metrics is None or controller_of(workload) != "Deployment":
        return None
    ports = [{"name": "metrics", "port": workload.metrics.port, "targetPort": workload.metrics.port, "protocol": "TCP"}]
    return Manifest(
        body={
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": place.metadata(replicas_name(workload, namespace=place.namespace), workload, CREATED_AT_ONCE),
            "spec": {
                "type": "ClusterIP",
                "clusterIP": "None",
                "publishNotReadyAddresses": True,
                "selector": place.selector(workload.name),
                "ports": ports,
            },
        }
    )


def claim(place: Place, workload: Workload, volume: Volume) -> Manifest:
    storage_class = place.target.shared_storage_class if volume.shared else place.target.storage_class
    spec: Object = {
        "accessModes": ["ReadWriteMany" if volume.shared else "ReadWriteOnce"],
        "resources": {"requests": {"storage": mebibytes(volume.size_gib * 1024)}},
    }
    spec |= {"storageClassName": storage_class} if storage_class else {}
    return Manifest(
        body={
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            # A class may wait for the first pod, and the pod waits for its claim.
            "metadata": place.metadata(volume.name, workload, CREATED_AT_ONCE),
            "spec": spec,
        },
        holds_data=True,
    )


def service_account(place: Place, workload: Workload) -> Manifest:
    """An identity of its own with no rights and no token: nothing that runs here speaks to the API server."""
    return Manifest(
        body={
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": place.metadata(workload.name, workload, CREATED_AT_ONCE),
            "automountServiceAccountToken": False,
        }
    )


def disruption_budget(place: Place, workload: Workload) -> Manifest:
    """One pod at a time when nodes are drained; and one that is broken anyway never holds a node up."""
    return Manifest(
        body={
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": place.metadata(workload.name, workload),
            "spec": {
                "maxUnavailable": 1,
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
                "selector": {"matchLabels": place.selector(workload.name)},
            },
        }
    )


def autoscaler(place: Place, workload: Workload, scale: Autoscale) -> Manifest:
    """Up at once, and by at most the double in 15 s; down after 5 minutes, and by at most a half a minute (K4)."""

    def metric(name: str, percent: int) -> Object:
        target = {"type": "Utilization", "averageUtilization": percent}
        return {"type": "Resource", "resource": {"name": name, "target": target}}

    def behavior(window: int, percent: int, seconds: int) -> Object:
        policies = [{"type": "Percent", "value": percent, "periodSeconds": seconds}]
        return {"stabilizationWindowSeconds": window, "selectPolicy": "Max", "policies": policies}

    return Manifest(
        body={
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": place.metadata(workload.name, workload),
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload.name},
                "minReplicas": scale.least,
                "maxReplicas": scale.most,
                "metrics": [metric("cpu", scale.cpu_percent), metric("memory", scale.memory_percent)],
                "behavior": {"scaleUp": behavior(0, 100, 15), "scaleDown": behavior(300, 50, 60)},
            },
        },
        after=(controller_key(workload),),
    )
