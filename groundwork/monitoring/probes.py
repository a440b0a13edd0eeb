"""What is asked from outside of each process, as its users would: by blackbox exporter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..settings import Entry
from ..workload import FILES, HttpGet, Workload, server_of

Job = Literal["entry", "certificate", "ready"]
ENTRY: Job = "entry"
CERTIFICATE: Job = "certificate"
READY: Job = "ready"
BLACKBOX, BLACKBOX_PORT = "blackbox", 9115
TRUSTED = f"{FILES}/trusted.pem"


@dataclass(frozen=True, kw_only=True)
class Probe:
    """`job` names the module that asks `url`; `used` is the workload asked, as in `uses`."""

    job: Job
    url: str
    used: str

    @property
    def workload(self) -> str:
        return server_of(self.used)


def probes_of(workloads: Sequence[Workload]) -> Iterator[Probe]:
    """The gateway's health as users reach it, its certificate, and the readiness of every app that has a port."""
    for workload in workloads:
        readiness = workload.probes.readiness if workload.probes else None
        if workload.role == "gateway":
            yield from gateway_probes(workload)
        elif workload.role == "app" and workload.port and isinstance(readiness, HttpGet):
            url = f"http://{workload.name}:{readiness.port}{readiness.path}"
            yield Probe(job=READY, url=url, used=workload.used_at(readiness.port))


def gateway_probes(gateway: Workload) -> Iterator[Probe]:
    """By https where it speaks that."""
    https = gateway.side_ports.get("https")
    port = https or gateway.port
    assert port
    url = f"{'https' if https else 'http'}://{gateway.name}:{port}/health"
    for job in (ENTRY, CERTIFICATE) if https else (ENTRY,):
        yield Probe(job=job, url=url, used=gateway.used_at(port))


def modules(entry: Entry) -> Mapping[str, Any]:
    """The configuration of blackbox exporter: how each kind of probe asks.

    A certificate is looked at without being believed: one that is over must still say since when.
    """
    named = {"server_name": entry.server_names[0]} if entry.server_names else {}
    host = {"headers": {"Host": entry.server_names[0]}} if entry.server_names else {}
    trusted = {"ca_file": TRUSTED} if entry.trusted_root else {}
    tls: Mapping[Job, Mapping[str, Any]] = {
        ENTRY: {**named, **trusted},
        CERTIFICATE: {**named, "insecure_skip_verify": True},
        READY: {},
    }
    return {"modules": {job: module(tls[job], host if job != READY else {}) for job in (ENTRY, CERTIFICATE, READY)}}


def module(tls: Mapping[str, Any], host: Mapping[str, Any]) -> dict[str, Any]:
    http = {"preferred_ip_protocol": "ip4", "follow_redirects": False, **host}
    return {"prober": "http", "timeout": "5s", "http": http | ({"tls_config": dict(tls)} if tls else {})}
