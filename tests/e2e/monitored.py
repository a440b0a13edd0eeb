"""A stack with its monitoring on a real engine, and how it is used."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import httpx

from groundwork.deployment import Deployment
from groundwork.images import ImageLock, read_lock
from groundwork.plan import image_references, plan
from groundwork.stack_file import read_values
from groundwork.system import load_system
from ops.lock import lock_images
from ops.on_docker import beside
from tests.e2e.conftest import free_port
from tests.e2e.real_stack import RealStack
from tests.engine.stack import ROOT

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


def brought_up(stack: RealStack) -> None:
    """With the images of everything that its settings ask for."""
    system, settings = load_system(ROOT, stack.project_name), read_values(stack.settings(), stack.name).settings
    lock_images(ROOT, image_references(system, settings).values())
    first = stack.up()
    assert first.code == 0, first.output


def planned(stack: RealStack, lock: ImageLock | None = None, **monitoring: Any) -> Deployment:
    """The stack as it is, with these keys of `groundwork:monitoring` besides."""
    values = stack.settings()
    values["groundwork:monitoring"] = values["groundwork:monitoring"] | monitoring
    values["groundwork:target"] = values["groundwork:target"] | {"memory_mib": 65_536}
    system, configuration = load_system(ROOT, stack.project_name), read_values(values, stack.name)
    known = lock or read_lock(ROOT, missing="refuse")
    return plan(system, configuration, known, project=stack.project_name, stack=stack.name)


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
