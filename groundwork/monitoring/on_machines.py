"""Monitoring of several machines: what is measured on which, and how bad it is to hear nothing of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..machines import Machine
from ..placement import Own, Placement
from ..workload import Workload
from .alerts import Severity
from .probes import BLACKBOX, Probe
from .programs import PROMETHEUS

SERVING = ("app", "service", "gateway")


@dataclass(frozen=True, kw_only=True)
class View:
    """What of a stack is on one machine, or all of it where there are none: what runs there and what is asked there."""

    machine: Machine | None
    workloads: tuple[Workload, ...]
    probes: tuple[Probe, ...]

    @property
    def name(self) -> str:
        return self.machine.name if self.machine else ""

    @property
    def scraped(self) -> tuple[Workload, ...]:
        return tuple(workload for workload in self.workloads if workload.metrics)

    @property
    def serving(self) -> frozenset[str]:
        """Names of what users need."""
        return frozenset(workload.name for workload in self.workloads if workload.role in SERVING)


def views_of(placement: Placement, watched: Sequence[Workload], own: Own, probes: Sequence[Probe]) -> tuple[View, ...]:
    """Container networks end at a machine, so everything is measured and asked where it runs."""
    if not placement.machines:
        return (View(machine=None, workloads=tuple(watched), probes=tuple(probes)),)
    return tuple(_view(placement, machine, watched, own, probes) for machine in placement.machines)


def _view(
    placement: Placement, machine: Machine, watched: Sequence[Workload], own: Own, probes: Sequence[Probe]
) -> View:
    found = (placement.here(machine, workload, own) for workload in watched)
    here = {workload.name: workload for workload in found if workload}
    asked = tuple(probe for probe in probes if {probe.workload, BLACKBOX} <= here.keys())
    return View(machine=machine, workloads=tuple(here.values()), probes=asked)


def home_of(placement: Placement, views: Sequence[View]) -> View:
    """Where everything is gathered and judged."""
    home = placement.homes.get(PROMETHEUS)
    return next(view for view in views if view.machine == home)


def machines_of(views: Sequence[View]) -> Mapping[str, tuple[str, ...]]:
    """The machines on which each job is, by its name; none where there are none."""
    jobs: dict[str, tuple[str, ...]] = {}
    for view in views:
        for workload in view.scraped if view.machine else ():
            jobs[workload.name] = (*jobs.get(workload.name, ()), view.name)
    return jobs


def silences(views: Sequence[View], home: View) -> Mapping[str, Severity]:
    """How bad it is to hear nothing of each machine but that which listens, by name: it may be down with all it has."""
    return {view.name: _severity(view, views) for view in views if view is not home}


def _severity(view: View, views: Sequence[View]) -> Severity:
    elsewhere = frozenset[str]().union(*(other.serving for other in views if other is not view))
    if view.serving - elsewhere:
        return "P0"
    return "P1" if view.serving else "P2"
