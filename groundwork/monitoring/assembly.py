"""The monitoring of one stack: its programs, told what else is in the plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..catalog import BackingService, Sizing
from ..faults import Fault
from ..model import known_name
from ..placement import Own, Placement
from ..settings import Settings
from ..system import System
from ..targets import KubernetesTarget
from ..workload import Image, SecretRef, Workload
from .agents import agent
from .alerts import Group, Severity, rule_files
from .dashboards.stack import Shown, dashboards_of
from .grafana import GRAFANA_IMAGE, grafana
from .log_rules import content_alerts
from .logs import GIB, SHIPPER, loki, shipper, store_of
from .logs import IMAGES as OF_LOGS
from .logs import USUAL as USUAL_OF_LOGS
from .loki import LOKI_PORT, day_bytes
from .on_machines import View, home_of, machines_of, silences, views_of
from .probes import BLACKBOX, CERTIFICATE, Probe, probes_of
from .programs import (
    AGENT,
    ALERTMANAGER,
    GRAFANA,
    IMAGES,
    LOKI,
    NODE_EXPORTER,
    PROMETHEUS,
    PROMETHEUS_PORT,
    USUAL,
    alertmanager,
    blackbox,
    node_exporter,
    prometheus,
    resources_of,
)
from .receivers import misrouted
from .rules import Watched, alert_groups
from .settings import Monitoring


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


def monitoring_workloads(
    system: System,
    settings: Settings,
    monitoring: Monitoring,
    workloads: Sequence[Workload],
    placement: Placement,
    own: Own,
    sizings: Mapping[str, Sizing],
    images: Mapping[str, Image],
    secrets: Mapping[str, SecretRef],
    project: str,
    stack: str,
) -> Watching:
    """What watches `workloads`, which are all others of the stack. `secrets` are the system's, by name."""
    probes = tuple(probes_of(workloads))
    # By these its alerts are told from those of other stacks.
    labels = {"system": system.name, "stack": stack}
    telling = alertmanager(monitoring, images[ALERTMANAGER], settings.time_zone, secrets)
    logs: tuple[Workload, ...] = ()
    if monitoring.logs.enabled:
        shippers = shippers_of(settings, monitoring, images[SHIPPER], placement, project, stack)
        logs = (loki_of(monitoring, images[LOKI], labels, telling), *every_one(shippers))
        own = {**own, SHIPPER: shippers} if placement.machines else own
    beside = (
        *exporters(system, monitoring, sizings, images),
        telling,
        *logs,
        blackbox(monitoring, images[BLACKBOX], probes, settings.entry),
        node_exporter(monitoring, images[NODE_EXPORTER]),
    )
    behind: tuple[Workload, ...] = ()
    if monitoring.grafana:
        shown = shown_of(system, monitoring, (*workloads, *beside), probes, sizings, stack)
        behind = (grafana_of(monitoring, images[GRAFANA], shown, settings.time_zone),)
    watched = (*workloads, *beside, *behind)
    if placement.machines:
        # It asks what is beside it, and so is wherever a gateway is.
        own = {**own, BLACKBOX: {machine.name: beside[-2] for machine in placement.app_machines}}
    views = views_of(placement, watched, own, probes)
    home = home_of(placement, views)
    agents = {
        view.name: agent(monitoring, images[AGENT], view, placement.found(PROMETHEUS, PROMETHEUS_PORT, view.machine))
        for view in views
        if view is not home
    }
    own = {**own, AGENT: agents} if agents else own
    target = settings.target
    namespace = target.machines_namespace_of(f"{project}-{stack}") if isinstance(target, KubernetesTarget) else ""
    watched = (*watched, *every_one(agents))
    rules = rule_files(alerts_of(system, monitoring, watched, sizings, views, silences(views, home)))
    server = prometheus(
        monitoring,
        images[PROMETHEUS],
        home.scraped,
        home.probes,
        rules,
        labels,
        namespace=namespace,
        machine=home.name,
        agents=bool(agents),
    )
    made = (*beside, *every_one(agents), server, *behind)
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


