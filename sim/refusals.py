"""What a real Docker engine refuses, a program can get wrong, and the plan's data alone shows.

Only what is visible within one run is seen: a resource counts as live from its creation, or from the
engine's first question about it (Diff, Read), until it is deleted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from threading import Lock

from sim.values import UNKNOWN, Properties, objects, plain, text

CONTAINER = "docker:index/container:Container"
NETWORK = "docker:index/network:Network"

SIMULATED_SUBNET = "192.0.2.0/24"
"""What a network gets that asks for no subnet (RFC 5737); a real engine chooses a free one."""


class Refusal(Exception):
    """An operation that is refused; the message is for people."""


@dataclass
class DockerEngine:
    """The containers and networks known to be live, by (type token, id). Safe to share between threads."""

    _live: dict[tuple[str, str], Properties] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def admit(self, token: str, identity: str, values: Properties) -> None:
        """Take a new resource in, or raise Refusal with a message like the real engine's."""
        if token not in (CONTAINER, NETWORK):
            return
        with self._lock:
            for (kind, other), live in self._live.items():
                if kind == token:
                    _refuse_conflict(token, other, live, values)
            self._live[token, identity] = values

    def note(self, token: str, identity: str, values: Properties) -> None:
        """A resource that the state says is live."""
        if token in (CONTAINER, NETWORK):
            with self._lock:
                self._live[token, identity] = values

    def forget(self, token: str, identity: str) -> None:
        with self._lock:
            self._live.pop((token, identity), None)


def failed_wait(token: str, values: Properties) -> str | None:
    """Why a container that was created can never pass its health wait, as the real plugin says it.

    An image may bring a health check of its own, which the simulation cannot see: it asks for an explicit
    one.
    """
    waits = plain(values.get("wait")) is True and plain(values.get("start")) is not False
    if token != CONTAINER or not waits or "healthcheck" in values:
        return None
    return (
        f"container {text(values, 'name')}: wait is set, but no healthcheck is defined; "
        "set healthcheck, or take wait away"
    )


def _refuse_conflict(token: str, other: str, live: Properties, values: Properties) -> None:
    name = text(values, "name")
    if name != UNKNOWN and name == text(live, "name"):
        noun = "container name" if token == CONTAINER else "network with name"
        raise Refusal(f'Conflict: the {noun} "{name}" is already in use by {other}')
    if token == NETWORK:
        _refuse_overlap(name, live, values)


def _refuse_overlap(name: str, live: Properties, values: Properties) -> None:
    for new in _subnets(values):
        for old in _subnets(live):
            if new.version == old.version and new.overlaps(old):
                raise Refusal(
                    f"network {name}: Pool overlaps with other one on this address space: "
                    f"{new} and {old} of network {text(live, 'name')}"
                )


def _subnets(values: Properties) -> list[IPv4Network | IPv6Network]:
    """The subnets that a network asked for."""
    asked = [text(config, "subnet") for config in objects(values, "ipamConfigs")]
    try:
        return [ip_network(subnet, strict=False) for subnet in asked if subnet not in ("", SIMULATED_SUBNET)]
    except ValueError as error:
        raise Refusal(f"network {text(values, 'name')}: {error}") from None
