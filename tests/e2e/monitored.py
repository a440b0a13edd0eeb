"""A stack with its monitoring on a real engine, and how it is used."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import httpx

from ops.on_docker import beside
from tests.e2e.conftest import free_port
from tests.e2e.real_stack import RealStack

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
