"""The same for backing services."""

from __future__ import annotations

from tests.monitoring.promtool import Case, Fires, Series
from tests.monitoring.series import LONG, counted, level, steady


def down(metric: str, service: str, name: str) -> Case:
    series = f'{metric}{{job="{service}-exporter",instance="x"}}'
    return Case(
        alert=f"{name}.{service}",
        interval="30s",
        fires=(Fires(series={series: level(1, 0, 1)}, first="6m", over="10m"),),
        quiet=({series: level(1, 0, 1, each=1)}, {series.replace(service, "other"): level(0)}),
        labels={"job": f"{service}-exporter", "instance": "x"},
        summary=f"{service} lets nobody in",
        description=f"The exporter of {service} could not log in for a minute.",
    )


def restarts(uptime: str, service: str, job: str, name: str) -> Case:
    """It starts at every tenth minute, twice. A reset an hour ago counts no more."""
    series = f'{uptime}{{job="{job}",instance="x"}}'
    return Case(
        alert=f"{name}.{service}",
        fires=(Fires(series={series: f"100+60x9 1+60x9 1+60x{LONG}"}, first="20m", over="69m"),),
        quiet=({series: f"100+60x9 1+60x{LONG}"},),
        labels={"job": job, "instance": "x"},
        summary=f"{service} starts again and again",
        description="It started 2 times in an hour.",
    )


def hits(metrics: tuple[str, str], values: tuple[str, str], labels: str) -> Series:
    return {f"{metric}{{{labels}}}": value for metric, value in zip(metrics, values, strict=True)}


PG = 'job="postgres-exporter",instance="x"'
PG_BLOCKS = ("pg_stat_database_blks_hit", "pg_stat_database_blks_read")
PG_DATABASE = f'{PG},datname="shop"'


def pg_connections(*used: str, most: float = 100) -> Series:
    databases = {f'pg_stat_database_numbackends{{{PG},datname="d{place}"}}': one for place, one in enumerate(used)}
    return {**databases, f"pg_settings_max_connections{{{PG}}}": level(most)}


def pg_transaction(age: str, **labels: str) -> Series:
    said = {"datname": "shop", "usename": "shop_1", "state": "active", "application_name": "", **labels}
    text = ",".join(f'{name}="{value}"' for name, value in said.items())
    return {f"pg_stat_activity_max_tx_duration{{{PG},{text}}}": age}


POSTGRES = (
    down("pg_up", "postgres", "PostgresDown"),
    Case(
        alert="PostgresConnectionsHigh.postgres",
        fires=(Fires(series=pg_connections(level(1, 80, 1), level(1)), first="15m", over="20m"),),
        quiet=(pg_connections(level(79), level(1)), pg_connections(level(99, 1, each=5))),
        labels={"job": "postgres-exporter"},
        summary="postgres has few connections left",
        description="81% of its connections are taken; the limit is 80 %.",
    ),
    Case(
        alert="PostgresTransactionLong.postgres",
        fires=(Fires(series=pg_transaction(level(1, 301, 1)), first="15m", over="20m"),),
        quiet=(
            pg_transaction(level(300)),
            pg_transaction(level(900, 1, each=5)),
            pg_transaction(level(900), state="idle"),
            pg_transaction(level(900), application_name="pg_dump"),
        ),
        labels={"job": "postgres-exporter", "datname": "shop", "usename": "shop_1"},
        summary="A transaction in postgres does not end",
        description="shop_1 has had one open in shop for 5m 1s.",
    ),
    Case(
        alert="PostgresDeadlocks.postgres",
        fires=(
            Fires(
                series={f"pg_stat_database_deadlocks{{{PG_DATABASE}}}": counted((70, 0), (1, 5.1), (90, 0))},
                first="71m",
                over="130m",
            ),
        ),
        quiet=({f"pg_stat_database_deadlocks{{{PG_DATABASE}}}": counted((70, 0), (1, 5), (90, 0))},),
        labels={"job": "postgres-exporter", "datname": "shop"},
        summary="Transactions in postgres block each other",
        description="5.1 deadlocks in shop in an hour; one transaction fails in each.",
    ),
    Case(
        alert="PostgresCacheHitsLow.postgres",
        fires=(
            Fires(series=hits(PG_BLOCKS, (steady(80_000), steady(9_000)), PG_DATABASE), first="81m"),
            Fires(series=hits(PG_BLOCKS, (steady(40_000), steady(6_010)), PG_DATABASE), first="90m"),
            Fires(
                series=hits(PG_BLOCKS, (steady(90_000), counted((70, 0), (100, 60_000), (90, 0))), PG_DATABASE),
                first="135m",
                over="195m",
            ),
            # Less and less is read at all.
            Fires(
                series=hits(
                    PG_BLOCKS, (counted((100, 50_000), (90, 3_000)), counted((100, 50_000), (90, 3_000))), PG_DATABASE
                ),
                first="64m",
                over="128m",
            ),
        ),
        quiet=(
            hits(PG_BLOCKS, (steady(270_000), steady(30_000)), PG_DATABASE),
            hits(PG_BLOCKS, (steady(6_000), steady(6_000)), PG_DATABASE),
        ),
        labels={"job": "postgres-exporter"},
        summary="postgres reads much from the disk",
        description="89.89% of blocks were in its memory; above 90 % is usual.",
    ),
    Case(
        alert="PostgresRestarts.postgres",
        fires=(Fires(series={f"pg_up{{{PG}}}": level(1, 0, 1, 0, 1)}, first="40m", over="69m"),),
        quiet=({f"pg_up{{{PG}}}": level(1, 0, 1, 0)},),
        labels={"job": "postgres-exporter", "instance": "x"},
        summary="postgres comes and goes",
        description="It changed between up and down 4 times in an hour.",
    ),
)

