"""PostgreSQL, with psycopg's own pool."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from probe.database import ITEM, LOCK_SECONDS, POOL_SIZE, TIMEOUT_SECONDS, Answer, Database, Execute, Row

Connection = psycopg.AsyncConnection[DictRow]

# Any constant will do: it keeps two release jobs on one database from running at once.
LOCK = 7_025_001
CONNECT_SECONDS = 10


def _execute(connection: Connection) -> Execute:
    async def execute(statement: str, *values: object) -> Answer:
        cursor = await connection.execute(statement.encode(), values or None)
        rows: list[Row] = await cursor.fetchall() if cursor.description else []
        return Answer(rows, cursor.rowcount)

    return execute


class Postgres(Database):
    name = "postgres"
    migrations = (
        ("CREATE TABLE probe_heartbeat (id integer PRIMARY KEY, beat timestamptz NOT NULL)",),
        (
            "CREATE TABLE probe_item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, "
            "created timestamptz NOT NULL DEFAULT now())",
        ),
        (
            "CREATE TABLE probe_tick (period bigint PRIMARY KEY, seen integer NOT NULL, "
            "first_seen timestamptz NOT NULL DEFAULT clock_timestamp())",
            "CREATE TABLE probe_job (id text PRIMARY KEY, seen integer NOT NULL, "
            "first_seen double precision NOT NULL DEFAULT extract(epoch FROM clock_timestamp()))",
            "CREATE INDEX probe_job_first_seen ON probe_job (first_seen)",
        ),
    )
    errors = (psycopg.Error,)
    away = (psycopg.OperationalError, psycopg.errors.UndefinedTable)

    schema_table = (
        "CREATE TABLE IF NOT EXISTS probe_schema "
        "(version integer PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())"
    )
    read_clock = "SELECT clock_timestamp() AS now"
    write_heartbeat = (
        "INSERT INTO probe_heartbeat (id, beat) VALUES (1, %s) "
        "ON CONFLICT (id) DO UPDATE SET beat = greatest(probe_heartbeat.beat, excluded.beat)"
    )
    count_tick = (
        "INSERT INTO probe_tick (period, seen) VALUES (%s, 1) "
        "ON CONFLICT (period) DO UPDATE SET seen = probe_tick.seen + 1"
    )
    count_job = (
        "INSERT INTO probe_job (id, seen) VALUES (%s, 1) ON CONFLICT (id) DO UPDATE SET seen = probe_job.seen + 1"
    )

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._pool: AsyncConnectionPool[Connection] | None = None

    async def open(self) -> None:
        # reconnect_timeout: the pool otherwise backs off for minutes after the database was away.
        options: dict[str, Any] = {"autocommit": True, "connect_timeout": 3, "row_factory": dict_row}
        self._pool = AsyncConnectionPool(
            self.url,
            min_size=1,
            max_size=POOL_SIZE,
            timeout=TIMEOUT_SECONDS,
            reconnect_timeout=5.0,
            check=AsyncConnectionPool.check_connection,
            kwargs=options,
            open=False,
        )
        await self._pool.open(wait=False)

    async def close(self) -> None:
        if self._pool:
            await self._pool.close(1.0)

    @contextlib.asynccontextmanager
    async def pooled(self) -> AsyncIterator[Execute]:
        assert self._pool is not None
        async with self._pool.connection() as connection:
            yield _execute(connection)

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[Execute]:
        async with await psycopg.AsyncConnection.connect(
            self.url, autocommit=True, connect_timeout=3, row_factory=dict_row
        ) as connection:
            yield _execute(connection)

    @contextlib.asynccontextmanager
    async def locked(self) -> AsyncIterator[Execute]:
        """One transaction: a migration that fails half way leaves nothing behind."""
        async with await psycopg.AsyncConnection.connect(
            self.url, connect_timeout=CONNECT_SECONDS, row_factory=dict_row
        ) as connection:
            execute = _execute(connection)
            await execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
            await execute("SELECT pg_advisory_xact_lock(%s)", LOCK)
            yield execute

    async def create_item(self, name: str) -> Row:
        async with self.pooled() as execute:
            return (await execute(f"INSERT INTO probe_item (name) VALUES (%s) RETURNING {ITEM}", name)).rows[0]
