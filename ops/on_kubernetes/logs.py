"""What pods of a cluster wrote."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ops.on_kubernetes import NAME
from ops.place import Line, Wanted
from tools.kubectl import Kubectl, said

LOOK_SECONDS = 2
"""How soon a pod that starts while its workload is followed is read, which loses none of its lines."""


def lines_in(kubectl: Kubectl, selector: str, wanted: Wanted) -> Iterator[Line]:
    pods = started(kubectl, selector)
    with ThreadPoolExecutor(max_workers=8) as pool:
        written = pool.map(lambda pod: list(read(kubectl, pod, wanted)), pods.items())
        yield from sorted(line for lines in written for line in lines)
    if wanted.follow:
        yield from followed(kubectl, selector, pods)


def started(kubectl: Kubectl, selector: str) -> dict[str, str]:
    """Pods that have written, or may have: their workloads by their names."""
    pods: list[dict[str, Any]] = kubectl.data("get", "pods", selector)["items"]
    return {pod["metadata"]["name"]: pod["metadata"]["labels"].get(NAME, "") for pod in pods if has_begun(pod)}


def has_begun(pod: Mapping[str, Any]) -> bool:
    containers = pod["status"].get("containerStatuses", ())
    return any("waiting" not in one["state"] or one["restartCount"] for one in containers)


def read(kubectl: Kubectl, pod: tuple[str, str], wanted: Wanted) -> Iterator[Line]:
    """What there is; where the log can't be had, the reason in its place."""
    since = [f"--since={int(time.time()) - wanted.since}s"] if wanted.since else []
    done = kubectl.run("logs", pod[0], "--timestamps", f"--tail={wanted.tail}", *since)
    if done.returncode:
        now = time.strftime("%Y-%m-%dT%H:%M:%S.000000000Z", time.gmtime())
        yield Line(time=now, container=pod[0], workload=pod[1], text=f"(its log can't be read: {said(done)})")
        return
    yield from (line_of(pod, raw) for raw in done.stdout.splitlines())


def line_of(pod: tuple[str, str], raw: str) -> Line:
    moment, _, text = raw.partition(" ")
    # The API leaves out zeros at the end of a fraction.
    whole, _, fraction = moment.removesuffix("Z").partition(".")
    return Line(time=f"{whole}.{fraction:0<9}Z", container=pod[0], workload=pod[1], text=text.rstrip("\r"))


def followed(kubectl: Kubectl, selector: str, shown: dict[str, str]) -> Iterator[Line]:
    """What comes, also of pods that start meanwhile. Ends with the caller, and the processes that read with it."""
    arrived: queue.SimpleQueue[Line] = queue.SimpleQueue()
    reading: dict[str, subprocess.Popen[str]] = {}

    def follow(pod: tuple[str, str], *since: str) -> None:
        command = kubectl.command("logs", pod[0], "--timestamps", "--follow", *since)
        process = subprocess.Popen(
            command, env=dict(kubectl.environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, encoding="utf-8", errors="replace",
        )  # fmt: skip
        reading[pod[0]] = process

        def take() -> None:
            for raw in process.stdout or ():
                arrived.put(line_of(pod, raw.rstrip("\n")))

        threading.Thread(target=take, daemon=True).start()

    try:
        for pod in shown.items():
            follow(pod, "--tail=0")
        looked = time.monotonic()
        while True:
            with contextlib.suppress(queue.Empty):
                yield arrived.get(timeout=LOOK_SECONDS)
            if time.monotonic() - looked >= LOOK_SECONDS:
                for pod in started(kubectl, selector).items():
                    if pod[0] not in reading:
                        follow(pod)
                looked = time.monotonic()
    finally:
        for process in reading.values():
            process.terminate()
