"""Which paths a network of AWS lets through: the rules of its security groups, one group for each role of machines, one
for the load balancer and one for the endpoints of AWS's own services.

Rules follow from the openings of the plan; what is in no rule is closed. The network's resolver, AWS's clock and a
machine's metadata pass no security group, so that no rule speaks of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Literal
from urllib.parse import urlsplit

from .cloud import CompatibleBackups
from .deployment import Share
from .machines import ROLES, Machine, NoMachines, Opening, RoleName
from .settings import Settings

Group = RoleName | Literal["balancer", "endpoints"]
Protocol = Literal["tcp", "udp"]
ANYWHERE = IPv4Network("0.0.0.0/0")
SSH, HTTP, HTTPS, NTP = 22, 80, 443, 123
ENTRY = (HTTP, HTTPS)
"""Where a load balancer listens: http only leads to https."""


@dataclass(frozen=True, kw_only=True)
class Outward:
    """A port that machines reach outside: at `network`, or anywhere where only a name is known."""

    port: int
    protocol: Protocol = "tcp"
    network: IPv4Network = ANYWHERE


PACKAGES = frozenset(Outward(port=port) for port in (HTTP, HTTPS))
"""Where packages, images and AWS's own services come from."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`group` lets `port` of `peer` in, or its own machines out to it."""

    group: Group
    direction: Literal["in", "out"]
    port: int
    peer: Group | IPv4Network
    protocol: Protocol = "tcp"

    @property
    def key(self) -> str:
        """Its name within the network, which no other rule moves."""
        peer = "anywhere" if self.peer == ANYWHERE else str(self.peer).replace("/", "-")
        way = f"{self.direction}-udp" if self.protocol == "udp" else self.direction
        return f"{self.group}-{way}-{self.port}-{peer}"


@dataclass(frozen=True, kw_only=True)
class Ways:
    """What rules follow from. `openings` are those of the plan, by machine; `outward` is what each role reaches
    outside; from `administrators` ssh is open to `public_roles`. `balancer` is one with a group of its own; `proxies`
    are the networks of one that the stack does not make."""

    machines: tuple[Machine, ...]
    openings: Mapping[str, tuple[Opening, ...]]
    outward: Mapping[RoleName, frozenset[Outward]]
    administrators: tuple[IPv4Network, ...] = ()
    public_roles: frozenset[RoleName] = frozenset()
    balancer: bool = False
    proxies: tuple[IPv4Network, ...] = ()
    endpoints: bool = False


def rules_of(ways: Ways) -> tuple[Rule, ...]:
    """Every rule once, in the order of their keys.

    ValueError when an opening can't be: for a machine or a balancer that there is not, for ssh, or for the world on a
    role without public addresses.
    """
    every = {*_openings(ways), *_ssh(ways), *_outward(ways)}
    if ways.balancer:
        every |= {Rule(group="balancer", direction="in", port=port, peer=ANYWHERE) for port in ENTRY}
    if ways.endpoints:
        every |= {Rule(group="endpoints", direction="in", port=HTTPS, peer=role) for role in roles_of(ways.machines)}
    return tuple(sorted(every, key=lambda rule: rule.key))


def roles_of(machines: Iterable[Machine]) -> tuple[RoleName, ...]:
    """The roles that have a machine."""
    there = {machine.role for machine in machines}
    return tuple(role for role in ROLES if role in there)


def _path(client: Group, server: RoleName, port: int) -> Iterator[Rule]:
    """Both ends of a path: groups close the way out as well."""
    yield Rule(group=server, direction="in", port=port, peer=client)
    yield Rule(group=client, direction="out", port=port, peer=server)


def _openings(ways: Ways) -> Iterator[Rule]:
    roles = {machine.name: machine.role for machine in ways.machines}
    for name, opened in ways.openings.items():
        if name not in roles:
            raise ValueError(f"openings of {name}, which is no machine of the stack")
        for opening in opened:
            if opening.port == SSH:
                raise ValueError(f"{name} opens {SSH} for a container; ssh is the machine's own")
            for source in opening.sources:
                yield from _opening(ways, roles, name, opening.port, source)


def _opening(ways: Ways, roles: Mapping[str, RoleName], name: str, port: int, source: str) -> Iterator[Rule]:
    role = roles[name]
    if source == "world":
        if role not in ways.public_roles:
            raise ValueError(f"{name} opens {port} to the world, and its role {role} has no public address")
        yield Rule(group=role, direction="in", port=port, peer=ANYWHERE)
    elif source == "balancer":
        if not (ways.balancer or ways.proxies):
            raise ValueError(f"{name} opens {port} to a balancer, and there is none")
        if ways.balancer:
            yield from _path("balancer", role, port)
        else:
            yield from (Rule(group=role, direction="in", port=port, peer=network) for network in ways.proxies)
    elif source not in roles:
        raise ValueError(f"{name} opens {port} to {source}, which is no machine of the stack")
    elif source != name:
        yield from _path(roles[source], role, port)


def _ssh(ways: Ways) -> Iterator[Rule]:
    """Machines without a public address are reached through SSM, which needs no open port."""
    for network in ways.administrators:
        if network == ANYWHERE:
            raise ValueError(f"{network} is no network of administrators")
        for role in roles_of(ways.machines):
            if role in ways.public_roles:
                yield Rule(group=role, direction="in", port=SSH, peer=network)


def _outward(ways: Ways) -> Iterator[Rule]:
    for role in roles_of(ways.machines):
        for one in ways.outward.get(role, ()):
            yield Rule(group=role, direction="out", port=one.port, protocol=one.protocol, peer=one.network)


def outward_of(settings: Settings, shares: Iterable[Share]) -> dict[RoleName, frozenset[Outward]]:
    """What the machines of each role reach outside: packages and images, time servers of the team's own, buckets of
    another provider; and what the `egress` of whatever may run on one of them says."""
    everywhere = PACKAGES | {Outward(port=port) for port in _ports_of_addresses(settings)}
    if not isinstance(settings.machines, NoMachines) and settings.machines.time_servers:
        everywhere |= {Outward(port=NTP, protocol="udp")}
    roles = roles_of(settings.stack_machines)
    ways: dict[RoleName, set[Outward]] = {role: set(everywhere) for role in roles}
    for share in shares:
        if share.machine:
            ways[share.machine.role] |= {destination(text) for one in share.workloads for text in one.egress}
    return {role: frozenset(found) for role, found in ways.items()}


def _ports_of_addresses(settings: Settings) -> Iterator[int]:
    if settings.registry:
        yield urlsplit(f"https://{settings.registry.host}").port or HTTPS
    if isinstance(settings.backups, CompatibleBackups):
        yield urlsplit(settings.backups.endpoint).port or HTTPS


def destination(egress: str) -> Outward:
    """An app's `egress`, such as `mail.example.com:587` or `192.0.2.0/24:5432`. A group knows no names: the port of a
    named host is open to all outside, that of an address only there."""
    host, _, port = egress.rpartition(":")
    try:
        network = IPv4Network(host) if "/" in host else IPv4Network(IPv4Address(host))
    except ValueError:
        network = ANYWHERE
    return Outward(port=int(port), network=network)
