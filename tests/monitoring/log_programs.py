"""Loki and the shipper as the plan has them, on loopback: only paths, addresses and ports are others.

`python -m tests.monitoring.log_programs [NAME]…` builds them from the Go registry, once a checkout, and prints where.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from groundwork.monitoring import shipper
from groundwork.monitoring.loki import DATA, GRPC_PORT, LOKI_PORT, RULES, TENANT
from groundwork.workload import FILES, MACHINE, Workload
from tests.sample import ROOT
from tools.engine.checkout import Checkout
from tools.engine.install import go_toolchain

HERE, MADE = ROOT / "tests" / "judges", ROOT / ".groundwork" / "judges"
PACKAGES = {
    "loki": ("loki", "github.com/grafana/loki/v3/cmd/loki"),
    "lokitool": ("loki", "github.com/grafana/loki/v3/cmd/lokitool"),
    "otelcol-contrib": ("shipper", "."),
}
"""By the name of the program: the folder of its module, and its package there."""
BUILD_SECONDS = 1800


def built(name: str) -> Path:
    """The program, made once for each state of its module; FileNotFoundError with Go's words where it can't be."""
    folder, package = PACKAGES[name]
    program, wanted = MADE / name, (HERE / folder / "go.sum").read_bytes()
    mark = program.with_suffix(".sum")
    MADE.mkdir(parents=True, exist_ok=True)
    with (MADE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists() or not mark.exists() or mark.read_bytes() != wanted:
            print(f"judges: {name} from the Go registry (once, up to five minutes)", file=sys.stderr)
            go, environment = go_toolchain(Checkout(ROOT), print)
            # A newer Go than the engine's is got by Go itself.
            environment["GOTOOLCHAIN"] = "auto"
            command = [go, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", str(program), package]
            done = subprocess.run(
                command, cwd=HERE / folder, env=environment, capture_output=True, text=True, timeout=BUILD_SECONDS
            )
            if done.returncode:
                raise FileNotFoundError(done.stderr)
            mark.write_bytes(wanted)
    return program


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def text_of(workload: Workload, name: str) -> str:
    (text,) = (file.content for file in workload.files if file.name == name)
    assert isinstance(text, str)
    return text


@dataclass(kw_only=True)
class Program:
    """A server that can be ended and started again."""

    command: list[str]
    folder: Path
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = (self.folder / f"{Path(self.command[0]).name}.log").open("ab")
        own = os.environ | self.environment
        with log:
            self.process = subprocess.Popen(self.command, cwd=self.folder, env=own, stdout=log, stderr=log)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process:
            self.process.send_signal(how)
            self.process.wait(timeout=60)
            self.process = None

    def own_mib(self) -> float:
        """Memory that the kernel can't take back: without the program itself, which it can read again."""
        assert self.process
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("RssAnon:")[1].split()[0]) / 1024

    def said(self) -> str:
        return (self.folder / f"{Path(self.command[0]).name}.log").read_text()


