"""Prometheus as an agent: on each machine but the one where everything is gathered, it measures what runs beside it and
passes that on."""

from __future__ import annotations

from ..workload import FILES, File, HttpGet, Image, Metrics, Probes, Resources, Volume, Workload
from ..yaml_text import as_yaml
from .on_machines import View
from .programs import AGENT, DATA, NOBODY, PROMETHEUS, PROMETHEUS_PORT, every, resources_of
from .scrape import scrape_configs
from .settings import Monitoring

USUAL = Resources(memory_mib=128, cpus=0.5)
KEPT_HOURS = 4
"""What could not be passed on by then is given up: Prometheus' own choice. A volume of 1 GiB holds it many times."""
FLUSH_SECONDS = 20
"""How long it goes on trying when it is to end; then its grace is over. What it has not passed on by then is lost: when
it starts again it begins with the present."""
QUEUE = {
    # Of what is read from its disk no more than 4 x (4,000 + 2,000) measurements are in memory; the usual 50 shards of
    # 10,000 would be filled all at once when the other side is there again.
    "max_shards": 4,
    "capacity": 4000,
    "max_samples_per_send": 2000,
}


def agent(monitoring: Monitoring, image: Image, view: View, home: str) -> Workload:
    """Measures what is in `view`; `home` is Prometheus' `host:port` as it is found there.

    It never judges: rules are where everything is known."""
    configuration = {
        "global": every(monitoring),
        "scrape_configs": scrape_configs(AGENT, PROMETHEUS_PORT, view.scraped, view.probes, machine=view.name),
        "remote_write": [{"name": PROMETHEUS, "url": f"http://{home}/api/v1/write", "queue_config": dict(QUEUE)}],
    }
    return Workload(
        name=AGENT,
        role="monitoring",
        image=image,
        command=(
            "/bin/prometheus",
            "--agent",
            f"--config.file={FILES}/prometheus.yml",
            f"--storage.agent.path={DATA}",
            f"--storage.agent.retention.max-time={KEPT_HOURS}h",
            f"--storage.remote.flush-deadline={FLUSH_SECONDS}s",
            f"--web.listen-address=0.0.0.0:{PROMETHEUS_PORT}",
        ),
        user=NOBODY,
        files=(File(name="prometheus.yml", content=as_yaml(configuration)),),
        # What was not passed on yet.
        volumes=(Volume(name=f"{AGENT}-data", path=DATA),),
        port=PROMETHEUS_PORT,
        uses=(*(one.used_at(one.metrics.port) for one in view.scraped if one.metrics), PROMETHEUS),
        metrics=Metrics(port=PROMETHEUS_PORT),
        resources=resources_of(monitoring, AGENT, USUAL),
        probes=Probes(
            liveness=HttpGet(port=PROMETHEUS_PORT, path="/-/healthy"),
            readiness=HttpGet(port=PROMETHEUS_PORT, path="/-/ready"),
            # Reads again what was not passed on yet.
            startup_seconds=300,
        ),
        timeout_seconds=300,
    )
