"""Who may speak to whom, computed from NetworkPolicies as their reference says it. Pure; it knows nothing of how
Groundwork writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from tests.cluster.client import Object


@dataclass(frozen=True)
class Place:
    """A pod with its namespace, or, without labels, an address outside."""

    name: str
    address: str
    namespace: str = ""
    labels: Mapping[str, str] | None = None
    namespace_labels: Mapping[str, str] | None = None

    @property
    def is_pod(self) -> bool:
        return self.labels is not None


def may_reach(policies: Sequence[Object], client: Place, server: Place, port: int, protocol: str = "TCP") -> bool:
    """Both ends must allow it; what is no pod allows everything."""
    return _allows(policies, "Egress", client, server, port, protocol) and _allows(
        policies, "Ingress", server, client, port, protocol
    )


def _allows(policies: Sequence[Object], direction: str, subject: Place, other: Place, port: int, protocol: str) -> bool:
    if not subject.is_pod:
        return True
    specs = [
        (one["spec"], one["metadata"]["namespace"])
        for one in policies
        if one["metadata"]["namespace"] == subject.namespace
        and direction in one["spec"]["policyTypes"]
        and _selects(one["spec"]["podSelector"], subject.labels)
    ]
    # A pod that no policy selects is open.
    return not specs or any(
        _has_port(rule, port, protocol) and _has_peer(rule, direction, namespace, other)
        for spec, namespace in specs
        for rule in spec.get(direction.lower()) or []
    )


def _has_port(rule: Object, port: int, protocol: str) -> bool:
    ports = rule.get("ports")
    return not ports or any(
        one.get("protocol", "TCP") == protocol
        and ("port" not in one or one["port"] <= port <= one.get("endPort", one["port"]))
        for one in ports
    )


def _has_peer(rule: Object, direction: str, namespace: str, other: Place) -> bool:
    peers = rule.get("from" if direction == "Ingress" else "to")
    return not peers or any(_is_peer(peer, namespace, other) for peer in peers)


def _is_peer(peer: Object, namespace: str, other: Place) -> bool:
    if "ipBlock" in peer:
        # Of pods as well: whether their addresses count is left to the network, and the worst is meant here.
        block = peer["ipBlock"]
        return _within(other.address, [block["cidr"]]) and not _within(other.address, block.get("except") or [])
    if not other.is_pod:
        return False
    if "namespaceSelector" in peer:
        if not _selects(peer["namespaceSelector"], other.namespace_labels):
            return False
    elif other.namespace != namespace:
        return False
    return "podSelector" not in peer or _selects(peer["podSelector"], other.labels)


def _within(address: str, ranges: Sequence[str]) -> bool:
    return any(ip_address(address) in ip_network(one) for one in ranges)


def _selects(selector: Object, labels: Mapping[str, str] | None) -> bool:
    return all(_holds(*one, labels or {}) for one in _requirements(selector))


def _requirements(selector: Object) -> Iterator[tuple[str, str, Sequence[str]]]:
    for key, value in (selector.get("matchLabels") or {}).items():
        yield key, "In", [value]
    for one in selector.get("matchExpressions") or []:
        yield one["key"], one["operator"], one.get("values") or []


def _holds(key: str, operator: str, values: Sequence[str], labels: Mapping[str, str]) -> bool:
    if operator in ("Exists", "DoesNotExist"):
        return (key in labels) == (operator == "Exists")
    return (labels.get(key) in values) == (operator == "In")
