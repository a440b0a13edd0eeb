"""Queries of panels as Prometheus and Loki take them, without Grafana."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from groundwork.monitoring.dashboards.panels import RATE, Dashboard, logql_of, promql_of

CHOSEN = {RATE: "5m", "$app": ".*", "$machine": ".*"}
"""What Grafana would put in the place of its variables."""


OF_LOGS = {"$__auto": "5m", "$workload": ".*", "$machine": ".*", "$level": ".*", "$search": ""}


def asked(dashboard: Dashboard, **chosen: str) -> Iterator[str]:
    """PromQL of every panel; `chosen` are values of the variables of the dashboard."""
    values = CHOSEN | {f"${name}": value for name, value in chosen.items()}
    return (filled(expr, values) for expr in promql_of(dashboard))


def asked_of_logs(dashboard: Dashboard) -> Iterator[str]:
    """LogQL of every panel, for everything that anybody wrote."""
    return (filled(expr, OF_LOGS) for expr in logql_of(dashboard))


def filled(expr: str, values: Mapping[str, str]) -> str:
    """With values in the places of variables."""
    for name, value in values.items():
        expr = expr.replace(name, value)
    assert "$" not in expr, expr
    return expr