MY = 'job="mysql-exporter",instance="x"'
MY_LABELS = {"job": "mysql-exporter", "instance": "x"}
MY_PAGES = ("mysql_global_status_innodb_buffer_pool_read_requests", "mysql_global_status_innodb_buffer_pool_reads")
MY_DEADLOCKS = "mysql_info_schema_innodb_metrics_lock_lock_deadlocks_total"


def my_connections(used: str) -> Series:
    return {
        f"mysql_global_status_threads_connected{{{MY}}}": used,
        f"mysql_global_variables_max_connections{{{MY}}}": level(500),
    }


MYSQL = (
    down("mysql_up", "mysql", "MysqlDown"),
    Case(
        alert="MysqlConnectionsHigh.mysql",
        fires=(Fires(series=my_connections(level(1, 401, 1)), first="15m", over="20m"),),
        quiet=(my_connections(level(400)), my_connections(level(499, 1, each=5))),
        labels=MY_LABELS,
        summary="mysql has few connections left",
        description="80.2% of its connections are taken; the limit is 80 %.",
    ),
    Case(
        alert="MysqlSlowQueries.mysql",
        fires=(
            Fires(series={f"mysql_global_status_slow_queries{{{MY}}}": steady(10.1)}, first="15m"),
            Fires(
                series={f"mysql_global_status_slow_queries{{{MY}}}": counted((20, 0), (20, 45), (60, 0))},
                first="32m",
                over="44m",
            ),
        ),
        quiet=({f"mysql_global_status_slow_queries{{{MY}}}": steady(10)},),
        labels=MY_LABELS,
        summary="mysql has many slow queries",
        description="10.1 statements a minute take a second or more; the limit is 10.",
    ),
    Case(
        alert="MysqlLockWaits.mysql",
        fires=(
            Fires(
                series={f"mysql_global_status_innodb_row_lock_current_waits{{{MY}}}": level(0, 11, 0)},
                first="15m",
                over="20m",
            ),
        ),
        quiet=(
            {f"mysql_global_status_innodb_row_lock_current_waits{{{MY}}}": level(10)},
            {f"mysql_global_status_innodb_row_lock_current_waits{{{MY}}}": level(50, 0, each=5)},
        ),
        labels=MY_LABELS,
        summary="Transactions in mysql wait for each other",
        description="11 transactions wait for a row that another holds.",
    ),
    Case(
        alert="MysqlDeadlocks.mysql",
        fires=(
            Fires(series={f"{MY_DEADLOCKS}{{{MY}}}": counted((70, 0), (1, 5.1), (90, 0))}, first="71m", over="130m"),
        ),
        quiet=({f"{MY_DEADLOCKS}{{{MY}}}": counted((70, 0), (1, 5), (90, 0))},),
        labels=MY_LABELS,
        summary="Transactions in mysql block each other",
        description="5.1 deadlocks in an hour; one transaction fails in each.",
    ),
    Case(
        alert="MysqlCacheHitsLow.mysql",
        fires=(
            Fires(series=hits(MY_PAGES, (steady(195_000), steady(10_000)), MY), first="79m"),
            Fires(series=hits(MY_PAGES, (steady(60_000), steady(6_010)), MY), first="90m"),
            Fires(
                series=hits(MY_PAGES, (steady(300_000), counted((70, 0), (100, 60_000), (90, 0))), MY),
                first="138m",
                over="192m",
            ),
            # As much is read, and more is asked for.
            Fires(
                series=hits(MY_PAGES, (counted((100, 100_000), (90, 400_000)), steady(10_000)), MY),
                first="79m",
                over="110m",
            ),
            # Less and less is read at all.
            Fires(
                series=hits(MY_PAGES, (counted((100, 100_000), (90, 6_000)), counted((100, 50_000), (90, 3_000))), MY),
                first="64m",
                over="128m",
            ),
        ),
        quiet=(
            hits(MY_PAGES, (steady(200_000), steady(10_000)), MY),
            hits(MY_PAGES, (steady(6_000), steady(6_000)), MY),
        ),
        labels=MY_LABELS,
        summary="mysql reads much from the disk",
        description="94.87% of pages were in its memory; above 95 % is usual.",
    ),
    restarts("mysql_global_status_uptime", "mysql", "mysql-exporter", "MysqlRestarts"),
)


