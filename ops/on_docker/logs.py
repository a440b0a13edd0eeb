"""What containers of a Docker engine wrote."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ops.place import Line, Wanted
from tools.engine.checkout import UserError

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container


def lines_in(
    engine: docker.DockerClient, containers: list[Container], labels: list[str], wanted: Wanted
) -> Iterator[Line]:
    """`labels` tell which of the containers that start meanwhile are meant as well."""
    options: dict[str, Any] = {"tail": wanted.tail, **({"since": wanted.since} if wanted.since else {})}
    return followed(engine, containers, labels, options) if wanted.follow else iter(written(containers, options))


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
    """What there is, then what comes, also of containers that start meanwhile. Ends with the caller; UserError once
    the engine is gone."""
    from docker.errors import DockerException

    now = int(time.time())
    arrived: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
    # A stream begins at a whole second: by its time a line is known that was shown already.
    shown: dict[str, str] = {}

    def read(container: Container, since: int) -> None:
        # A container that is removed meanwhile has said everything.
        with contextlib.suppress(*broken()):
            for line in lines_of(container, container.logs(stream=True, follow=True, timestamps=True, since=since)):
                arrived.put(line)

    def watch() -> None:
        filters = {"type": "container", "event": "start", "label": labels}
        with contextlib.suppress(*broken()):
            for event in engine.events(decode=True, since=now, filters=filters):
                with contextlib.suppress(DockerException):
                    start(engine.containers.get(event["id"]), int(event["time"]))
        # This stream ends only with its engine.
        arrived.put(None)

    def start(container: Container, since: int) -> None:
        threading.Thread(target=read, args=(container, since), daemon=True).start()

    for line in written(containers, options):
        shown[line.container] = line.time
        yield line
    for container in containers:
        if container.status == "running":
            start(container, now)
    threading.Thread(target=watch, daemon=True).start()
    while found := arrived.get():
        if found.time > shown.get(found.container, ""):
            shown[found.container] = found.time
            yield found
    raise UserError("The Docker engine does not answer any more.")


def broken() -> tuple[type[Exception], ...]:
    """What the Docker SDK raises where a connection ends: at its start its own errors, later those of what it uses."""
    from docker.errors import DockerException
    from requests import RequestException
    from urllib3.exceptions import HTTPError

    return DockerException, RequestException, HTTPError
