"""Grafana: shows what Prometheus and Loki know, by dashboards that come as files. It judges nothing."""

from __future__ import annotations

from collections.abc import Mapping

from ..workload import (
    FILES,
    File,
    HttpGet,
    Image,
    Metrics,
    Probes,
    Resources,
    SecretRef,
    Template,
    Value,
    Volume,
    Workload,
)
from ..yaml_text import as_yaml
from .loki import LOKI_PORT
from .programs import GRAFANA, LOKI, PROMETHEUS, PROMETHEUS_PORT, resources_of
from .settings import Monitoring

GRAFANA_PORT = 3000
# The newest of npm's packages that Grafana publishes with each release (@grafana/schema), to whose types the dashboards
# are held. The image itself could not be looked up where this was written: `make lock` says whether it is there.
GRAFANA_IMAGE = "grafana/grafana:13.2.3"
USUAL = Resources(memory_mib=512, cpus=1)
"""The least that its documentation of versions 10 and 11 recommends (Install Grafana, hardware). Not measured here."""
USER = "472:0"
"""Whom the image gives its directories to."""
STATE = "/var/lib/grafana"
"""Where the image has its volume: users, stars, and dashboards of their own."""
PROVISIONING, DASHBOARDS = "provisioning", "dashboards"
FOLDER = "Groundwork"
LOOKED_UP_SECONDS = 60
"""How often the files are read again. They never change under a running container."""


def grafana(
    monitoring: Monitoring, image: Image, dashboards: Mapping[str, str], time_zone: str, *, logs: bool
) -> Workload:
    """Shows `dashboards` (JSON by uid, the first one at the start). `logs`: there is Loki."""
    home, *_ = dashboards
    sources = data_sources(monitoring, logs=logs)
    healthy = HttpGet(port=GRAFANA_PORT, path="/api/health")
    resources = resources_of(monitoring, GRAFANA, USUAL)
    return Workload(
        name=GRAFANA,
        role="monitoring",
        image=image,
        # It puts what `__FILE` names into the environment, and starts Grafana.
        command=("/run.sh",),
        user=USER,
        env=environment(home, time_zone, resources.memory_mib),
        files=(
            File(name=f"{PROVISIONING}/datasources/groundwork.yml", content=as_yaml(sources)),
            File(name=f"{PROVISIONING}/dashboards/groundwork.yml", content=as_yaml(PROVIDER)),
            *(File(name=f"{DASHBOARDS}/{uid}.json", content=text) for uid, text in dashboards.items()),
            File(name=PASSWORD_FILE, content=Template((PASSWORD,))),
        ),
        volumes=(Volume(name="grafana-data", path=STATE),),
        port=GRAFANA_PORT,
        uses=(PROMETHEUS, *((LOKI,) if logs else ())),
        metrics=Metrics(port=GRAFANA_PORT),
        resources=resources,
        # The first start makes its database, in hundreds of steps.
        probes=Probes(liveness=healthy, readiness=healthy, startup_seconds=180),
        timeout_seconds=180,
        after=(PROMETHEUS, *((LOKI,) if logs else ())),
    )


PASSWORD = SecretRef(owner=GRAFANA, name="admin_password", generation="1")
"""Of the user `admin`. Grafana reads it when it makes its database, and never again."""
PASSWORD_FILE = "secrets/admin_password"


def environment(home: str, time_zone: str, memory_mib: int) -> Mapping[str, Value]:
    """Settings by the names of Grafana's sections and keys. The container's root can't be written, and nothing is asked
    of anybody outside."""
    off = (
        # What would go outside: who uses it, whether there is something newer, faces, news, and plugins.
        "ANALYTICS_REPORTING_ENABLED",
        "ANALYTICS_CHECK_FOR_UPDATES",
        "ANALYTICS_CHECK_FOR_PLUGIN_UPDATES",
        "ANALYTICS_FEEDBACK_LINKS_ENABLED",
        "NEWS_NEWS_FEED_ENABLED",
        "PLUGINS_PLUGIN_ADMIN_ENABLED",
        "SNAPSHOTS_EXTERNAL_ENABLED",
        # Who gets in.
        "AUTH_ANONYMOUS_ENABLED",
        "USERS_ALLOW_SIGN_UP",
        # Prometheus judges and Alertmanager tells. A second set of alerts would be one that nobody tests.
        "UNIFIED_ALERTING_ENABLED",
    )
    on = (
        "SECURITY_DISABLE_GRAVATAR",
        "PLUGINS_PREINSTALL_DISABLED",
        "PLUGINS_PUBLIC_KEY_RETRIEVAL_DISABLED",
    )
    return {
        **{f"GF_{name}": "false" for name in off},
        **{f"GF_{name}": "true" for name in on},
        "GF_PATHS_DATA": STATE,
        "GF_PATHS_LOGS": f"{STATE}/log",
        "GF_PATHS_PLUGINS": f"{STATE}/plugins",
        "GF_PATHS_PROVISIONING": f"{FILES}/{PROVISIONING}",
        "GF_LOG_MODE": "console",
        "GF_SECURITY_ADMIN_PASSWORD__FILE": f"{FILES}/{PASSWORD_FILE}",
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": f"{FILES}/{DASHBOARDS}/{home}.json",
        "GF_DATE_FORMATS_DEFAULT_TIMEZONE": time_zone,
        # Go gives memory back before it meets the limit.
        "GOMEMLIMIT": f"{memory_mib * 3 // 4}MiB",
        "TZ": time_zone,
    }


def data_sources(monitoring: Monitoring, *, logs: bool) -> Mapping[str, object]:
    """With the uids that dashboards name, and closed to changes by hand."""
    prometheus = _source("Prometheus", "prometheus", f"http://{PROMETHEUS}:{PROMETHEUS_PORT}") | {
        "isDefault": True,
        # Windows of queries are chosen by it; POST carries long ones.
        "jsonData": {"timeInterval": f"{monitoring.scrape_seconds}s", "httpMethod": "POST"},
    }
    loki = _source("Loki", "loki", f"http://{LOKI}:{LOKI_PORT}") | {"jsonData": {"maxLines": 1000}}
    return {"apiVersion": 1, "prune": True, "datasources": [prometheus, *([loki] if logs else [])]}


def _source(name: str, kind: str, url: str) -> dict[str, object]:
    return {"name": name, "uid": kind, "type": kind, "access": "proxy", "url": url, "editable": False}


PROVIDER: Mapping[str, object] = {
    "apiVersion": 1,
    "providers": [
        {
            "name": "groundwork",
            "folder": FOLDER,
            "type": "file",
            "disableDeletion": True,
            "allowUiUpdates": False,
            "updateIntervalSeconds": LOOKED_UP_SECONDS,
            "options": {"path": f"{FILES}/{DASHBOARDS}"},
        }
    ],
}
