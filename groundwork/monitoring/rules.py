"""All alerts of a stack, in the groups in which Prometheus evaluates them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .alerts import Alert, Group, Severity
from .backup_rules import backup_alerts
from .host_rules import host_alerts
from .log_rules import log_alerts
from .machine_rules import machine_alerts
from .objectives import Objectives
from .self_rules import exporter_alerts, self_alerts
from .system_rules import app_alerts, budget_alerts, entry_alerts, process_alerts, serving_alerts


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What Prometheus scrapes, by job. An alert about a metric that nobody has would never fire."""

    serving: tuple[str, ...]
    """Workloads of the system that are scraped themselves: the gateway, apps, RabbitMQ."""
    watching: tuple[str, ...]
    """Exporters, and the parts of monitoring itself."""
    services: tuple[Alert, ...] = ()
    """What the catalog's entries say."""
    entry: bool = True
    """The blackbox exporter asks the system's address, as the job `entry`."""
    hosts: bool = False
    """There is a node exporter, as the job `node-exporter`."""
    limits_mib: Mapping[str, int] = field(default_factory=dict)
    """Of what is scraped itself: the memory that one replica may take, by job."""
    logs_day_bytes: float = 0
    """What Loki takes a day, where there are a shipper and Loki."""
    backups: tuple[str, ...] = ()
    """Services whose backups tell when they last succeeded."""
    machines: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The machines that each job is on, where there are some."""
    silences: Mapping[str, Severity] = field(default_factory=dict)
    """How bad it is to hear nothing of a machine, by name; of the one that listens nobody could tell."""


def alert_groups(objectives: Objectives, watched: Watched) -> tuple[Group, ...]:
    """The budgets, which look days back, are evaluated once a minute."""
    return (
        Group(name="budget", alerts=budget_alerts(objectives), interval="1m"),
        Group(name="system", alerts=(*app_alerts(objectives), *serving_alerts(watched.serving, watched.machines))),
        Group(name="processes", alerts=process_alerts(watched.limits_mib)),
        Group(name="entry", alerts=entry_alerts(several=bool(watched.silences)) if watched.entry else ()),
        *_by_service(watched.services),
        Group(name="host", alerts=host_alerts(objectives) if watched.hosts else ()),
        Group(name="logs", alerts=log_alerts(watched.logs_day_bytes) if watched.logs_day_bytes else ()),
        Group(name="backups", alerts=backup_alerts(watched.backups, objectives)),
        Group(name="machines", alerts=machine_alerts(watched.silences)),
        Group(name="monitoring", alerts=(*self_alerts(), *exporter_alerts(watched.watching, watched.machines))),
    )


def _by_service(alerts: Sequence[Alert]) -> Iterator[Group]:
    for service in dict.fromkeys(alert.service for alert in alerts):
        yield Group(name=f"service-{service}", alerts=tuple(alert for alert in alerts if alert.service == service))
