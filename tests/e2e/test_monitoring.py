"""mindpal with its monitoring on a real engine: everything is measured, and every question has an answer.

GROUNDWORK_WRITE_DOCS=1 python -m pytest tests/e2e/test_monitoring.py        writes its memory into docs/monitoring.md
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest

from groundwork.monitoring.programs import LOKI, PROMETHEUS
from groundwork.workload import Workload
from ops.on_docker import engine_of
from tests.e2e.monitored import Monitored, brought_up, lasting, planned
from tests.e2e.page import write_part
from tests.e2e.panels import unanswered
from tests.e2e.real_stack import RealStack
from tests.engine.stack import ROOT
from tests.monitoring.mutants import metrics_of
from tests.sample import MARK

STACK = "monitoring"
PAGE = ROOT / "docs/monitoring.md"
WARM_SECONDS = 150
"""Until every rate has what it is made of: two measurements, and RabbitMQ's own that are a minute old."""
MASKED_SECONDS = 10
SETTLE_SECONDS = 60
ABSENT = {"redis_db_keys", "loki_discarded_samples_total", "otelcol_exporter_send_failed_log_records_total"}
"""A database without keys is in no metric, and what was never dropped is counted by nobody."""
PHONE = "13812345678"


@dataclass(frozen=True)
class Asked(Monitored):
    """`links` lead through tunnels to Prometheus and Loki."""

    links: Mapping[str, httpx.Client]

    def answer(self, source: str, expr: str) -> list[Any]:
        """Of Prometheus now, or of Loki in the last quarter of an hour."""
        if source == "prometheus":
            found: list[Any] = self.data("/api/v1/query", query=expr)["result"]
        else:
            found = self.data("/loki/api/v1/query_range", LOKI, query=expr, since="15m")["result"]
        return found

    def data(self, path: str, server: str = PROMETHEUS, **asked: str) -> Any:
        answer = self.links[server].get(path, params=asked)
        assert answer.status_code == 200, f"{asked}: {answer.text}"
        return answer.json()["data"]

    def targets(self) -> list[Any]:
        """All of them, once each has been measured."""
        until = time.monotonic() + SETTLE_SECONDS
        while True:
            found: list[Any] = self.data("/api/v1/targets", state="active")["activeTargets"]
            if all(target["health"] != "unknown" for target in found) or time.monotonic() > until:
                return found
            time.sleep(1)


@contextmanager
def asking(stack: RealStack, engine: docker.DockerClient) -> Iterator[Asked]:
    """By the way of `ops tunnel`."""
    deployment = planned(stack)
    place = engine_of("mindpal", STACK, os.environ)
    with ExitStack() as open_links:
        links = {}
        for name in (PROMETHEUS, LOKI):
            server = deployment.workload(name)
            assert server.port
            tunnel = open_links.enter_context(place.tunnel(deployment, server, server.port, 0))
            link = httpx.Client(base_url=f"http://127.0.0.1:{tunnel.port}", timeout=30)
            links[name] = open_links.enter_context(link)
        yield Asked(stack, engine, links)


@pytest.fixture
def system() -> str:
    return "mindpal"


@pytest.fixture
def monitored(real_stack: RealStack, engine: docker.DockerClient, tmp_path: Path) -> Iterator[Asked]:
    """Up and used for a while."""
    real_stack.change(monitoring={"scrape_seconds": 5})
    lasting(real_stack, tmp_path, days=90)
    brought_up(real_stack)
    with asking(real_stack, engine) as found:
        used(found, WARM_SECONDS)
        yield found


def used(monitored: Asked, seconds: float) -> None:
    """Requests and jobs, four a second of each."""
    until = time.monotonic() + seconds
    with monitored.client() as link:
        while time.monotonic() < until:
            assert link.get("/api/slow?ms=20").status_code == 200
            assert link.post("/api/jobs/slow?ms=10").status_code == 202
            time.sleep(0.2)


def test_everything_is_measured_and_every_question_has_an_answer(monitored: Asked) -> None:
    assert [target["labels"]["job"] for target in monitored.targets() if target["health"] != "up"] == []
    rules = [rule for group in monitored.data("/api/v1/rules")["groups"] for rule in group["rules"]]
    asked_for = {name for rule in rules for name in metrics_of(rule["query"])}
    assert {name for name in asked_for if not monitored.answer("prometheus", name)} <= ABSENT
    open_questions = unanswered(grafana_of(monitored), monitored.answer)
    assert [one for one in open_questions if not any(name in one for name in ABSENT)] == []
    assert masked_after(monitored) <= MASKED_SECONDS
    told_of_memory(monitored)
    after = monitored.stack.preview("--expect-no-changes")
    assert after.code == 0, after.output


def grafana_of(monitored: Asked) -> Workload:
    """As it would be in this stack: its image is not needed to know what it asks."""
    return planned(monitored.stack, MARK, grafana={}).workload("grafana")


def masked_after(monitored: Asked) -> float:
    """Seconds until a line with a telephone number is found, and the number in none."""
    mark = f"mark-{time.time_ns()}"
    began = time.monotonic()
    with monitored.client() as link:
        # In the path: what comes behind it is in no log of the gateway.
        link.get(f"/api/{mark}/{PHONE}")
    while time.monotonic() - began < 60:
        lines = [line for stream in entries(monitored, mark) for _, line in stream["values"]]
        if lines:
            assert not [line for line in lines if PHONE in line], lines
            return time.monotonic() - began
        time.sleep(0.5)
    raise AssertionError(f"no line with {mark} was stored in a minute")


def entries(monitored: Asked, word: str) -> list[Any]:
    return monitored.answer("loki", f'{{workload="gateway"}} |= `{word}`')


def told_of_memory(monitored: Asked) -> None:
    containers = monitored.engine.containers.list(filters=monitored.stack.labels("groundwork.role=monitoring"))
    used_mib = {one.labels["groundwork.workload"]: memory_mib(one.stats(stream=False)) for one in containers}
    rows = [f"| `{name}` | {used} |" for name, used in sorted(used_mib.items(), key=lambda item: -item[1])]
    lines = ["| program | MiB in use |", "|---|---|", *rows, f"| all of it | {sum(used_mib.values())} |"]
    write_part(PAGE, "memory", "\n".join(lines))


def memory_mib(stats: Any) -> int:
    """As `docker stats` counts it: without files that are only kept in memory while nobody else needs it."""
    memory = stats["memory_stats"]
    idle = memory["stats"].get("total_inactive_file", memory["stats"].get("inactive_file", 0))
    used: int = round((memory["usage"] - idle) / 1024**2)
    return used
