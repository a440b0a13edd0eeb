"""Who may reach whom, and the container networks in which that happens."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from .certificates import NAME as CERTIFICATES
from .deployment import Connection
from .workload import Workload, server_of

GATEWAY = "gateway"


def connections_of(
    clients: Iterable[Workload], servers: Iterable[Workload], routed: Collection[str]
) -> tuple[Connection, ...]:
    """What each of `clients` uses of `servers`, and what the gateway routes to."""
    ports = {server.used_at(port): port for server in servers for port in server.ports.values()}
    return tuple(
        Connection(client=client.name, server=server_of(used), port=ports[used])
        for client in clients
        for used in (*client.uses, *(routed if client.role == "gateway" else ()))
    )


def local_networks(connections: Iterable[Connection], workloads: Sequence[Workload]) -> dict[str, set[str]]:
    """Members of one internal network per server that something connects to, and of one for the gateway and what it
    routes to. Monitoring has one even if nobody connects to it but people, through a tunnel."""
    members = {workload.name: {workload.name} for workload in workloads if workload.role == "monitoring"}
    for connection in connections:
        behind = connection.client == GATEWAY and connection.server != CERTIFICATES
        name = "edge" if behind else connection.server
        members.setdefault(name, set()).update((connection.client, connection.server))
    return members
