"""Panels that several dashboards have, whatever their metric is called."""

from __future__ import annotations

from ..alerts import number
from .panels import Panel, Query, Steps, falling, rising

YES_NO = "bool_yes_no"
SHARE = "percentunit"
DAY = 86_400


def service_uid(service: str) -> str:
    """Of the dashboard of a backing service. Grafana takes 40 characters, and a name has 31 at most."""
    return f"service-{service}"


def lets_in(up: str, service: str, *alerts: str) -> Panel:
    """`up` is 0 where the exporter could not log in."""
    return Panel(
        kind="number",
        title="Lets its exporter in",
        unit=YES_NO,
        text=f"No: {service} is down or refuses its exporter's login, and apps most likely meet the same. "
        "Empty: the exporter itself can't be measured.",
        queries=(Query(expr=f'min({up}{{job="{service}-exporter"}})'),),
        steps=falling(1),
        width=4,
        height=4,
        runbooks=(*alerts, "ExporterDown"),
    )


def running_for(uptime: str, alert: str) -> Panel:
    """`uptime` counts the seconds since the start."""
    return Panel(
        kind="number",
        title="Running for",
        unit="s",
        text="Short although nobody released anything: it ended by itself; its log says why.",
        queries=(Query(expr=f"min({uptime})"),),
        steps=falling(600, 3600),
        width=4,
        height=4,
        runbooks=(alert,),
    )


def connections_share(expr: str, percent: float, alert: str) -> Panel:
    """`expr` is the share of the connections that are taken."""
    return Panel(
        kind="number",
        title="Connections taken",
        unit=SHARE,
        text=f"From {percent:g} % on somebody is told. At 100 % apps get errors: find who holds them before the limit "
        "is raised.",
        queries=(Query(expr=expr),),
        steps=warned(percent / 100),
        width=4,
        height=4,
        most=1,
        runbooks=(alert,),
    )


def warned(alarm: float) -> Steps:
    """Of a share that rises: orange from nine tenths of the alarm on."""
    return rising(alarm, float(number(alarm * 0.9)))
