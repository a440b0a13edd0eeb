"""Which dashboards a stack has: those that somebody feeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..objectives import Objectives
from ..rules import Watched
from .gateway import gateway_dashboard
from .host import UID as HOST
from .host import host_dashboard
from .logs import logs_dashboard
from .overview import overview_dashboard
from .panels import Dashboard

BUDGET_DAYS = 30
"""Over which availability is promised."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What there is to show. `services` are the dashboards of the catalog's entries; `retention_days` how far back
    anybody can look; `certificate`: the gateway has one; `logs`: there is Loki."""

    title: str
    objectives: Objectives
    watched: Watched
    services: Sequence[Dashboard]
    retention_days: int
    certificate: bool
    logs: bool


def dashboards_of(shown: Shown) -> tuple[Dashboard, ...]:
    """The overview first."""
    objectives, watched = shown.objectives, shown.watched
    hosts = (host_dashboard(objectives, watched.limits_mib),) if watched.hosts else ()
    others = (
        gateway_dashboard(objectives, entry=watched.entry, certificate=shown.certificate),
        *shown.services,
        *hosts,
        *((logs_dashboard(),) if shown.logs else ()),
    )
    overview = overview_dashboard(
        objectives,
        title=shown.title,
        days=min(BUDGET_DAYS, shown.retention_days),
        entry=watched.entry,
        certificate=shown.certificate,
        filled=[query for dashboard in others for query in dashboard.filled],
        backups=bool(watched.backups),
        leads_to=HOST if hosts else "",
    )
    return (overview, *others)