def redis(service: str) -> tuple[Case, ...]:
    refused = f'redis_rejected_connections_total{{job="{service}-exporter",instance="x"}}'
    return (
        down("redis_up", service, "RedisDown"),
        Case(
            alert=f"RedisConnectionsRefused.{service}",
            fires=(Fires(series={refused: level(0, 1)}, first="10m", over="14m"),),
            quiet=({refused: level(7)},),
            labels={"job": f"{service}-exporter", "instance": "x"},
            summary=f"{service} refuses connections",
            description="1 connections were refused in 5 minutes: all it may have are taken.",
        ),
        restarts("redis_uptime_in_seconds", service, f"{service}-exporter", "RedisRestarts"),
    )


CACHE = 'job="cache-exporter",instance="x"'
CACHE_LABELS = {"job": "cache-exporter", "instance": "x"}
CACHE_READS = ("redis_keyspace_hits_total", "redis_keyspace_misses_total")


def evicting(evicted: str, held: float) -> Series:
    return {
        f"redis_evicted_keys_total{{{CACHE}}}": evicted,
        f'redis_db_keys{{{CACHE},db="db0"}}': level(held / 2),
        f'redis_db_keys{{{CACHE},db="db1"}}': level(held / 2),
    }


STORE = 'job="results-exporter",instance="x"'
STORE_LABELS = {"job": "results-exporter", "instance": "x"}


def held(used: str, most: float) -> Series:
    return {f"redis_memory_used_bytes{{{STORE}}}": used, f"redis_memory_max_bytes{{{STORE}}}": level(most)}


def saved(write: str, rewrite: str, snapshot: str) -> Series:
    return {
        f"redis_aof_last_write_status{{{STORE}}}": write,
        f"redis_aof_last_bgrewrite_status{{{STORE}}}": rewrite,
        f"redis_rdb_last_bgsave_status{{{STORE}}}": snapshot,
    }


REDIS = (
    *redis("cache"),
    *redis("results"),
    Case(
        alert="RedisCacheHitsLow.cache",
        fires=(
            Fires(series=hits(CACHE_READS, (steady(799), steady(201)), CACHE), first="62m"),
            Fires(series=hits(CACHE_READS, (steady(40), steady(20.8)), CACHE), first="90m"),
            Fires(
                series=hits(CACHE_READS, (steady(800), counted((70, 0), (100, 400), (90, 0))), CACHE),
                first="145m",
                over="185m",
            ),
            # Less and less is read at all.
            Fires(
                series=hits(CACHE_READS, (counted((100, 500), (90, 20)), counted((100, 500), (90, 20))), CACHE),
                first="62m",
                over="129m",
            ),
        ),
        quiet=(
            hits(CACHE_READS, (steady(2400), steady(600)), CACHE),
            hits(CACHE_READS, (steady(30), steady(30)), CACHE),
        ),
        labels=CACHE_LABELS,
        summary="cache seldom has what is asked for",
        description="79.9% of reads found their key; the limit is 80 %.",
    ),
    Case(
        alert="RedisCacheTooSmall.cache",
        fires=(
            Fires(series=evicting(counted((70, 0), (60, 100), (90, 0)), 3000), first="131m", over="160m"),
            Fires(series=evicting(steady(100), 5940), first="90m"),
        ),
        quiet=(evicting(steady(100), 6000), evicting(steady(100), 6100)),
        labels={"job": "cache-exporter"},
        summary="cache forgets its keys within the hour",
        description="5.898k keys were evicted in an hour, more than it holds.",
    ),
    Case(
        alert="RedisMemoryHigh.results",
        fires=(
            Fires(series=held(level(1, 91, 1), 100), first="15m", over="20m"),
            Fires(series=held(level(1), 1), first="5m"),
        ),
        quiet=(held(level(90), 100), held(level(99), 0), held(level(99, 1, each=5), 100)),
        labels=STORE_LABELS,
        summary="results has little memory left",
        description="91% of its memory is in use, and it may evict nothing.",
    ),
    Case(
        alert="RedisNotSaved.results",
        fires=(
            Fires(series=saved(level(1, 0, 1), level(1), level(1)), first="15m", over="20m"),
            Fires(series=saved(level(1), level(1, 0, 1), level(1)), first="15m", over="20m"),
            Fires(series=saved(level(1), level(1), level(1, 0, 1)), first="15m", over="20m"),
        ),
        quiet=(saved(level(1), level(1), level(1)), saved(*[level(0, 1, each=5)] * 3)),
        labels=STORE_LABELS,
        summary="results can't write its data to the disk",
        description="The last attempt to write the file failed, and Redis refuses writes until one works.",
    ),
)

