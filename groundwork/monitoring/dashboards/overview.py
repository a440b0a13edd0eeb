"""The first page: is the system well, what was promised, and what is running out."""

from __future__ import annotations

from collections.abc import Sequence

from ..alerts import number
from ..backup_rules import ages
from ..objectives import Objectives
from ..system_rules import APPS, SLOW_BUDGET, error_share, quick_share
from . import gateway
from .panels import Dashboard, Panel, Query, Row, falling, rising
from .shared import SHARE, YES_NO, warned

UID = "groundwork-overview"
FIRING = 'ALERTS{alertstate="firing", alertname!="Watchdog"}'
"""Without the one that always fires."""


def overview_dashboard(
    objectives: Objectives,
    *,
    title: str,
    days: int,
    entry: bool,
    certificate: bool,
    filled: Sequence[Query],
    backups: bool,
    leads_to: str = "",
) -> Dashboard:
    """`days` are looked back for what was promised: 30, or as many as are kept. `filled` are shares of what services
    and machines have, and `leads_to` the dashboard of machines."""
    return Dashboard(
        uid=UID,
        title=title,
        text="Is the system well? From left to right and from above: what to look at first.",
        tags=("overview",),
        rows=(
            Row(title="Now", panels=(
                *_now(entry=entry),
                *_promised(objectives, days),
                *([gateway.certificate_left()] if certificate else []),
                _firing(),
                _unmeasured(),
            )),
            Row(title="Traffic", panels=(
                gateway.traffic_by_app(APPS),
                gateway.errors_by_app(objectives, APPS),
                gateway.slowness_by_app(objectives, APPS),
            )),
            Row(title="How full", panels=_filled(filled, leads_to)),
            *([Row(title="Backups", panels=_backups(objectives))] if backups else []),
        ),
    )  # fmt: skip


def _now(*, entry: bool) -> tuple[Panel, ...]:
    reached = Panel(
        kind="number",
        title="Users get in",
        unit=YES_NO,
        text="Asked at the gateway's address as a user would ask. No: start with its runbook, before anything else.",
        queries=(Query(expr='min(probe_success{job="entry"})'),),
        steps=falling(1),
        width=4,
        height=4,
        runbooks=("EntryDown",),
    )
    firing = Panel(
        kind="number",
        title="Firing alerts",
        unit="short",
        text="They are listed below, each with whom it is about. Its page in `docs/runbooks/` says what to do.",
        queries=(Query(expr=f"count({FIRING}) or vector(0)"),),
        steps=rising(1),
        width=4,
        height=4,
    )
    return (*([reached] if entry else []), firing)


def _promised(objectives: Objectives, days: int) -> tuple[Panel, ...]:
    window, allowed = f"{days}d", objectives.error_budget
    kept = 1 - allowed
    return (
        Panel(
            kind="number",
            title=f"Requests that worked, {days} days",
            unit=SHARE,
            text=f"{objectives.availability_percent:g} % are promised. Below it, what fails comes before what is new.",
            queries=(Query(expr=f"1 - {error_share('', window)}"),),
            steps=falling(float(number(kept))),
            width=4,
            height=4,
            empty="no requests",
            runbooks=("AvailabilityBudgetBurns",),
        ),
        Panel(
            kind="number",
            title=f"Error budget left of {days} days",
            unit=SHARE,
            text="Of the requests that may fail. Below a quarter release with care; below zero the promise is broken.",
            queries=(Query(expr=f"1 - {error_share('', window)} / {number(allowed)}"),),
            steps=falling(0, 0.25),
            width=4,
            height=4,
            empty="no requests",
            runbooks=("AvailabilityBudgetBurns",),
        ),
        Panel(
            kind="number",
            title=f"Within {objectives.latency_seconds:g} s, {days} days",
            unit=SHARE,
            text="Share of requests that took no longer; 95 % are promised. Below it look at the slowest app.",
            queries=(Query(expr=quick_share(objectives.latency_seconds, window)),),
            steps=falling(1 - SLOW_BUDGET),
            width=4,
            height=4,
            empty="no requests",
            runbooks=("LatencyBudgetBurns",),
            leads_to=gateway.UID,
        ),
    )


def _firing() -> Panel:
    return Panel(
        kind="table",
        title="What fires",
        unit="short",
        text="P0 first: somebody looks within 15 minutes, P1 within an hour, P2 within 4, P3 within a day.",
        queries=(Query(expr=FIRING),),
        sorted_by="severity",
        width=16,
        empty="nothing",
    )


def _unmeasured() -> Panel:
    return Panel(
        kind="table",
        title="What can't be measured",
        unit="short",
        text="Each line is a replica, an exporter or a part of monitoring that does not answer. What it watches may "
        "fail unseen.",
        queries=(Query(expr="up == 0"),),
        width=8,
        empty="nothing",
        runbooks=("ServiceDown", "ReplicaDown", "ExporterDown"),
    )


def _filled(filled: Sequence[Query], leads_to: str) -> tuple[Panel, ...]:
    """Without a service that has a limit there is still the memory of whatever tells of itself."""
    shares = (
        Panel(
            kind="bars",
            title="Used up",
            unit=SHARE,
            text="Each bar has its own limit: red is where its alert is. Give it more, or find who takes it.",
            queries=tuple(filled),
            width=8,
            most=1,
            leads_to=leads_to,
        ),
        Panel(
            kind="lines",
            title="Used up, over time",
            unit=SHARE,
            text="A line that rises day after day is what to plan for; a step is what somebody changed.",
            queries=tuple(Query(expr=one.expr, legend=one.legend) for one in filled),
            width=8,
            most=1,
        ),
    )
    return (*(shares if filled else ()), _memory(8 if filled else 24))


def _memory(width: int) -> Panel:
    return Panel(
        kind="lines",
        title="Memory of what tells of itself",
        unit="bytes",
        text="A line that rises and falls with restarts only is a leak. The limits are in the stack's plan.",
        queries=(Query(expr="sum by (job) (process_resident_memory_bytes)", legend="{{job}}"),),
        width=width,
    )


def _backups(objectives: Objectives) -> tuple[Panel, ...]:
    said = {
        "BackupOld": (
            "Last backup",
            f"Age of the newest one that succeeded. Above {objectives.backup_hours} h last night's is missing: look at "
            "its job.",
        ),
        "ArchiveOld": (
            "Last archive",
            "Age of the newest log that left the machine: so much is lost with it. Above "
            f"{objectives.archive_minutes} min somebody is told.",
        ),
        "RestoreTestOld": (
            "Last proven restore",
            f"Age of the newest restore that found its fresh row. Above {objectives.restore_test_days} days nobody "
            "knows whether the backups are any good.",
        ),
    }
    known = {age.name: age for age in ages(objectives)}
    return tuple(
        Panel(
            kind="number",
            title=title,
            unit="s",
            text=text,
            queries=(Query(expr=f"time() - max by (service) ({known[name].metric})", legend="{{service}}"),),
            steps=warned(known[name].seconds),
            height=4,
            empty="never",
            runbooks=(name,),
        )
        for name, (title, text) in said.items()
    )
