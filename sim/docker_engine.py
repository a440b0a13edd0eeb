"""What a real Docker engine refuses, a program can get wrong, and the plan's data alone shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from threading import Lock

from sim.values import UNKNOWN, Properties, objects, plain, text
from sim.world import Refusal, Subject, World

CONTAINER = "docker:index/container:Container"
NETWORK = "docker:index/network:Network"

SIMULATED_SUBNET = "192.0.2.0/24"
"""What a network gets that asks for no subnet (RFC 5737); a real engine chooses a free one."""


@dataclass
class DockerEngine(World):
    """The containers and networks known to be live, by (engine, type token, id). Each provider with a `host` of its own
    is of another engine."""

    _hosts: dict[str, str] = field(default_factory=dict)
    _live: dict[tuple[str, str, str], Properties] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def configure(self, connection: str, settings: Mapping[str, str]) -> None:
        self._hosts[connection] = settings.get("docker:config:host", "")

    def admit(self, subject: Subject, values: Properties) -> None:
        """Messages are like the real engine's."""
        if subject.token not in (CONTAINER, NETWORK):
            return
        key = self._key(subject)
        with self._lock:
            for (host, token, other), live in self._live.items():
                if (host, token) == key[:2]:
                    _refuse_conflict(token, other, live, values)
            self._live[key] = values

    def note(self, subject: Subject, values: Properties) -> None:
        if subject.token in (CONTAINER, NETWORK):
            with self._lock:
                self._live[self._key(subject)] = values

    def forget(self, subject: Subject) -> None:
        with self._lock:
            self._live.pop(self._key(subject), None)

    def _key(self, subject: Subject) -> tuple[str, str, str]:
        return self._hosts.get(subject.connection, ""), subject.token, subject.identity

    def failed_wait(self, subject: Subject, values: Properties) -> str | None:
        """An image may have a health check of its own, which the simulation can't see: it asks for an explicit one."""
        waits = plain(values.get("wait")) is True and plain(values.get("start")) is not False
        if subject.token != CONTAINER or not waits or "healthcheck" in values:
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
