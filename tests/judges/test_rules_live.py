"""Prometheus itself reads the rules, and what the gateway tells, as the rules expect it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from groundwork.monitoring.alerts import rule_files
from groundwork.monitoring.objectives import BUCKETS, Objectives
from tests.monitoring.reference import GROUPS, SERVICES, groups_of

from .scraping import prometheus

BOUNDS = [f"{bound:g}" for bound in BUCKETS]
"""As the gateway writes them: `1`, not `1.0`."""
TOLD = "\n".join(
    [
        "# TYPE gateway_request_seconds histogram",
        *(f'gateway_request_seconds_bucket{{app="api",le="{bound}"}} 1' for bound in [*BOUNDS, "+Inf"]),
        'gateway_request_seconds_sum{app="api"} 1',
        'gateway_request_seconds_count{app="api"} 1',
        "",
    ]
)


@contextmanager
def gateway() -> Iterator[int]:
    class Telling(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.end_headers()
            self.wfile.write(TOLD.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Telling)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()


def test_prometheus_stores_the_bounds_that_the_rules_ask_for(monitoring: Path, tmp_path: Path) -> None:
    files = rule_files(GROUPS)
    with gateway() as port, prometheus(monitoring, tmp_path, {"gateway": f"http://127.0.0.1:{port}/"}, files) as server:
        found = server.asked("query?query=gateway_request_seconds_bucket")["result"]
        loaded = server.asked("rules")["groups"]
    stored = {series["metric"]["le"] for series in found}
    for bound in BUCKETS:
        groups = groups_of(Objectives(latency_seconds=bound), SERVICES)
        parts = [part for group in groups for alert in group.alerts for part in alert.expr.split('le="')[1:]]
        asked_for = {part.split('"')[0] for part in parts}
        assert asked_for == {str(bound)} <= stored
    assert sum(len(group["rules"]) for group in loaded) == sum(len(group.alerts) for group in GROUPS)
