"""The Deployment: everything one environment runs, as data that can be printed, drawn, compared and tested."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

from .machines import Machine, Opening
from .workload import Published, SecretRef, Workload

FRONT = frozenset({"balancer", "world"})
"""Sources of openings that are no machines."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """`client` may reach `server` at TCP `port`; what is in no connection is closed."""

    client: str
    server: str
    port: int


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A port that another machine opens at its private address."""

    address: IPv4Address
    port: int


@dataclass(frozen=True, kw_only=True)
class Network:
    """A container network: `members` by workload name. An internal one has no way out and none to the machine.

    What goes out of another one has the machine's own address (`masquerade`), or can only answer at published ports.
    `leads_to` are the doors of other machines that its members use: of an outward network for machines, the only ones.
    """

    name: str
    subnet: IPv4Network
    members: frozenset[str]
    internal: bool
    masquerade: bool = True
    leads_to: tuple[Endpoint, ...] = ()


def peak_mib(workload: Workload) -> int:
    """Peak memory in MiB: with a surging release beside its predecessor, and beside what reloads the container that
    exchanges its configuration."""
    times = 2 if workload.strategy == "surge" or workload.reload else 1
    return workload.resources.memory_mib * workload.most_replicas * times


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one Docker engine runs, as it runs there: replicas are those of this machine, and the gateway is its own.
    `machine` is None for the one engine that `DOCKER_HOST` names, and for a cluster."""

    machine: Machine | None
    workloads: tuple[Workload, ...]
    networks: tuple[Network, ...]

    def networks_of(self, name: str) -> tuple[Network, ...]:
        return tuple(network for network in self.networks if name in network.members)

    def without(self, names: Set[str]) -> Share:
        """The same without these workloads, and without networks that are there for them."""
        left = (replace(network, members=network.members - names) for network in self.networks)
        return replace(
            self,
            workloads=tuple(workload for workload in self.workloads if workload.name not in names),
            networks=tuple(network for network in left if len(network.members) > network.internal),
        )

    @property
    def memory_mib(self) -> int:
        """Peak memory in MiB: everything at once."""
        return sum(map(peak_mib, self.workloads))


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What `plan()` returns. `secrets` maps each secret to the configuration key that holds it, or to None
    where the target generates it. `pull_password` is that of a private registry. `urls` are what a user opens.

    `workloads` has each one once, with all its replicas; `shares` say which engine runs how many of them. `openings`
    are the ports that each machine opens, by its name."""

    project: str
    stack: str
    system: str
    time_zone: str
    keep_data: bool
    workloads: tuple[Workload, ...]
    connections: tuple[Connection, ...]
    shares: tuple[Share, ...]
    openings: Mapping[str, tuple[Opening, ...]]
    secrets: Mapping[SecretRef, str | None]
    pull_password: SecretRef | None = None
    urls: Mapping[str, str]

    @property
    def prefix(self) -> str:
        """The beginning of every name outside: two stacks live on one engine."""
        return f"{self.project}-{self.stack}"

    def workload(self, name: str) -> Workload:
        """The workload of that name; KeyError when there is none."""
        for workload in self.workloads:
            if workload.name == name:
                return workload
        raise KeyError(name)

    @property
    def serving(self) -> Deployment:
        """The same without what only watches it: of that a picture would show nothing but arrows."""
        watching = {workload.name for workload in self.workloads if workload.role == "monitoring"}
        if not watching:
            return self
        return replace(
            self,
            workloads=tuple(workload for workload in self.workloads if workload.name not in watching),
            connections=tuple(one for one in self.connections if watching.isdisjoint((one.client, one.server))),
            shares=tuple(share.without(watching) for share in self.shares),
        )

    @property
    def networks(self) -> tuple[Network, ...]:
        """Those of all engines; on several machines a name may come up on each."""
        return tuple(network for share in self.shares for network in share.networks)

    def networks_of(self, name: str) -> tuple[Network, ...]:
        return tuple(network for network in self.networks if name in network.members)

    @property
    def machines(self) -> tuple[Machine, ...]:
        return tuple(share.machine for share in self.shares if share.machine)

    def front_doors(self, name: str) -> tuple[Published, ...]:
        """The published ports of a workload that are for users, and not for other machines."""
        if not self.machines:
            return self.workload(name).published
        return tuple(
            port
            for share in self.shares
            for workload in share.workloads
            for port in workload.published
            if workload.name == name and share.machine and self._is_front(share.machine, port)
        )

    def _is_front(self, machine: Machine, port: Published) -> bool:
        return any(
            one.port == port.port and not FRONT.isdisjoint(one.sources) for one in self.openings[machine.name]
        )

    def machines_of(self, name: str) -> tuple[Machine, ...]:
        """Where a workload runs; none where there are no machines."""
        placed = [share.machine for share in self.shares if any(one.name == name for one in share.workloads)]
        return tuple(machine for machine in placed if machine)

    @property
    def memory_mib(self) -> int:
        """Peak memory of all engines, in MiB."""
        return sum(share.memory_mib for share in self.shares)
