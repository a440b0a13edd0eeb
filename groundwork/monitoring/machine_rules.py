"""Machines of which nothing is heard, and the agents that speak for them. Rules are evaluated where all is gathered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .alerts import Alert, Severity
from .programs import AGENT

JOB = f'job="{AGENT}"'
MIXIN = "Prometheus' mixin"
CARRIES: Mapping[Severity, tuple[str, str]] = {
    "P0": ("only", "Something that it carries runs nowhere else: it is down for every user if the machine is."),
    "P1": ("spare", "Other machines carry the same and go on without it; the next one that is lost is an outage."),
    "P2": ("nothing", "Users need nothing that it carries; but nobody knows how it is."),
}
"""What a machine carries, as the label `carries` says it, and what its silence means."""


def machine_alerts(silences: Mapping[str, Severity]) -> tuple[Alert, ...]:
    """`silences` are the machines that have an agent, with how bad it is to hear nothing of each."""
    return (*_silent(silences), *(agent_alerts() if silences else ()))


def _silent(silences: Mapping[str, Severity]) -> Iterator[Alert]:
    for severity, (carries, why) in CARRIES.items():
        names = [name for name, how_bad in silences.items() if how_bad == severity]
        if names:
            yield Alert(
                name="MachineSilent",
                labels={"carries": carries},
                # What an agent measures of itself is always there; and a series that only stops is taken for the last
                # that was heard of it for five minutes.
                expr="\nor ".join(f'absent_over_time(up{{{JOB}, machine="{name}"}}[2m])' for name in names),
                hold="1m",
                severity=severity,
                service="{{ $labels.machine }}",
                summary="Nothing is heard of {{ $labels.machine }}",
                description="Its agent passed nothing on for 3 minutes: the machine, its network or the agent is down.",
                why=why,
                reason="2 minutes are two scrapes where they are rarest, and one more is a restart of the agent",
                source="Groundwork",
            )


def agent_alerts() -> tuple[Alert, ...]:
    return (
        Alert(
            name="AgentLosesSamples",
            expr=f"increase(prometheus_remote_storage_samples_failed_total{{{JOB}}}[15m]) > 0",
            hold="5m",
            severity="P2",
            service="monitoring",
            summary="Measurements of {{ $labels.machine }} are lost",
            description="Prometheus refused {{ $value | humanize }} of them for good in 15 minutes.",
            why="Alerts about this machine may not fire, and its history has holes.",
            reason="none is normal: what Prometheus is not there for is kept for 4 hours and sent again",
            source=f"{MIXIN} (PrometheusRemoteStorageFailures)",
        ),
        Alert(
            name="AgentBehind",
            expr=f"increase(prometheus_remote_storage_samples_retried_total{{{JOB}}}[5m]) > 0\n"
            f"or prometheus_remote_storage_shards_desired{{{JOB}}} > prometheus_remote_storage_shards_max{{{JOB}}}",
            hold="15m",
            severity="P2",
            service="monitoring",
            summary="{{ $labels.machine }} can hardly pass on what it measures",
            description="For 15 minutes its agent had to send again, or would send more at once than it may.",
            why="Alerts about this machine come late; soon nothing is heard of it.",
            reason="15 minutes: after a restart of Prometheus what was kept meanwhile is sent within a few",
            source=f"{MIXIN} (PrometheusRemoteWriteBehind, PrometheusRemoteWriteDesiredShards)",
        ),
    )
