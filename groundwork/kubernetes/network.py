"""Who may speak to whom: everything is closed but DNS, what connections say, and the ways out that apps name."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from ..workload import Workload
from .manifest import Manifest, Object, Place

INSIDE = ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
"""Where nodes, pods, services and the cloud's metadata have their addresses: no way out leads there by itself."""
ANYWHERE = "0.0.0.0/0"
CLOSED, DNS = "all.closed", "all.dns"
"""The policies of every pod: no workload's name has a dot."""


def network_policies(place: Place) -> Iterator[Manifest]:
    yield policy(place, place.named(CLOSED), {}, ingress=[], egress=[])
    yield policy(place, place.named(DNS), {}, egress=[dns(place)])
    for workload in place.workloads:
        yield policy(
            place,
            workload.name,
            place.selector(workload.name),
            workload,
            ingress=[*clients(place, workload), *outside(place, workload)],
            egress=[*servers(place, workload), *ways_out(workload)],
        )


def policy(
    place: Place,
    name: str,
    selector: dict[str, str],
    workload: Workload | None = None,
    *,
    ingress: list[Object] | None = None,
    egress: list[Object] | None = None,
) -> Manifest:
    directions = {"Ingress": ingress, "Egress": egress}
    spec: Object = {
        "podSelector": {"matchLabels": selector} if selector else {},
        "policyTypes": [direction for direction, rules in directions.items() if rules is not None],
    }
    # An empty list means the same as none, and would come back as none.
    spec |= {direction.lower(): rules for direction, rules in directions.items() if rules}
    return Manifest(
        body={
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": place.metadata(name, workload),
            "spec": spec,
        }
    )


def dns(place: Place) -> Object:
    pods = {
        **in_namespace(place.target.dns_namespace),
        "podSelector": {"matchLabels": dict(place.target.dns_labels)},
    }
    return {"to": [pods], "ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]}


def clients(place: Place, server: Workload) -> Iterator[Object]:
    for connection in place.deployment.connections:
        if connection.server == server.name:
            yield {"from": [pods_of(place, connection.client)], "ports": [tcp(connection.port)]}


def servers(place: Place, client: Workload) -> Iterator[Object]:
    for connection in place.deployment.connections:
        if connection.client == client.name:
            yield {"to": [pods_of(place, connection.server)], "ports": [tcp(connection.port)]}


def outside(place: Place, workload: Workload) -> Iterator[Object]:
    """Who reaches the gateway: the controller's proxies, or everybody."""
    exposure = place.target.exposure
    if workload.role != "gateway" or workload.port is None or exposure.kind == "cluster":
        return
    # What it says of itself is for those that are connected to it.
    ports = [tcp(port) for port in workload.ports.values() if not workload.metrics or port != workload.metrics.port]
    source = in_namespace(exposure.namespace) if exposure.namespace else {"ipBlock": {"cidr": ANYWHERE}}
    yield {"from": [source], "ports": ports}


def ways_out(workload: Workload) -> Iterator[Object]:
    """Policies know no host names: a named host opens its port to all that is outside, an address or a range itself."""
    for destination in workload.egress:
        host, _, port = destination.rpartition(":")
        yield {"to": [{"ipBlock": block(host)}], "ports": [tcp(int(port))]}


def block(host: str) -> Object:
    try:
        return {"cidr": str(IPv4Network(host) if "/" in host else IPv4Network(IPv4Address(host)))}
    except ValueError:
        return {"cidr": ANYWHERE, "except": list(INSIDE)}


def pods_of(place: Place, name: str) -> Object:
    there = place.of(place.deployment.workload(name))
    pods: Object = {"podSelector": {"matchLabels": place.selector(name)}}
    if there.namespace != place.namespace:
        pods |= in_namespace(there.namespace)
    return pods


def in_namespace(name: str) -> Object:
    """The cluster itself gives each namespace this label."""
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def tcp(port: int) -> Object:
    return {"protocol": "TCP", "port": port}
