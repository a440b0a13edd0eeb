"""What `ops smoke` says of monitoring, asked of a small server that answers as Prometheus does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ops.watching import RECEIVERS, RULES, TARGETS, judged

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


def said(*answers: dict[str, Any]) -> dict[str, tuple[str, str]]:
    with prometheus(*answers) as port:
        return {result.check: (result.outcome, result.detail) for result in judged(port)}


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
