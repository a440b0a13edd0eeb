"""The objects of a stack on a cluster, where no judge decides: what changes with what, and what it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from groundwork.faults import FaultsError
from groundwork.kubeconfig import kubeconfig_of
from groundwork.kubernetes import Manifest, manifests
from groundwork.kubernetes.manifest import Object
from groundwork.kubernetes.network import ANYWHERE, INSIDE
from groundwork.kubernetes.render import rendered
from groundwork.settings import AppSettings, AutoscaleSettings, Settings
from groundwork.targets import KubernetesTarget
from groundwork.workload import Workload
from tests.clusters import CLUSTER, ENGINE, EXPOSURES, Stack, exposed, judged
from tests.sample import API, SHOP, WEB, changed, configured

CONTROLLERS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job")
every_stack = pytest.mark.parametrize("name", judged())


def shop(values: dict[str, Any] | None = None, **update: Any) -> tuple[Manifest, ...]:
    """The small system on a cluster."""
    system = changed(SHOP, **update)
    target = {"kind": "kubernetes", "context": "test"}
    configuration = configured({"target": target, **(values or {})})
    return Stack(project="shop", name="test", system=system, configuration=configuration).manifests


def differing(before: tuple[Manifest, ...], after: tuple[Manifest, ...]) -> set[str]:
    """Keys, without digests, of what comes, goes or is changed."""
    old, new = ({one.key: one.body for one in side} for side in (before, after))
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}


def stems(keys: set[str]) -> set[str]:
    return {key.rsplit("-", 1)[0] if len(key.rsplit("-", 1)[1]) == 8 else key for key in keys}


def of(found: tuple[Manifest, ...], key: str) -> Object:
    (body,) = [one.body for one in found if one.key == key]
    return body


def pod_of(body: Object) -> Object:
    spec = body["spec"]["jobTemplate"]["spec"] if body["kind"] == "CronJob" else body["spec"]
    pod: Object = spec["template"]
    return pod


# What changes with what


def test_the_same_stack_is_the_same_objects() -> None:
    assert differing(shop(), shop()) == set()


def test_a_changed_file_changes_its_config_map_and_the_controller_that_reads_it() -> None:
    longer = changed(SHOP, routes=(*SHOP.routes, {"path": "/more/", "app": "web"})).routes
    changes = differing(shop(), shop(routes=longer))
    assert stems(changes) == {"configmap-gateway-files", "deployment-gateway"}
    assert len(changes) == 3, "the ConfigMap of before goes, since what is in it is immutable"


def test_another_generation_of_credentials_changes_the_secrets_of_who_logs_in() -> None:
    def rotated(service: str) -> set[str]:
        changes = stems(differing(shop(), shop({"services": {service: {"credentials": 2}}})))
        # One more job, which ends the user of before.
        return changes - {"resourcequota-plan"}

    assert not {key for key in rotated("redis") if "redis" not in key}, "no app has its password among its settings"
    changes = rotated("postgres")
    assert {"secret-api-secrets", "deployment-api", "secret-postgres-accounts-secrets"} <= changes
    assert not {key for key in changes if "web" in key or "redis" in key or "gateway" in key}
    assert "statefulset-postgres" not in changes


def test_a_chosen_secret_changes_with_its_value() -> None:
    changes = differing(shop({"secret_jwt_key": "one"}), shop({"secret_jwt_key": "two"}))
    assert stems(changes) == {
        "secret-api-secrets",
        "deployment-api",
        "secret-api-release-secrets",
        "job-api-release",
    }


def test_a_new_image_of_an_app_is_one_changed_deployment_and_nothing_that_serves_beside_it() -> None:
    changes = differing(shop(), shop({"apps": {"web": {"image": "example/web:2"}}}))
    assert changes == {"deployment-web"}


@pytest.mark.parametrize("update", [{"replicas": 4}, {"autoscale": {"least": 2, "most": 4}}])
def test_more_replicas_roll_no_pod(update: dict[str, Any]) -> None:
    before, after = shop(), shop({"apps": {"web": update}})
    assert pod_of(of(before, "deployment-web")) == pod_of(of(after, "deployment-web"))


def test_a_removed_app_takes_away_what_was_its_own() -> None:
    changes = differing(shop(), shop(apps=(API,), routes=({"path": "/api/", "app": "api"},)))
    assert {key for key in changes if "web" in key} == {
        f"{kind}-web" for kind in ("deployment", "networkpolicy", "poddisruptionbudget", "service", "serviceaccount")
    }
    own = {key for key in changes if "web" not in key}
    assert stems(own) == {
        "configmap-gateway-files",
        "deployment-gateway",
        "networkpolicy-gateway",
        "resourcequota-plan",
    }


@every_stack
def test_selectors_never_change(name: str) -> None:
    for one in judged()[name].manifests:
        if one.kind in ("Deployment", "StatefulSet", "DaemonSet"):
            chosen = one.body["spec"]["selector"]["matchLabels"]
            assert chosen.keys() == {"app.kubernetes.io/name", "app.kubernetes.io/instance"}
            assert chosen.items() <= pod_of(one.body)["metadata"]["labels"].items()
        if one.kind == "Service":
            assert "app.kubernetes.io/version" not in one.body["spec"]["selector"]


@every_stack
def test_every_object_waits_only_for_what_comes_before_it(name: str) -> None:
    seen: set[str] = set()
    for one in judged()[name].manifests:
        assert set(one.after) <= seen, one.key
        assert one.key not in seen
        seen.add(one.key)


@every_stack
def test_whatever_a_pod_mounts_is_there(name: str) -> None:
    found = judged()[name].manifests
    known = {(one.kind, one.name) for one in found}
    for one in found:
        if one.kind in CONTROLLERS:
            pod = pod_of(one.body)["spec"]
            assert ("ServiceAccount", pod["serviceAccountName"]) in known
            assert ("PriorityClass", pod["priorityClassName"]) in known
            for volume in pod["volumes"]:
                for source in volume.get("projected", {}).get("sources", []):
                    ((kind, given),) = source.items()
                    assert ("ConfigMap" if kind == "configMap" else "Secret", given["name"]) in known


# Numbers


def test_an_autoscaler_alone_decides_how_many_run() -> None:
    found = shop({"apps": {"api": {"autoscale": {"least": 2, "most": 7, "cpu_percent": 60}}}})
    assert "replicas" not in of(found, "deployment-api")["spec"]
    assert of(found, "deployment-web")["spec"]["replicas"] == 2
    scaler = of(found, "horizontalpodautoscaler-api")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 7)
    assert scaler["scaleTargetRef"]["name"] == "api"
    assert scaler["metrics"][0]["resource"]["target"]["averageUtilization"] == 60


def test_a_number_of_replicas_puts_the_systems_autoscaler_away() -> None:
    api = changed(API, autoscale=AutoscaleSettings(least=3, most=5))
    chosen = {"apps": {"api": AppSettings(replicas=4).model_dump(include={"replicas"})}}
    found = shop(chosen, apps=(WEB, api))
    assert of(found, "deployment-api")["spec"]["replicas"] == 4
    assert "horizontalpodautoscaler-api" not in {one.key for one in found}


@every_stack
def test_the_quota_is_what_the_plan_needs_at_its_peak(name: str) -> None:
    """Each pod twice: a release beside its predecessor, and what has just ended as long as it is still counted."""
    stack = judged()[name]
    hard = of(stack.manifests, "resourcequota-plan")["spec"]["hard"]
    # Of what runs on each node nobody knows how many there are; that has a namespace of its own.
    workloads = [one for one in stack.deployment.workloads if not one.per_machine]
    assert int(hard["pods"]) == sum(map(peak, workloads))
    memory = sum(peak(one) * one.resources.memory_mib for one in workloads)
    assert (
        hard["limits.memory"] == hard["requests.memory"] == (f"{memory}Mi" if memory % 1024 else f"{memory // 1024}Gi")
    )
    claims = [one for one in stack.manifests if one.kind == "PersistentVolumeClaim"]
    assert int(hard["persistentvolumeclaims"]) == len(claims)


def peak(workload: Workload) -> int:
    return 2 * (workload.autoscale.most if workload.autoscale else workload.replicas)


@every_stack
def test_no_container_is_larger_than_the_limit_for_each(name: str) -> None:
    found = judged()[name].manifests
    (limit,) = of(found, "limitrange-plan")["spec"]["limits"]
    largest = max(mebibytes_in(pod_of(one.body)) for one in found if one.kind in CONTROLLERS)
    assert mebibytes_of(limit["max"]["memory"]) == max(64, largest)
    assert mebibytes_of(limit["default"]["memory"]) <= mebibytes_of(limit["max"]["memory"])


def mebibytes_in(pod: Object) -> int:
    (container,) = pod["spec"]["containers"]
    return mebibytes_of(container["resources"]["limits"]["memory"])


def mebibytes_of(text: str) -> int:
    return int(text[:-2]) * (1024 if text.endswith("Gi") else 1)


@every_stack
def test_only_what_runs_on_each_node_sees_it_and_changes_nothing(name: str) -> None:
    stack = judged()[name]
    namespaces = [one.name for one in stack.manifests if one.kind == "Namespace"]
    for one in stack.manifests:
        if one.kind not in CONTROLLERS:
            continue
        spec = pod_of(one.body)["spec"]
        of_the_node = [volume["name"] for volume in spec["volumes"] if "hostPath" in volume]
        on_each = one.kind == "DaemonSet"
        assert one.body["metadata"]["namespace"] == namespaces[-1 if on_each else 0], one.key
        assert on_each or not of_the_node, one.key
        kept = stack.deployment.workload(one.name).volumes if on_each else ()
        for mount in spec["containers"][0]["volumeMounts"]:
            if mount["name"] in set(of_the_node) - {volume.name for volume in kept}:
                assert mount["readOnly"] is True, one.key


def test_who_measures_the_nodes_is_reached_over_both_namespaces() -> None:
    found = judged()["everything, monitored"].manifests
    own, machines = (one.name for one in found if one.kind == "Namespace")
    (way_in,) = of(found, "networkpolicy-node-exporter")["spec"]["ingress"]
    assert way_in["from"][0]["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": own}}
    ways_out = of(found, "networkpolicy-prometheus")["spec"]["egress"]
    there = [rule["to"][0]["namespaceSelector"] for rule in ways_out if "namespaceSelector" in rule["to"][0]]
    # The node exporter, and the shipper of logs.
    assert there == 2 * [{"matchLabels": {"kubernetes.io/metadata.name": machines}}]
    closed = of(found, "networkpolicy-machines-all.closed")
    assert closed["metadata"]["namespace"] == machines and closed["spec"].keys() == {"podSelector", "policyTypes"}


# The network, and the way in


def test_a_named_host_opens_its_port_to_what_is_outside_and_an_address_itself_alone() -> None:
    rules = of(exposed("cluster").manifests, "networkpolicy-api")["spec"]["egress"]
    outward = {rule["ports"][0]["port"]: rule["to"][0]["ipBlock"] for rule in rules if "ipBlock" in rule["to"][0]}
    assert outward == {
        587: {"cidr": ANYWHERE, "except": list(INSIDE)},
        443: {"cidr": "203.0.113.7/32"},
        8443: {"cidr": "198.51.100.0/24"},
    }


def test_only_who_has_egress_goes_outside() -> None:
    for one in exposed("cluster").manifests:
        if one.kind == "NetworkPolicy" and one.name != "api":
            assert "ipBlock" not in str(one.body["spec"].get("egress", "")), one.key


@pytest.mark.parametrize("name", EXPOSURES)
def test_who_reaches_the_gateway(name: str) -> None:
    exposure, entry = EXPOSURES[name]
    found = exposed(name).manifests
    (rule,) = of(found, "networkpolicy-gateway")["spec"].get("ingress", [None])
    kind = exposure["kind"]
    if kind == "cluster":
        assert rule is None
    elif "namespace" in exposure:
        names = {"kubernetes.io/metadata.name": exposure["namespace"]}
        assert rule["from"] == [{"namespaceSelector": {"matchLabels": names}}]
    else:
        assert rule["from"] == [{"ipBlock": {"cidr": ANYWHERE}}]
    if rule:
        assert {port["port"] for port in rule["ports"]} == ({8080, 8443} if entry else {8080})


def test_a_node_port_is_the_one_that_was_chosen() -> None:
    spec = of(exposed("node port").manifests, "service-gateway")["spec"]
    assert (spec["type"], spec["ports"][0]["nodePort"], spec["externalTrafficPolicy"]) == ("NodePort", 30081, "Local")


def test_with_a_certificate_the_node_port_is_that_of_https_and_http_leads_there() -> None:
    stack = exposed("secure node port")
    http, https = of(stack.manifests, "service-gateway")["spec"]["ports"]
    assert (https["name"], https["nodePort"]) == ("https", 30081)
    assert "nodePort" not in http
    assert stack.deployment.urls["system"] == "https://shop.example.com:30081/"
    assert any("308 https://$host:30081$request_uri" in str(one.body.get("data")) for one in stack.manifests)


def test_no_other_service_is_reached_from_outside() -> None:
    for name in EXPOSURES:
        for one in exposed(name).manifests:
            if one.kind == "Service" and one.name != "gateway":
                assert one.body["spec"]["type"] == "ClusterIP", one.key


@pytest.mark.parametrize("name", ["traefik", "haproxy", "nginx", "gateway"])
def test_the_entry_serves_the_named_hosts_with_the_certificate_that_is_given(name: str) -> None:
    exposure, _ = EXPOSURES[name]
    found = exposed(name).manifests
    secret = exposure.get("tls_secret", "gateway-tls")
    hosts = ["shop.example.com", "www.example.com"]
    if name == "gateway":
        listeners = of(found, "gateway-gateway")["spec"]["listeners"][1:]
        assert [one["hostname"] for one in listeners] == hosts
        assert {one["tls"]["certificateRefs"][0]["name"] for one in listeners} == {secret}
        assert of(found, "httproute-gateway")["spec"]["hostnames"] == hosts
        return
    spec = of(found, "ingress-gateway")["spec"]
    assert spec["tls"] == [{"hosts": hosts, "secretName": secret}]
    assert [rule["host"] for rule in spec["rules"]] == hosts
    assert spec["ingressClassName"] == exposure.get("class_name", exposure["controller"])


# The target itself


def test_a_docker_engine_has_no_objects() -> None:
    stack = exposed("cluster")
    settings: Settings = stack.settings.model_copy(update={"target": ENGINE})
    with pytest.raises(TypeError, match="the target of shop-test is docker"):
        manifests(stack.deployment, settings)


def kubeconfig(folder: Path, *contexts: str) -> Path:
    path = folder / "config"
    path.write_text(yaml.safe_dump({"contexts": [{"name": name} for name in contexts]}))
    return path


def test_the_kubeconfig_is_the_one_that_the_stack_names(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "test")
    named = CLUSTER.model_copy(update={"kubeconfig": str(path)})
    assert kubeconfig_of(named, {"KUBECONFIG": "/nowhere"}) == path
    assert kubeconfig_of(CLUSTER, {"KUBECONFIG": str(path)}) == path


WRONG_KUBECONFIGS: dict[str, tuple[str | None, str]] = {
    "no file": (
        None,
        "groundwork:target.kubeconfig: {path}: No such file or directory\n    name the cluster's file",
    ),
    "no kubeconfig": (
        "hello",
        "groundwork:target.kubeconfig: {path} is no kubeconfig\n    `kubectl config view` tells what it sees in it",
    ),
    "no YAML": (
        "a: b: c",
        "groundwork:target.kubeconfig: {path} is no kubeconfig\n    `kubectl config view` tells what it sees in it",
    ),
    "no such context": (
        "contexts: [{name: tset}]",
        "groundwork:target.context: {path} has no context `test`\n    did you mean `tset`?",
    ),
    "no context at all": (
        "contexts: []",
        "groundwork:target.context: {path} has no context `test`\n    nothing may be named here",
    ),
    "contexts without a value": (
        "contexts:",
        "groundwork:target.kubeconfig: {path} is no kubeconfig\n    `kubectl config view` tells what it sees in it",
    ),
}


@pytest.mark.parametrize("case", WRONG_KUBECONFIGS)
def test_a_wrong_kubeconfig_is_told_before_anything_is_touched(case: str, tmp_path: Path) -> None:
    text, message = WRONG_KUBECONFIGS[case]
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    with pytest.raises(FaultsError) as caught:
        kubeconfig_of(CLUSTER, {"KUBECONFIG": str(path)})
    assert str(caught.value) == (f"The target has 1 fault; nothing was changed.\n  1. {message.format(path=path)}")


def test_of_several_files_none_is_chosen_by_chance() -> None:
    with pytest.raises(FaultsError, match="KUBECONFIG names several files\n    name one of them here"):
        kubeconfig_of(KubernetesTarget(kind="kubernetes", context="test"), {"KUBECONFIG": "/one:/two"})


@pytest.mark.parametrize("release", ["12e45678", "00000012", "00411959", "1e2", "12345678"])
def test_a_release_that_looks_like_a_number_is_text(release: str) -> None:
    body = {"kind": "Secret", "metadata": {"name": "x", "labels": {"release": release}}}
    assert f"release: '{release}'" in rendered([Manifest(body=body)])
