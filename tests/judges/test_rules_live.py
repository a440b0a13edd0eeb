"""Prometheus itself reads the rules, and what the gateway tells, as the rules expect it."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml

from groundwork.monitoring.alerts import rule_files
from groundwork.monitoring.objectives import BUCKETS, Objectives
from tests.monitoring.reference import GROUPS, SERVICES, groups_of

from .conftest import free_port

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


@contextmanager
def prometheus(monitoring: Path, folder: Path, target: int) -> Iterator[str]:
    files = rule_files(GROUPS)
    for name, text in files.items():
        (folder / name).write_text(text)
    job = {"job_name": "gateway", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
    every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config = {"global": every, "rule_files": sorted(files), "scrape_configs": [job]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [str(monitoring / "prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], cwd=folder, stdout=log, stderr=log
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def asked(url: str, seconds: float = 30) -> Any:
    end = time.monotonic() + seconds
    while True:
        try:
            data = httpx.get(url, timeout=5).json().get("data")
        except (httpx.TransportError, ValueError):
            data = None
        if data and (data.get("result") or data.get("groups")):
            return data
        assert time.monotonic() < end, url
        time.sleep(0.3)


def test_prometheus_stores_the_bounds_that_the_rules_ask_for(monitoring: Path, tmp_path: Path) -> None:
    with gateway() as target, prometheus(monitoring, tmp_path, target) as url:
        found = asked(f"{url}/api/v1/query?query=gateway_request_seconds_bucket")["result"]
        loaded = asked(f"{url}/api/v1/rules")["groups"]
    stored = {series["metric"]["le"] for series in found}
    for bound in BUCKETS:
        groups = groups_of(Objectives(latency_seconds=bound), SERVICES)
        parts = [part for group in groups for alert in group.alerts for part in alert.expr.split('le="')[1:]]
        asked_for = {part.split('"')[0] for part in parts}
        assert asked_for == {str(bound)} <= stored
    assert sum(len(group["rules"]) for group in loaded) == sum(len(group.alerts) for group in GROUPS)
