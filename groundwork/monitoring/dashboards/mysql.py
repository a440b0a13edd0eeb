"""MySQL, by mysqld_exporter."""

from __future__ import annotations

from ..objectives import Objectives
from .panels import RATE, Dashboard, Panel, Query, Row, falling, rising
from .shared import SHARE, connections_share, lets_in, running_for, service_uid, warned


def mysql_dashboard(service: str, objectives: Objectives) -> Dashboard:
    job = f'job="{service}-exporter"'
    used, most = "mysql_global_status_threads_connected", "mysql_global_variables_max_connections"
    taken = f"max({used}{{{job}}}) / max({most}{{{job}}})"
    limit = objectives.connections_percent
    return Dashboard(
        uid=service_uid(service),
        title=f"MySQL: {service}",
        text=f"What {service} does, what it waits for, and how much of it is used up.",
        tags=("service",),
        filled=(Query(expr=taken, legend=f"{service}: connections", steps=warned(limit / 100)),),
        rows=(
            Row(title="Now", panels=(
                lets_in("mysql_up", service, "MysqlDown"),
                running_for(f"mysql_global_status_uptime{{{job}}}", "MysqlRestarts"),
                connections_share(taken, limit, "MysqlConnectionsHigh"),
                *_now(job, objectives),
            )),
            Row(title="Clients", panels=_clients(job)),
            Row(title="Work", panels=_work(job, objectives)),
            Row(title="Memory and disk", panels=_disk(job)),
        ),
    )  # fmt: skip


def _slow(job: str, window: str) -> str:
    return f"sum(rate(mysql_global_status_slow_queries{{{job}}}[{window}])) * 60"


def _now(job: str, objectives: Objectives) -> tuple[Panel, ...]:
    asked = f"sum(rate(mysql_global_status_innodb_buffer_pool_read_requests{{{job}}}[30m]))"
    read = f"sum(rate(mysql_global_status_innodb_buffer_pool_reads{{{job}}}[30m]))"
    return (
        Panel(
            kind="number",
            title="Slow queries a minute",
            unit="short",
            text="Statements of a second or more. The slow query log in its volume has them, with what they asked for.",
            queries=(Query(expr=_slow(job, "5m")),),
            steps=warned(objectives.slow_queries_per_minute),
            width=4,
            height=4,
            runbooks=("MysqlSlowQueries",),
        ),
        Panel(
            kind="number",
            title="Read from memory",
            unit=SHARE,
            text="Of the pages that were asked for in 30 minutes. 99 % is usual; below 95 % give it more memory, or "
            "find the query that reads whole tables.",
            queries=(Query(expr=f"1 - {read} / {asked}"),),
            steps=falling(0.95, 0.98),
            width=4,
            height=4,
            most=1,
            runbooks=("MysqlCacheHitsLow",),
        ),
        Panel(
            kind="number",
            title="Waiting for a row",
            unit="short",
            text="Transactions that wait for what another one holds. They end with an error after 50 seconds.",
            queries=(Query(expr=f"sum(mysql_global_status_innodb_row_lock_current_waits{{{job}}})"),),
            steps=rising(10, 1),
            width=4,
            height=4,
            runbooks=("MysqlLockWaits",),
        ),
    )


