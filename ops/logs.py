"""What containers wrote, merged by time and named by container."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from groundwork.faults import nearest
from ops.running import Running
from tools.engine.checkout import UserError

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green", "bright_magenta")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How much: the last `tail` lines of each container, not older than `since`, and what is to come."""

    follow: bool = False
    tail: int = 100
    since: str = ""


@dataclass(frozen=True, kw_only=True, order=True)
class Line:
    """`time` is the engine's, RFC 3339 in UTC with nine digits: it sorts as text."""

    time: str
    container: str
    workload: str
    text: str


def seconds_of(duration: str) -> int:
    """`90s`, `10m`, `2h` or `1d` in seconds; UserError for anything else."""
    found = re.fullmatch(r"(\d+)([smhd])", duration)
    if not found:
        raise UserError(f"--since {duration}: write a number and a unit, such as 90s, 10m, 2h or 1d.")
    return int(found[1]) * UNITS[found[2]]


def show(console: Console, running: Running, workload: str, wanted: Wanted, *, as_json: bool) -> None:
    """Prints the lines of one workload, or of all. UserError for a workload that the stack does not have."""
    known = {entry["workload"] for entry in running.outputs["containers"]}
    if workload and workload not in known:
        raise UserError(f"There is no workload `{workload}` in {running.stack.label}; {nearest(workload, known)}")
    since = int(time.time()) - seconds_of(wanted.since) if wanted.since else None
    if running.simulated:
        raise UserError(f"{running.stack.label} is SIMULATED: nothing was started, so nothing wrote a log.")
    labels = [*running.labels, *([f"groundwork.workload={workload}"] if workload else [])]
    engine = running.engine()
    # Containers that only carry files are never started.
    containers = [
        found for found in engine.containers.list(all=True, filters={"label": labels}) if found.status != "created"
    ]
    options: dict[str, Any] = {"tail": wanted.tail, **({"since": since} if since else {})}
    colours: dict[str, str] = {}
    lines = written(containers, options) if not wanted.follow else followed(engine, containers, labels, options)
    try:
        for line in lines:
            if as_json:
                print(json.dumps(asdict(line)), flush=True)
            else:
                colour = colours.setdefault(line.container, COLOURS[len(colours) % len(COLOURS)])
                console.print(printed(line, running.prefix, colour), soft_wrap=True)
    except KeyboardInterrupt:
        # The usual way to end following.
        return


def printed(line: Line, prefix: str, colour: str) -> Text:
    clock = datetime.fromisoformat(f"{line.time[:19]}+00:00").astimezone().strftime("%H:%M:%S")
    name = line.container.removeprefix(prefix)
    return Text.assemble((f"{clock} ", "dim"), (f"{name:24} ", colour), line.text)


def written(containers: Iterable[Container], options: dict[str, Any]) -> list[Line]:
    """What there is, in the order of time."""
    return sorted(
        line for container in containers for line in lines_of(container, [container.logs(timestamps=True, **options)])
    )


def lines_of(container: Container, chunks: Iterable[bytes]) -> Iterator[Line]:
    """Whole lines from a log's chunks, which end anywhere."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line_of(container, raw) for raw in whole)
    if rest:
        yield line_of(container, rest)


def line_of(container: Container, raw: bytes) -> Line:
    moment, _, text = raw.decode(errors="replace").partition(" ")
    workload = container.labels.get("groundwork.workload", "")
    return Line(time=moment, container=str(container.name), workload=workload, text=text.rstrip("\r"))


def followed(
    engine: docker.DockerClient, containers: list[Container], labels: list[str], options: dict[str, Any]
) -> Iterator[Line]:
    """What there is, then what comes, also of containers that start meanwhile. Ends with the caller."""
    from docker.errors import DockerException

    now = int(time.time())
    arrived: queue.SimpleQueue[Line] = queue.SimpleQueue()
    # A stream begins at a whole second: by its time a line is known that was shown already.
    shown: dict[str, str] = {}

    def read(container: Container, since: int) -> None:
        # A container that is removed meanwhile has said everything.
        with contextlib.suppress(DockerException):
            for line in lines_of(container, container.logs(stream=True, follow=True, timestamps=True, since=since)):
                arrived.put(line)

    def watch() -> None:
        filters = {"type": "container", "event": "start", "label": labels}
        for event in engine.events(decode=True, since=now, filters=filters):
            with contextlib.suppress(DockerException):
                start(engine.containers.get(event["id"]), int(event["time"]))

    def start(container: Container, since: int) -> None:
        threading.Thread(target=read, args=(container, since), daemon=True).start()

    for line in written(containers, options):
        shown[line.container] = line.time
        yield line
    for container in containers:
        if container.status == "running":
            start(container, now)
    threading.Thread(target=watch, daemon=True).start()
    while True:
        line = arrived.get()
        if line.time > shown.get(line.container, ""):
            shown[line.container] = line.time
            yield line
