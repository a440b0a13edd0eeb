"""Edges of the alerts about monitoring itself."""

from __future__ import annotations

from tests.monitoring.promtool import Case, Fires, Series
from tests.monitoring.series import counted, level

OWN = 'job="prometheus",instance="p"'
OWN_LABELS = {"job": "prometheus", "instance": "p"}


def reloads(prometheus: str, alertmanager: str) -> Series:
    return {
        f"prometheus_config_last_reload_successful{{{OWN}}}": prometheus,
        'alertmanager_config_last_reload_successful{job="alertmanager",instance="a"}': alertmanager,
    }


def sent(errors: str, known: str) -> Series:
    return {
        f'prometheus_notifications_errors_total{{{OWN},alertmanager="a"}}': errors,
        f"prometheus_notifications_alertmanagers_discovered{{{OWN}}}": known,
    }


def stored(used: str, bound: str) -> Series:
    return {
        f"prometheus_tsdb_storage_blocks_bytes{{{OWN}}}": used,
        f"prometheus_tsdb_retention_limit_bytes{{{OWN}}}": bound,
    }


OWN_UP = f"up{{{OWN}}}"


def exporters(*values: str) -> Series:
    """Of two machines; without a value it is not there."""
    names = (f'up{{job="node-exporter",instance="n",machine="app-{number}"}}' for number in (1, 2))
    return {name: value for name, value in zip(names, values, strict=True) if value}


FAILED = 'alertmanager_notifications_failed_total{job="alertmanager",instance="a",integration="email",reason="other"}'
MONITORING = (
    Case(
        alert="Watchdog.monitoring",
        fires=(Fires(series={"up": "1"}, first="0m"),),
        # Nothing silences it; its test is that it is there.
        quiet=(),
        summary="Alerts work",
        description="It always fires. A receiver outside raises the alarm when it no longer comes.",
    ),
    Case(
        alert="RulesFail.monitoring",
        fires=(
            Fires(
                series={
                    f'prometheus_rule_evaluation_failures_total{{{OWN},rule_group="host"}}': counted(
                        (10, 0), (10, 1), (30, 0)
                    )
                },
                first="16m",
                over="24m",
            ),
        ),
        quiet=(
            {f'prometheus_rule_evaluation_failures_total{{{OWN},rule_group="host"}}': level(7)},
            {
                f'prometheus_rule_evaluation_failures_total{{{OWN},rule_group="host"}}': counted(
                    (10, 0), (2, 1), (60, 0)
                )
            },
        ),
        labels={**OWN_LABELS, "rule_group": "host"},
        summary="Prometheus can't evaluate a rule",
        description="host: 5 evaluations failed in 5 minutes.",
    ),
    Case(
        alert="AlertsNotSent.monitoring",
        fires=(
            Fires(series=sent(counted((10, 0), (10, 1), (30, 0)), level(1)), first="16m", over="24m"),
            Fires(series=sent(level(0), level(1, 0, 1)), first="15m", over="20m"),
        ),
        quiet=(
            sent(level(7), level(1)),
            sent(level(0), level(0, 1, each=5)),
            sent(counted((10, 0), (2, 1), (60, 0)), level(1)),
        ),
        labels={**OWN_LABELS, "alertmanager": "a"},
        summary="Prometheus can't reach Alertmanager",
        description="No alert arrives as long as this lasts; only the missing Watchdog tells anybody.",
    ),
    Case(
        alert="NotificationsFail.monitoring",
        fires=(Fires(series={FAILED: counted((10, 0), (1, 1), (60, 0))}, first="16m", over="25m"),),
        quiet=({FAILED: level(7)},),
        labels={"integration": "email"},
        summary="Alertmanager can't deliver by email",
        description="1 notifications by email failed in 15 minutes.",
    ),
    Case(
        alert="ConfigReloadFailed.monitoring",
        fires=(
            Fires(series=reloads(level(1, 0, 1), level(1)), first="15m", over="20m"),
            Fires(series=reloads(level(1), level(1, 0, 1)), first="15m", over="20m"),
        ),
        quiet=(reloads(level(1), level(1)), reloads(level(0, 1, each=5), level(0, 1, each=5))),
        labels=OWN_LABELS,
        summary="prometheus refuses its configuration",
        description="It goes on with the one before, and will not start with this one.",
    ),
    Case(
        alert="MetricsNearBound.monitoring",
        fires=(
            Fires(series=stored(level(1, 91, 1, each=70), level(100)), first="130m", over="140m"),
            Fires(series=stored(level(1), level(1)), first="60m"),
        ),
        quiet=(stored(level(90), level(100)), stored(level(99), level(0)), stored(level(99, 1, each=60), level(100))),
        labels=OWN_LABELS,
        summary="Metrics fill the space they are given",
        description="91% of the bound is used; beyond it the oldest days go early.",
    ),
    Case(
        alert="MetricsNotStored.monitoring",
        end="6h",
        fires=(
            Fires(series={f"prometheus_tsdb_compactions_failed_total{{{OWN}}}": level(0, 1)}, first="10m", over="189m"),
        ),
        quiet=({f"prometheus_tsdb_compactions_failed_total{{{OWN}}}": level(7)},),
        labels=OWN_LABELS,
        summary="Prometheus can't write its blocks",
        description="1 compactions failed in 3 hours; the head grows in memory meanwhile.",
    ),
    Case(
        alert="ScrapeSlow.each",
        fires=(
            Fires(
                series={'scrape_duration_seconds{job="api",instance="a"}': level(1, 7.51, 7.51, 1)},
                first="25m",
                over="30m",
            ),
        ),
        quiet=(
            {'scrape_duration_seconds{job="api",instance="a"}': level(7.5)},
            {'scrape_duration_seconds{job="api",instance="a"}': level(9, 1, each=15)},
        ),
        labels={"job": "api", "instance": "a", "service": "api"},
        summary="api takes long to say how it is",
        description="api at a took 7.51s; after 10 s it counts as down.",
    ),
    Case(
        alert="ExporterDown.each",
        fires=(
            Fires(series={**exporters(level(1, 0, 1), level(1)), OWN_UP: level(1)}, first="15m", over="20m"),
            Fires(series={**exporters(level(1), level(0)), OWN_UP: level(1)}, first="5m"),
            # Not found at all, or not on one of its machines.
            Fires(series=exporters(level(1), level(1)), first="5m"),
            Fires(series={**exporters(level(1), ""), OWN_UP: level(1)}, first="5m"),
            Fires(series={**exporters("", level(1)), OWN_UP: level(1)}, first="5m"),
        ),
        quiet=(
            {**exporters(level(0, 1, each=5), level(1)), OWN_UP: level(1)},
            # One of two on the same machine.
            {
                **exporters(level(0), level(1)),
                'up{job="node-exporter",instance="m",machine="app-1"}': level(1),
                OWN_UP: level(1),
            },
        ),
        labels={"job": "node-exporter", "service": "node-exporter", "machine": "app-1"},
        summary="node-exporter tells nothing",
        description="node-exporter on app-1 could not be scraped for 5 minutes, or is not found at all.",
    ),
)