def loki_of(monitoring: Monitoring, image: Image, labels: Mapping[str, str], telling: Workload) -> Workload:
    """The store of logs, with the rules about what is in them."""
    (rules,) = rule_files([Group(name="log-contents", alerts=content_alerts())]).values()
    limits = resources_of(monitoring, LOKI, USUAL_OF_LOGS[LOKI])
    return loki(monitoring.logs, image, limits, labels, telling, rules)


def shippers_of(
    settings: Settings, monitoring: Monitoring, image: Image, placement: Placement, project: str, stack: str
) -> Mapping[str, Workload]:
    """What sends it the logs of each machine, by the machine's name: each finds it elsewhere."""
    limits = resources_of(monitoring, SHIPPER, USUAL_OF_LOGS[SHIPPER])
    target = settings.target
    found = {machine.name: placement.found(LOKI, LOKI_PORT, machine) for machine in placement.machines}
    return {
        name: shipper(image, limits, target, project, stack, where)
        for name, where in (found or {"": store_of(target, project, stack)}).items()
    }


def exporters(
    system: System, monitoring: Monitoring, sizings: Mapping[str, Sizing], images: Mapping[str, Image]
) -> Iterator[Workload]:
    """One for each service that does not tell about itself."""
    for service in system.services:
        if service.exporter_image:
            name = f"{service.name}-exporter"
            found = service.exporter(sizings[service.name], images[name])
            assert found and found.name == name, service
            yield replace(found, resources=resources_of(monitoring, name, found.resources))


def alerts_of(
    system: System,
    monitoring: Monitoring,
    watched: Sequence[Workload],
    sizings: Mapping[str, Sizing],
    views: Sequence[View],
    silences: Mapping[str, Severity],
) -> tuple[Group, ...]:
    """Those whose metrics somebody has. Prometheus, which judges by them, is not among `watched`."""
    return alert_groups(system.objectives, watched_of(system, monitoring, watched, sizings, views, silences))


def watched_of(
    system: System,
    monitoring: Monitoring,
    watched: Sequence[Workload],
    sizings: Mapping[str, Sizing],
    views: Sequence[View],
    silences: Mapping[str, Severity],
) -> Watched:
    """What there is to judge, and to look at."""
    scraped = [workload for workload in watched if workload.metrics]
    logs = monitoring.logs
    own = resources_of(monitoring, PROMETHEUS, USUAL[PROMETHEUS])
    limits = {PROMETHEUS: own} | {workload.name: workload.resources for workload in scraped}
    services = [service.alerts(sizings[service.name], system.objectives) for service in system.services]
    return Watched(
        serving=tuple(workload.name for workload in scraped if workload.role != "monitoring"),
        # An agent that is gone is a machine of which nothing is heard.
        watching=tuple(one.name for one in scraped if one.role == "monitoring" and one.name != AGENT),
        services=tuple(alert for alerts in services for alert in alerts),
        logs_day_bytes=day_bytes(logs.retention_days, logs.retention_gib * GIB) if logs.enabled else 0,
        hosts=any(workload.name == NODE_EXPORTER for workload in scraped),
        limits_mib={name: resources.memory_mib for name, resources in limits.items()},
        machines=machines_of(views),
        silences=silences,
    )


def shown_of(
    system: System,
    monitoring: Monitoring,
    workloads: Sequence[Workload],
    probes: Sequence[Probe],
    sizings: Mapping[str, Sizing],
    stack: str,
) -> Shown:
    """What dashboards there are: of services, and of what else `workloads` tell."""
    found = (service.dashboard(system.objectives) for service in system.services)
    return Shown(
        title=f"{system.name} {stack}",
        objectives=system.objectives,
        watched=watched_of(system, monitoring, workloads, sizings, (), {}),
        services=[dashboard for dashboard in found if dashboard],
        retention_days=monitoring.retention_days,
        certificate=any(probe.job == CERTIFICATE for probe in probes),
        logs=any(workload.name == LOKI for workload in workloads),
    )


def grafana_of(monitoring: Monitoring, image: Image, shown: Shown, time_zone: str) -> Workload:
    """Grafana with its dashboards in it."""
    # Grafana's library takes 40 ms to import, which a stack without Grafana need not wait for.
    from .dashboards.render import rendered

    files = {one.uid: rendered(one, time_zone) for one in dashboards_of(shown)}
    return grafana(monitoring, image, files, time_zone, logs=shown.logs)


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
