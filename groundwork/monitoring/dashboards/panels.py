"""What a dashboard is made of: panels with queries, a unit, and words that say what a person does with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Source = Literal["prometheus", "loki"]
"""Of data: uid and type of a data source of Grafana."""
Colour = Literal["green", "orange", "red"]
Steps = tuple[tuple[float | None, Colour], ...]
"""The colour from each value on; the first, from nowhere, has None."""
Kind = Literal["number", "lines", "bars", "table", "log"]
WIDTH = 24
"""Columns of Grafana's grid."""
RATE = "$__rate_interval"
"""Grafana's own choice of a window: at least four scrapes, and no gap between two points of a picture."""


def rising(alarm: float, warning: float | None = None) -> Steps:
    """Bad from `alarm` on."""
    if warning is None:
        return (None, "green"), (alarm, "red")
    return (None, "green"), (warning, "orange"), (alarm, "red")


def falling(alarm: float, good: float | None = None) -> Steps:
    """Bad below `alarm`, and good from `good` on."""
    if good is None:
        return (None, "red"), (alarm, "green")
    return (None, "red"), (alarm, "orange"), (good, "green")


@dataclass(frozen=True, kw_only=True)
class Query:
    """PromQL, or LogQL where the source is Loki. `legend` may name labels in double braces. `steps` are its own where
    a panel compares what has different limits."""

    expr: str
    legend: str = ""
    source: Source = "prometheus"
    steps: Steps = ()


@dataclass(frozen=True, kw_only=True)
class Panel:
    """`number`, `bars` and `table` show what is now, `lines` and `log` the time that was chosen.

    `unit` is one of Grafana's ids; `text` says what to do with it. `runbooks` are names of alerts about it, and
    `leads_to` the uid of a dashboard with more. `empty` stands where nothing is found. `most` is the end of the scale.
    A table is `sorted_by` one of its columns.
    """

    kind: Kind
    title: str
    unit: str
    text: str
    queries: tuple[Query, ...]
    steps: Steps = ()
    width: int = 8
    height: int = 8
    most: float | None = None
    stacked: bool = False
    sorted_by: str = ""
    empty: str = ""
    runbooks: tuple[str, ...] = ()
    leads_to: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Panels below one heading, from left to right as they fit."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, kw_only=True)
class Variable:
    """What a person chooses at the top: values of a `label` of the series `of`, one or `many` of them. Without a label
    it is text that they write."""

    name: str
    title: str
    text: str
    label: str = ""
    of: str = ""
    source: Source = "prometheus"
    many: bool = False


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """`uid` is part of its address, and never changes. `filled` says which share of what it has is used up, for the
    overview."""

    uid: str
    title: str
    text: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()
    tags: tuple[str, ...] = ()
    filled: tuple[Query, ...] = ()
    hours: int = 6
    """How far back it looks before anybody chooses."""

    @property
    def panels(self) -> Iterator[Panel]:
        return (panel for row in self.rows for panel in row.panels)


def promql_of(dashboard: Dashboard) -> Iterator[str]:
    """Every query to Prometheus, with Grafana's variables still in it."""
    return _expressions(dashboard, "prometheus")


def logql_of(dashboard: Dashboard) -> Iterator[str]:
    """Every query to Loki, with Grafana's variables still in it."""
    return _expressions(dashboard, "loki")


def _expressions(dashboard: Dashboard, source: Source) -> Iterator[str]:
    return (query.expr for panel in dashboard.panels for query in panel.queries if query.source == source)
