"""Redis, by redis_exporter: what matters depends on whether it is a cache or holds work."""

from __future__ import annotations

from ..objectives import Objectives
from .panels import RATE, Dashboard, Panel, Query, Row, falling, rising
from .shared import SHARE, YES_NO, lets_in, running_for, service_uid

NEARLY = 0.9
"""Of its memory, where it may evict nothing: the edge of RedisMemoryHigh."""


def redis_dashboard(service: str, objectives: Objectives, *, evicts: bool, durable: bool) -> Dashboard:
    job = f'job="{service}-exporter"'
    used = f"max(redis_memory_used_bytes{{{job}}}) / (max(redis_memory_max_bytes{{{job}}}) > 0)"
    # A cache is full by nature.
    filled = () if evicts else (Query(expr=used, legend=f"{service}: memory", steps=rising(NEARLY, 0.8)),)
    return Dashboard(
        uid=service_uid(service),
        title=f"Redis: {service}",
        text=f"{service} is a {'cache: it forgets what is not asked for' if evicts else 'store: it forgets nothing'}.",
        tags=("service",),
        filled=filled,
        rows=(
            Row(title="Now", panels=(
                lets_in("redis_up", service, "RedisDown"),
                running_for(f"redis_uptime_in_seconds{{{job}}}", "RedisRestarts"),
                *_now(job, used, evicts=evicts),
                _hits(job, objectives, evicts=evicts),
                *([_saved(job)] if durable else []),
            )),
            Row(title="Clients and commands", panels=_work(job)),
            Row(title="Memory and keys", panels=_memory(job, evicts=evicts)),
        ),
    )  # fmt: skip


def _now(job: str, used: str, *, evicts: bool) -> tuple[Panel, ...]:
    full = "As a cache it stays full, and forgets what is asked for least." if evicts else (
        "At 100 % every write fails. Find who fills it: keys without an end, or a queue that nobody works off."
    )  # fmt: skip
    return (
        Panel(
            kind="number",
            title="Memory used",
            unit=SHARE,
            text=full,
            queries=(Query(expr=used),),
            steps=() if evicts else rising(NEARLY, 0.8),
            width=4,
            height=4,
            most=1,
            runbooks=("RedisCacheTooSmall",) if evicts else ("RedisMemoryHigh",),
        ),
        Panel(
            kind="number",
            title="Connections refused in an hour",
            unit="short",
            text="None is normal. Its limit is ten thousand: an app opens one for each request.",
            queries=(Query(expr=f"sum(increase(redis_rejected_connections_total{{{job}}}[1h]))"),),
            steps=rising(1),
            width=4,
            height=4,
            runbooks=("RedisConnectionsRefused",),
        ),
    )


def _hits(job: str, objectives: Objectives, *, evicts: bool) -> Panel:
    hits, misses = (f"sum(rate(redis_keyspace_{name}_total{{{job}}}[30m]))" for name in ("hits", "misses"))
    limit = objectives.cache_hit_percent
    said = f"Below {limit:g} % the database does the work: keys end too soon, or it is too small." if evicts else (
        "Where apps ask for keys that may not be there, a low share is normal."
    )  # fmt: skip
    return Panel(
        kind="number",
        title="Reads that find their key",
        unit=SHARE,
        text=f"In 30 minutes. {said}",
        queries=(Query(expr=f"{hits} / ({hits} + {misses})"),),
        steps=falling(limit / 100) if evicts else (),
        width=4,
        height=4,
        most=1,
        empty="no reads",
        runbooks=("RedisCacheHitsLow",) if evicts else (),
    )


def _saved(job: str) -> Panel:
    states = ("redis_aof_last_write_status", "redis_aof_last_bgrewrite_status", "redis_rdb_last_bgsave_status")
    return Panel(
        kind="number",
        title="Writes its data to the disk",
        unit=YES_NO,
        text="No: it refuses writes until the disk takes them again. Look at the disk first, then at its log.",
        queries=(Query(expr=" * ".join(f"min({state}{{{job}}})" for state in states)),),
        steps=falling(1),
        width=4,
        height=4,
        runbooks=("RedisNotSaved",),
    )


def _work(job: str) -> tuple[Panel, ...]:
    return (
        Panel(
            kind="lines",
            title="Commands a second",
            unit="ops",
            text="`keys` and `scan` at high rates are a habit to break: each looks at everything there is.",
            queries=(
                Query(expr=f"topk(8, sum by (cmd) (rate(redis_commands_total{{{job}}}[{RATE}])))", legend="{{cmd}}"),
            ),
            width=8,
        ),
        Panel(
            kind="lines",
            title="Clients",
            unit="short",
            text="Those that wait for work (`BLPOP` and the like) are workers; without them a queue only grows.",
            queries=(
                Query(expr=f"sum(redis_connected_clients{{{job}}})", legend="connected"),
                Query(expr=f"sum(redis_blocked_clients{{{job}}})", legend="waiting for work"),
            ),
            width=8,
        ),
        Panel(
            kind="lines",
            title="Slow commands an hour",
            unit="short",
            text="Commands of 10 ms and more: everybody else waits for each. `SLOWLOG GET` names them.",
            queries=(Query(expr=f"sum(increase(redis_slowlog_last_id{{{job}}}[1h]))", legend="10 ms or more"),),
            width=8,
        ),
    )


def _memory(job: str, *, evicts: bool) -> tuple[Panel, ...]:
    gone = Query(expr=f"sum(rate(redis_evicted_keys_total{{{job}}}[{RATE}]))", legend="evicted")
    ended = Query(expr=f"sum(rate(redis_expired_keys_total{{{job}}}[{RATE}]))", legend="ended by themselves")
    return (
        Panel(
            kind="lines",
            title="Memory",
            unit="bytes",
            text="What the system gives it, above what it uses, is fragmentation: a restart gives it back.",
            queries=(
                Query(expr=f"sum(redis_memory_used_bytes{{{job}}})", legend="used"),
                Query(expr=f"sum(redis_memory_used_rss_bytes{{{job}}})", legend="given by the system"),
                Query(expr=f"max(redis_memory_max_bytes{{{job}}})", legend="limit"),
            ),
            width=8,
            runbooks=() if evicts else ("RedisMemoryHigh",),
        ),
        Panel(
            kind="lines",
            title="Keys",
            unit="short",
            text="A number that only rises is made of keys without an end: give them one.",
            queries=(Query(expr=f"sum by (db) (redis_db_keys{{{job}}})", legend="{{db}}"),),
            width=8,
        ),
        Panel(
            kind="lines",
            title="Keys that go, a second",
            unit="ops",
            text="Evicted: memory was short. More in an hour than it holds: it is too small."
            if evicts
            else "Only such whose time is over: it evicts nothing.",
            queries=(gone, ended) if evicts else (ended,),
            width=8,
            runbooks=("RedisCacheTooSmall",) if evicts else (),
        ),
    )
