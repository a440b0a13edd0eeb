"""What metrics make of a gateway, and that without them it is what it was."""

from __future__ import annotations

import re
from typing import Any

import pytest

from groundwork.nginx import METRICS, SCRIPT, Upstream, main_files, routes_files
from groundwork.settings import Entry
from groundwork.system import Route
from groundwork.workload import FILES, Image, Metrics, Resources, Workload, digest_of
from tests.clusters import Stack
from tests.sample import SHOP, configured, planned

PLAIN = Workload(
    name="w",
    role="app",
    image=Image(reference="r", digest="d", origin="simulated"),
    command=("c",),
    resources=Resources(memory_mib=1, cpus=1),
    user="1:1",
)
CLUSTER: dict[str, Any] = {"kind": "kubernetes", "context": "test", "exposure": {"kind": "load_balancer"}}
TARGETS: dict[str, dict[str, Any]] = {"engine": {}, "cluster": {"target": CLUSTER}}


def texts(gateway: Workload) -> dict[str, str]:
    files = (*gateway.files, *(gateway.reload.files if gateway.reload else ()))
    return {file.name.rpartition("/")[2]: str(file.content) for file in files}


def gateway_of(values: dict[str, Any]) -> Workload:
    return planned({"monitoring": {}} | values).workload("gateway")


def test_without_metrics_a_gateway_is_released_as_it_always_was() -> None:
    """Another digest replaces the gateway of every stack: change it only where that is meant."""
    routes = (Route(path="/", app="web"),)
    _, site = routes_files(Entry(), routes, {"web": Upstream(release="web-11111111", port=8080)})
    assert digest_of((*main_files("/d", "127.0.0.1:8090"), *site)) == "f4c0190b"


def test_without_metrics_the_release_of_a_workload_is_as_old_as_it_was() -> None:
    assert PLAIN.release == "4f754fd3"


def test_metrics_are_part_of_a_release_wherever_they_are_read() -> None:
    said = [None, Metrics(port=9113), Metrics(port=9114), Metrics(port=9113, path="/stats")]
    releases = {Workload(**{**vars(PLAIN), "metrics": one}).release for one in said}
    assert len(releases) == len(said)


@pytest.mark.parametrize("target", TARGETS)
def test_a_gateway_that_counts_says_where_and_brings_its_script(target: str) -> None:
    gateway = gateway_of(TARGETS[target])
    assert gateway.metrics == METRICS and gateway.side_ports["metrics"] == METRICS.port
    assert METRICS.port not in {port.target for port in gateway.published}
    found = texts(gateway)
    assert f"js_import metrics from {FILES}/{SCRIPT};" in found["nginx.conf"]
    exported = re.findall(r"\w+", found[SCRIPT].rpartition("export default")[2])
    used = re.findall(r" metrics\.(\w+);", found["nginx.conf"] + found["routes.conf"])
    assert sorted(exported) == sorted(used) == ["counted", "page"]


@pytest.mark.parametrize("target", TARGETS)
def test_each_route_names_its_app_before_it_can_be_refused(target: str) -> None:
    routes = texts(gateway_of(TARGETS[target]))["routes.conf"]
    for route in SHOP.routes:
        found = re.findall(rf"    location {route.path} \{{\n(.*?)\n    \}}", routes, flags=re.S)
        (block,) = [one for one in found if "proxy_pass" in one]
        assert block.index(f"set $app {route.app};") < block.index("limit_req ") < block.index("proxy_pass ")
    assert routes.count("set $app ") == len(SHOP.routes)


def test_users_do_not_reach_the_metrics_in_a_cluster() -> None:
    configuration = configured({"target": CLUSTER, "monitoring": {}})
    stack = Stack(project="shop", name="test", system=SHOP, configuration=configuration)
    bodies = {one.key: one.body for one in stack.manifests}
    rules = bodies["networkpolicy-gateway"]["spec"]["ingress"]
    (users,) = [rule for rule in rules if "ipBlock" in rule["from"][0]]
    assert [port["port"] for port in users["ports"]] == [8080]
    assert [port["name"] for port in bodies["service-gateway"]["spec"]["ports"]] == ["http"]
