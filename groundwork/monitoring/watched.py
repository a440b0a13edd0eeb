"""What a stack's monitoring judges and shows: what somebody there tells."""

from __future__ import annotations

from collections.abc import Sequence

from ..workload import Workload
from .around import Around
from .dashboards.stack import Shown
from .logs import GIB
from .loki import day_bytes
from .on_machines import View, machines_of, silences
from .probes import CERTIFICATE, Probe
from .programs import AGENT, LOKI, NODE_EXPORTER, PROMETHEUS, USUAL
from .rules import Watched


def watched_of(
    around: Around, workloads: Sequence[Workload], views: Sequence[View] = (), home: View | None = None
) -> Watched:
    """What there is to judge. Prometheus, which does so at `home`, is not among `workloads`."""
    system, logs = around.system, around.monitoring.logs
    scraped = [workload for workload in workloads if workload.metrics]
    own = around.resources(PROMETHEUS, USUAL[PROMETHEUS])
    limits = {PROMETHEUS: own} | {workload.name: workload.resources for workload in scraped}
    services = [service.alerts(around.sizings[service.name], system.objectives) for service in system.services]
    return Watched(
        serving=tuple(workload.name for workload in scraped if workload.role != "monitoring"),
        # An agent that is gone is a machine of which nothing is heard.
        watching=tuple(one.name for one in scraped if one.role == "monitoring" and one.name != AGENT),
        services=tuple(alert for alerts in services for alert in alerts),
        logs_day_bytes=day_bytes(logs.retention_days, logs.retention_gib * GIB) if logs.enabled else 0,
        hosts=any(workload.name == NODE_EXPORTER for workload in scraped),
        limits_mib={name: resources.memory_mib for name, resources in limits.items()},
        machines=machines_of(views),
        silences=silences(views, home) if home else {},
    )


def shown_of(around: Around, workloads: Sequence[Workload], probes: Sequence[Probe]) -> Shown:
    """What dashboards there are: of services, and of what else `workloads` tell."""
    system = around.system
    found = (service.dashboard(system.objectives) for service in system.services)
    return Shown(
        title=f"{system.name} {around.stack}",
        objectives=system.objectives,
        watched=watched_of(around, workloads),
        services=[dashboard for dashboard in found if dashboard],
        retention_days=around.monitoring.retention_days,
        certificate=any(probe.job == CERTIFICATE for probe in probes),
        logs=any(workload.name == LOKI for workload in workloads),
    )
