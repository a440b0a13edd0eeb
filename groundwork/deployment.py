"""The Deployment: everything one environment runs, as data that can be printed, drawn, compared and tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network

from .workload import SecretRef, Workload


@dataclass(frozen=True, kw_only=True)
class Connection:
    """`client` may reach `server` at TCP `port`; what is in no connection is closed."""

    client: str
    server: str
    port: int


@dataclass(frozen=True, kw_only=True)
class Network:
    """A container network: `members` by workload name. An internal one has no way out and none to the machine."""

    name: str
    subnet: IPv4Network
    members: frozenset[str]
    internal: bool


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What `plan()` returns. `secrets` maps each secret to the configuration key that holds it, or to None
    where the target generates it. `pull_password` is that of a private registry. `urls` are what a user opens."""

    project: str
    stack: str
    system: str
    time_zone: str
    keep_data: bool
    workloads: tuple[Workload, ...]
    connections: tuple[Connection, ...]
    networks: tuple[Network, ...]
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

    def networks_of(self, name: str) -> tuple[Network, ...]:
        return tuple(network for network in self.networks if name in network.members)

    @property
    def memory_mib(self) -> int:
        """Peak memory in MiB: everything at once, with each surging release beside its predecessor, and beside what
        reloads the container that exchanges its configuration."""
        return sum(
            workload.resources.memory_mib
            * workload.most_replicas
            * (2 if workload.strategy == "surge" or workload.reload else 1)
            for workload in self.workloads
        )
