"""A stack on machines of its own: one Docker engine each, reached by ssh with the machine's pinned key."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from groundwork.deployment import Deployment
from groundwork.workload import Workload
from ops.on_docker import OnDocker, engine_of
from ops.on_docker.bridge import Bridge, first_of, forwarded
from ops.on_docker.logs import broken
from ops.place import Line, Replica, Row, Tunnel, Wanted, blank, newest_ready
from tools.engine.checkout import UserError

if TYPE_CHECKING:
    from docker.models.containers import Container

T = TypeVar("T")
ELSEWHERE = ("DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
"""Of another engine than the machine's."""


@dataclass(frozen=True, kw_only=True)
class OnMachines:
    """Every machine by name, as the output `machines` describes it. One that does not answer is told of, and hides no
    other."""

    machines: Mapping[str, Mapping[str, Any]]
    project: str
    stack: str
    environment: Mapping[str, str]

    @property
    def prefix(self) -> str:
        return f"{self.project}-{self.stack}-"

    @cached_property
    def engines(self) -> dict[str, OnDocker | UserError]:
        """Each machine's engine, or why it is not reached; all at once, since each takes its time."""
        with ThreadPoolExecutor(max_workers=16) as pool:
            return dict(zip(self.machines, pool.map(self._engine, self.machines), strict=True))

    def _engine(self, name: str) -> OnDocker | UserError:
        one = self.machines[name]
        bridge = Bridge(one["host"], one["ssh_options"], self.environment)
        own = {key: value for key, value in self.environment.items() if key not in ELSEWHERE}
        try:
            return engine_of(self.project, self.stack, own | {"DOCKER_HOST": f"unix://{bridge.path}"})
        except UserError:
            return UserError(f"{name} ({one['host']}) does not answer: {bridge.said()}")

    @property
    def reached(self) -> dict[str, OnDocker]:
        """UserError where none answers."""
        found = {name: engine for name, engine in self.engines.items() if isinstance(engine, OnDocker)}
        if not found:
            raise UserError("\n".join(map(str, self.engines.values())))
        return found

    def _everywhere(self, ask: Callable[[OnDocker], list[T]]) -> Iterator[tuple[str, T]]:
        """What each machine that is reached answers, with its name."""
        engines = self.reached
        with ThreadPoolExecutor(max_workers=16) as pool:
            for name, found in zip(engines, pool.map(ask, engines.values()), strict=True):
                yield from ((name, one) for one in found)

    def rows(self, expected: Sequence[Mapping[str, str]]) -> list[Row]:
        def found(name: str) -> list[Row]:
            engine, own = self.engines[name], [entry for entry in expected if entry["machine"] == name]
            if isinstance(engine, OnDocker):
                return engine.rows(own)
            return [blank(entry, "machine does not answer", ok=False) for entry in own]

        with ThreadPoolExecutor(max_workers=16) as pool:
            answers = zip(self.machines, pool.map(found, self.machines), strict=True)
            return [replace(row, machine=name) for name, rows in answers for row in rows]

    def lines(self, workload: str, wanted: Wanted) -> Iterator[Line]:
        if not wanted.follow:
            found = self._everywhere(lambda engine: list(engine.lines(workload, wanted)))
            yield from sorted(replace(line, machine=name) for name, line in found)
            return
        arrived: queue.SimpleQueue[Line | None] = queue.SimpleQueue()

        def read(name: str, engine: OnDocker) -> None:
            lost: tuple[type[Exception], ...] = (UserError, *broken())
            try:
                for line in engine.lines(workload, wanted):
                    arrived.put(replace(line, machine=name))
            except lost:
                now = datetime.now(UTC).isoformat()
                arrived.put(Line(time=now, container="", workload="", text="does not answer any more", machine=name))
            arrived.put(None)

        for name, engine in self.reached.items():
            threading.Thread(target=read, args=(name, engine), daemon=True).start()
        for _ in self.reached:
            while line := arrived.get():
                yield line
        raise UserError("No machine answers any more.")

    def replicas(self, workload: str) -> list[Replica]:
        found = self._everywhere(lambda engine: engine.replicas(workload))
        return [replace(replica, machine=name) for name, replica in found]

    def inside(self, replica: Replica, words: Sequence[str], *, terminal: bool) -> tuple[list[str], Mapping[str, Any]]:
        return self.reached[replica.machine].inside(replica, words, terminal=terminal)

    @contextmanager
    def tunnel(self, deployment: Deployment, workload: Workload, remote: int, local: int) -> Iterator[Tunnel]:
        replica = newest_ready(self.replicas(workload.name))
        if replica is None:
            raise UserError(f"Nothing of {workload.name} runs now, so nothing is there to lead to.")
        engine, one = self.reached[replica.machine], self.machines[replica.machine]

        def by_ssh(host: str, port: int) -> Any:
            return forwarded(one["host"], one["ssh_options"], self.environment, to=(host, port), local=local)

        address = outward_address(engine, engine.engine.containers.get(replica.name))
        if address:
            with by_ssh(address, remote) as way:
                yield way
            return
        # Only in networks without a way to the machine.
        with engine.tunnel(deployment, workload, remote, 0) as there, by_ssh("127.0.0.1", there.port) as way:
            yield Tunnel(port=way.port, ended=lambda: first_of(there.ended, way.ended))


def outward_address(engine: OnDocker, container: Container) -> str:
    """The container's address in a network that its machine is in as well; "" where there is none."""
    for name, joined in sorted(container.attrs["NetworkSettings"]["Networks"].items()):
        if joined["IPAddress"] and not engine.engine.networks.get(name).attrs["Internal"]:
            return str(joined["IPAddress"])
    return ""
