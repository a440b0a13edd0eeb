"""Who may speak to whom on the cluster, computed from what it stores, is what the plan says: no more and no less."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest

from groundwork.deployment import Deployment
from tests.cluster.client import Api, Object
from tests.cluster.policies import Place, may_reach
from tests.cluster.stacks import EXPOSURES, SYSTEMS, OnCluster, on_cluster

Reach = tuple[str, str, int, str]

OUTSIDE = {
    "public": "198.51.100.7",
    "another public": "192.0.2.10",
    "private": "10.20.1.2",
    "another private": "192.168.7.7",
    "metadata": "169.254.169.254",
}
PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
DNS = Place("dns", "10.0.0.53", "kube-system", {"k8s-app": "kube-dns"}, {"kubernetes.io/metadata.name": "kube-system"})
STRANGERS = (
    DNS,
    Place("another system pod", "10.0.0.54", "kube-system", {"k8s-app": "other"}, DNS.namespace_labels),
    Place("proxy", "10.0.0.60", "traefik", {"app": "traefik"}, {"kubernetes.io/metadata.name": "traefik"}),
    # Labels of a workload, in another namespace.
    Place("stranger", "10.0.0.70", "other", {"app.kubernetes.io/name": "web"}, {"kubernetes.io/metadata.name": "x"}),
    Place("false dns", "10.0.0.71", "other", {"k8s-app": "kube-dns"}, {"kubernetes.io/metadata.name": "other"}),
)


@pytest.mark.parametrize("exposure", EXPOSURES)
@pytest.mark.parametrize("system", SYSTEMS)
def test_who_may_speak_to_whom(api: Api, system: str, exposure: str) -> None:
    stack = on_cluster(system, f"reach-{exposure}", exposure=EXPOSURES[exposure])
    policies = [stored for _, stored in stack.applied(api, only="NetworkPolicy") if stored["kind"] == "NetworkPolicy"]
    places = [*pods(stack), *STRANGERS, *(Place(name, address) for name, address in OUTSIDE.items())]
    numbers = {53, 80, 443, 6443, 9000, 5000} | set(ports(stack.deployment))
    found = {
        (client.name, server.name, port, protocol)
        for client in places
        for server in places
        for port in numbers
        for protocol in ("TCP", "UDP")
        # What strangers do among themselves is nobody's business here.
        if not {client.namespace, server.namespace}.isdisjoint(stack.namespaces)
        and may_reach(policies, client, server, port, protocol)
    }
    stack.removed(api)
    expected = {one for one in meant(stack.deployment, EXPOSURES[exposure]) if one[2] in numbers}
    assert found == expected, f"more: {sorted(found - expected)}; less: {sorted(expected - found)}"


def test_what_is_missing_or_too_much_would_be_seen() -> None:
    """The computation itself, on policies that are damaged one by one."""
    stack = on_cluster("lab", "damaged")
    policies = [body for body in stack.objects if body["kind"] == "NetworkPolicy"]
    places = [*pods(stack), DNS]

    def reach(given: list[Object]) -> set[tuple[str, str, int]]:
        pairs = [(client, server) for client in places for server in places]
        numbers = {53, *ports(stack.deployment)}
        return {(a.name, b.name, port) for a, b in pairs for port in numbers if may_reach(given, a, b, port)}

    sound = reach(policies)
    opened: Object = {
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}]}
    }
    for number, policy in enumerate(policies):
        others = policies[:number] + policies[number + 1 :]
        assert reach([*others, policy | opened]) > sound
        # All others close as well what this one closes.
        if not policy["metadata"]["name"].endswith("all.closed"):
            assert reach(others) < sound, policy["metadata"]["name"]
    assert reach([]) > sound


def pods(stack: OnCluster) -> Iterator[Place]:
    """A pod of each workload, with the labels of its template."""
    for body in stack.objects:
        spec = body.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template:
            labels = template["metadata"]["labels"]
            namespace = body["metadata"]["namespace"]
            of_namespace = {"kubernetes.io/metadata.name": namespace}
            yield Place(labels["app.kubernetes.io/name"], "10.0.1.1", namespace, labels, of_namespace)


def ports(deployment: Deployment) -> Iterator[int]:
    for workload in deployment.workloads:
        if workload.port:
            yield workload.port
        yield from workload.side_ports.values()


def meant(deployment: Deployment, exposure: dict[str, str]) -> Iterator[Reach]:
    for connection in deployment.connections:
        yield connection.client, connection.server, connection.port, "TCP"
    for workload in deployment.workloads:
        yield workload.name, "dns", 53, "TCP"
        yield workload.name, "dns", 53, "UDP"
        for destination in workload.egress:
            host, number = destination.split(":")
            for name, address in OUTSIDE.items():
                if leads_to(host, address):
                    yield workload.name, name, int(number), "TCP"
    gateway = deployment.workload("gateway")
    behind = {"ingress", "gateway"} & {exposure["kind"]}
    open_to_all = {"node_port", "load_balancer"} & {exposure["kind"]}
    everybody = [*OUTSIDE, *(one.name for one in STRANGERS)]
    for name, port in gateway.ports.items():
        if name == "metrics":
            continue
        for client in ["proxy"] if behind else everybody if open_to_all else []:
            yield client, "gateway", port, "TCP"


def leads_to(host: str, address: str) -> bool:
    """An address or a range means itself; a name, whatever is outside."""
    if host[0].isdigit():
        return ip_address(address) in ip_network(host)
    return not any(ip_address(address) in ip_network(one) for one in PRIVATE)
