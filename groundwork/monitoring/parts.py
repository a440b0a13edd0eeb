"""Parts of a stack's monitoring that are made of several things of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..workload import Workload
from .agents import agent
from .alerts import Group, rule_files
from .around import Around
from .dashboards.stack import Shown, dashboards_of
from .grafana import grafana
from .log_rules import content_alerts
from .logs import SHIPPER, USUAL, loki, shipper, store_of
from .loki import LOKI_PORT
from .on_machines import View
from .programs import AGENT, GRAFANA, LOKI, PROMETHEUS, PROMETHEUS_PORT


def exporters_of(around: Around) -> Iterator[Workload]:
    """One for each service that does not tell about itself."""
    for service in around.system.services:
        if service.exporter_image:
            name = f"{service.name}-exporter"
            found = service.exporter(around.sizings[service.name], around.images[name])
            assert found and found.name == name, service
            yield replace(found, resources=around.resources(name, found.resources))


def loki_of(around: Around, telling: Workload) -> Workload:
    """The store of logs, with the rules about what is in them; `telling` is Alertmanager."""
    (rules,) = rule_files([Group(name="log-contents", alerts=content_alerts())]).values()
    limits = around.resources(LOKI, USUAL[LOKI])
    return loki(around.monitoring.logs, around.images[LOKI], limits, around.labels, telling, rules)


def shippers_of(around: Around) -> Mapping[str, Workload]:
    """What sends it the logs of each machine, by the machine's name: each finds it elsewhere."""
    limits, target = around.resources(SHIPPER, USUAL[SHIPPER]), around.settings.target
    placement = around.placement
    found = {machine.name: placement.found(LOKI, LOKI_PORT, machine) for machine in placement.machines}
    return {
        name: shipper(around.images[SHIPPER], limits, target, around.project, around.stack, where)
        for name, where in (found or {"": store_of(target, around.project, around.stack)}).items()
    }


def agents_of(around: Around, views: tuple[View, ...], home: View) -> Mapping[str, Workload]:
    """What measures each machine but the one where everything is gathered, by the machine's name."""
    return {
        view.name: agent(
            around.monitoring,
            around.images[AGENT],
            view,
            around.placement.found(PROMETHEUS, PROMETHEUS_PORT, view.machine),
        )
        for view in views
        if view is not home
    }


def grafana_of(around: Around, shown: Shown) -> Workload:
    """Grafana with its dashboards in it."""
    # Grafana's library takes 40 ms to import, which a stack without Grafana need not wait for.
    from .dashboards.render import rendered

    zone = around.settings.time_zone
    files = {one.uid: rendered(one, zone) for one in dashboards_of(shown)}
    return grafana(around.monitoring, around.images[GRAFANA], files, zone, logs=shown.logs)
