"""A real Prometheus that scrapes what a test gives it, once a second, on loopback."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import yaml

from .conftest import free_port

Result = list[dict[str, Any]]
"""Series of an answer, with their labels and newest value."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """Its address."""

    url: str

    def asked(self, path: str, seconds: float = 30) -> Any:
        """What its API says as soon as that is something, within so many seconds."""
        end = time.monotonic() + seconds
        while True:
            try:
                data = httpx.get(f"{self.url}/api/v1/{path}", timeout=5).json().get("data")
            except (httpx.TransportError, ValueError):
                data = None
            if data and (data.get("result") or data.get("groups")):
                return data
            assert time.monotonic() < end, path
            time.sleep(0.3)

    def answer(self, expr: str) -> Result:
        """Of a query, now; AssertionError where Prometheus refuses it."""
        said = httpx.get(f"{self.url}/api/v1/query?query={quote(expr)}", timeout=10).json()
        assert said["status"] == "success", f"{expr}: {said}"
        found = said["data"]["result"]
        return list(found) if said["data"]["resultType"] == "vector" else [{"metric": {}, "value": found}]

    def unanswered(self, exprs: Iterable[str], seconds: float = 30) -> list[str]:
        """The queries that still find nothing after so many seconds."""
        end, left = time.monotonic() + seconds, list(exprs)
        while left:
            left = [expr for expr in left if not self.answer(expr)]
            if time.monotonic() > end:
                break
            time.sleep(0.5)
        return left


@contextmanager
def prometheus(
    monitoring: Path, folder: Path, targets: Mapping[str, str], rules: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """It knows `targets` (the address of metrics by job), itself as the job `prometheus`, and `rules` by file name."""
    port = free_port()
    every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    known = {**targets, "prometheus": f"http://127.0.0.1:{port}/metrics"}
    for name, text in (rules or {}).items():
        (folder / name).write_text(text)
    jobs = [job(name, url) for name, url in known.items()]
    config = {"global": every, "rule_files": sorted(rules or {}), "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [str(monitoring / "prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], cwd=folder, stdout=log, stderr=log
        )
    server = Server(url=f"http://127.0.0.1:{port}")
    try:
        server.asked("query?query=up")
        yield server
    finally:
        process.terminate()
        process.wait(timeout=20)


def job(name: str, url: str) -> dict[str, Any]:
    address = urlsplit(url)
    return {
        "job_name": name,
        "metrics_path": address.path,
        "params": parse_qs(address.query),
        "static_configs": [{"targets": [address.netloc]}],
    }
