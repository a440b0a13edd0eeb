"""Both sides of the edges of alerts about logs arriving. Those about their contents are tried with Loki itself."""

from __future__ import annotations

from tests.monitoring.promtool import Case, Fires, Series
from tests.monitoring.series import LONG, counted, level, steady

OF_A = {"instance": "a"}
DAY_SHARE = 268_435_456
"""Four fifths of what a day may bring, where 10 GiB are for 30 days."""


def shipper(queue: str, sent: str, files: str = level(3)) -> Series:
    mark = '{job="shipper",instance="a"}'
    return {
        f"otelcol_exporter_queue_size{mark}": queue,
        f"otelcol_exporter_sent_log_records_total{mark}": sent,
        f"otelcol_fileconsumer_open_files{mark}": files,
    }


def filled(used: float) -> Series:
    mark = '{job="shipper",instance="a"}'
    return {
        f"otelcol_exporter_queue_size{mark}": level(used * 100, 0, each=30),
        f"otelcol_exporter_queue_capacity{mark}": level(100),
    }


DROPPED = (
    'otelcol_exporter_send_failed_log_records_total{job="shipper",instance="a"}',
    'loki_discarded_samples_total{job="loki",instance="a",reason="line_too_long"}',
)
LATER = 'loki_discarded_samples_total{job="loki",instance="a",reason="rate_limited"}'
FAILED = "loki_prometheus_rule_evaluation_failures_total", "loki_prometheus_notifications_dropped_total"
OF_LOKI = '{job="loki",instance="a"}'
BYTES = 'loki_distributor_bytes_received_total{job="loki",instance="a"}'

LOGS = (
    Case(
        alert="ShipperSilent.shipper",
        fires=(
            Fires(series=shipper(level(1), level(7)), first="5m"),
            Fires(series=shipper(level(0), level(7), level(0)), first="5m"),
            # What was sent leaves the 15 minutes; then nothing waits any more.
            Fires(series=shipper(level(5, 0, each=60), counted((20, 1), (LONG, 0))), first="39m", over="60m"),
            Fires(series=shipper(level(0), level(7), level(0, 1, each=60)), first="5m", over="60m"),
        ),
        quiet=(
            shipper(level(5), steady(0.01)),
            shipper(level(0), level(7)),
            shipper(level(0), steady(0.01), level(0)),
            shipper(level(5, 0, each=5), level(7)),
        ),
        labels=OF_A,
        summary="The shipper of a sends no logs",
        description="In 15 minutes it sent nothing, though something waits or it sees no file at all.",
    ),
    Case(
        alert="LogsDropped.each",
        fires=(
            Fires(series={DROPPED[0]: counted((20, 0), (1, 1), (LONG, 0))}, first="21m", over="35m"),
            *(Fires(series={name: counted((20, 0), (5, 1), (LONG, 0))}, first="21m", over="39m") for name in DROPPED),
            # It is not there before the first one.
            *(Fires(series={name: f"_x5 1x{LONG}"}, first="5m", over="20m") for name in DROPPED),
        ),
        quiet=(
            {name: level(0) for name in DROPPED},
            {LATER: steady(5)},
            {LATER: f"_x5 7x{LONG}"},
        ),
        labels={"job": "shipper", "service": "shipper"},
        summary="shipper has dropped lines of logs",
        description="1 lines in 15 minutes were dropped for good.",
    ),
    Case(
        alert="LogsDelayed.shipper",
        fires=(Fires(series=filled(0.51), first="5m", over="30m"),),
        quiet=(filled(0.5), filled(0)),
        labels=OF_A,
        summary="Logs of a wait to be stored",
        description="51% of what may wait does. Then logs wait with their containers, which keep 50 MB each.",
    ),
    Case(
        alert="LogsNearBound.loki",
        interval="10m",
        end="3d",
        fires=(
            Fires(series={BYTES: steady(DAY_SHARE / 144 * 1.001)}, first="1d1h"),
            Fires(series={BYTES: counted((10, 0), (72, DAY_SHARE / 72 * 1.1), (LONG, 0))}, first="13h40m"),
        ),
        quiet=({BYTES: steady(DAY_SHARE / 144 * 0.999)},),
        summary="Nearly as much is logged as may be kept",
        description="256.3MiB came in a day; 0.31 GiB may.",
    ),
    Case(
        alert="LogRulesFail.loki",
        fires=tuple(
            Fires(series={f"{name}{OF_LOKI}": counted((10, 0), (10, 1), (30, 0))}, first="16m", over="24m")
            for name in FAILED
        ),
        quiet=(
            *({f"{name}{OF_LOKI}": level(7)} for name in FAILED),
            *({f"{name}{OF_LOKI}": counted((10, 0), (2, 1), (60, 0))} for name in FAILED),
        ),
        labels={"job": "loki", **OF_A},
        summary="Loki can't evaluate its rules, or tell what they say",
        description="5 evaluations or notifications failed in 5 minutes.",
    ),
)
