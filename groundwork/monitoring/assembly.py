"""The monitoring of one stack: its programs, told what else is in the plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..catalog import BackingService
from ..faults import Fault
from ..model import known_name
from ..placement import Own, Placement
from ..settings import Settings
from ..workload import Workload
from .alerts import rule_files
from .around import Around
from .grafana import GRAFANA_IMAGE
from .logs import IMAGES as OF_LOGS
from .logs import SHIPPER
from .on_machines import home_of, views_of
from .parts import agents_of, exporters_of, grafana_of, loki_of, shippers_of
from .probes import BLACKBOX, probes_of
from .programs import (
    AGENT,
    ALERTMANAGER,
    GRAFANA,
    IMAGES,
    NODE_EXPORTER,
    PROMETHEUS,
    alertmanager,
    blackbox,
    node_exporter,
    prometheus,
)
from .receivers import misrouted
from .rules import alert_groups
from .settings import Monitoring
from .watched import shown_of, watched_of


@dataclass(frozen=True, kw_only=True)
class Watching:
    """The workloads of monitoring; `own` are those that are another one on each machine, or not on all."""

    workloads: tuple[Workload, ...]
    own: Own = field(default_factory=dict)


def images_of(settings: Settings, monitoring: Monitoring, services: Sequence[BackingService]) -> dict[str, str]:
    """The image reference of each program, by the name of its workload."""
    of_services = {f"{one.name}-exporter": one.exporter_image for one in services if one.exporter_image}
    usual = {**IMAGES, **(OF_LOGS if monitoring.logs.enabled else {}), **of_services}
    if monitoring.grafana:
        usual[GRAFANA] = GRAFANA_IMAGE
    images = {name: monitoring.chosen(name).image or image for name, image in usual.items()}
    if len(settings.stack_machines) > 1:
        images[AGENT] = monitoring.chosen(AGENT).image or images[PROMETHEUS]
    return images


def monitoring_workloads(around: Around, workloads: Sequence[Workload], own: Own) -> Watching:
    """What watches `workloads`, which are all others of the stack; `own` are those that are another one on each
    machine."""
    monitoring, images, placement = around.monitoring, around.images, around.placement
    probes = tuple(probes_of(workloads))
    telling = alertmanager(monitoring, images[ALERTMANAGER], around.settings.time_zone, around.secrets)
    asking = blackbox(monitoring, images[BLACKBOX], probes, around.settings.entry)
    measuring = node_exporter(monitoring, images[NODE_EXPORTER])
    shippers = shippers_of(around) if monitoring.logs.enabled else {}
    logs = (loki_of(around, telling), *every_one(shippers)) if shippers else ()
    beside = (*exporters_of(around), telling, *logs, asking, measuring)
    behind = (grafana_of(around, shown_of(around, (*workloads, *beside), probes)),) if monitoring.grafana else ()
    watched = (*workloads, *beside, *behind)
    if placement.machines:
        # Blackbox asks what is beside it, and so is wherever a gateway is.
        everywhere = {machine.name: asking for machine in placement.app_machines}
        own = {**own, BLACKBOX: everywhere, **({SHIPPER: shippers} if shippers else {})}
    views = views_of(placement, watched, own, probes)
    home = home_of(placement, views)
    agents = agents_of(around, views, home)
    passing_on = tuple(every_one(agents))
    judged = watched_of(around, (*watched, *passing_on), views, home)
    server = prometheus(
        monitoring,
        images[PROMETHEUS],
        home.scraped,
        home.probes,
        rule_files(alert_groups(around.system.objectives, judged)),
        around.labels,
        namespace=around.machines_namespace,
        machine=home.name,
        agents=bool(agents),
    )
    own = {**own, AGENT: agents} if agents else own
    made = (*beside, *passing_on, server, *behind)
    return Watching(workloads=tuple(opened(placement, made, own)), own=own)


def every_one(own: Mapping[str, Workload]) -> Iterator[Workload]:
    """What is another one on each machine, as one that does what all of them do."""
    if own:
        uses = dict.fromkeys(used for one in own.values() for used in one.uses)
        yield replace(next(iter(own.values())), uses=tuple(uses), replicas=len(own))


def opened(placement: Placement, made: Sequence[Workload], own: Own) -> Iterator[Workload]:
    """Programs that live on one machine let in what on others writes to them or reads from them."""
    everywhere = {one.name: one for one in made if one.per_machine or one.name in own}
    used = {server for one in everywhere.values() for server in one.servers}
    for workload in made:
        yield placement.opened(workload) if workload.name in used else workload


def monitoring_misfits(settings: Settings, services: Sequence[BackingService]) -> Iterator[Fault]:
    """Programs that the stack does not have."""
    monitoring, where = settings.monitoring, "groundwork:monitoring"
    if monitoring is None:
        return
    known = images_of(settings, monitoring, services)
    for name in monitoring.programs:
        if name == GRAFANA:
            yield Fault(f"{where}.programs.{name}", "has a key of its own", f"write it at {where}.{GRAFANA}")
        else:
            yield from known_name(name, known, f"{where}.programs.{name}", "program")
    for key, what, instead in misrouted(monitoring.receivers, monitoring.routing):
        yield Fault(f"{where}.{key}", what, instead)
