"""Logs: whether they arrive, by what the shipper (`job="shipper"`) and Loki (`job="loki"`) say of themselves; and what
is in them. Rules of the latter kind are Loki's: only it has the lines, and Prometheus judges all that is a metric."""

from __future__ import annotations

from .alerts import Alert
from .host_rules import HOST

SHIPPER, LOKI = 'job="shipper"', 'job="loki"'
SENT = f"increase(otelcol_exporter_sent_log_records_total{{{SHIPPER}}}[15m])"
SHARE = 0.8
"""Of what a day may bring."""
BURST, TIMES = 50, 3
"""Lines of five minutes, and how many times as many as in the hour before."""


def log_alerts(day_bytes: float) -> tuple[Alert, ...]:
    """`day_bytes` is what Loki takes a day."""
    return (
        Alert(
            name="ShipperSilent",
            expr=f"(sum by (machine, instance) (otelcol_exporter_queue_size{{{SHIPPER}}}) > 0\n"
            f"or sum by (machine, instance) (otelcol_fileconsumer_open_files{{{SHIPPER}}}) == 0)\n"
            f"unless sum by (machine, instance) ({SENT}) > 0",
            hold="5m",
            severity="P2",
            service="shipper",
            summary=f"The shipper of {HOST} sends no logs",
            description="In 15 minutes it sent nothing, though something waits or it sees no file at all.",
            why="What happens now can be read on its machine alone, and there only the last 50 MB of each container.",
            reason="a machine may have nothing to say, so silence counts where something waits, or where not even the "
            "shipper's own log is seen; 15 minutes outlast any restart of Loki",
            source="issue 6 (silent shipper)",
        ),
        Alert(
            name="LogsDropped",
            expr=_grew(f"otelcol_exporter_send_failed_log_records_total{{{SHIPPER}}}")
            + "\nor "
            + _grew(f'loki_discarded_samples_total{{{LOKI}, reason!="rate_limited"}}'),
            severity="P2",
            service="{{ $labels.job }}",
            summary="{{ $labels.job }} has dropped lines of logs",
            description="{{ $value | humanize }} lines in 15 minutes were dropped for good.",
            why="Somebody will look for them and not find them.",
            reason="none is normal; what Loki only asks to send later (rate_limited) is not lost",
            source="issue 6",
        ),
        Alert(
            name="LogsDelayed",
            expr=f"max by (machine, instance) (otelcol_exporter_queue_size{{{SHIPPER}}}\n"
            f"/ otelcol_exporter_queue_capacity{{{SHIPPER}}}) > 0.5",
            hold="5m",
            severity="P2",
            service="shipper",
            summary=f"Logs of {HOST} wait to be stored",
            description="{{ $value | humanizePercentage }} of what may wait does. Then logs wait with their "
            "containers, which keep 50 MB each.",
            why="Soon the oldest lines go before they were stored.",
            reason="half of the queue is left to find out why",
            source="Groundwork",
        ),
        Alert(
            name="LogsNearBound",
            expr=f"sum(increase(loki_distributor_bytes_received_total{{{LOKI}}}[1d])) > {SHARE * day_bytes:.0f}",
            hold="1h",
            severity="P3",
            service="loki",
            summary="Nearly as much is logged as may be kept",
            description=f"{{{{ $value | humanize1024 }}}}B came in a day; {_gib(day_bytes)} may.",
            why="Beyond it lines wait, and those of the busiest containers are lost.",
            reason="a fifth is left, which is a day to choose what needn't be logged",
            source="Groundwork",
        ),
        Alert(
            name="LogRulesFail",
            expr=f"increase(loki_prometheus_rule_evaluation_failures_total{{{LOKI}}}[5m]) > 0\n"
            f"or increase(loki_prometheus_notifications_dropped_total{{{LOKI}}}[5m]) > 0",
            hold="5m",
            severity="P2",
            service="loki",
            summary="Loki can't evaluate its rules, or tell what they say",
            description="{{ $value | humanize }} evaluations or notifications failed in 5 minutes.",
            why="Bursts of errors in logs wake nobody.",
            reason="none is normal; 5 minutes rule out a restart of Alertmanager",
            source="Loki's mixin",
        ),
    )


def _grew(counter: str) -> str:
    """What was added in 15 minutes. Such a counter begins with its first event, of which a rate says nothing."""
    added = f"sum by (job) (increase({counter}[15m])) > 0"
    return f"{added}\nor sum by (job) ({counter} unless {counter} offset 15m) > 0"


def _gib(size: float) -> str:
    return f"{size / 1024**3:.2g} GiB"


def content_alerts() -> tuple[Alert, ...]:
    """For Loki, which knows no `absent` of an hour without errors: hence `unless`."""
    errors = 'sum by (workload) (count_over_time({level=~"error|fatal"}'
    return (
        Alert(
            name="LogErrorBurst",
            expr=f"{errors}[5m])) > {BURST}\n"
            f"unless {errors}[5m])) <= {TIMES} * {errors}[1h] offset 5m)) / 12",
            severity="P2",
            service="{{ $labels.workload }}",
            summary="{{ $labels.workload }} logs many errors",
            description="{{ $value }} errors in 5 minutes, more than three times as many as in the hour before.",
            why="Something fails again and again; users may not notice yet, as with jobs that are tried again.",
            reason="ten a minute are more than single users cause, and what always logs as many is no news",
            source="issue 6 (error bursts)",
        ),
    )
