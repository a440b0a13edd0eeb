"""Backups of one service: is there a new one, does its log leave the machine, and did a restore prove it.

Their jobs tell when each last succeeded, in seconds since 1970. Who has no such job has no such alert.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .alerts import Alert, Severity
from .objectives import Objectives

BACKED_UP = "groundwork_backup_last_success_timestamp_seconds"
ARCHIVED = "groundwork_archive_last_success_timestamp_seconds"
PROVEN = "groundwork_restore_test_last_success_timestamp_seconds"
"""Each has the label `service`."""
WATCHED_FOR = 'time() - max(prometheus_tsdb_lowest_timestamp_seconds{job="prometheus"})'
"""Seconds that Prometheus remembers, restarts or not."""


@dataclass(frozen=True, kw_only=True)
class Age:
    """One thing that must happen again and again: `metric` tells when it last did, `seconds` is when it is late."""

    name: str
    metric: str
    seconds: int
    severity: Severity
    what: str
    description: str
    why: str
    reason: str
    source: str


def backup_alerts(services: Sequence[str], objectives: Objectives) -> tuple[Alert, ...]:
    """Of the services that are backed up."""
    return tuple(_late(age, service) for service in services for age in ages(objectives))


def _late(age: Age, service: str) -> Alert:
    last = f'max({age.metric}{{service="{service}"}})'
    # What never happened is late as well, though not on the first day: as soon as Prometheus remembers for so long.
    return Alert(
        name=age.name,
        expr=f"time() - {last} > {age.seconds}\nor ({WATCHED_FOR} > {age.seconds}) unless {last}",
        hold="5m",
        severity=age.severity,
        service=service,
        summary=f"{service} {age.what}",
        description=age.description,
        why=age.why,
        reason=f"{age.reason}; 5 minutes outlast a restart of whoever tells it",
        source=age.source,
    )


def ages(objectives: Objectives) -> tuple[Age, ...]:
    return (
        Age(
            name="ArchiveOld",
            metric=ARCHIVED,
            seconds=objectives.archive_minutes * 60,
            severity="P1",
            what="does not archive its log",
            description="Nothing of it has left the machine for {{ $value | humanizeDuration }}, or longer than "
            "anybody remembers; so much is lost with the disk.",
            why="What users enter now is lost if the disk is, and the log fills that very disk.",
            reason="the system's own figure: half of the hour that may be lost, so that the other half is left to act",
            source="S4 (RPO 1 h; B3)",
        ),
        Age(
            name="BackupOld",
            metric=BACKED_UP,
            seconds=objectives.backup_hours * 3600,
            severity="P2",
            what="has no new backup",
            description="The newest one that succeeded is {{ $value | humanizeDuration }} old, or there is none that "
            "anybody remembers.",
            why="A restore begins further back, and takes longer than was promised.",
            reason="the system's own figure: one every night, and two hours that it may take",
            source="S1 to S5 (every night 02:00; B1), S4 (RTO 2 h)",
        ),
        Age(
            name="RestoreTestOld",
            metric=PROVEN,
            seconds=objectives.restore_test_days * 86_400,
            severity="P3",
            what="has backups that nobody has tried",
            description="The newest restore that was tried and found its data is {{ $value | humanizeDuration }} old, "
            "or there is none that anybody remembers.",
            why="Whether there is a backup at all is known only by a restore; the wrong time to learn it is an outage.",
            reason="the system's own figure: one every week, and a day that it may be late",
            source="S5 (every week; B2), S3, S4 (drills)",
        ),
    )
