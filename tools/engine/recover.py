"""Clears what a killed engine leaves behind, so that the next run needs no help.

A killed engine leaves a lock, its provider processes, operations that the state calls pending, and on real
runs containers and networks that are in no state (an orphaned network blocks the next run: address pools
overlap). Exactly these are cleared: never the lock of a living process, never a volume, and never a
container or network from before the killed run, since another back end may run the same stack on the same
Docker engine.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from tools.engine import processes
from tools.engine.checkout import UserError

PROJECT_LABEL = "groundwork.project"
STACK_LABEL = "groundwork.stack"
TUNNEL_LABEL = "groundwork.tunnel"
"""On containers of `ops tunnel`. They belong to a person and not to a run: they end with the command that made them,
however that ends, so an `up` leaves them alone."""
CLOCK_SLACK = timedelta(seconds=5)  # between this clock and the Docker engine's
ENGINE_SETTLE_SECONDS = 0.5  # for a request that a provider had sent to Docker when it was ended
Kind = Literal["container", "network", "volume"]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Backend:
    """The files that the file back end keeps for one stack."""

    state: Path
    project: str
    stack: str

    @property
    def checkpoint(self) -> Path:
        return self.state / ".pulumi" / "stacks" / self.project / f"{self.stack}.json"

    @property
    def locks(self) -> Path:
        return self.state / ".pulumi" / "locks" / "organization" / self.project / self.stack

    @property
    def running(self) -> Path:
        """Says since when a run of ours is under way; it stays behind when that run is killed."""
        return self.state / f"{self.project}.{self.stack}.running"


@dataclass(frozen=True)
class Lock:
    file: Path
    pid: int
    host: str
    taken: datetime


@dataclass(frozen=True)
class Labelled:
    """A container, network or volume on the Docker engine that carries this stack's labels."""

    kind: Kind
    id: str
    name: str
    created: datetime


@dataclass(frozen=True)
class Found:
    """What one look at the back end shows of an earlier run."""

    dead_locks: tuple[Lock, ...]
    living_locks: tuple[Lock, ...]
    pending: tuple[str, ...]
    since: datetime | None

    @property
    def anything(self) -> bool:
        return bool(self.dead_locks or self.pending or self.since)


def parse_time(text: str) -> datetime:
    """An RFC 3339 time as Go and Docker write it, with up to nine digits of fraction."""
    text = re.sub(r"(\.\d{6})\d+", r"\1", text.strip()).replace("Z", "+00:00")
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def read_locks(folder: Path) -> list[Lock]:
    locks = []
    for file in sorted(folder.glob("*.json")):
        try:
            content = json.loads(file.read_text())
            taken = parse_time(content["timestamp"])
            locks.append(Lock(file, int(content["pid"]), content["hostname"], taken))
        except (ValueError, KeyError):
            # Killed while it wrote the lock. It cannot be older than the file.
            changed = datetime.fromtimestamp(file.stat().st_mtime, tz=UTC)
            locks.append(Lock(file, 0, socket.gethostname(), changed))
    return locks


def holder_lives(lock: Lock, host: str, started: Callable[[int], datetime | None]) -> bool:
    """Whether the process that took a lock still runs; `started` gives a living process's start, else None.

    Of another machine's process nothing is known: it counts as living. A process that started after the lock
    was taken has only the same number.
    """
    if lock.host != host:
        return True
    start = started(lock.pid)
    return start is not None and start <= lock.taken + timedelta(seconds=1)


def read_checkpoint(file: Path) -> dict[str, Any]:
    """The latest deployment of a checkpoint file: {} for a stack that is new."""
    if not file.is_file():
        return {}
    latest = json.loads(file.read_text()).get("checkpoint", {}).get("latest")
    return latest if isinstance(latest, dict) else {}


def pending_operations(deployment: Mapping[str, Any]) -> tuple[str, ...]:
    """The pending operations of a deployment in words, such as `creating housing-api`."""
    operations = deployment.get("pending_operations") or []
    return tuple(f"{entry['type']} {entry['resource']['urn'].rpartition('::')[2]}" for entry in operations)


