"""Faults for the processes of running containers, and how long a stack takes to be whole again by itself."""

from __future__ import annotations

import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors

from tests.e2e.real_stack import RealStack

PROC = Path("/proc")
HEAL_SECONDS = 60.0
STEADY_SECONDS = 2.0
"""What is whole stays whole for that long, or it was an old answer: Docker tells a process's end some time after."""


@dataclass(frozen=True)
class Process:
    """A process of this machine; `started` (in ticks since boot) tells it from a later one of the same number."""

    pid: int
    started: str
    name: str

    @property
    def state(self) -> str | None:
        """The letter of proc(5), or None when it is gone or only waits to be collected."""
        fields = _stat(self.pid)
        if fields is None or fields[19] != self.started or fields[0] == "Z":
            return None
        return fields[0]


@dataclass(frozen=True)
class Fault:
    """A signal to one process of one container. `role` says what the process is there."""

    workload: str
    role: str
    signal: signal.Signals
    process: Process
    container: Any

    def strike(self) -> None:
        os.kill(self.process.pid, self.signal)

    @property
    def struck(self) -> bool:
        """Whether the process it hit is gone: a stopped one does nothing more, and must be ended by somebody."""
        return self.process.state is None


@dataclass(frozen=True)
class Healed:
    """`seconds` from the signal to the first moment of lasting health, or None if that took too long."""

    workload: str
    role: str
    fault: str
    seconds: float | None
    restarted: bool


def process(pid: int) -> Process | None:
    fields = _stat(pid)
    if fields is None or fields[0] == "Z":
        return None
    command = (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return Process(pid, fields[19], command)


def descendants(pid: int) -> Iterator[Process]:
    """The children of a process, theirs behind each; what is gone by now is left out."""
    try:
        children = (PROC / str(pid) / "task" / str(pid) / "children").read_text().split()
    except OSError:
        return
    for child in map(int, children):
        found = process(child)
        if found:
            yield found
        yield from descendants(child)


def processes(container: Any) -> tuple[Process, list[Process]]:
    """Process 1 of a running container, and what descends from it: the application first. Probes do not."""
    container.reload()
    first = process(container.attrs["State"]["Pid"])
    assert first, f"{container.name} does not run"
    return first, list(descendants(first.pid))


def workload_of(container: Any) -> str:
    return str(container.labels["groundwork.workload"])


def lasting(stack: RealStack, engine: docker.DockerClient) -> list[Any]:
    """The containers that are there to stay: neither jobs, nor the switch, nor what fills volumes."""
    return [one for one in _by_name(stack.containers(engine)) if _is_restarted(one)]


def transient(stack: RealStack, engine: docker.DockerClient) -> list[Any]:
    """Jobs and the switch that still run: they wait a minute after their work, so that it can be seen."""
    return [one for one in _by_name(stack.containers(engine)) if one.status == "running" and not _is_restarted(one)]


def _by_name(containers: Iterable[Any]) -> list[Any]:
    return sorted(containers, key=lambda one: str(one.name))


def _is_restarted(container: Any) -> bool:
    return bool(container.attrs["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped")


def is_whole(containers: Sequence[Any], url: str) -> bool:
    """Every container healthy, and every backing service written and read through the gateway."""
    for container in containers:
        try:
            container.reload()
        except docker.errors.NotFound:
            return False
        state = container.attrs["State"]
        if not state["Running"] or state.get("Health", {}).get("Status") != "healthy":
            return False
    try:
        with urllib.request.urlopen(f"{url}/health/deep", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def until_whole(whole: Callable[[], bool], limit: float = HEAL_SECONDS) -> float | None:
    """Seconds until it is whole for STEADY_SECONDS without a break, less these; None after `limit`."""
    begin = time.monotonic()
    since: float | None = None
    while time.monotonic() - begin < limit + STEADY_SECONDS:
        if not whole():
            since = None
        else:
            since = since or time.monotonic()
            if time.monotonic() - since >= STEADY_SECONDS:
                return since - begin
        time.sleep(0.25)
    return None


def faults_of(container: Any) -> list[tuple[str, signal.Signals, int | None]]:
    """Role, signal and index of the process (None: process 1) of every fault for one container as it runs now.

    By index, since each fault may leave other processes behind than it found.
    """
    _, others = processes(container)
    found: list[tuple[str, signal.Signals, int | None]] = [
        ("init", signal.SIGKILL, None),
        ("init", signal.SIGSTOP, None),
        ("main", signal.SIGSTOP, 0),
        ("main", signal.SIGKILL, 0),
    ]
    for number, other in enumerate(others[1:], start=1):
        found += [(_role(other), number_of, number) for number_of in (signal.SIGSTOP, signal.SIGKILL)]
    return found


def fault(container: Any, role: str, number_of: signal.Signals, index: int | None) -> Fault | None:
    """The fault on the container as it is now; None where that process is no longer there."""
    first, others = processes(container)
    if index is None:
        return Fault(workload_of(container), role, number_of, first, container)
    alike = [other for other in others if _role(other) == role] if index else others[:1]
    return Fault(workload_of(container), role, number_of, alike[0], container) if alike else None


def heal(one: Fault, containers: Sequence[Any], url: str) -> Healed:
    before = restarts(one.container)
    one.strike()
    seconds = until_whole(lambda: one.struck and is_whole(containers, url))
    return Healed(one.workload, one.role, one.signal.name, seconds, restarts(one.container) > before)


def restarts(container: Any) -> int:
    container.reload()
    return int(container.attrs["RestartCount"])


def _role(one: Process) -> str:
    """What a child says it is: the part of its title that does not change."""
    program, _, title = one.name.partition(": ")
    if program not in ("nginx", "postgres"):
        return Path(program.split()[0]).name if program else "child"
    # A client's has the names of user and database, and its address with the port in parentheses.
    return "client backend" if "(" in title else title


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the third on."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
