"""The monitoring of one stack: its programs, told what else is in the plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ..catalog import BackingService, Sizing
from ..faults import Fault
from ..model import known_name
from ..settings import Settings
from ..system import System
from ..targets import KubernetesTarget
from ..workload import Image, SecretRef, Workload
from .alerts import Group, rule_files
from .dashboards.stack import Shown, dashboards_of
from .grafana import GRAFANA, GRAFANA_IMAGE, LOKI, grafana
from .probes import BLACKBOX, CERTIFICATE, Probe, probes_of
from .programs import (
    ALERTMANAGER,
    IMAGES,
    NODE_EXPORTER,
    PROMETHEUS,
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


def images_of(monitoring: Monitoring, services: Sequence[BackingService]) -> dict[str, str]:
    """The image reference of each program, by the name of its workload."""
    usual = {**IMAGES, **{f"{one.name}-exporter": one.exporter_image for one in services if one.exporter_image}}
    if monitoring.grafana:
        usual[GRAFANA] = GRAFANA_IMAGE
    return {name: monitoring.chosen(name).image or image for name, image in usual.items()}


def monitoring_workloads(
    system: System,
    settings: Settings,
    monitoring: Monitoring,
    workloads: Sequence[Workload],
    sizings: Mapping[str, Sizing],
    images: Mapping[str, Image],
    secrets: Mapping[str, SecretRef],
    project: str,
    stack: str,
) -> tuple[Workload, ...]:
    """What watches `workloads`, which are all others of the stack. `secrets` are the system's, by name."""
    probes = tuple(probes_of(workloads))
    beside = (
        *exporters(system, monitoring, sizings, images),
        alertmanager(monitoring, images[ALERTMANAGER], settings.time_zone, secrets),
        blackbox(monitoring, images[BLACKBOX], probes, settings.entry),
        node_exporter(monitoring, images[NODE_EXPORTER]),
    )
    behind: tuple[Workload, ...] = ()
    if monitoring.grafana:
        shown = shown_of(system, monitoring, (*workloads, *beside), probes, sizings, stack)
        behind = (grafana_of(monitoring, images[GRAFANA], shown, settings.time_zone),)
    scraped = [workload for workload in (*workloads, *beside, *behind) if workload.metrics]
    # By these its alerts are told from those of other stacks.
    labels = {"system": system.name, "stack": stack}
    target = settings.target
    namespace = target.machines_namespace_of(f"{project}-{stack}") if isinstance(target, KubernetesTarget) else ""
    rules = rule_files(alerts_of(system, monitoring, scraped, sizings))
    server = prometheus(monitoring, images[PROMETHEUS], scraped, probes, rules, labels, namespace=namespace)
    return (*beside, server, *behind)


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
    system: System, monitoring: Monitoring, scraped: Sequence[Workload], sizings: Mapping[str, Sizing]
) -> tuple[Group, ...]:
    """Those whose metrics somebody has. Prometheus, which judges by them, is not among `scraped`."""
    return alert_groups(system.objectives, watched_of(system, monitoring, scraped, sizings))


def watched_of(
    system: System, monitoring: Monitoring, scraped: Sequence[Workload], sizings: Mapping[str, Sizing]
) -> Watched:
    """What there is to judge, and to look at."""
    own = resources_of(monitoring, PROMETHEUS, USUAL[PROMETHEUS])
    limits = {PROMETHEUS: own} | {workload.name: workload.resources for workload in scraped}
    services = [service.alerts(sizings[service.name], system.objectives) for service in system.services]
    return Watched(
        serving=tuple(workload.name for workload in scraped if workload.role != "monitoring"),
        watching=tuple(workload.name for workload in scraped if workload.role == "monitoring"),
        services=tuple(alert for alerts in services for alert in alerts),
        hosts=any(workload.name == NODE_EXPORTER for workload in scraped),
        limits_mib={name: resources.memory_mib for name, resources in limits.items()},
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
        watched=watched_of(system, monitoring, [workload for workload in workloads if workload.metrics], sizings),
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
    """Programs that the stack does not have, and machines that one Prometheus does not see."""
    monitoring, where = settings.monitoring, "groundwork:monitoring"
    if monitoring is None:
        return
    known = images_of(monitoring, services)
    for name in monitoring.programs:
        if name == GRAFANA:
            yield Fault(f"{where}.programs.{name}", "has a key of its own", f"write it at {where}.{GRAFANA}")
        else:
            yield from known_name(name, known, f"{where}.programs.{name}", "program")
    for key, what, instead in misrouted(monitoring.receivers, monitoring.routing):
        yield Fault(f"{where}.{key}", what, instead)
    if len(settings.stack_machines) > 1:
        what = "Prometheus runs beside the containers it measures, and these are on several machines"
        yield Fault(where, what, "take it out, or use one machine with the role `all`; several are yet to come")
