"""What a cluster does by itself: it scales, keeps the time, and loses a node."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.cluster.client import Api, Object
from tests.cluster.servers import Cluster, is_ready
from tests.cluster.stacks import OnCluster, on_cluster
from tests.cluster.waiting import wait_for, wait_until_gone, wait_until_ready

AT_ONCE_SECONDS = 75
"""A schedule has minutes, so the next one is at most one away."""


@pytest.fixture(scope="module")
def lab(api: Api) -> Iterator[OnCluster]:
    made = on_cluster("lab", "act")
    list(made.applied(api))
    wait_until_ready(api, *made.namespaces)
    yield made
    made.removed(api)
    wait_until_gone(api, *made.namespaces)


def test_load_brings_more_replicas(cluster: Cluster, api: Api, lab: OnCluster) -> None:
    """Up at once and by at most the double, never beyond the most; and not down again at once (K4)."""
    app = lab.deployment.workload("web")
    assert app.autoscale
    most = app.autoscale.most

    def scaler() -> Object:
        return api.get("autoscaling/v2", "HorizontalPodAutoscaler", lab.namespace, "web")

    def conditions() -> dict[str, Object]:
        return {one["type"]: one for one in scaler()["status"].get("conditions", [])}

    wait_for(lambda: conditions().get("ScalingActive", {}).get("status") == "True", "metrics")
    with api.watching("apps/v1", "Deployment", lab.namespace) as seen:
        cluster.usage["web"] = 2 * app.resources.cpus
        wait_for(lambda: scaler()["status"]["currentReplicas"] == most, "all replicas")
        wait_until_ready(api, lab.namespace)
    numbers = [body["spec"]["replicas"] for _, body in seen.events if body["metadata"]["name"] == "web"]
    assert list(dict.fromkeys(numbers)) == [4, 6]
    # The next `up` leaves the number alone.
    list(lab.applied(api))
    assert api.get("apps/v1", "Deployment", lab.namespace, "web")["spec"]["replicas"] == most
    cluster.usage["web"] = 0.0
    wait_for(lambda: conditions()["AbleToScale"]["reason"] == "ScaleDownStabilized", "second thoughts")
    assert api.get("apps/v1", "Deployment", lab.namespace, "web")["spec"]["replicas"] == most


def test_a_schedule_is_kept(api: Api, lab: OnCluster) -> None:
    """Every minute, in the stack's time zone: a job of its own, which runs to its end."""
    schedule = api.get("batch/v1", "CronJob", lab.namespace, "report")
    assert (schedule["spec"]["schedule"], schedule["spec"]["timeZone"]) == ("* * * * *", "Asia/Shanghai")

    def done() -> list[Object]:
        jobs = api.objects("batch/v1", "Job", lab.namespace)
        own = [job for job in jobs if job["metadata"].get("ownerReferences", [{}])[0].get("name") == "report"]
        return [job for job in own if job["status"].get("succeeded")]

    job = wait_for(done, "the next minute", AT_ONCE_SECONDS)[0]
    pods = api.objects("v1", "Pod", lab.namespace, {"job-name": job["metadata"]["name"]})
    assert [pod["status"]["phase"] for pod in pods] == ["Succeeded"]
    # By these, policies let it reach what it uses.
    assert lab.deployment.workload("report").uses == ("postgres",)
    assert pods[0]["metadata"]["labels"]["app.kubernetes.io/name"] == "report"


def test_a_lost_node_starts_nothing_twice(cluster: Cluster, api: Api, lab: OnCluster) -> None:
    """A singleton may still run there: nobody takes its place until somebody knows. Everything else goes elsewhere."""
    (singleton,) = api.pods(lab.namespace, "ticker")
    node, uid = singleton["spec"]["nodeName"], singleton["metadata"]["uid"]
    cluster.stop_kubelet(node)
    try:
        wait_for(lambda: not is_ready(api.get("v1", "Node", "", node)), "the node to count as lost")

        def given_up() -> bool:
            here = [pod for pod in api.pods(lab.namespace) if pod["spec"].get("nodeName") == node]
            running = [pod for pod in here if pod["status"]["phase"] == "Running"]
            return bool(running) and all(pod["metadata"].get("deletionTimestamp") for pod in running)

        wait_for(given_up, "its pods to be given up")
        for name in ("web", "gateway"):
            wait_for_pods_elsewhere(api, lab, name, node)
        # Time enough for a second one, had somebody wanted it.
        time.sleep(5)
        (still,) = api.pods(lab.namespace, "ticker")
        assert still["metadata"]["uid"] == uid
    finally:
        cluster.start_kubelet(node)
    wait_for(lambda: is_ready(api.get("v1", "Node", "", node)), "the node to be back")
    wait_until_ready(api, lab.namespace)
    (after,) = api.pods(lab.namespace, "ticker")
    assert after["metadata"]["uid"] != uid


def wait_for_pods_elsewhere(api: Api, lab: OnCluster, name: str, node: str) -> None:
    wanted = api.get("apps/v1", "Deployment", lab.namespace, name)["spec"]["replicas"]

    def all_there() -> bool:
        pods = api.pods(lab.namespace, name)
        ready = [pod for pod in pods if is_ready(pod) and pod["spec"].get("nodeName") != node]
        return len(ready) == int(wanted)

    wait_for(all_there, f"{name} elsewhere")


def test_a_namespace_takes_everything_along(api: Api) -> None:
    """What is left is outside of it: two priority classes, and disks that wait for their owner to say so."""
    made = on_cluster("lab", "gone", exposure={"kind": "node_port"})
    sent = [body for body, _ in made.applied(api)]
    wait_until_ready(api, *made.namespaces)
    made.removed(api)
    wait_until_gone(api, *made.namespaces)
    left = {(body["kind"], body["metadata"]["name"]) for body in sent if exists(api, body)}
    assert left == {("PriorityClass", f"{made.namespace}-{name}") for name in ("app", "service")}
    # The port of the nodes is free again.
    list(made.applied(api))
    made.removed(api)


def exists(api: Api, body: Object) -> bool:
    metadata = body["metadata"]
    found = api.objects(body["apiVersion"], body["kind"], metadata.get("namespace", ""))
    return metadata["name"] in {one["metadata"]["name"] for one in found}
