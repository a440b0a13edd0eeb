"""Who may be reached from the whole world: the gateway, on the ports of the web."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from .rule import Resource, Rule, Stack, labels_of, mappings, texts, types

WEB = frozenset({80, 443})
NAMED = {
    22: "ssh", 23: "telnet", 111: "rpcbind", 445: "SMB", 873: "rsync", 1433: "SQL Server", 1521: "Oracle", 2049: "NFS",
    2375: "Docker", 2376: "Docker", 2377: "Docker Swarm", 2379: "etcd", 2380: "etcd", 3306: "MySQL", 3389: "RDP",
    4369: "Erlang's epmd", 5432: "PostgreSQL", 5671: "AMQP", 5672: "AMQP", 5900: "VNC", 5985: "WinRM", 5986: "WinRM",
    6379: "Redis", 6443: "Kubernetes", 9042: "Cassandra", 9090: "Prometheus", 9092: "Kafka", 9093: "Alertmanager",
    9100: "node exporter", 9200: "Elasticsearch", 9300: "Elasticsearch", 10250: "kubelet", 11211: "memcached",
    15672: "RabbitMQ's management", 25672: "RabbitMQ's cluster", 27017: "MongoDB", 33060: "MySQL",
}  # fmt: skip
"""Ports of administration, databases, brokers and container engines, by what listens there as a rule."""
PINGS = frozenset({"icmp", "icmpv6", "1", "58"})
WIDEST_V4, WIDEST_V6 = 8, 16
"""Shorter prefixes are the world: no organization has a public network of that size."""

GROUP_RULES = types(
    "aws: vpc/securityGroupIngressRule:SecurityGroupIngressRule ec2/securityGroupRule:SecurityGroupRule"
)
GROUPS = types("aws: ec2/securityGroup:SecurityGroup ec2/defaultSecurityGroup:DefaultSecurityGroup")
CONTAINERS = types("docker: index/container:Container")
SERVICES = types("kubernetes: core/v1:Service")


def is_world(network: str) -> bool:
    try:
        found = ip_network(network, strict=False)
    except ValueError:
        return False  # AWS refuses it
    match found:
        case IPv4Network():
            return found.prefixlen < WIDEST_V4
        case IPv6Network():
            return found.prefixlen < WIDEST_V6


def is_public(address: Any) -> bool:
    """Whether a container that publishes a port there is reached from outside: without an address it is all of them."""
    if not address:
        return True
    try:
        found = ip_address(str(address))
    except ValueError:
        return False
    return found.is_unspecified or found.is_global


def said(low: int, high: int) -> str:
    """A range of ports, with what is known of those in it."""
    inside = sorted({name for port, name in NAMED.items() if low <= port <= high})
    shown = ", ".join(inside[:4]) + (", …" if len(inside) > 4 else "")
    return f"{low if low == high else f'{low} to {high}'}{f' ({shown})' if inside else ''}"


def open_ports(protocol: Any, low: Any, high: Any) -> str | None:
    """What a rule of a security group opens beside the web, or None."""
    if str(protocol) in PINGS:
        return None
    if str(protocol) == "-1" or str(protocol) == "all":
        return "all ports"
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return None
    low, high = int(low), int(high)
    if low == high and low in WEB:
        return None
    return f"port{'' if low == high else 's'} {said(low, high)}"


def sources(entry: Mapping[str, Any]) -> list[str]:
    keys = ("cidrIpv4", "cidrIpv6", "cidrBlocks", "ipv6CidrBlocks")
    return [network for key in keys for network in texts(entry.get(key))]


def of_group(resource: Resource, _stack: Stack) -> Iterator[str]:
    if resource.type in GROUPS:
        entries = mappings(resource.props.get("ingress"))
    else:
        entries = [resource.props] if resource.props.get("type", "ingress") == "ingress" else []
    for entry in entries:
        protocol = entry.get("ipProtocol", entry.get("protocol"))
        ports = open_ports(protocol, entry.get("fromPort"), entry.get("toPort"))
        for network in sources(entry):
            if ports and is_world(network):
                yield f"opens {ports} to {network}"


GROUP_PORTS = Rule(
    name="world-reaches-only-the-web",
    description="Security groups open nothing but 80 and 443 to the whole world.",
    remedy=(
        "Name the networks or the security group that need it; administrators' networks belong in "
        "groundwork:machines.administrators, and machines are reached through SSM without any open port."
    ),
    types=GROUP_RULES | GROUPS,
    judge=of_group,
)


def of_container(resource: Resource, _stack: Stack) -> Iterator[str]:
    role = labels_of(resource).get("groundwork.role")
    for port in mappings(resource.props.get("ports")):
        if not is_public(port.get("ip")):
            continue
        where = f"on {port.get('ip') or 'every address'}"
        numbers = [int(port[key]) for key in ("internal", "external") if isinstance(port.get(key), int | float)]
        named = [number for number in numbers if number in NAMED]
        if named:
            yield f"publishes {said(named[0], named[0])} {where}"
        elif role not in (None, "gateway"):
            yield f"publishes {numbers[-1] if numbers else 'a port'} {where}, and is no gateway"
    if resource.props.get("publishAllPorts") is True:
        yield "publishes every port of its image on every address"


def of_service(resource: Resource, _stack: Stack) -> Iterator[str]:
    spec = resource.props.get("spec")
    if not isinstance(spec, Mapping) or spec.get("type") not in ("LoadBalancer", "NodePort"):
        return
    ranges = texts(spec.get("loadBalancerSourceRanges")) if spec["type"] == "LoadBalancer" else []
    if ranges and not any(is_world(network) for network in ranges):
        return
    for port in mappings(spec.get("ports")):
        numbers = [int(port[key]) for key in ("port", "targetPort") if isinstance(port.get(key), int | float)]
        named = [number for number in numbers if number in NAMED]
        if named:
            yield f"opens {said(named[0], named[0])} outside the cluster as a {spec['type']}"


def of_published(resource: Resource, stack: Stack) -> Iterator[str]:
    return of_container(resource, stack) if resource.type in CONTAINERS else of_service(resource, stack)


PUBLISHED_PORTS = Rule(
    name="only-the-gateway-is-published",
    description=(
        "Nothing but the gateway is published on a public address, and no port of administration, a database, a "
        "broker or a container engine at all."
    ),
    remedy="Publish it on 127.0.0.1 or a private address; `python -m ops tunnel` reaches what is inside.",
    types=CONTAINERS | SERVICES,
    judge=of_published,
)
