"""What the controllers of a cluster make of a system: it comes up, rolls without a gap, and stays within its bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from groundwork.workload import Workload
from tests.cluster.client import Api, Object, Refused
from tests.cluster.servers import is_ready
from tests.cluster.stacks import SYSTEMS, OnCluster, on_cluster
from tests.cluster.waiting import is_rolled_out, refusals, wait_for, wait_until_gone, wait_until_ready

STACK = "run"
ENFORCED = "pod-security.kubernetes.io/enforce"
SERVICE_LABEL = "kubernetes.io/service-name"


@pytest.fixture(scope="module", params=SYSTEMS)
def stack(request: pytest.FixtureRequest, api: Api) -> Iterator[OnCluster]:
    """One system after the other, up and ready; removed as a whole."""
    made = on_cluster(request.param, STACK)
    list(made.applied(api))
    wait_until_ready(api, *made.namespaces)
    yield made
    made.removed(api)
    wait_until_gone(api, *made.namespaces)


def released(stack: OnCluster, digits: str, only: str = "") -> OnCluster:
    """The stack with another image of every app and service and of the gateway, or of one."""
    system, _ = SYSTEMS[stack.deployment.system]
    image = {"image": f"example/other@sha256:{(digits * 64)[:64]}"}
    apps = {app.name: image for app in system.apps if app.image and only in ("", app.name)}
    usual: dict[str, Any] = SYSTEMS[stack.deployment.system][1]
    values: dict[str, Any] = {
        "apps": {name: usual.get("apps", {}).get(name, {}) | value for name, value in apps.items()}
    }
    if not only:
        services = {service.name: image for service in system.services}
        values["services"] = {name: usual.get("services", {}).get(name, {}) | it for name, it in services.items()}
        values["gateway"] = image
    return on_cluster(stack.deployment.system, STACK, values)


def test_every_workload_runs(api: Api, stack: OnCluster) -> None:
    """Its pods are admitted by a namespace that enforces *restricted*, scheduled with their volumes, and ready; what
    sees the nodes is in another one."""
    levels = [api.get("v1", "Namespace", "", name)["metadata"]["labels"][ENFORCED] for name in stack.namespaces]
    assert levels == ["restricted", "privileged"][: len(stack.namespaces)]
    nodes = len(api.objects("v1", "Node"))
    for workload in stack.deployment.workloads:
        if workload.schedule:
            continue
        pods = api.pods(stack.namespace_of(workload), workload.name)
        assert len(pods) == (nodes if workload.per_machine else workload.replicas), workload.name
        for pod in pods:
            done = pod["status"]["phase"] == "Succeeded"
            assert done if workload.role == "job" else is_ready(pod), workload.name
    claims = api.objects("v1", "PersistentVolumeClaim", stack.namespace)
    assert {claim["status"]["phase"] for claim in claims} == {"Bound"}
    assert not [refused for namespace in stack.namespaces for refused in refusals(api, namespace)]


def test_replicas_are_apart(api: Api, stack: OnCluster) -> None:
    for workload in stack.deployment.workloads:
        pods = api.pods(stack.namespace, workload.name)
        if workload.replicas == 2 and workload.role != "job":
            assert len({pod["spec"]["nodeName"] for pod in pods}) == 2, workload.name


def test_services_lead_to_the_ready_pods(api: Api, stack: OnCluster) -> None:
    for workload in stack.deployment.workloads:
        if workload.port is None or workload.role == "job":
            continue
        there = stack.namespace_of(workload)
        slices = api.objects("discovery.k8s.io/v1", "EndpointSlice", there, {SERVICE_LABEL: workload.name})
        ports = {port["port"] for one in slices for port in one["ports"]}
        ready = [end for one in slices for end in one["endpoints"] if end["conditions"]["ready"]]
        # What the gateway says of itself is no part of the Service that users come to.
        own = {"metrics"} if workload.role == "gateway" else set()
        assert ports == {port for name, port in workload.ports.items() if name not in own}, workload.name
        expected = len(api.objects("v1", "Node")) if workload.per_machine else workload.replicas
        assert len(ready) == expected, workload.name


def pod_of(api: Api, stack: OnCluster, workload: Workload) -> Object:
    """What a pod of it says, to be changed for the worse."""
    kind = "Deployment" if workload.strategy == "surge" else "StatefulSet"
    found = api.get("apps/v1", kind, stack.namespace, workload.name)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "visitor", "namespace": stack.namespace},
        "spec": found["spec"]["template"]["spec"],
    }


def test_a_pod_that_may_more_is_refused(api: Api, stack: OnCluster) -> None:
    gateway = stack.deployment.workload("gateway")
    api.create(pod_of(api, stack, gateway), dry_run=True)
    for key, value in {"allowPrivilegeEscalation": True, "capabilities": {"add": ["SYS_ADMIN"]}}.items():
        bad = pod_of(api, stack, gateway)
        bad["spec"]["containers"][0]["securityContext"][key] = value
        with pytest.raises(Refused, match='violates PodSecurity "restricted:latest"'):
            api.create(bad, dry_run=True)


def test_a_container_has_its_bounds(api: Api, stack: OnCluster) -> None:
    """One that says nothing gets small ones; one that asks for more than the largest of the plan is refused."""
    silent = pod_of(api, stack, stack.deployment.workload("gateway"))
    del silent["spec"]["containers"][0]["resources"]
    given = api.create(silent, dry_run=True)["spec"]["containers"][0]["resources"]
    assert given["limits"] == given["requests"] == {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "128Mi"}
    greedy = pod_of(api, stack, stack.deployment.workload("gateway"))
    greedy["spec"]["containers"][0]["resources"]["limits"]["memory"] = "64Gi"
    with pytest.raises(Refused, match="maximum memory usage per Container"):
        api.create(greedy, dry_run=True)


def test_pods_are_evicted_one_at_a_time(api: Api, stack: OnCluster) -> None:
    controllers = [one for one in stack.deployment.workloads if one.role != "job" and not one.per_machine]
    budgets = {
        one["metadata"]["name"]: one["status"]
        for one in api.objects("policy/v1", "PodDisruptionBudget", stack.namespace)
    }
    assert {name: status["expectedPods"] for name, status in budgets.items()} == {
        one.name: one.replicas for one in controllers
    }
    assert {status["disruptionsAllowed"] for status in budgets.values()} == {1}
    first, second = (pod["metadata"]["name"] for pod in api.pods(stack.namespace, "gateway"))
    evict(api, stack.namespace, first)
    with pytest.raises(Refused, match="disruption budget") as refusal:
        evict(api, stack.namespace, second)
    assert refusal.value.code == 429

    def replaced() -> bool:
        pods = api.pods(stack.namespace, "gateway")
        return len(pods) == 2 and all(map(is_ready, pods)) and first not in {pod["metadata"]["name"] for pod in pods}

    wait_for(replaced, "another pod in its place")
    wait_until_ready(api, stack.namespace)


def evict(api: Api, namespace: str, pod: str) -> None:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
    api.call("POST", api.path("v1", "Pod", namespace, pod) + "/eviction", body)


def test_a_new_release_of_everything_rolls_without_a_gap(api: Api, stack: OnCluster) -> None:
    """No app ever has fewer pods than before, no service two at once, and the quota lets all of it through."""
    replicas = {one.name: one.replicas for one in stack.deployment.workloads if one.strategy == "surge"}
    with (
        api.watching("apps/v1", "Deployment", stack.namespace) as deployments,
        api.watching("v1", "Pod", stack.namespace) as pods,
    ):
        list(released(stack, "2").applied(api))
        wait_until_ready(api, stack.namespace)
    least = {
        name: min(
            body["status"].get("availableReplicas", 0)
            for _, body in deployments.events
            if body["metadata"]["name"] == name
        )
        for name in replicas
    }
    assert least == replicas
    assert_never_twice(pods.events, {one.name for one in stack.deployment.workloads if one.role == "service"})
    images = {
        pod["spec"]["containers"][0]["image"]
        for pod in api.pods(stack.namespace)
        if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
        # Who watches had no new release.
        and pod["metadata"]["labels"]["app.kubernetes.io/component"] != "monitoring"
    }
    assert all(image.endswith("@sha256:" + "2" * 64) for image in images), images
    assert not refusals(api, stack.namespace)


def assert_never_twice(events: list[tuple[str, Object]], workloads: set[str]) -> None:
    """A pod is added only when the one before is gone; and each workload had a second one."""
    for name in workloads:
        alive: set[str] = set()
        replaced = False
        for event, pod in events:
            if pod["metadata"]["labels"].get("app.kubernetes.io/name") != name:
                continue
            uid = pod["metadata"]["uid"]
            if event == "DELETED":
                alive.discard(uid)
            else:
                replaced |= event == "ADDED"
                alive.add(uid)
            assert len(alive) <= 1, f"{name} ran twice"
        assert replaced, f"{name} was not replaced"


def test_a_release_that_never_gets_ready_takes_nothing_away(api: Api, stack: OnCluster) -> None:
    app = next(one for one in stack.deployment.workloads if one.role == "app" and one.strategy == "surge")
    before = {pod["metadata"]["uid"] for pod in api.pods(stack.namespace, app.name)}
    # kubelet.yaml: pods of such an image are never ready.
    list(released(stack, "bad0", only=app.name).applied(api))

    def new_one_waits() -> bool:
        pods = [pod for pod in api.pods(stack.namespace, app.name) if pod["metadata"]["uid"] not in before]
        return any(pod["status"]["phase"] == "Running" for pod in pods)

    wait_for(new_one_waits, "a pod of the new release")
    now = api.get("apps/v1", "Deployment", stack.namespace, app.name)
    assert not is_rolled_out(now)
    assert now["status"]["availableReplicas"] == app.replicas
    assert before <= {pod["metadata"]["uid"] for pod in api.pods(stack.namespace, app.name)}
    list(released(stack, "2").applied(api))
    wait_until_ready(api, stack.namespace)


def test_the_quota_refuses_what_is_not_planned(api: Api, stack: OnCluster) -> None:
    """A mistake in this namespace takes nothing from others."""
    most = int(api.get("v1", "ResourceQuota", stack.namespace, "plan")["spec"]["hard"]["pods"])
    path = api.path("apps/v1", "Deployment", stack.namespace, "gateway")
    api.merge(f"{path}/scale", {"spec": {"replicas": 2 * most}})

    def refusal() -> list[Object]:
        conditions = api.call("GET", path)["status"]["conditions"]
        return [
            one for one in conditions if one["type"] == "ReplicaFailure" and "exceeded quota: plan" in one["message"]
        ]

    wait_for(refusal, "the quota's no")
    assert len([pod for pod in api.pods(stack.namespace) if pod["status"]["phase"] != "Succeeded"]) <= most
    list(released(stack, "2").applied(api))
    wait_until_ready(api, stack.namespace)