RABBIT = 'job="rabbitmq",instance="x"'
RABBIT_LABELS = {"job": "rabbitmq", "instance": "x"}
QUEUE_LABELS = {"job": "rabbitmq", "vhost": "shop", "queue": "mail"}


def queue(ready: str, consumers: str = "1", waiting: str = "0") -> Series:
    labels = f'{RABBIT},vhost="shop",queue="mail"'
    return {
        f"rabbitmq_detailed_queue_messages_ready{{{labels}}}": ready,
        f"rabbitmq_detailed_queue_messages{{{labels}}}": waiting,
        f"rabbitmq_detailed_queue_consumers{{{labels}}}": consumers,
    }


def mark(used: tuple[str, str], values: tuple[str, str]) -> Series:
    return hits(used, values, RABBIT)


MEMORY = ("rabbitmq_detailed_process_resident_memory_bytes", "rabbitmq_detailed_resident_memory_limit_bytes")
SPACE = ("rabbitmq_detailed_disk_space_available_bytes", "rabbitmq_detailed_disk_space_available_limit_bytes")

RABBITMQ = (
    Case(
        alert="RabbitmqQueueGrows.rabbitmq",
        fires=(
            Fires(series=queue(f"0x20 1001+0.01x{LONG}"), first="31m"),
            Fires(series=queue(f"2000+0.01x{LONG}"), first="11m"),
            # It grows no more, yet holds many.
            Fires(series=queue(f"0x20 2000+100x20 4000x{LONG}"), first="31m", over="55m"),
        ),
        quiet=(
            queue(f"990+0.05x{LONG}"),
            queue(f"0x19 1000x{LONG}"),
            queue(f"5000x{LONG}"),
            queue(f"90000-10x{LONG}"),
            queue(f"0x20 5000+100x9 0x{LONG}"),
        ),
        labels=QUEUE_LABELS,
        summary="Queue mail grows",
        description="1001 messages wait in it, and more come than go.",
    ),
    Case(
        alert="RabbitmqNoConsumers.rabbitmq",
        fires=(Fires(series=queue("0", level(1, 0, 1), level(1)), first="15m", over="20m"),),
        quiet=(
            queue("0", level(0), level(0)),
            queue("0", level(1), level(1)),
            queue("0", level(0, 1, each=5), level(1)),
        ),
        labels=QUEUE_LABELS,
        summary="Nobody works on queue mail",
        description="1 messages wait in it, and it has had no consumer for 5 minutes.",
    ),
    Case(
        alert="RabbitmqMemoryAlarm.rabbitmq",
        interval="30s",
        fires=(Fires(series=mark(MEMORY, (level(1, 101, 1), level(100))), first="6m", over="10m"),),
        quiet=(mark(MEMORY, (level(100), level(100))), mark(MEMORY, (level(1, 101, 1, each=1), level(100)))),
        labels=RABBIT_LABELS,
        summary="rabbitmq takes no more messages: memory",
        description="It has used the share of its memory that it may, and makes everybody wait who publishes.",
    ),
    Case(
        alert="RabbitmqDiskAlarm.rabbitmq",
        interval="30s",
        fires=(Fires(series=mark(SPACE, (level(200, 99, 200), level(100))), first="6m", over="10m"),),
        quiet=(mark(SPACE, (level(100), level(100))), mark(SPACE, (level(200, 1, 200, each=1), level(100)))),
        labels=RABBIT_LABELS,
        summary="rabbitmq takes no more messages: disk",
        description="Less is free on its disk than it has memory, and it makes everybody wait who publishes.",
    ),
    restarts("rabbitmq_detailed_erlang_uptime_seconds", "rabbitmq", "rabbitmq", "RabbitmqRestarts"),
)

SERVICES = (*POSTGRES, *MYSQL, *REDIS, *RABBITMQ)
