"""MySQL, by mysqld_exporter."""

from __future__ import annotations

from .alerts import Alert, number
from .objectives import Objectives
from .service_rules import down, restarts


def mysql_alerts(service: str, objectives: Objectives) -> tuple[Alert, ...]:
    job = f'job="{service}-exporter"'
    asked = f"rate(mysql_global_status_innodb_buffer_pool_read_requests{{{job}}}[30m])"
    read = f"rate(mysql_global_status_innodb_buffer_pool_reads{{{job}}}[30m])"
    return (
        down(
            "MysqlDown",
            "mysql_up",
            service,
            why="Every request that needs the database fails.",
            reason="1 minute: its restart takes seconds, and nothing works meanwhile",
        ),
        Alert(
            name="MysqlConnectionsHigh",
            expr=f"mysql_global_status_threads_connected{{{job}}}\n"
            f"/ mysql_global_variables_max_connections{{{job}}} > {number(objectives.connections_percent / 100)}",
            hold="5m",
            severity="P1",
            service=service,
            summary=f"{service} has few connections left",
            description="{{ $value | humanizePercentage }} of its connections are taken; the limit is "
            f"{objectives.connections_percent:g} %.",
            why="At 100 % apps get errors instead of connections.",
            reason="the system's own share of the limit; S1's 100 is a fifth of its own 500 and would always fire",
            source="S1 (fewer than 400 of 500), S5 (80 %)",
        ),
        Alert(
            name="MysqlSlowQueries",
            expr=f"rate(mysql_global_status_slow_queries{{{job}}}[5m]) * 60 > "
            f"{number(objectives.slow_queries_per_minute)}",
            hold="10m",
            severity="P2",
            service=service,
            summary=f"{service} has many slow queries",
            description="{{ $value | humanize }} statements a minute take a second or more; the limit is "
            f"{objectives.slow_queries_per_minute:g}.",
            why="Pages that need them are slow, and all others wait behind them.",
            reason="the system's own figure; 10 minutes rule out a report that somebody runs once",
            source="S1 (fewer than 10 a minute)",
        ),
        Alert(
            name="MysqlLockWaits",
            expr=f"mysql_global_status_innodb_row_lock_current_waits{{{job}}} > 10",
            hold="5m",
            severity="P2",
            service=service,
            summary=f"Transactions in {service} wait for each other",
            description="{{ $value }} transactions wait for a row that another holds.",
            why="The requests behind them hang, and end after 50 seconds with an error.",
            reason="some wait for milliseconds at any time; ten for 5 minutes wait for one that does not end",
            source="MySQL manual (innodb_lock_wait_timeout: 50 s)",
        ),
        Alert(
            name="MysqlDeadlocks",
            expr=f"increase(mysql_info_schema_innodb_metrics_lock_lock_deadlocks_total{{{job}}}[1h]) > 5",
            severity="P3",
            service=service,
            summary=f"Transactions in {service} block each other",
            description="{{ $value | humanize }} deadlocks in an hour; one transaction fails in each.",
            why="Each is one user's failed request; many mean two pieces of code lock in different order.",
            reason="a few happen in healthy systems and are tried again",
            source="Groundwork",
        ),
        Alert(
            name="MysqlCacheHitsLow",
            expr=f"1 - {read}\n/ {asked} < 0.95\nand {read} > 100",
            hold="1h",
            severity="P3",
            service=service,
            summary=f"{service} reads much from the disk",
            description="{{ $value | humanizePercentage }} of pages were in its memory; above 95 % is usual.",
            why="Queries take ten times as long as they would from memory.",
            reason="99 % is usual; below 95 %, with 100 pages a second and for an hour, it is no nightly job",
            source="common practice",
        ),
        restarts(
            "MysqlRestarts",
            f"mysql_global_status_uptime{{{job}}}",
            service,
            why="Every connection breaks each time, and what was not committed is lost.",
        ),
    )
