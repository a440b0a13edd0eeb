"""What every place that runs a stack can be asked, whichever it is: a Docker engine or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from groundwork.deployment import Deployment
from groundwork.workload import Workload

MIB = 1_048_576


@dataclass(frozen=True, kw_only=True)
class Row:
    """One container, or on a cluster one pod. `since` is its start or end in UTC; memory in MiB, None where it does
    not run or nobody measures it. `machine` is its name where the stack has machines of its own."""

    workload: str
    role: str
    release: str
    container: str
    state: str
    ok: bool
    health: str = ""
    restarts: int = 0
    since: str | None = None
    memory_mib: float | None = None
    limit_mib: float | None = None
    machine: str = ""


def blank(entry: Mapping[str, str], state: str, *, ok: bool) -> Row:
    """The row of what the outputs name, of which no more is known."""
    return Row(
        workload=entry["workload"], role=entry["role"], release=entry["release"], container=entry["name"],
        state=state, ok=ok, machine=entry.get("machine", ""),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How much of the logs: the last `tail` lines of each container, not older than `since` (seconds since 1970), and
    what is to come."""

    follow: bool = False
    tail: int = 100
    since: int | None = None


@dataclass(frozen=True, kw_only=True, order=True)
class Line:
    """`time` is RFC 3339 in UTC with nine digits: it sorts as text."""

    time: str
    container: str
    workload: str
    text: str
    machine: str = ""


@dataclass(frozen=True, kw_only=True)
class Replica:
    """A container that runs; `started` sorts as text."""

    name: str
    release: str
    ready: bool
    started: str
    machine: str = ""


@dataclass(frozen=True, kw_only=True)
class Tunnel:
    """Leads from `port` of 127.0.0.1 into the stack. `ended` waits until it is no more, and says why."""

    port: int
    ended: Callable[[], str]


class Place(Protocol):
    @property
    def prefix(self) -> str:
        """What every container's name begins with, and nobody needs to read."""

    def rows(self, expected: Sequence[Mapping[str, str]]) -> list[Row]:
        """A row for each container that the outputs name, and one for each that runs and is in no state."""

    def lines(self, workload: str, wanted: Wanted) -> Iterator[Line]:
        """What one workload wrote, or all of them (""); with `follow` it ends with the caller."""

    def replicas(self, workload: str) -> list[Replica]:
        """What of a workload runs now."""

    def inside(self, replica: Replica, words: Sequence[str], *, terminal: bool) -> tuple[list[str], Mapping[str, Any]]:
        """The command that runs `words` in the container, and its environment."""

    def tunnel(
        self, deployment: Deployment, workload: Workload, remote: int, local: int
    ) -> AbstractContextManager[Tunnel]:
        """A way to port `remote` of a workload from port `local` of 127.0.0.1, 0 being any that is free."""


def newest_ready(replicas: Sequence[Replica]) -> Replica | None:
    """The one to look into: ready before not ready, and the newest of them."""
    return max(replicas, key=lambda replica: (replica.ready, replica.started), default=None)
