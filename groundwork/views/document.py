"""A Deployment as plain data: for `python -m ops plan --json`, and for comparing two of them.

Two checkouts are compared by what each one's own code says, so this form is the contract between them.
"""

from __future__ import annotations

from typing import Any

from ..deployment import Deployment, Network, Share
from ..machines import Machine, Opening
from ..workload import Exec, File, HttpGet, Probes, SecretRef, Value, Workload

Data = dict[str, Any]
"""What `json.dumps` takes."""


def document(deployment: Deployment) -> Data:
    """Everything the Deployment says, its secrets as names. The same Deployment gives the same data."""
    return {
        "project": deployment.project,
        "stack": deployment.stack,
        "system": deployment.system,
        "time_zone": deployment.time_zone,
        "keep_data": deployment.keep_data,
        "memory_mib": deployment.memory_mib,
        "urls": dict(deployment.urls),
        "workloads": {workload.name: workload_data(workload) for workload in deployment.workloads},
        "connections": [
            {"client": connection.client, "server": connection.server, "port": connection.port}
            for connection in deployment.connections
        ],
        "networks": {
            f"{share.machine.name}/{network.name}" if share.machine else network.name: network_data(network)
            for share in deployment.shares
            for network in share.networks
        },
        "machines": {
            share.machine.name: machine_data(share, share.machine, deployment.openings[share.machine.name])
            for share in deployment.shares
            if share.machine
        },
        "secrets": {
            secret_name(ref): {"generation": ref.generation, "source": source_of(key)}
            for ref, key in deployment.secrets.items()
        },
    }


def workload_data(workload: Workload) -> Data:
    probes, reload = workload.probes, workload.reload
    return {
        "role": workload.role,
        "image": {
            "reference": workload.image.reference,
            "digest": workload.image.digest,
            "origin": workload.image.origin,
        },
        "release": workload.release,
        "alias": workload.alias,
        "strategy": workload.strategy,
        "replicas": workload.replicas,
        "memory_mib": workload.resources.memory_mib,
        "cpus": workload.resources.cpus,
        "command": list(workload.command),
        "user": workload.user,
        "port": workload.port,
        "published": [f"{port.address}:{port.port} -> {port.target}" for port in workload.published],
        "uses": list(workload.uses),
        "egress": list(workload.egress),
        "env": {name: text_of(value) for name, value in workload.env.items()},
        "files": files_data(workload.files),
        "volumes": {volume.name: volume.path for volume in workload.volumes},
        "tmpfs_mib": dict(workload.tmpfs),
        "shm_mib": workload.shm_mib,
        "probes": probes_data(probes) if probes else None,
        "grace_seconds": workload.grace_seconds,
        "timeout_seconds": workload.timeout_seconds,
        "after": list(workload.after),
        "secrets": sorted(f"{secret_name(ref)}#{ref.generation}" for ref in workload.secrets),
        "reload": None
        if reload is None
        else {"version": reload.version, "check": reload.check, "files": files_data(reload.files)},
    }


def files_data(files: tuple[File, ...]) -> Data:
    return {file.name: {"mode": file.mode, "text": text_of(file.content)} for file in files}


def probes_data(probes: Probes) -> Data:
    said = {"liveness": check_text(probes.liveness), "readiness": check_text(probes.readiness)}
    seconds = {"period_seconds": probes.period_seconds, "timeout_seconds": probes.timeout_seconds}
    return {**said, **seconds, "failures": probes.failures, "startup_seconds": probes.startup_seconds}


def check_text(check: HttpGet | Exec) -> str:
    return f"GET :{check.port}{check.path}" if isinstance(check, HttpGet) else check.command


def network_data(network: Network) -> Data:
    return {"subnet": str(network.subnet), "internal": network.internal, "members": sorted(network.members)}


def machine_data(share: Share, machine: Machine, openings: tuple[Opening, ...]) -> Data:
    """A machine, what it has and needs, and what runs there how many times."""
    return {
        "role": machine.role,
        "address": str(machine.address),
        "zone": machine.zone,
        "memory_mib": machine.memory_mib,
        "needed_mib": share.memory_mib,
        "openings": [opening_text(opening) for opening in openings],
        "workloads": {workload.name: workload.replicas for workload in share.workloads},
    }


def opening_text(opening: Opening) -> str:
    return f"{opening.port} to {', '.join(opening.sources)}"


def text_of(value: Value) -> str:
    """The text with `{owner.name}` wherever a secret stands."""
    if isinstance(value, str):
        return value
    return "".join(f"{{{secret_name(part)}}}" if isinstance(part, SecretRef) else part for part in value.parts)


def secret_name(ref: SecretRef) -> str:
    return f"{ref.owner}.{ref.name}"


def source_of(key: str | None) -> str:
    """Where a secret's value comes from, for people."""
    return "generated, kept in the state" if key is None else f"groundwork:{key}"


def copies_of(workload: Workload) -> str:
    """`2 × ` or `2–10 × ` in front of what one replica has; nothing where there is one."""
    if workload.autoscale:
        return f"{workload.autoscale.least}–{workload.autoscale.most} × "
    return f"{workload.replicas} × " if workload.replicas > 1 else ""


def short(digest: str) -> str:
    """Twelve digits of a digest, as Docker shows them."""
    return digest.removeprefix("sha256:")[:12]
