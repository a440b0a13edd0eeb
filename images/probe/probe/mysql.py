"""MySQL 8 and newer, with PyMySQL in threads: pure Python, and every wait of it ends after TIMEOUT_SECONDS.

With a server that offers TLS the connection is encrypted; without, the password goes encrypted with the
server's RSA key (the package `cryptography`, for caching_sha2_password).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pymysql
from pymysql.constants import CLIENT, ER
from pymysql.cursors import DictCursor

from probe.database import ITEM, LOCK_SECONDS, POOL_SIZE, TIMEOUT_SECONDS, Answer, Database, Execute, Row

if TYPE_CHECKING:
    Connection = pymysql.Connection[DictCursor]

LOCK = "probe.migrate"


class MissingTable(pymysql.ProgrammingError):
    """The release job has not run yet."""


def _connect(url: str, seconds: float) -> Connection:
    """A new connection; each wait for the server ends after `seconds`."""
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname or "",
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.lstrip("/")),
        connect_timeout=int(TIMEOUT_SECONDS),
        read_timeout=seconds,
        write_timeout=seconds,
        autocommit=True,
        charset="utf8mb4",
        cursorclass=DictCursor,
        client_flag=CLIENT.FOUND_ROWS,  # an update that changes nothing has still found its row
    )


def _read(connection: Connection, statement: str, values: tuple[object, ...]) -> Answer:
    with connection.cursor() as cursor:
        try:
            count = cursor.execute(statement, [_naive(value) for value in values] or None)
        except pymysql.ProgrammingError as error:
            if error.args[0] == ER.NO_SUCH_TABLE:
                raise MissingTable(*error.args) from None
            raise
        rows = [{name: _aware(value) for name, value in row.items()} for row in cursor.fetchall()]
    return Answer(rows, count)


def _naive(value: Any) -> Any:
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def _execute(connection: Connection) -> Execute:
    async def execute(statement: str, *values: object) -> Answer:
        return await asyncio.to_thread(_read, connection, statement, values)

    return execute


class MySQL(Database):
    name = "mysql"
    # MySQL commits each CREATE at once, so a release job that was killed may find its own tables.
    migrations = (
        ("CREATE TABLE IF NOT EXISTS probe_heartbeat (id integer PRIMARY KEY, beat datetime(6) NOT NULL)",),
        (
            "CREATE TABLE IF NOT EXISTS probe_item (id bigint AUTO_INCREMENT PRIMARY KEY, "
            "name varchar(200) NOT NULL, created datetime(6) NOT NULL DEFAULT (utc_timestamp(6)))",
        ),
        (
            "CREATE TABLE IF NOT EXISTS probe_tick (period bigint PRIMARY KEY, seen integer NOT NULL, "
            "first_seen datetime(6) NOT NULL DEFAULT (utc_timestamp(6)))",
            "CREATE TABLE IF NOT EXISTS probe_job (id varchar(64) PRIMARY KEY, seen integer NOT NULL, "
            "first_seen double NOT NULL DEFAULT (unix_timestamp(now(6))), INDEX (first_seen))",
        ),
    )
    errors = (pymysql.Error,)
    away = (pymysql.OperationalError, pymysql.InterfaceError, MissingTable)

    schema_table = (
        "CREATE TABLE IF NOT EXISTS probe_schema "
        "(version integer PRIMARY KEY, applied datetime(6) NOT NULL DEFAULT (utc_timestamp(6)))"
    )
    read_clock = "SELECT utc_timestamp(6) AS now"
    write_heartbeat = (
        "INSERT INTO probe_heartbeat (id, beat) VALUES (1, %s) AS new "
        "ON DUPLICATE KEY UPDATE beat = greatest(probe_heartbeat.beat, new.beat)"
    )
    count_tick = "INSERT INTO probe_tick (period, seen) VALUES (%s, 1) ON DUPLICATE KEY UPDATE seen = seen + 1"
    count_job = "INSERT INTO probe_job (id, seen) VALUES (%s, 1) ON DUPLICATE KEY UPDATE seen = seen + 1"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(POOL_SIZE)

    async def open(self) -> None:
        """Nothing to do: connections are opened when they are first needed."""

    async def close(self) -> None:
        while self._idle:
            await asyncio.to_thread(self._idle.pop().close)

    @contextlib.asynccontextmanager
    async def pooled(self) -> AsyncIterator[Execute]:
        async with self._free:
            connection = await self._usable()
            try:
                yield _execute(connection)
            except BaseException:
                # Also when cancelled: a thread may still be at work on it, and its answer is nobody's.
                connection._force_close()  # type: ignore[attr-defined]  # close() would wait for that thread
                raise
            self._idle.append(connection)

    async def _usable(self) -> Connection:
        """An idle connection that still answers, or a new one."""
        while self._idle:
            connection = self._idle.pop()
            try:
                await asyncio.to_thread(connection.ping, reconnect=False)
            except pymysql.Error:
                continue
            return connection
        return await asyncio.to_thread(_connect, self.url, TIMEOUT_SECONDS)

    @contextlib.asynccontextmanager
    async def _own(self, seconds: float) -> AsyncIterator[Execute]:
        connection = await asyncio.to_thread(_connect, self.url, seconds)
        try:
            yield _execute(connection)
        except BaseException:
            connection._force_close()  # type: ignore[attr-defined]  # see pooled
            raise
        await asyncio.to_thread(connection.close)

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[Execute]:
        async with self._own(TIMEOUT_SECONDS) as execute:
            yield execute

    @contextlib.asynccontextmanager
    async def locked(self) -> AsyncIterator[Execute]:
        """The lock is the connection's and ends with it."""
        async with self._own(LOCK_SECONDS + TIMEOUT_SECONDS) as execute:
            got: Row = (await execute("SELECT get_lock(%s, %s) AS got", LOCK, LOCK_SECONDS)).rows[0]
            if not got["got"]:
                raise pymysql.OperationalError(
                    ER.LOCK_WAIT_TIMEOUT, f"another release job has held the lock for {LOCK_SECONDS} s"
                )
            yield execute

    async def create_item(self, name: str) -> Row:
        async with self.pooled() as execute:
            await execute("INSERT INTO probe_item (name) VALUES (%s)", name)
            return (await execute(f"SELECT {ITEM} FROM probe_item WHERE id = last_insert_id()")).rows[0]
