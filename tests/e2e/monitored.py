"""A stack with its monitoring on a real engine, and what its programs answer."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import docker
import httpx

from ops.on_docker import beside
from tests.e2e.conftest import free_port
from tests.e2e.real_stack import RealStack

PROMETHEUS, LOKI = "http://127.0.0.1:9090/api/v1", "http://loki:3100/loki/api/v1"
"""As Prometheus' own container finds them: it is connected with everything that it measures."""
SETTLE_SECONDS = 60
HOST = "shop.example.com"


@dataclass(frozen=True)
class Monitored:
    stack: RealStack
    engine: docker.DockerClient

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.stack.settings()['groundwork:entry']['https_port']}"

    def client(self) -> httpx.Client:
        """One that asks for HOST, whoever signed its certificate."""
        return httpx.Client(base_url=self.url, verify=False, headers={"Host": HOST}, timeout=30)

    def container(self, workload: str) -> Any:
        """The one that does the work: beside the gateway lies its switch."""
        found = self.stack.containers(self.engine, workload)
        return next(one for one in found if one.status == "running" and not beside(one))

    def asked(self, what: str, server: str = PROMETHEUS) -> Any:
        """The data of an answer."""
        done = self.container("prometheus").exec_run(["wget", "-q", "-O", "-", f"{server}/{what}"])
        assert done.exit_code == 0, f"{what}: {done.output}"
        return json.loads(done.output)["data"]

    def answer(self, source: str, expr: str) -> list[Any]:
        """Of Prometheus now, or of Loki in the last quarter of an hour."""
        if source == "prometheus":
            found: list[Any] = self.asked(f"query?query={quote(expr)}")["result"]
        else:
            found = self.asked(f"query_range?since=15m&query={quote(expr)}", LOKI)["result"]
        return found

    def settled(self) -> list[Any]:
        """Every target, once each has been measured."""
        until = time.monotonic() + SETTLE_SECONDS
        while True:
            targets: list[Any] = self.asked("targets?state=active")["activeTargets"]
            if all(target["health"] != "unknown" for target in targets) or time.monotonic() > until:
                return targets
            time.sleep(1)


def certificate(folder: Path, days: int) -> tuple[str, str]:
    """Certificate and key for HOST."""
    key, chain = folder / "tls.key", folder / "tls.crt"
    subject = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *subject]
    subprocess.run([*command, "-days", str(days), "-keyout", key, "-out", chain], check=True, capture_output=True)
    return chain.read_text(), key.read_text()


def lasting(stack: RealStack, folder: Path, days: int) -> None:
    """The entry's certificate ends in so many days."""
    chain, key = certificate(folder, days)
    given = stack.settings()["groundwork:entry"]
    port = given.get("https_port") or free_port()
    entry = given | {"https_port": port, "server_names": [HOST], "certificate": chain}
    stack.change(entry=entry, secret_tls_key=key)
