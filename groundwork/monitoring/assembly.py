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
from .log_rules import content_alerts
from .logs import GIB, LOKI, SHIPPER, loki, shipper
from .logs import IMAGES as OF_LOGS
from .logs import USUAL as USUAL_OF_LOGS
from .loki import day_bytes
from .probes import BLACKBOX, probes_of
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
from .settings import Monitoring, Program


def images_of(monitoring: Monitoring, services: Sequence[BackingService]) -> dict[str, str]:
    """The image reference of each program, by the name of its workload."""
    of_services = {f"{one.name}-exporter": one.exporter_image for one in services if one.exporter_image}
    usual = {**IMAGES, **(OF_LOGS if monitoring.logs.enabled else {}), **of_services}
    return {name: monitoring.programs.get(name, Program()).image or image for name, image in usual.items()}


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
    # By these its alerts are told from those of other stacks.
    labels = {"system": system.name, "stack": stack}
    telling = alertmanager(monitoring, images[ALERTMANAGER], settings.time_zone, secrets)
    beside = (
        *exporters(system, monitoring, sizings, images),
        telling,
        *(logs_of(settings, monitoring, images, labels, telling, project, stack) if monitoring.logs.enabled else ()),
        blackbox(monitoring, images[BLACKBOX], probes, settings.entry),
        node_exporter(monitoring, images[NODE_EXPORTER]),
    )
    scraped = [workload for workload in (*workloads, *beside) if workload.metrics]
    target = settings.target
    namespace = target.machines_namespace_of(f"{project}-{stack}") if isinstance(target, KubernetesTarget) else ""
    rules = rule_files(alerts_of(system, monitoring, scraped, sizings))
    server = prometheus(monitoring, images[PROMETHEUS], scraped, probes, rules, labels, namespace=namespace)
    return (*beside, server)


def logs_of(
    settings: Settings,
    monitoring: Monitoring,
    images: Mapping[str, Image],
    labels: Mapping[str, str],
    telling: Workload,
    project: str,
    stack: str,
) -> Iterator[Workload]:
    """Loki and what brings it the logs."""
    limits = {name: resources_of(monitoring, name, usual) for name, usual in USUAL_OF_LOGS.items()}
    (rules,) = rule_files([Group(name="log-contents", alerts=content_alerts())]).values()
    yield loki(monitoring.logs, images[LOKI], limits[LOKI], labels, telling, rules)
    yield shipper(images[SHIPPER], limits[SHIPPER], settings.target, project, stack)


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
    own = resources_of(monitoring, PROMETHEUS, USUAL[PROMETHEUS])
    limits = {PROMETHEUS: own} | {workload.name: workload.resources for workload in scraped}
    logs = monitoring.logs
    watching = tuple(workload.name for workload in scraped if workload.role == "monitoring")
    services = [service.alerts(sizings[service.name], system.objectives) for service in system.services]
    watched = Watched(
        serving=tuple(workload.name for workload in scraped if workload.role != "monitoring"),
        watching=watching,
        services=tuple(alert for alerts in services for alert in alerts),
        hosts=NODE_EXPORTER in watching,
        logs_day_bytes=day_bytes(logs.retention_days, logs.retention_gib * GIB) if logs.enabled else 0,
        limits_mib={name: resources.memory_mib for name, resources in limits.items()},
    )
    return alert_groups(system.objectives, watched)


def monitoring_misfits(settings: Settings, services: Sequence[BackingService]) -> Iterator[Fault]:
    """Programs that the stack does not have, and machines that one Prometheus does not see."""
    monitoring, where = settings.monitoring, "groundwork:monitoring"
    if monitoring is None:
        return
    known = images_of(monitoring, services)
    for name in monitoring.programs:
        yield from known_name(name, known, f"{where}.programs.{name}", "program")
    for key, what, instead in misrouted(monitoring.receivers, monitoring.routing):
        yield Fault(f"{where}.{key}", what, instead)
    if len(settings.stack_machines) > 1:
        what = "Prometheus runs beside the containers it measures, and these are on several machines"
        yield Fault(where, what, "take it out, or use one machine with the role `all`; several are yet to come")
