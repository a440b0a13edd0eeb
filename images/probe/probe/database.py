"""The database behind one interface; postgres.py and mysql.py say what differs between the two.

The statements here are those that both understand. `%s` stands for a value, and all times are UTC.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, NamedTuple, Protocol

Row = dict[str, Any]

POOL_SIZE = 8
TIMEOUT_SECONDS = 3.0
LOCK_SECONDS = 30
"""How long a release job waits for another one on the same database."""

ITEM = "id, name, created"


class StaleRead(Exception):
    """The service took a write and then returned something older."""


class Answer(NamedTuple):
    """What a statement returned, and how many rows it returned, changed or (an update) found."""

    rows: list[Row]
    touched: int


class Execute(Protocol):
    """Runs one statement on one connection; outside `locked` each is a transaction of its own."""

    async def __call__(self, statement: str, *values: object) -> Answer: ...


Session = AbstractAsyncContextManager[Execute]


class Done(NamedTuple):
    """How many jobs were done, how often in all, and how many of them more than once."""

    jobs: int
    runs: int
    repeated: int


class Database(ABC):
    """One database of either kind. `open` and `close` concern its pool; `connected` and `locked` need neither."""

    name: ClassVar[str]
    """As /health/deep calls it."""
    migrations: ClassVar[tuple[tuple[str, ...], ...]]
    """One statement list a version, in order; released entries are never changed."""
    errors: ClassVar[tuple[type[Exception], ...]]
    """What the client raises; no message of theirs has a password in it."""
    away: ClassVar[tuple[type[Exception], ...]]
    """Those of them that say: not reachable, or not migrated yet."""

    # Statements that differ.
    schema_table: ClassVar[str]
    read_clock: ClassVar[str]
    write_heartbeat: ClassVar[str]
    count_tick: ClassVar[str]
    count_job: ClassVar[str]

    def __init__(self, url: str) -> None:
        self.url = url

    @abstractmethod
    async def open(self) -> None:
        """Opens the pool without waiting for the database, which may come later."""

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    def pooled(self) -> Session:
        """A connection of the pool."""

    @abstractmethod
    def connected(self) -> Session:
        """A connection of its own, opened now and closed at the end."""

    @abstractmethod
    def locked(self) -> Session:
        """A connection of its own that keeps every other one of this kind out for as long."""

    @abstractmethod
    async def create_item(self, name: str) -> Row: ...

    async def items(self) -> list[Row]:
        """The newest hundred."""
        async with self.pooled() as execute:
            return (await execute(f"SELECT {ITEM} FROM probe_item ORDER BY id DESC LIMIT 100")).rows

    async def item(self, item_id: int) -> Row | None:
        async with self.pooled() as execute:
            rows = (await execute(f"SELECT {ITEM} FROM probe_item WHERE id = %s", item_id)).rows
        return rows[0] if rows else None

    async def change_item(self, item_id: int, name: str) -> bool:
        """False: there is no such item."""
        async with self.pooled() as execute:
            return (await execute("UPDATE probe_item SET name = %s WHERE id = %s", name, item_id)).touched > 0

    async def delete_item(self, item_id: int) -> bool:
        """False: there is no such item."""
        async with self.pooled() as execute:
            return (await execute("DELETE FROM probe_item WHERE id = %s", item_id)).touched > 0

    async def check(self) -> None:
        """Writes the heartbeat row on a connection of its own and reads it back."""
        async with self.connected() as execute:
            now = (await execute(self.read_clock)).rows[0]["now"]
            await execute(self.write_heartbeat, now)
            read = (await execute("SELECT beat FROM probe_heartbeat WHERE id = 1")).rows
            # Another replica may have written in between, so "not older" is what a working database promises.
            if not read or read[0]["beat"] < now:
                raise StaleRead

    async def schema_version(self) -> int | None:
        async with self.pooled() as execute:
            version = (await execute("SELECT max(version) AS version FROM probe_schema")).rows[0]["version"]
        return None if version is None else int(version)

    async def record_tick(self, period: int) -> None:
        async with self.pooled() as execute:
            await execute(self.count_tick, period)

    async def record_job(self, job: str) -> None:
        async with self.pooled() as execute:
            await execute(self.count_job, job)

    async def ticks(self, first: int, last: int) -> dict[int, int]:
        """How often each period from `first` to `last` was seen; one that never was is missing."""
        query = "SELECT period, seen FROM probe_tick WHERE period BETWEEN %s AND %s"
        async with self.pooled() as execute:
            rows = (await execute(query, first, last)).rows
        return {int(row["period"]): int(row["seen"]) for row in rows}

    async def latest_tick(self) -> int | None:
        """The newest period that was seen, read on a connection of its own."""
        async with self.connected() as execute:
            period = (await execute("SELECT max(period) AS period FROM probe_tick")).rows[0]["period"]
        return None if period is None else int(period)

    async def jobs_since(self, since: float) -> Done:
        """The jobs first done at or after `since`, in Unix seconds by the database's clock."""
        query = (
            "SELECT count(*) AS jobs, coalesce(sum(seen), 0) AS runs, "
            "coalesce(sum(CASE WHEN seen > 1 THEN 1 ELSE 0 END), 0) AS repeated "
            "FROM probe_job WHERE first_seen >= %s"
        )
        async with self.pooled() as execute:
            row = (await execute(query, since)).rows[0]
        return Done(int(row["jobs"]), int(row["runs"]), int(row["repeated"]))

    async def migrate(self) -> tuple[int, int]:
        """Brings the schema to the newest version; returns the versions before and after.

        A database that is already newer (the release before this one went further) is left as it is.
        """
        newest = len(self.migrations)
        async with self.locked() as execute:
            await execute(self.schema_table)
            rows = (await execute("SELECT coalesce(max(version), 0) AS version FROM probe_schema")).rows
            before = int(rows[0]["version"])
            for version in range(before + 1, newest + 1):
                for statement in self.migrations[version - 1]:
                    await execute(statement)
                await execute("INSERT INTO probe_schema (version) VALUES (%s)", version)
        return before, max(before, newest)


def database(url: str) -> Database:
    """The database at `url`, by its scheme. Only its own client is imported."""
    if url.startswith("mysql:"):
        from probe.mysql import MySQL

        return MySQL(url)
    from probe.postgres import Postgres

    return Postgres(url)
