"""PostgreSQL, by postgres_exporter."""

from __future__ import annotations

from ..objectives import Objectives
from .panels import RATE, Dashboard, Panel, Query, Row, falling, rising
from .shared import SHARE, connections_share, lets_in, service_uid, warned

NO_DUMP = 'application_name!="pg_dump"'


def postgres_dashboard(service: str, objectives: Objectives) -> Dashboard:
    job = f'job="{service}-exporter"'
    taken = f"sum(pg_stat_database_numbackends{{{job}}}) / max(pg_settings_max_connections{{{job}}})"
    limit = objectives.connections_percent
    return Dashboard(
        uid=service_uid(service),
        title=f"PostgreSQL: {service}",
        text=f"What {service} does, what it waits for, and how much of it is used up.",
        tags=("service",),
        filled=(Query(expr=taken, legend=f"{service}: connections", steps=warned(limit / 100)),),
        rows=(
            Row(title="Now", panels=(
                lets_in("pg_up", service, "PostgresDown", "PostgresRestarts"),
                connections_share(taken, limit, "PostgresConnectionsHigh"),
                *_now(job, objectives),
            )),
            Row(title="Clients", panels=_clients(job, objectives)),
            Row(title="Work", panels=_work(job)),
            Row(title="Disk", panels=_disk(job)),
        ),
    )  # fmt: skip


def _now(job: str, objectives: Objectives) -> tuple[Panel, ...]:
    hits, reads = (f"sum(rate(pg_stat_database_{name}{{{job}}}[30m]))" for name in ("blks_hit", "blks_read"))
    return (
        Panel(
            kind="number",
            title="Read from memory",
            unit=SHARE,
            text="Of the blocks that were asked for in 30 minutes. 99 % is usual; below 90 % give it more memory, or "
            "find the query that reads whole tables.",
            queries=(Query(expr=f"{hits} / ({hits} + {reads})"),),
            steps=falling(0.9, 0.98),
            width=4,
            height=4,
            most=1,
            runbooks=("PostgresCacheHitsLow",),
        ),
        Panel(
            kind="number",
            title="Longest transaction",
            unit="s",
            text="It holds its locks all the time. See below whose it is, and end it unless it is a migration.",
            queries=(
                Query(expr=f'max(pg_stat_activity_max_tx_duration{{{job}, state!="idle", {NO_DUMP}}})'),
            ),
            steps=warned(objectives.transaction_seconds),
            width=4,
            height=4,
            empty="none",
            runbooks=("PostgresTransactionLong",),
        ),
        Panel(
            kind="number",
            title="Deadlocks in an hour",
            unit="short",
            text="Each is one request that failed. Many mean that two pieces of code lock in different order.",
            queries=(Query(expr=f"sum(increase(pg_stat_database_deadlocks{{{job}}}[1h]))"),),
            steps=rising(5, 1),
            width=4,
            height=4,
            runbooks=("PostgresDeadlocks",),
        ),
        Panel(
            kind="number",
            title="Size",
            unit="bytes",
            text="Of all databases, without the write-ahead log. Plan the disk by it: a dump needs as much again.",
            queries=(Query(expr=f"sum(pg_database_size_bytes{{{job}}})"),),
            width=4,
            height=4,
        ),
    )


def _clients(job: str, objectives: Objectives) -> tuple[Panel, ...]:
    return (
        Panel(
            kind="lines",
            title="Connections by state",
            unit="short",
            text="Many that are `idle in transaction`: an app does something slow between two statements. Many "
            "`active`: they wait for locks or for the disk.",
            queries=(Query(expr=f"sum by (state) (pg_stat_activity_count{{{job}}}) > 0", legend="{{state}}"),),
            width=8,
            stacked=True,
            runbooks=("PostgresConnectionsHigh",),
        ),
        Panel(
            kind="lines",
            title="Longest transaction by user",
            unit="s",
            text="The line that grows by a second each second is the one to end.",
            queries=(
                Query(
                    expr=f'max by (datname, usename) (pg_stat_activity_max_tx_duration{{{job}, state!="idle"}})',
                    legend="{{usename}} in {{datname}}",
                ),
            ),
            steps=rising(objectives.transaction_seconds),
            width=8,
            runbooks=("PostgresTransactionLong",),
        ),
        Panel(
            kind="lines",
            title="Locks by mode",
            unit="short",
            text="An `accessexclusivelock` that stays is a migration or a VACUUM FULL: everybody else waits for it.",
            queries=(Query(expr=f"sum by (mode) (pg_locks_count{{{job}}}) > 0", legend="{{mode}}"),),
            width=8,
        ),
    )


def _work(job: str) -> tuple[Panel, ...]:
    each = (("commit", "committed"), ("rollback", "rolled back"))
    rows = (("fetched", "read"), ("inserted", "inserted"), ("updated", "updated"), ("deleted", "deleted"))
    return (
        Panel(
            kind="lines",
            title="Transactions a second",
            unit="ops",
            text="Rolled back ones that rise with the commits are a habit of the app; alone, they are its errors.",
            queries=tuple(
                Query(expr=f"sum(rate(pg_stat_database_xact_{name}{{{job}}}[{RATE}]))", legend=word)
                for name, word in each
            ),
            width=8,
        ),
        Panel(
            kind="lines",
            title="Rows a second",
            unit="ops",
            text="Far more read than the app asks for: a query without an index.",
            queries=tuple(
                Query(expr=f"sum(rate(pg_stat_database_tup_{name}{{{job}}}[{RATE}]))", legend=word)
                for name, word in rows
            ),
            width=8,
        ),
        Panel(
            kind="lines",
            title="Blocks read from the disk a second",
            unit="ops",
            text="Peaks at night are dumps. A level that stays high by day wants more memory or an index.",
            queries=(
                Query(
                    expr=f"sum by (datname) (rate(pg_stat_database_blks_read{{{job}}}[{RATE}]))", legend="{{datname}}"
                ),
            ),
            width=8,
            runbooks=("PostgresCacheHitsLow",),
        ),
    )


def _disk(job: str) -> tuple[Panel, ...]:
    return (
        Panel(
            kind="lines",
            title="Size by database",
            unit="bytes",
            text="The slope says when the disk is full. A step down is a table that was dropped or vacuumed.",
            queries=(Query(expr=f"sum by (datname) (pg_database_size_bytes{{{job}}})", legend="{{datname}}"),),
            width=8,
            runbooks=("DiskFullSoon",),
        ),
        Panel(
            kind="lines",
            title="Write-ahead log",
            unit="bytes",
            text="It grows without end where its archive fails or a replication slot is left over: mend that first.",
            queries=(Query(expr=f"sum(pg_wal_size_bytes{{{job}}})", legend="on the disk"),),
            width=8,
        ),
        Panel(
            kind="lines",
            title="Temporary files",
            unit="Bps",
            text="Sorts and joins that do not fit in `work_mem` are written to the disk, which makes them slow.",
            queries=(
                Query(
                    expr=f"sum by (datname) (rate(pg_stat_database_temp_bytes{{{job}}}[{RATE}]))", legend="{{datname}}"
                ),
            ),
            width=8,
        ),
    )
