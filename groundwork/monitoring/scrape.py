"""What Prometheus measures, and how it finds it: by the names of the stack's network, on an engine as on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ..workload import Workload
from .probes import BLACKBOX, BLACKBOX_PORT, Probe

MOST_SERIES = 20_000
"""Of one replica. Whoever makes a label of what users send is no longer measured, and takes nobody else's memory."""
LOOKED_UP_SECONDS = 10
"""How long a new replica may be there before it is known."""


def replicas_name(workload: Workload, *, namespace: str = "") -> str:
    """The name that leads to every replica by itself. On a cluster, what takes turns has a name for one of them too,
    and what runs on each node is in another `namespace`, that of the machines; on an engine there is none."""
    if namespace and workload.per_machine:
        return f"{workload.name}.{namespace}"
    return f"{workload.name}-replicas" if namespace and workload.strategy == "surge" else workload.name


def scrape_configs(
    itself: str,
    port: int,
    scraped: Sequence[Workload],
    probes: Sequence[Probe],
    *,
    namespace: str = "",
    machine: str = "",
) -> list[dict[str, Any]]:
    """One job for each workload, with its name, and one for each kind of probe. `itself` is Prometheus, at `port`.

    Every series says on which `machine` it was measured, where there are some: containers of two may have the same
    address. Prometheus itself would say so only to others, if it were an external label."""
    jobs: list[dict[str, Any]] = [
        {"job_name": itself, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]},
        *(scrape_config(workload, namespace=namespace) for workload in scraped),
        *(probe_config(job, [probe for probe in probes if probe.job == job]) for job in jobs_of(probes)),
    ]
    if machine:
        for job in jobs:
            where = {"target_label": "machine", "replacement": machine}
            job["relabel_configs"] = [*job.get("relabel_configs", ()), where]
    return jobs


def jobs_of(probes: Sequence[Probe]) -> list[str]:
    return list(dict.fromkeys(probe.job for probe in probes))


def scrape_config(workload: Workload, *, namespace: str = "") -> dict[str, Any]:
    """Its name leads to all replicas that there are, those of a release on its way in or out as well."""
    assert workload.metrics
    where = {"names": [replicas_name(workload, namespace=namespace)], "type": "A", "port": workload.metrics.port}
    path = urlsplit(workload.metrics.path)
    return {
        "job_name": workload.name,
        "metrics_path": path.path,
        **({"params": parse_qs(path.query)} if path.query else {}),
        "dns_sd_configs": [{**where, "refresh_interval": f"{LOOKED_UP_SECONDS}s"}],
        "sample_limit": MOST_SERIES,
    }


def probe_config(job: str, probes: Sequence[Probe]) -> dict[str, Any]:
    """Prometheus asks the exporter, which asks the target; what comes back is the target's."""
    return {
        "job_name": job,
        "metrics_path": "/probe",
        "static_configs": [{"targets": [probe.url], "labels": {"workload": probe.workload}} for probe in probes],
        "relabel_configs": [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"target_label": "__param_module", "replacement": job},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": f"{BLACKBOX}:{BLACKBOX_PORT}"},
        ],
    }
