"""The programs of monitoring that every system has: Prometheus, Alertmanager and the probes of blackbox exporter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..settings import Entry
from ..workload import FILES, File, HttpGet, Image, Metrics, Probes, Resources, SecretRef, Template, Volume, Workload
from ..yaml_text import as_yaml
from .probes import BLACKBOX, BLACKBOX_PORT, Probe, modules
from .receivers import secret_names
from .routing import alertmanager_config
from .scrape import scrape_configs
from .settings import Monitoring

PROMETHEUS, ALERTMANAGER, NODE_EXPORTER = "prometheus", "alertmanager", "node-exporter"
AGENT, GRAFANA, LOKI = "prometheus-agent", "grafana", "loki"
AT_HOME = (PROMETHEUS, ALERTMANAGER, LOKI, GRAFANA)
"""Programs that a stack has once, on one of its machines; what runs on others finds them by `Placement.found`."""
IMAGES: Mapping[str, str] = {
    # The long-term release; supported until July 2027.
    PROMETHEUS: "prom/prometheus:v3.13.5",
    ALERTMANAGER: "prom/alertmanager:v0.33.1",
    BLACKBOX: "prom/blackbox-exporter:v0.28.0",
    NODE_EXPORTER: "prom/node-exporter:v1.11.1",
}
USUAL: Mapping[str, Resources] = {
    PROMETHEUS: Resources(memory_mib=256, cpus=1),
    ALERTMANAGER: Resources(memory_mib=64, cpus=0.25),
    BLACKBOX: Resources(memory_mib=48, cpus=0.25),
    NODE_EXPORTER: Resources(memory_mib=48, cpus=0.25),
}
COLLECTORS = (
    "cpu", "diskstats", "filefd", "filesystem", "loadavg", "meminfo", "pressure", "stat", "time", "timex", "uname",
    "vmstat",
)  # fmt: skip
"""Of node exporter: what alerts and dashboards ask for, and none that needs a right or the machine's own network."""
NOBODY = "65534:65534"
"""Whom these images give their directories to."""
PROMETHEUS_PORT, ALERTMANAGER_PORT, NODE_EXPORTER_PORT = 9090, 9093, 9100
DATA, STATE = "/prometheus", "/alertmanager"
"""Where these images have their volumes, open to their own user."""
LATE_HOURS = 6
"""So old may be what an agent passes on (`agents.KEPT_HOURS`), and the log that it cuts off every two hours."""
ROOM = 1.25
"""Of a volume, beside what is kept: the log of what was measured last, and blocks while they are made into one."""


def resources_of(monitoring: Monitoring, name: str, usual: Resources) -> Resources:
    """Limits of one program: what the stack file says, else the usual ones."""
    chosen = monitoring.chosen(name)
    return Resources(memory_mib=chosen.memory_mib or usual.memory_mib, cpus=chosen.cpus or usual.cpus)


def every(monitoring: Monitoring) -> dict[str, str]:
    """How often everything is measured, and how long that may take."""
    seconds = monitoring.scrape_seconds
    return {"scrape_interval": f"{seconds}s", "scrape_timeout": f"{min(10, seconds)}s"}


