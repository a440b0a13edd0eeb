"""The watchers themselves: who watches and sees nothing must not look like who sees that all is well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .alerts import Alert
from .system_rules import PLACE, absent

PROMETHEUS = 'job="prometheus"'
ALERTMANAGER = 'job="alertmanager"'
MIXIN = "Prometheus' and Alertmanager's mixins"


def self_alerts() -> tuple[Alert, ...]:
    return (
        Alert(
            name="Watchdog",
            expr="vector(1)",
            severity="P3",
            service="monitoring",
            summary="Alerts work",
            description="It always fires. A receiver outside raises the alarm when it no longer comes.",
            why="Nobody is woken by it, but by its absence.",
            reason="always: silence of the whole chain can only be noticed outside of it",
            source=MIXIN,
        ),
        Alert(
            name="RulesFail",
            expr=f"increase(prometheus_rule_evaluation_failures_total{{{PROMETHEUS}}}[5m]) > 0",
            hold="5m",
            severity="P2",
            service="monitoring",
            summary="Prometheus can't evaluate a rule",
            description="{{ $labels.rule_group }}: {{ $value | humanize }} evaluations failed in 5 minutes.",
            why="An alert of this group can't fire, whatever happens.",
            reason="none is normal; 5 minutes rule out a moment without memory",
            source=MIXIN,
        ),
        Alert(
            name="AlertsNotSent",
            expr=f"increase(prometheus_notifications_errors_total{{{PROMETHEUS}}}[5m]) > 0\n"
            f"or prometheus_notifications_alertmanagers_discovered{{{PROMETHEUS}}} < 1",
            hold="5m",
            severity="P1",
            service="monitoring",
            summary="Prometheus can't reach Alertmanager",
            description="No alert arrives as long as this lasts; only the missing Watchdog tells anybody.",
            why="The next outage is found by users.",
            reason="none is normal; 5 minutes rule out a restart of Alertmanager",
            source=MIXIN,
        ),
        Alert(
            name="NotificationsFail",
            expr=f"sum by (integration) (increase(alertmanager_notifications_failed_total{{{ALERTMANAGER}}}[15m])) > 0",
            hold="5m",
            severity="P1",
            service="monitoring",
            summary="Alertmanager can't deliver by {{ $labels.integration }}",
            description="{{ $value | humanize }} notifications by {{ $labels.integration }} failed in 15 minutes.",
            why="Whoever is to be told is not; the other receivers still work.",
            reason="none is normal: what fails once is tried again and then not counted",
            source=MIXIN,
        ),
        Alert(
            name="ConfigReloadFailed",
            expr=f"prometheus_config_last_reload_successful{{{PROMETHEUS}}} == 0\n"
            f"or alertmanager_config_last_reload_successful{{{ALERTMANAGER}}} == 0",
            hold="5m",
            severity="P2",
            service="monitoring",
            summary="{{ $labels.job }} refuses its configuration",
            description="It goes on with the one before, and will not start with this one.",
            why="Changes of alerts and receivers have no effect, and the next restart ends monitoring.",
            reason="it is so or not; 5 minutes leave time for the second half of a change",
            source=MIXIN,
        ),
        Alert(
            name="MetricsNearBound",
            expr=f"prometheus_tsdb_storage_blocks_bytes{{{PROMETHEUS}}}\n"
            f"/ (prometheus_tsdb_retention_limit_bytes{{{PROMETHEUS}}} > 0) > 0.9",
            hold="1h",
            severity="P3",
            service="monitoring",
            summary="Metrics fill the space they are given",
            description="{{ $value | humanizePercentage }} of the bound is used; beyond it the oldest days go early.",
            why="History becomes shorter than the days that were promised.",
            reason="a tenth is about a day and a half of fifteen: time to choose",
            source="Groundwork",
        ),
        Alert(
            name="MetricsNotStored",
            expr=f"increase(prometheus_tsdb_compactions_failed_total{{{PROMETHEUS}}}[3h]) > 0",
            severity="P2",
            service="monitoring",
            summary="Prometheus can't write its blocks",
            description="{{ $value | humanize }} compactions failed in 3 hours; the head grows in memory meanwhile.",
            why="Monitoring ends for want of memory or disk.",
            reason="none is normal; it compacts every two hours",
            source=MIXIN,
        ),
        Alert(
            name="ScrapeSlow",
            expr="scrape_duration_seconds > 7.5",
            hold="15m",
            severity="P3",
            service="{{ $labels.job }}",
            summary="{{ $labels.job }} takes long to say how it is",
            description=f"{{{{ $labels.job }}}}{PLACE} took {{{{ $value | humanizeDuration }}}}; "
            "after 10 s it counts as down.",
            why="Soon it counts as down, which wakes somebody for nothing.",
            reason="three quarters of the 10 s that a scrape may take",
            source="Groundwork",
        ),
    )


def exporter_alerts(jobs: Sequence[str], machines: Mapping[str, Sequence[str]]) -> tuple[Alert, ...]:
    """`jobs` are exporters and the parts of monitoring that are scraped, each on its `machines`: what one sees of its
    own, no other sees."""
    if not jobs:
        return ()
    known = "|".join(sorted(jobs))
    return (
        Alert(
            name="ExporterDown",
            expr=f'sum by (job, machine) (up{{job=~"{known}"}}) == 0\n{absent(jobs, machines)}',
            hold="5m",
            severity="P2",
            service="{{ $labels.job }}",
            summary="{{ $labels.job }} tells nothing",
            description=f"{{{{ $labels.job }}}}{PLACE} could not be scraped for 5 minutes, or is not found at all.",
            why="Nobody is hurt, and what it watches may fail unseen.",
            reason="5 minutes: longer than its restart; users are not touched, so nobody gets up for less",
            source="issue 6 (exporter absent)",
        ),
    )
