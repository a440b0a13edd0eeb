"""Queries of panels as Prometheus takes them, without Grafana."""

from __future__ import annotations

from collections.abc import Iterator

from groundwork.monitoring.dashboards.panels import RATE, Dashboard, promql_of

CHOSEN = {RATE: "5m", "$app": ".*"}
"""What Grafana would put in the place of its variables."""


def asked(dashboard: Dashboard, **chosen: str) -> Iterator[str]:
    """PromQL of every panel; `chosen` are values of the variables of the dashboard."""
    values = CHOSEN | {f"${name}": value for name, value in chosen.items()}
    for expr in promql_of(dashboard):
        for name, value in values.items():
            expr = expr.replace(name, value)
        yield expr