def prometheus(
    monitoring: Monitoring,
    image: Image,
    scraped: Sequence[Workload],
    probes: Sequence[Probe],
    rules: Mapping[str, str],
    labels: Mapping[str, str],
    *,
    namespace: str = "",
    machine: str = "",
    agents: bool = False,
) -> Workload:
    """Measures `scraped` and what the `probes` say, and judges by `rules` (YAML by file name). Alerts have `labels`.

    On a `machine` series say which, as those do that `agents` of other machines pass on; so `labels` say none, and an
    alert about all machines is about none."""
    interval = f"{monitoring.scrape_seconds}s"
    configuration = {
        "global": {**every(monitoring), "evaluation_interval": interval, "external_labels": dict(labels)},
        **({"storage": {"tsdb": {"out_of_order_time_window": f"{LATE_HOURS}h"}}} if agents else {}),
        "rule_files": [f"{FILES}/rules/*.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"{ALERTMANAGER}:{ALERTMANAGER_PORT}"]}]}]},
        "scrape_configs": scrape_configs(
            PROMETHEUS, PROMETHEUS_PORT, scraped, probes, namespace=namespace, machine=machine
        ),
    }
    return Workload(
        name=PROMETHEUS,
        role="monitoring",
        image=image,
        command=(
            "/bin/prometheus",
            f"--config.file={FILES}/prometheus.yml",
            f"--storage.tsdb.path={DATA}",
            f"--storage.tsdb.retention.time={monitoring.retention_days}d",
            f"--storage.tsdb.retention.size={monitoring.retention_gib}GB",
            *(("--web.enable-remote-write-receiver",) if agents else ()),
            f"--web.listen-address=0.0.0.0:{PROMETHEUS_PORT}",
        ),
        user=NOBODY,
        files=(
            File(name="prometheus.yml", content=as_yaml(configuration)),
            *(File(name=f"rules/{name}", content=text) for name, text in sorted(rules.items())),
        ),
        volumes=(Volume(name="prometheus-data", path=DATA, size_gib=round(monitoring.retention_gib * ROOM + 0.5)),),
        port=PROMETHEUS_PORT,
        uses=tuple(workload.used_at(workload.metrics.port) for workload in scraped if workload.metrics),
        metrics=Metrics(port=PROMETHEUS_PORT),
        resources=resources_of(monitoring, PROMETHEUS, USUAL[PROMETHEUS]),
        probes=Probes(
            liveness=HttpGet(port=PROMETHEUS_PORT, path="/-/healthy"),
            readiness=HttpGet(port=PROMETHEUS_PORT, path="/-/ready"),
            # Reads the log of the last two hours again.
            startup_seconds=300,
        ),
        timeout_seconds=300,
        after=(ALERTMANAGER, *((BLACKBOX,) if probes else ())),
    )


def alertmanager(monitoring: Monitoring, image: Image, time_zone: str, secrets: Mapping[str, SecretRef]) -> Workload:
    """Tells people; `secrets` are the system's by name, and each that a receiver needs is a file."""
    receivers = monitoring.receivers
    configuration = alertmanager_config(receivers, monitoring.routing, time_zone)
    credentials = tuple(
        File(name=f"secrets/{name}", content=Template((secrets[name],))) for name in secret_names(receivers)
    )
    return Workload(
        name=ALERTMANAGER,
        role="monitoring",
        image=image,
        command=(
            "/bin/alertmanager",
            f"--config.file={FILES}/alertmanager.yml",
            f"--storage.path={STATE}",
            f"--web.listen-address=0.0.0.0:{ALERTMANAGER_PORT}",
            # It is alone, and listens for no other one.
            "--cluster.listen-address=",
        ),
        user=NOBODY,
        files=(File(name="alertmanager.yml", content=configuration), *credentials),
        egress=tuple(dict.fromkeys(receiver.way_out for receiver in receivers.values())),
        # What was told and what is silenced.
        volumes=(Volume(name="alertmanager-data", path=STATE),),
        port=ALERTMANAGER_PORT,
        metrics=Metrics(port=ALERTMANAGER_PORT),
        resources=resources_of(monitoring, ALERTMANAGER, USUAL[ALERTMANAGER]),
        probes=Probes(
            liveness=HttpGet(port=ALERTMANAGER_PORT, path="/-/healthy"),
            readiness=HttpGet(port=ALERTMANAGER_PORT, path="/-/ready"),
        ),
    )


def blackbox(monitoring: Monitoring, image: Image, probes: Sequence[Probe], entry: Entry) -> Workload:
    """Asks what users would ask."""
    healthy = HttpGet(port=BLACKBOX_PORT, path="/-/healthy")
    root = entry.trusted_root
    return Workload(
        name=BLACKBOX,
        role="monitoring",
        image=image,
        command=(
            "/bin/blackbox_exporter",
            f"--config.file={FILES}/blackbox.yml",
            f"--web.listen-address=0.0.0.0:{BLACKBOX_PORT}",
        ),
        user=NOBODY,
        files=(
            File(name="blackbox.yml", content=as_yaml(modules(entry))),
            *([File(name="trusted.pem", content=root)] if root else []),
        ),
        port=BLACKBOX_PORT,
        uses=tuple(dict.fromkeys(probe.used for probe in probes)),
        metrics=Metrics(port=BLACKBOX_PORT),
        resources=resources_of(monitoring, BLACKBOX, USUAL[BLACKBOX]),
        probes=Probes(liveness=healthy, readiness=healthy),
    )


def node_exporter(monitoring: Monitoring, image: Image) -> Workload:
    """Tells of the machine itself, as nobody and with no rights: what it reads, everybody there may read."""
    machine = "/machine"
    healthy = HttpGet(port=NODE_EXPORTER_PORT, path="/")
    return Workload(
        name=NODE_EXPORTER,
        role="monitoring",
        image=image,
        command=(
            "/bin/node_exporter",
            f"--path.rootfs={machine}",
            f"--path.procfs={machine}/proc",
            f"--path.sysfs={machine}/sys",
            f"--path.udev.data={machine}/run/udev/data",
            "--collector.disable-defaults",
            *(f"--collector.{name}" for name in COLLECTORS),
            f"--web.listen-address=0.0.0.0:{NODE_EXPORTER_PORT}",
        ),
        user=NOBODY,
        per_machine=True,
        machine_paths={"root": machine},
        port=NODE_EXPORTER_PORT,
        metrics=Metrics(port=NODE_EXPORTER_PORT),
        resources=resources_of(monitoring, NODE_EXPORTER, USUAL[NODE_EXPORTER]),
        probes=Probes(liveness=healthy, readiness=healthy),
    )
