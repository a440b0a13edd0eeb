"""What an environment file may say below `groundwork:monitoring`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..model import Cpus, ImageReference, Memory, Model, Name, Whole
from .receivers import Receiver, Routing


class Program(Model):
    """One program of monitoring in this environment; what is not said stays as it is."""

    image: ImageReference | None = None
    """Another image with the same software."""
    memory_mib: Memory | None = None
    """Limit of its memory, in MiB."""
    cpus: Cpus | None = None
    """Limit of its processor time, in cores."""


class Logs(Model):
    """Loki, and a shipper that reads what containers write. It masks personal data and secrets first."""

    enabled: bool = True
    """Without them what containers wrote is on their machine alone: the last 50 MB of each, as it was written."""
    retention_days: Annotated[Whole, Field(ge=1, le=3650)] = 30
    """How long logs are kept, in days (M4: 30)."""
    retention_gib: Annotated[Whole, Field(ge=1, le=65_536)] = 10
    """What their disk takes at most, in GiB, however badly they are compressed: each day may bring its share of it, and
    half a day's share at once. What is more waits."""


class Monitoring(Model):
    """Prometheus, Alertmanager, exporters, probes and logs. Nothing of it is public: `ops tunnel` leads there."""

    scrape_seconds: Annotated[Whole, Field(ge=5, le=60)] = 15
    """How often everything is measured, in seconds (M1: 15). Above 60 the burn rates of five minutes mean nothing."""
    retention_days: Annotated[Whole, Field(ge=1, le=3650)] = 30
    """How long measurements are kept, in days; the error budget is one of 30 days."""
    retention_gib: Annotated[Whole, Field(ge=1, le=65_536)] = 5
    """How much of them is kept, in GiB: the oldest go first."""
    logs: Logs = Logs()
    receivers: dict[Name, Receiver] = Field(default_factory=dict)
    """Who can be told, by a name of your own."""
    routing: Routing = Routing()
    grafana: Program | None = None
    """Grafana with dashboards: `{}` switches it on, with a limit of 512 MiB. `ops tunnel grafana` leads there."""
    programs: dict[Name, Program] = Field(default_factory=dict)
    """By the name of their workload: prometheus, alertmanager, blackbox, loki, shipper, or
    `<service>-exporter`."""

    def chosen(self, name: str) -> Program:
        """What is said of one program, by the name of its workload."""
        return self.grafana if name == "grafana" and self.grafana else self.programs.get(name, Program())