@dataclass(kw_only=True)
class Store(Program):
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait(self, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while True:
            try:
                if httpx.get(f"{self.url}/ready", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            assert time.monotonic() < until, self.said()[-3000:]
            time.sleep(0.2)

    def query(self, query: str, at: float | None = None) -> list[dict[str, Any]]:
        """An instant query: samples with labels."""
        moment = {"time": f"{at:.0f}"} if at else {}
        answer = httpx.get(f"{self.url}/loki/api/v1/query", params={"query": query, **moment}, timeout=60)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    def lines(self, query: str, limit: int = 5000) -> list[tuple[dict[str, str], int, str]]:
        """Labels and fields, time in nanoseconds and text of each entry, the oldest first, of a day around now."""
        found: dict[tuple[int, str, str], tuple[dict[str, str], int, str]] = {}
        start, end = int((time.time() - 86_400) * 1e9), int((time.time() + 60) * 1e9)
        while True:
            answer = httpx.get(
                f"{self.url}/loki/api/v1/query_range",
                params={"query": query, "start": start, "end": end, "limit": limit, "direction": "forward"},
                timeout=120,
            )
            assert answer.status_code == 200, answer.text
            streams = answer.json()["data"]["result"]
            page = [(one["stream"], int(when), text) for one in streams for when, text, *_ in one["values"]]
            found |= {(when, text, str(sorted(labels.items()))): (labels, when, text) for labels, when, text in page}
            if len(page) < limit:
                return sorted(found.values(), key=lambda one: one[1])
            start = max(when for _, when, _ in page)

    def push(self, labels: Mapping[str, str], lines: list[tuple[float, str]]) -> httpx.Response:
        values = [[f"{moment * 1e9:.0f}", text] for moment, text in lines]
        body = {"streams": [{"stream": dict(labels), "values": values}]}
        return httpx.post(f"{self.url}/loki/api/v1/push", json=body, timeout=60)

    def metric(self, name: str) -> float:
        return total(f"{self.url}/metrics", name)


def total(url: str, name: str) -> float:
    """The sum of a metric's series, but for those that only wait for a better moment."""
    lines = httpx.get(url, timeout=10).text.splitlines()
    values = [line for line in lines if line.startswith((f"{name}{{", f"{name} ")) and "rate_limited" not in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in values)


@dataclass(kw_only=True)
class Shipper(Program):
    metrics_port: int
    health_port: int
    logs: Path

    def metric(self, name: str) -> float:
        return total(f"http://127.0.0.1:{self.metrics_port}/metrics", name)

    def wait(self, seconds: float = 30) -> None:
        until = time.monotonic() + seconds
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{self.health_port}/", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            assert time.monotonic() < until, self.said()[-3000:]
            time.sleep(0.1)


def exchanged(text: str, others: Mapping[str, str]) -> str:
    for old, new in others.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@contextmanager
def loki_running(folder: Path, workload: Workload, others: Mapping[str, str] | None = None) -> Iterator[Store]:
    """As the plan has it; `others` are further texts of its configuration to exchange."""
    store = loki(folder, workload, others)
    store.start()
    try:
        store.wait()
        yield store
    finally:
        store.end()


def loki(folder: Path, workload: Workload, others: Mapping[str, str] | None = None) -> Store:
    port = free_port()
    rules = folder / "rules" / TENANT
    rules.mkdir(parents=True)
    (rules / "logs.yml").write_text(text_of(workload, f"{RULES.removeprefix(FILES + '/')}/{TENANT}/logs.yml"))
    config = exchanged(
        text_of(workload, "loki.yml"),
        {
            f"http_listen_port: {LOKI_PORT}": f"http_listen_address: 127.0.0.1\n  http_listen_port: {port}",
            f"grpc_listen_port: {GRPC_PORT}": f"grpc_listen_port: {free_port()}",
            f": {RULES}": f": {folder}/rules",
            f": {DATA}": f": {folder}/loki",
            "/tmp/rules": f"{folder}/scratch",
            **(others or {}),
        },
    )
    (folder / "loki.yml").write_text(config)
    command = [str(built("loki")), *(word.replace(FILES, str(folder)) for word in workload.command[1:])]
    environment = {name: value for name, value in workload.env.items() if isinstance(value, str)}
    return Store(command=command, folder=folder, environment=environment, port=port)


def shipping(folder: Path, workload: Workload, store_port: int, others: Mapping[str, str] | None = None) -> Shipper:
    """The shipper, which reads below `folder`/logs."""
    metrics, health = free_port(), free_port()
    (folder / "logs").mkdir(exist_ok=True)
    config = exchanged(
        text_of(workload, "shipper.yml"),
        {
            shipper.READ: str(folder / "logs"),
            shipper.KEPT: str(folder / "kept"),
            f"loki:{LOKI_PORT}": f"127.0.0.1:{store_port}",
            f"0.0.0.0:{shipper.HEALTH_PORT}": f"127.0.0.1:{health}",
            "host: 0.0.0.0": "host: 127.0.0.1",
            f"port: {shipper.METRICS_PORT}": f"port: {metrics}",
            **(others or {}),
        },
    )
    (folder / "shipper.yml").write_text(config)
    words = [word.replace(FILES, str(folder)) for word in workload.command[1:]]
    environment = {name: value for name, value in workload.env.items() if isinstance(value, str)}
    return Shipper(
        command=[str(built("otelcol-contrib")), *words], folder=folder, environment=environment | {MACHINE: "m-1"},
        metrics_port=metrics, health_port=health, logs=folder / "logs",
    )  # fmt: skip


@contextmanager
def shipper_running(folder: Path, workload: Workload, store_port: int) -> Iterator[Shipper]:
    running = shipping(folder, workload, store_port)
    running.start()
    try:
        running.wait()
        yield running
    finally:
        running.end()


@dataclass(kw_only=True)
class Container:
    """A container's log as Docker's driver `json-file` writes it: at most `files` of `size` bytes."""

    folder: Path
    labels: Mapping[str, str]
    size: int = 10_000_000
    files: int = 5
    written: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / f"{self.folder.name}-json.log"
        self.stream = self.path.open("wb")

    def write(self, text: str, stream: str = "stdout") -> None:
        now = time.time_ns()
        clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9))
        entry = {"log": text, "stream": stream, "attrs": dict(self.labels), "time": f"{clock}.{now % 10**9:09}Z"}
        line = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self.stream.write(line)
        self.stream.flush()
        self.written += len(line)
        if self.written > self.size:
            self.rotate()

    def rotate(self) -> None:
        self.stream.close()
        for number in range(self.files - 1, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number - 1}") if number > 1 else self.path
            if older.exists():
                older.rename(self.path.with_name(f"{self.path.name}.{number}"))
        self.stream, self.written = self.path.open("wb"), 0


if __name__ == "__main__":
    for name in sys.argv[1:] or PACKAGES:
        print(built(name))
