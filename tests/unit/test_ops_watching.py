"""What `ops smoke` says of monitoring, asked of a small server that answers as Prometheus does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ops import watching
from ops.watching import RECEIVERS, RULES, TARGETS, Job, jobs_of, judged
from tests.machines import on_machines
from tests.sample import planned

GOOD: dict[str, Any] = {
    "targets": {"activeTargets": [{"labels": {"job": job}, "health": "up"} for job in ("api", "gateway")]},
    "rules": {"groups": [{"rules": [{"name": "ServiceDown", "health": "ok"}, {"name": "Watchdog", "health": "ok"}]}]},
    "alertmanagers": {"activeAlertmanagers": [{"url": "http://alertmanager:9093/api/v2/alerts"}]},
}


@contextmanager
def prometheus(*answers: dict[str, Any]) -> Iterator[int]:
    """Each path is answered from the first of `answers`, the next time from the second, and so on."""
    asked: dict[str, int] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removeprefix("/api/v1/").partition("?")[0]
            place = asked.get(name, 0)
            asked[name] = place + 1
            body = json.dumps({"status": "success", "data": answers[min(place, len(answers) - 1)][name]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def said(*answers: dict[str, Any], jobs: Sequence[Job] = ()) -> dict[str, tuple[str, str]]:
    with prometheus(*answers) as port:
        return {result.check: (result.outcome, result.detail) for result in judged(port, jobs)}


def test_monitoring_that_works_says_how_much_it_sees() -> None:
    assert said(GOOD) == {TARGETS: ("ok", "2 targets"), RULES: ("ok", "2 rules"), RECEIVERS: ("ok", "1 known")}


def test_what_is_not_measured_is_named() -> None:
    down = {"activeTargets": [{"labels": {"job": "api"}, "health": "down"}, *GOOD["targets"]["activeTargets"]]}
    assert said(GOOD | {"targets": down})[TARGETS] == ("failed", "api")


def test_a_rule_that_fails_is_named() -> None:
    wrong = {"groups": [{"rules": [{"name": "MysqlDown", "health": "err"}]}]}
    assert said(GOOD | {"rules": wrong})[RULES] == ("failed", "MysqlDown")


def test_without_alertmanager_nobody_is_told() -> None:
    assert said(GOOD | {"alertmanagers": {"activeAlertmanagers": []}})[RECEIVERS] == ("failed", "it knows none")


def test_a_server_that_has_just_started_is_given_time() -> None:
    fresh = {"activeTargets": [{"labels": {"job": "api"}, "health": "unknown"}]}
    assert said(GOOD | {"targets": fresh}, GOOD)[TARGETS] == ("ok", "2 targets")


JOBS = [("app-1", "api"), ("app-2", "api"), ("data-1", "node-exporter")]


def heard(*values: tuple[str, str, str]) -> dict[str, Any]:
    """Machine, job and value of each series."""
    series = [{"metric": {"machine": one, "job": job}, "value": [0, value]} for one, job, value in values]
    return GOOD | {"query": {"resultType": "vector", "result": series}}


ALL = tuple((machine, job, "1") for machine, job in JOBS)


def test_on_machines_what_agents_pass_on_counts_and_not_only_what_is_beside_prometheus() -> None:
    assert said(heard(*ALL), jobs=JOBS)[TARGETS] == ("ok", "3 targets")
    assert said(heard(*ALL, ("app-2", "api", "0")), jobs=JOBS)[TARGETS] == ("ok", "3 targets")
    assert said(heard(*ALL[:1], ("app-2", "api", "0"), ALL[2]), jobs=JOBS)[TARGETS] == ("failed", "api on app-2")


def test_a_machine_of_which_nothing_is_heard_is_named_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(heard(*ALL[:2]), heard(*ALL), jobs=JOBS)[TARGETS] == ("ok", "3 targets")
    monkeypatch.setattr(watching, "SETTLE_SECONDS", 0)
    assert said(heard(*ALL[:2]), jobs=JOBS)[TARGETS] == ("failed", "node-exporter on data-1")


def test_what_is_to_be_measured_is_known_from_the_plan() -> None:
    found = jobs_of(on_machines(monitoring={}))
    assert {("data-1", "postgres-exporter"), ("app-2", "gateway"), ("monitoring-1", "prometheus")} <= set(found)
    assert {machine for machine, job in found if job == "prometheus-agent"} == {"app-1", "app-2", "data-1", "cache-1"}
    assert jobs_of(planned({"monitoring": {}})) == []
