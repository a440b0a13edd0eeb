"""Logs of a stack: a shipper on each machine reads what containers write there, and Loki keeps it."""

from __future__ import annotations

from collections.abc import Mapping

from ..targets import DockerTarget, KubernetesTarget, Target
from ..workload import FILES, File, HttpGet, Image, Metrics, Probes, Resources, Volume, Workload
from . import shipper as shipping
from .loki import DATA, LOKI_PORT, RULES, TENANT, loki_config
from .programs import LOKI
from .settings import Logs

SHIPPER = "shipper"
IMAGES: Mapping[str, str] = {
    # Neither has a shell.
    LOKI: "grafana/loki:3.7.8",
    SHIPPER: "otel/opentelemetry-collector-contrib:0.160.0",
}
USUAL: Mapping[str, Resources] = {
    LOKI: Resources(memory_mib=320, cpus=0.5),
    SHIPPER: Resources(memory_mib=128, cpus=0.5),
}
"""Usually 79 and 27 MiB (docker stats, housing). While 200,000 lines came in half a minute, with Loki killed and back,
their processes had 238 to 298 and 74 resident, of which the program itself is a good part; 21,000 lines
take the shipper a second of one processor."""
NOT_CARRIED = (LOKI, SHIPPER)
"""What they write themselves is in no log but the engine's: a store that complains of its being full, or a shipper of
what it can't send, would be heard by nothing but themselves, for ever."""
USER = "10001:10001"
"""Whom Loki's image gives its directory to."""
ROOT = "0:0"
"""Log files are root's. The shipper has no capability beside, and sees no more than their folder, read-only."""
GIB = 1024**3


def loki(
    logs: Logs, image: Image, resources: Resources, labels: Mapping[str, str], alertmanager: Workload, rules: str
) -> Workload:
    """Alerts of its `rules` have `labels`, and go to `alertmanager` as Prometheus' do."""
    config = loki_config(
        logs.retention_days,
        logs.retention_gib * GIB,
        alertmanager=f"{alertmanager.name}:{alertmanager.port}",
        labels=labels,
        memory_mib=resources.memory_mib,
    )
    return Workload(
        name=LOKI,
        role="monitoring",
        image=image,
        command=("/usr/bin/loki", f"-config.file={FILES}/loki.yml"),
        user=USER,
        env={"GOMEMLIMIT": go_memory(resources)},
        files=(
            File(name="loki.yml", content=config),
            File(name=f"{RULES.removeprefix(FILES + '/')}/{TENANT}/logs.yml", content=rules),
        ),
        volumes=(Volume(name="loki-data", path=DATA, size_gib=logs.retention_gib),),
        port=LOKI_PORT,
        uses=(alertmanager.name,),
        metrics=Metrics(port=LOKI_PORT),
        resources=resources,
        probes=Probes(
            liveness=HttpGet(port=LOKI_PORT, path="/loki/api/v1/status/buildinfo"),
            readiness=HttpGet(port=LOKI_PORT, path="/ready"),
            # Reads again what was in no chunk yet.
            startup_seconds=300,
        ),
        engine_check=("/usr/bin/loki", "-health", f"-health.url=http://127.0.0.1:{LOKI_PORT}/ready"),
        timeout_seconds=300,
        # What is in memory goes to disk.
        grace_seconds=60,
    )


def store_of(target: Target, project: str, stack: str) -> str:
    """Loki's `host:port` on one engine or a cluster, where the shipper is in the namespace of machines."""
    namespace = f".{target.namespace_of(f'{project}-{stack}')}" if isinstance(target, KubernetesTarget) else ""
    return f"{LOKI}{namespace}:{LOKI_PORT}"


def shipper(
    image: Image, resources: Resources, target: Target, project: str, stack: str, store: str
) -> Workload:
    """Reads the logs of this stack's containers on its machine, and of nobody else's; sends them to `store`, Loki's
    `host:port`."""
    source, include = [], [f"{shipping.READ}/*/*-json.log*"]
    if isinstance(target, DockerTarget):
        source = shipping.docker_operators(project, stack, NOT_CARRIED)
    if isinstance(target, KubernetesTarget):
        owner = f"{project}-{stack}"
        namespaces = target.namespace_of(owner), target.machines_namespace_of(owner)
        source = shipping.cri_operators(namespaces, NOT_CARRIED)
        include = [f"{shipping.READ}/{namespace}_*/*/*.log*" for namespace in namespaces]
    config = shipping.configuration(
        source, include, stack=stack, loki=store, memory_mib=resources.memory_mib
    )
    healthy = HttpGet(port=shipping.HEALTH_PORT, path="/")
    return Workload(
        name=SHIPPER,
        role="monitoring",
        image=image,
        # What is told apart from its place in the file is sent, or told again, and never lost between the two.
        command=(
            "/otelcol-contrib",
            f"--config={FILES}/shipper.yml",
            "--feature-gates=stanza.synchronousLogEmitter",
        ),
        user=ROOT,
        env={"GOMEMLIMIT": go_memory(resources)},
        per_machine=True,
        machine_paths={"container_logs": shipping.READ},
        files=(File(name="shipper.yml", content=config),),
        volumes=(Volume(name="shipper-data", path=shipping.KEPT),),
        port=shipping.METRICS_PORT,
        uses=(LOKI,),
        metrics=Metrics(port=shipping.METRICS_PORT),
        resources=resources,
        probes=Probes(liveness=healthy, readiness=healthy),
        # Whether one that runs also works is told by its alerts.
        engine_check=(),
        after=(LOKI,),
    )


def go_memory(resources: Resources) -> str:
    """Go gives memory back before it meets the limit."""
    return f"{resources.memory_mib * 4 // 5}MiB"