def _clients(job: str) -> tuple[Panel, ...]:
    lost = (("aborted_connects", "could not log in"), ("aborted_clients", "left without a word"))
    return (
        Panel(
            kind="lines",
            title="Connections",
            unit="short",
            text="Those that run something should be few: when they rise with the others, they wait for each other.",
            queries=(
                Query(expr=f"sum(mysql_global_status_threads_connected{{{job}}})", legend="open"),
                Query(expr=f"sum(mysql_global_status_threads_running{{{job}}})", legend="running something"),
                Query(expr=f"max(mysql_global_variables_max_connections{{{job}}})", legend="limit"),
            ),
            width=8,
            runbooks=("MysqlConnectionsHigh",),
        ),
        Panel(
            kind="lines",
            title="Broken connections a second",
            unit="ops",
            text="Could not log in: a wrong password, or a rotation that is half done. Left without a word: an app "
            "that was killed, or a pool that keeps connections too long.",
            queries=tuple(
                Query(expr=f"sum(rate(mysql_global_status_{name}{{{job}}}[{RATE}]))", legend=word)
                for name, word in lost
            ),
            width=8,
        ),
        Panel(
            kind="lines",
            title="Bytes to and from clients",
            unit="Bps",
            text="A jump without more queries: somebody reads whole tables into an app.",
            queries=(
                Query(expr=f"sum(rate(mysql_global_status_bytes_sent{{{job}}}[{RATE}]))", legend="sent"),
                Query(expr=f"sum(rate(mysql_global_status_bytes_received{{{job}}}[{RATE}]))", legend="received"),
            ),
            width=8,
        ),
    )


def _work(job: str, objectives: Objectives) -> tuple[Panel, ...]:
    commands = f'mysql_global_status_commands_total{{{job}, command=~"select|insert|update|delete|commit|rollback"}}'
    return (
        Panel(
            kind="lines",
            title="Statements a second",
            unit="ops",
            text="More `select` alone is a cache that misses; more `rollback` are an app's errors.",
            queries=(Query(expr=f"sum by (command) (rate({commands}[{RATE}]))", legend="{{command}}"),),
            width=8,
        ),
        Panel(
            kind="lines",
            title="Slow queries over time",
            unit="short",
            text="When they come in waves, look at what runs at that time: reports, jobs, backups.",
            queries=(Query(expr=_slow(job, RATE), legend="a second or more"),),
            steps=rising(objectives.slow_queries_per_minute),
            width=8,
            runbooks=("MysqlSlowQueries",),
        ),
        Panel(
            kind="lines",
            title="Locks",
            unit="short",
            text="Waits that stay: one transaction does not end. Deadlocks: code that locks in different order.",
            queries=(
                Query(
                    expr=f"sum(mysql_global_status_innodb_row_lock_current_waits{{{job}}})", legend="waiting for a row"
                ),
                Query(
                    expr=f"sum(increase(mysql_info_schema_innodb_metrics_lock_lock_deadlocks_total{{{job}}}[1h]))",
                    legend="deadlocks in an hour",
                ),
            ),
            width=8,
            runbooks=("MysqlLockWaits", "MysqlDeadlocks"),
        ),
    )


def _disk(job: str) -> tuple[Panel, ...]:
    return (
        Panel(
            kind="lines",
            title="Buffer pool",
            unit="bytes",
            text="When most of it waits to be written, the disk is too slow for what the apps change.",
            queries=(
                Query(expr=f"sum(mysql_global_status_innodb_buffer_pool_bytes_data{{{job}}})", legend="data"),
                Query(expr=f"sum(mysql_global_status_innodb_buffer_pool_bytes_dirty{{{job}}})", legend="to be written"),
            ),
            width=8,
        ),
        Panel(
            kind="lines",
            title="Disk",
            unit="Bps",
            text="Reads by day: the data no longer fits in memory. Writes without statements: a table is rebuilt.",
            queries=(
                Query(expr=f"sum(rate(mysql_global_status_innodb_data_read{{{job}}}[{RATE}]))", legend="read"),
                Query(expr=f"sum(rate(mysql_global_status_innodb_data_written{{{job}}}[{RATE}]))", legend="written"),
            ),
            width=8,
            runbooks=("MysqlCacheHitsLow",),
        ),
        Panel(
            kind="lines",
            title="Binary logs",
            unit="bytes",
            text="What a restore to a point in time needs. It grows by what is written and is cut by its age; without "
            "a cut the disk fills.",
            queries=(Query(expr=f"sum(mysql_binlog_size_bytes{{{job}}})", legend="on the disk"),),
            width=8,
            runbooks=("DiskFullSoon",),
        ),
    )
