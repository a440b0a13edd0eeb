"""PostgreSQL, by postgres_exporter."""

from __future__ import annotations

from .alerts import Alert, number
from .objectives import Objectives
from .service_rules import down


def postgres_alerts(service: str, objectives: Objectives) -> tuple[Alert, ...]:
    job = f'job="{service}-exporter"'
    hits, reads = (f"sum by (job) (rate(pg_stat_database_{name}{{{job}}}[30m]))" for name in ("blks_hit", "blks_read"))
    return (
        down(
            "PostgresDown",
            "pg_up",
            service,
            why="Every request that needs the database fails.",
            reason="1 minute: its restart takes seconds, and nothing works meanwhile",
        ),
        Alert(
            name="PostgresConnectionsHigh",
            expr=f"sum by (job) (pg_stat_database_numbackends{{{job}}})\n"
            f"/ max by (job) (pg_settings_max_connections{{{job}}}) > {number(objectives.connections_percent / 100)}",
            hold="5m",
            severity="P1",
            service=service,
            summary=f"{service} has few connections left",
            description="{{ $value | humanizePercentage }} of its connections are taken; the limit is "
            f"{objectives.connections_percent:g} %.",
            why="At 100 % apps get errors instead of connections.",
            reason="the system's own share of the limit; a release holds old and new connections for a minute",
            source="S5 (80 %), S1 (a number, see requirements)",
        ),
        Alert(
            name="PostgresTransactionLong",
            expr="max by (job, datname, usename) (pg_stat_activity_max_tx_duration"
            f'{{{job}, state!="idle", application_name!="pg_dump"}}) > {objectives.transaction_seconds}',
            hold="5m",
            severity="P2",
            service=service,
            summary=f"A transaction in {service} does not end",
            description="{{ $labels.usename }} has had one open in {{ $labels.datname }} for "
            "{{ $value | humanizeDuration }}.",
            why="It holds locks that others wait for, and keeps the database from cleaning up.",
            reason="the system's own figure; a dump, which reads for long and locks nothing, does not count",
            source="Groundwork; S1 watches slow queries",
        ),
        Alert(
            name="PostgresDeadlocks",
            expr=f"sum by (job, datname) (increase(pg_stat_database_deadlocks{{{job}}}[1h])) > 5",
            severity="P3",
            service=service,
            summary=f"Transactions in {service} block each other",
            description="{{ $value | humanize }} deadlocks in {{ $labels.datname }} in an hour; one transaction fails "
            "in each.",
            why="Each is one user's failed request; many mean two pieces of code lock in different order.",
            reason="a few happen in healthy systems and are tried again",
            source="Groundwork",
        ),
        Alert(
            name="PostgresCacheHitsLow",
            expr=f"{hits}\n/ ({hits} + {reads}) < 0.9\nand {reads} > 100",
            hold="1h",
            severity="P3",
            service=service,
            summary=f"{service} reads much from the disk",
            description="{{ $value | humanizePercentage }} of blocks were in its memory; above 90 % is usual.",
            why="Queries take ten times as long as they would from memory.",
            reason="99 % is usual for such systems; below 90 %, with 100 blocks a second and for an hour, it is no "
            "nightly job",
            source="PostgreSQL wiki, common practice",
        ),
        Alert(
            name="PostgresRestarts",
            expr=f"changes(pg_up{{{job}}}[1h]) > 3",
            severity="P1",
            service=service,
            summary=f"{service} comes and goes",
            description="It changed between up and down {{ $value }} times in an hour.",
            why="Every connection breaks each time, and what was not committed is lost.",
            reason="one may be an `up` that changed its limits; twice down and up in an hour is a crash. The exporter "
            "tells no time of its start",
            source="S5 (HighRestartRate)",
        ),
    )