def physical_ids(deployment: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(entry["id"] for entry in deployment.get("resources") or [] if entry.get("id"))


def retained_ids(deployment: Mapping[str, Any]) -> frozenset[str]:
    """What the engine leaves behind on purpose when the stack is destroyed: `retain_on_delete`."""
    return frozenset(entry["id"] for entry in deployment.get("resources") or [] if entry.get("retainOnDelete"))


def protected_names(deployment: Mapping[str, Any], *, retained: bool) -> tuple[str, ...]:
    """Logical names of what is protected: with `retained` of what stays outside even when a state forgets it."""
    return tuple(
        entry["urn"].rpartition("::")[2]
        for entry in deployment.get("resources") or ()
        if entry.get("protect") and bool(entry.get("retainOnDelete")) is retained
    )


def look(backend: Backend) -> Found:
    host = socket.gethostname()
    locks = read_locks(backend.locks)
    living = tuple(lock for lock in locks if holder_lives(lock, host, processes.started))
    dead = tuple(lock for lock in locks if lock not in living)
    starts = [lock.taken for lock in dead]
    if backend.running.is_file():
        starts.append(parse_time(backend.running.read_text()))
    pending = pending_operations(read_checkpoint(backend.checkpoint))
    return Found(dead, living, pending, min(starts, default=None))


def orphans(labelled: Iterable[Labelled], known: frozenset[str], since: datetime) -> list[Labelled]:
    """What a killed run made and no state knows, containers before the networks they hold open."""
    found = [
        entry
        for entry in labelled
        if entry.kind != "volume" and entry.id not in known and entry.created >= since - CLOCK_SLACK
    ]
    return sorted(found, key=lambda entry: (entry.kind != "container", entry.name))


def refuse_living(found: Found, backend: Backend) -> None:
    if found.living_locks:
        lock = found.living_locks[0]
        raise UserError(
            f"Another run of {backend.project}/{backend.stack} is under way "
            f"(process {lock.pid} on {lock.host} since "
            f"{lock.taken.astimezone():%H:%M:%S}): wait for it, or end it with Ctrl-C there.\n"
            f"If that machine is gone: delete {lock.file}"
        )


def labelled_objects(project: str, stack: str, environment: Mapping[str, str]) -> list[Labelled]:
    """Containers (stopped ones too), networks and volumes of one stack on the Docker engine."""
    import docker

    client = docker.from_env(environment=dict(environment), use_ssh_client=True)
    labels = {"label": [f"{PROJECT_LABEL}={project}", f"{STACK_LABEL}={stack}"]}
    try:
        # The low-level API: the models would inspect each container, and one may vanish in between.
        containers = [
            c for c in client.api.containers(all=True, filters=labels) if TUNNEL_LABEL not in (c.get("Labels") or {})
        ]
        networks = client.api.networks(filters=labels)
        volumes = client.api.volumes(filters=labels).get("Volumes") or []
    finally:
        client.close()
    epoch = [(c, datetime.fromtimestamp(c["Created"], tz=UTC)) for c in containers]
    return [
        *(Labelled("container", c["Id"], c["Names"][0].lstrip("/"), created) for c, created in epoch),
        *(Labelled("network", n["Id"], n["Name"], parse_time(n["Created"])) for n in networks),
        *(Labelled("volume", v["Name"], v["Name"], parse_time(v["CreatedAt"])) for v in volumes),
    ]


def end_tunnels(project: str, stack: str, environment: Mapping[str, str]) -> list[str]:
    """Ends every tunnel into the stack and returns their names."""
    import docker

    client = docker.from_env(environment=dict(environment), use_ssh_client=True)
    labels = [f"{PROJECT_LABEL}={project}", f"{STACK_LABEL}={stack}", TUNNEL_LABEL]
    try:
        found = client.api.containers(all=True, filters={"label": labels})
        tunnels = [Labelled("container", c["Id"], c["Names"][0].lstrip("/"), datetime.now(UTC)) for c in found]
    finally:
        client.close()
    remove(tunnels, environment)
    return [entry.name for entry in tunnels]


def remove(entries: Iterable[Labelled], environment: Mapping[str, str]) -> None:
    """Removes containers and networks; one that has gone by itself is no error."""
    import docker
    from docker.errors import NotFound

    client = docker.from_env(environment=dict(environment), use_ssh_client=True)
    try:
        for entry in entries:
            try:
                if entry.kind == "container":
                    # With its anonymous volumes, which nobody else can have used; named ones stay.
                    client.api.remove_container(entry.id, force=True, v=True)
                elif entry.kind == "network":
                    client.api.remove_network(entry.id)
            except NotFound:
                continue
    finally:
        client.close()


def without_pending(exported: str) -> str:
    """An exported stack (`pulumi stack export`) without its pending operations."""
    content = json.loads(exported)
    content["deployment"].pop("pending_operations", None)
    return json.dumps(content)


def recover(
    backend: Backend,
    *,
    docker_environment: Mapping[str, str] | None,
    pulumi: Callable[[list[str], str], str],
    say: Say,
) -> None:
    """Clears what an earlier, killed run left and says what; does nothing after a run that ended by itself.

    `docker_environment` is None on simulated runs, which leave nothing on a Docker engine. `pulumi` runs the
    CLI on this stack with arguments and standard input, and returns its standard output. Raises UserError
    when a living process holds the stack.
    """
    found = look(backend)
    refuse_living(found, backend)
    if not found.anything:
        return
    # First: a provider of the dead engine would go on creating what is cleared below.
    if processes.end(processes.orphaned_plugins(f"file://{backend.state}")):
        say("Ended provider processes of the killed run.")
        time.sleep(ENGINE_SETTLE_SECONDS)
    for lock in found.dead_locks:
        lock.file.unlink(missing_ok=True)
        say(f"Cleared the lock of process {lock.pid}, which no longer runs.")
    if docker_environment is not None and found.since:
        known = physical_ids(read_checkpoint(backend.checkpoint))
        labelled = labelled_objects(backend.project, backend.stack, docker_environment)
        lost = orphans(labelled, known, found.since)
        remove(lost, docker_environment)
        for entry in lost:
            say(f"Removed the {entry.kind} {entry.name}: the killed run had made it, but it is in no state.")
    if found.pending:
        pulumi(["stack", "import", "--force"], without_pending(pulumi(["stack", "export"], "")))
        operations = ", ".join(found.pending)
        say(f"Cleared {len(found.pending)} pending operation(s) of the killed run: {operations}.")
    backend.running.unlink(missing_ok=True)


def mark_running(backend: Backend) -> None:
    """Remembers that a run has begun; keeps the beginning of one that was killed and is not recovered yet."""
    backend.running.parent.mkdir(parents=True, exist_ok=True)
    if not backend.running.exists():
        part = backend.running.with_suffix(".part")
        part.write_text(datetime.now(UTC).isoformat())
        part.rename(backend.running)


def mark_ended(backend: Backend) -> None:
    """Forgets the run, unless its engine was killed: then a lock or a pending operation stayed behind."""
    found = look(backend)
    if not (found.pending or found.dead_locks):
        backend.running.unlink(missing_ok=True)
