"""A real Prometheus and two real agents with the configuration of the plan, in which only paths and addresses are
exchanged: what two machines measure arrives, nothing is lost while it can't, and silence is told."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from groundwork.deployment import Deployment
from groundwork.monitoring.agents import KEPT_HOURS
from groundwork.monitoring.programs import DATA, LATE_HOURS
from groundwork.workload import FILES, Workload
from tests.machines import on_machines

from .conftest import free_port

HOME, KEPT, KILLED = "monitoring-1", "data-1", "cache-1"
AWAY_SECONDS = 60
SILENT_SECONDS = 180
"""Two minutes without a measurement, and one more."""
SLACK_SECONDS = 40
"""Some rounds of rules, and programs that start on a machine with other work."""


class Counting(BaseHTTPRequestHandler):
    """Tells how often it was asked: numbers without a gap are measurements without one."""

    asked = 0

    def do_GET(self) -> None:
        Counting.asked += 1
        body = f"# TYPE asked_total counter\nasked_total {Counting.asked}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Quiet(Counting):
    """The same for everybody else, on whatever machine."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.end_headers()
        self.wfile.write(b"told 1\n")


@contextmanager
def telling(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    return on_machines(monitoring={"scrape_seconds": 5})


def measurers(deployment: Deployment) -> dict[str, Workload]:
    """Each machine's own Prometheus, whichever kind it is."""
    return {
        share.machine.name: workload
        for share in deployment.shares
        for workload in share.workloads
        if share.machine and workload.name in ("prometheus", "prometheus-agent")
    }


@dataclass
class Running:
    """One Prometheus as the plan describes it, at a port of its own."""

    folder: Path
    command: tuple[str, ...]
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.processes.append(subprocess.Popen(self.command, stdout=log, stderr=log))

    def end(self, *, killed: bool = False) -> None:
        process = self.processes[-1]
        if killed:
            process.kill()
        else:
            process.terminate()
        process.wait(timeout=30)

    def asked(self, what: str) -> Any:
        return httpx.get(f"http://127.0.0.1:{self.port}/api/v1/{what}", timeout=10).json()["data"]

    def log(self) -> str:
        return (self.folder / "log").read_text()


def placed(workload: Workload, folder: Path, program: Path, port: int, changes: dict[str, str]) -> Running:
    """The workload's files and command with `changes` made in both; `changes` are the only ones."""
    everywhere = {FILES: str(folder / "files"), **changes}
    for file in workload.files:
        path = folder / "files" / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(exchanged(str(file.content), everywhere))
    (folder / "data").mkdir()
    for_commands = {**everywhere, "/bin/prometheus": str(program), f"={DATA}": f"={folder / 'data'}"}
    for_commands["0.0.0.0:9090"] = f"127.0.0.1:{port}"
    command = tuple(exchanged(word, for_commands) for word in workload.command)
    return Running(folder=folder, command=command, port=port)


def exchanged(text: str, changes: dict[str, str]) -> str:
    return re.sub("|".join(map(re.escape, changes)), lambda found: changes[found[0]], text)


def on_loopback(workload: Workload, port: int, home: int, targets: dict[str, int], usual: int) -> Workload:
    """The same with its own port, Prometheus' and those of what it measures in place of the plan's."""
    text = next(str(file.content) for file in workload.files if file.name == "prometheus.yml")
    said = yaml.safe_load(text)
    for job in said["scrape_configs"]:
        for found in job.pop("dns_sd_configs", ()):
            at = targets.get(found["names"][0], usual)
            job["static_configs"] = [{"targets": [f"127.0.0.1:{at}"]}]
        for found in job["static_configs"]:
            found["targets"] = [f"127.0.0.1:{port}" if one == "127.0.0.1:9090" else one for one in found["targets"]]
    for way in said.get("remote_write", ()):
        way["url"] = re.sub(r"//[\d.:]+/", f"//127.0.0.1:{home}/", way["url"])
    files = tuple(
        file if file.name != "prometheus.yml" else type(file)(name=file.name, content=yaml.safe_dump(said))
        for file in workload.files
    )
    return type(workload)(**{**vars(workload), "files": files})


@contextmanager
def fleet(deployment: Deployment, program: Path, folder: Path) -> Iterator[dict[str, Running]]:
    """The home and two machines; containers of both have the same address here, as they may there."""
    found = measurers(deployment)
    ports = {name: free_port() for name in (HOME, KEPT, KILLED)}
    with telling(Counting) as counted, telling(Quiet) as usual:
        made = {}
        for name, port in ports.items():
            (folder / name).mkdir()
            targets = {"node-exporter": counted if name == KEPT else usual}
            here = on_loopback(found[name], port, ports[HOME], targets, usual)
            made[name] = placed(here, folder / name, program, port, {"alertmanager:9093": "127.0.0.1:9"})
        for one in made.values():
            one.start()
        try:
            yield made
        finally:
            for one in reversed(made.values()):
                if one.processes[-1].poll() is None:
                    one.end()


def waited(what: str, check: Callable[[], Any], seconds: float = SLACK_SECONDS) -> Any:
    end = time.monotonic() + seconds
    while True:
        try:
            found = check()
        except (httpx.TransportError, ValueError, KeyError):
            found = None
        if found:
            return found
        assert time.monotonic() < end, what
        time.sleep(0.5)


def up_on(home: Running, machine: str) -> dict[str, str]:
    """Job and address of what that machine measures."""
    found = home.asked(f'query?query=up{{machine="{machine}"}}')["result"]
    return {one["metric"]["job"]: one["metric"]["instance"] for one in found}


def silent(home: Running) -> dict[str, tuple[str, str]]:
    """Severity and state of MachineSilent, by machine."""
    return {
        alert["labels"]["machine"]: (alert["labels"]["severity"], alert["state"])
        for alert in home.asked("alerts")["alerts"]
        if alert["labels"]["alertname"] == "MachineSilent"
    }


def gaps(numbers: list[int]) -> list[int]:
    """Those that are missing between the first and the last."""
    return sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))


