"""One stack that has every alert there is: what the cases are written for."""

from __future__ import annotations

from groundwork.catalog.backing_service import BackingService, Sizing
from groundwork.catalog.mysql import Mysql
from groundwork.catalog.postgres import Postgres
from groundwork.catalog.rabbitmq import RabbitMq
from groundwork.catalog.redis import Redis
from groundwork.monitoring.alerts import Alert, Group
from groundwork.monitoring.dashboards.panels import Dashboard
from groundwork.monitoring.dashboards.stack import Shown, dashboards_of
from groundwork.monitoring.log_rules import content_alerts
from groundwork.monitoring.loki import day_bytes
from groundwork.monitoring.objectives import Objectives
from groundwork.monitoring.rules import Watched, alert_groups
from groundwork.system import System
from groundwork.workload import Image

SERVICES = (
    Postgres(database="shop"),
    Mysql(database="shop"),
    Redis(name="cache", eviction="allkeys-lru", durable=False),
    Redis(name="results"),
    RabbitMq(vhost="shop"),
)


def service_alerts(service: BackingService, objectives: Objectives) -> tuple[Alert, ...]:
    sizing = Sizing(
        image=Image(reference="example/service:1", digest="sha256:" + "0" * 64, origin="simulated"),
        version=service.default_version,
        resources=service.default_resources,
        generation=1,
    )
    return service.alerts(sizing, objectives)


def watched_of(objectives: Objectives, services: tuple[BackingService, ...]) -> Watched:
    return Watched(
        serving=("api", "gateway"),
        watching=("node-exporter", "prometheus"),
        services=tuple(alert for service in services for alert in service_alerts(service, objectives)),
        hosts=True,
        logs_day_bytes=day_bytes(30, 10 * 1024**3),
        limits_mib={"api": 100, "prometheus": 100, "postgres-exporter": 50},
        backups=("postgres",),
        # Of the others it is not known, as on one engine.
        machines={
            "gateway": ("app-1", "app-2"),
            "node-exporter": ("app-1", "app-2"),
        },
        silences={"data-1": "P0", "cache-1": "P0", "app-2": "P1", "monitoring-2": "P2"},
    )


def groups_of(objectives: Objectives, services: tuple[BackingService, ...]) -> tuple[Group, ...]:
    return alert_groups(objectives, watched_of(objectives, services))


GROUPS = groups_of(Objectives(), SERVICES)
ALERTS = {alert.key: alert for group in GROUPS for alert in group.alerts}
CONTENTS = {alert.key: alert for alert in content_alerts()}
"""Those that Loki judges."""


def shown(objectives: Objectives = Objectives(), services: tuple[BackingService, ...] = SERVICES) -> Shown:  # noqa: B008
    """Everything that can be shown of them."""
    found = [service.dashboard(objectives) for service in services]
    return Shown(
        title="shop test",
        objectives=objectives,
        watched=watched_of(objectives, services),
        services=[dashboard for dashboard in found if dashboard],
        retention_days=30,
        certificate=True,
        logs=True,
    )


DASHBOARDS: dict[str, Dashboard] = {one.uid: one for one in dashboards_of(shown())}


def groups_of_system(system: System) -> tuple[Group, ...]:
    return groups_of(system.objectives, system.services)


OTHER = {
    "availability_percent": 99.5,
    "latency_seconds": 0.2,
    "p95_seconds": 2.0,
    "error_percent": 7.0,
    "minimum_requests_per_second": 1.0,
    "cpu_percent": 70.0,
    "memory_percent": 70.0,
    "disk_percent": 70.0,
    "connections_percent": 70.0,
    "slow_queries_per_minute": 20.0,
    "transaction_seconds": 60,
    "cache_hit_percent": 70.0,
    "queue_messages": 5000,
    "archive_minutes": 10,
    "backup_hours": 50,
    "restore_test_days": 15,
}
"""Each objective with another value than it usually has."""
