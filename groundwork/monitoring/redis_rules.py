"""Redis, by redis_exporter: what matters depends on whether it is a cache or holds work."""

from __future__ import annotations

from .alerts import Alert, number
from .objectives import Objectives
from .service_rules import down, restarts


def redis_alerts(service: str, objectives: Objectives, *, evicts: bool, durable: bool) -> tuple[Alert, ...]:
    job = f'job="{service}-exporter"'
    return (
        down(
            "RedisDown",
            "redis_up",
            service,
            why="Apps that need it fail; with a cache they are slow at best.",
            reason="1 minute: its restart takes seconds",
        ),
        Alert(
            name="RedisConnectionsRefused",
            expr=f"increase(redis_rejected_connections_total{{{job}}}[5m]) > 0",
            severity="P1",
            service=service,
            summary=f"{service} refuses connections",
            description="{{ $value | humanize }} connections were refused in 5 minutes: all it may have are taken.",
            why="Apps get errors instead of connections.",
            reason="none is normal: the limit is ten thousand",
            source="Redis documentation (maxclients)",
        ),
        restarts(
            "RedisRestarts",
            f"redis_uptime_in_seconds{{{job}}}",
            service,
            why="Every connection breaks each time, and a cache begins empty.",
        ),
        *(_cache(service, job, objectives) if evicts else _store(service, job)),
        *(_durable(service, job) if durable else ()),
    )


def _cache(service: str, job: str, objectives: Objectives) -> tuple[Alert, ...]:
    hits, misses = (f"rate(redis_keyspace_{name}_total{{{job}}}[30m])" for name in ("hits", "misses"))
    return (
        Alert(
            name="RedisCacheHitsLow",
            expr=f"{hits} / ({hits} + {misses}) < {number(objectives.cache_hit_percent / 100)}\n"
            f"and {hits} + {misses} > 1",
            hold="1h",
            severity="P3",
            service=service,
            summary=f"{service} seldom has what is asked for",
            description="{{ $value | humanizePercentage }} of reads found their key; the limit is "
            f"{objectives.cache_hit_percent:g} %.",
            why="The database does the work that the cache is there for.",
            reason="the system's own figure, from one read a second on; an hour, since a new cache begins empty",
            source="S1 (cache hits > 80 %)",
        ),
        Alert(
            name="RedisCacheTooSmall",
            expr=f"increase(redis_evicted_keys_total{{{job}}}[1h])\n> on (job) sum by (job) (redis_db_keys{{{job}}})",
            hold="30m",
            severity="P3",
            service=service,
            summary=f"{service} forgets its keys within the hour",
            description="{{ $value | humanize }} keys were evicted in an hour, more than it holds.",
            why="What is stored goes before it is used; the database does the work.",
            reason="evicting is what a cache does; more than its whole content an hour means that it is too small",
            source="Groundwork",
        ),
    )


def _store(service: str, job: str) -> tuple[Alert, ...]:
    return (
        Alert(
            name="RedisMemoryHigh",
            expr=f"redis_memory_used_bytes{{{job}}} / (redis_memory_max_bytes{{{job}}} > 0) > 0.9",
            hold="5m",
            severity="P1",
            service=service,
            summary=f"{service} has little memory left",
            description="{{ $value | humanizePercentage }} of its memory is in use, and it may evict nothing.",
            why="At 100 % every write fails: no job can be queued, no result stored.",
            reason="a tenth is time to find who fills it; a cache, which evicts, has no such alert",
            source="Redis documentation (noeviction)",
        ),
    )


def _durable(service: str, job: str) -> tuple[Alert, ...]:
    return (
        Alert(
            name="RedisNotSaved",
            expr=f"redis_aof_last_write_status{{{job}}} == 0\nor redis_aof_last_bgrewrite_status{{{job}}} == 0\n"
            f"or redis_rdb_last_bgsave_status{{{job}}} == 0",
            hold="5m",
            severity="P1",
            service=service,
            summary=f"{service} can't write its data to the disk",
            description="The last attempt to write the file failed, and Redis refuses writes until one works.",
            why="Writes fail, and a restart would lose what is not on the disk.",
            reason="it is so or not; 5 minutes rule out a moment without memory for the copy",
            source="Redis documentation (stop-writes-on-bgsave-error)",
        ),
    )