def test_two_machines_are_heard_nothing_is_lost_and_silence_is_told(
    deployment: Deployment, monitoring: Path, tmp_path: Path
) -> None:
    with fleet(deployment, monitoring / "prometheus", tmp_path) as machines:
        home = machines[HOME]
        waited(HOME, lambda: {"node-exporter", "prometheus"} <= up_on(home, HOME).keys())
        waited(KILLED, lambda: {"node-exporter", "redis-exporter"} <= up_on(home, KILLED).keys())
        waited(KEPT, lambda: {"node-exporter", "postgres-exporter"} <= up_on(home, KEPT).keys())
        jobs = {name: up_on(home, name) for name in (HOME, KEPT, KILLED)}
        # One address, two machines.
        assert jobs[KILLED]["node-exporter"] == jobs[HOME]["node-exporter"]
        waited("no silence", lambda: silent(home).keys().isdisjoint((KEPT, KILLED)))

        machines[KILLED].end(killed=True)
        killed = time.monotonic()
        home.end()
        time.sleep(AWAY_SECONDS)
        home.start()
        before = Counting.asked
        waited("Prometheus", lambda: up_on(home, HOME))

        def all_told() -> list[int]:
            (series,) = home.asked(f'query?query=asked_total{{machine="{KEPT}"}}[15m]')["result"]
            numbers = [int(value) for _, value in series["values"]]
            return numbers if numbers[-1] > before else []

        numbers = waited("what was measured meanwhile", all_told)
        assert len(numbers) > AWAY_SECONDS / 5 and not gaps(numbers), numbers

        told = waited("MachineSilent", lambda: KILLED in silent(home) and silent(home)[KILLED][1] == "firing", 240)
        took = time.monotonic() - killed
        assert told and SILENT_SECONDS - 10 < took < SILENT_SECONDS + SLACK_SECONDS, took
        # With the machines of the plan that are not here; of the one that is well nothing is said.
        assert silent(home)[KILLED] == ("P0", "firing") and KEPT not in silent(home)
        assert not [line for line in home.log().splitlines() if "level=ERROR" in line and "notif" not in line.lower()]


def test_what_an_agent_kept_for_hours_is_taken_beside_what_is_fresh(
    deployment: Deployment, promtool: Path, tmp_path: Path
) -> None:
    port, usual = free_port(), 9
    here = on_loopback(measurers(deployment)[HOME], port, port, {}, usual)
    home = placed(here, tmp_path, promtool.parent / "prometheus", port, {"alertmanager:9093": "127.0.0.1:9"})
    home.start()
    try:
        waited("Prometheus", lambda: up_on(home, HOME))
        taken = {hours: pushed(promtool, port, tmp_path, hours) for hours in (0, 1, KEPT_HOURS, LATE_HOURS + 1)}
    finally:
        home.end()
    assert taken == {0: True, 1: True, KEPT_HOURS: True, LATE_HOURS + 1: False}


def pushed(promtool: Path, port: int, folder: Path, hours: int) -> bool:
    """Whether Prometheus takes a measurement that is so old."""
    file = folder / f"{hours}.txt"
    file.write_text(f"# TYPE kept_{hours} gauge\nkept_{hours} 1 {round((time.time() - hours * 3600) * 1000)}\n")
    command: list[str | Path] = [promtool, "push", "metrics", f"http://127.0.0.1:{port}/api/v1/write", file]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 or "out of bounds" in done.stderr or "too old" in done.stderr, done.stderr
    return done.returncode == 0


@pytest.mark.parametrize("machine", ["app-1", "app-2", "data-1", "cache-1", "monitoring-1"])
def test_promtool_finds_nothing_in_the_configuration_of_a_machine(
    deployment: Deployment, promtool: Path, tmp_path: Path, machine: str
) -> None:
    workload = measurers(deployment)[machine]
    made = placed(workload, tmp_path, promtool, 9090, {})
    agent = ["--agent"] if workload.name == "prometheus-agent" else []
    command: list[str | Path] = [promtool, "check", "config", "--lint=all", "--lint-fatal", *agent]
    done = subprocess.run([*command, made.folder / "files/prometheus.yml"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_refuses_rules_for_an_agent(deployment: Deployment, promtool: Path, tmp_path: Path) -> None:
    made = placed(measurers(deployment)[KEPT], tmp_path, promtool, 9090, {})
    path = made.folder / "files/prometheus.yml"
    path.write_text(path.read_text() + "rule_files: [x.yml]\n")
    done = subprocess.run([promtool, "check", "config", "--agent", path], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
