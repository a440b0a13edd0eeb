"""Checks of the backing services: one function a service, each writes something and reads it back.

A check opens a connection of its own, so that it sees what a new replica would see: name resolution,
network, credentials, and a service that really takes a write. It feeds no probe: a broken database must not
make every replica of the application restart.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import psycopg
import redis.asyncio

from probe.settings import Settings

TIMEOUT_SECONDS = 3.0


class StaleRead(Exception):
    """The service took a write and then returned something older."""


class Outcome(NamedTuple):
    """What one check found. `error` is a class name and the service's error code, never a message."""

    ok: bool
    milliseconds: float
    error: str | None

    def as_json(self) -> dict[str, Any]:
        status = "ok" if self.ok else "failed"
        return {"status": status, "milliseconds": self.milliseconds, "error": self.error}


Check = Callable[[], Awaitable[None]]


def checks(settings: Settings) -> dict[str, Check]:
    """The checks of the services that were given, by service name."""
    found: dict[str, Check] = {}
    if settings.database_url:
        found["postgres"] = lambda: postgres(settings.database_url)
    if settings.redis_url:
        found["redis"] = lambda: redis_(settings.redis_url, settings.replica)
    return found


async def run(settings: Settings) -> dict[str, Outcome]:
    """All checks side by side, each at most TIMEOUT_SECONDS."""
    wanted = checks(settings)
    outcomes = await asyncio.gather(*(_timed(check) for check in wanted.values()))
    return dict(zip(wanted, outcomes, strict=True))


async def _timed(check: Check) -> Outcome:
    start = time.perf_counter()
    error: str | None = None
    try:
        # wait_for, not asyncio.timeout: a client that swallows the cancellation must not hold the answer up.
        await asyncio.wait_for(check(), TIMEOUT_SECONDS)
    except Exception as failure:
        code = _code(failure)
        error = type(failure).__name__ + (f" ({code})" if code else "")
    return Outcome(error is None, round((time.perf_counter() - start) * 1000, 1), error)


def _code(failure: Exception) -> str | None:
    """PostgreSQL's SQL state or the capitals with which Redis starts an error (MISCONF, DENIED, …)."""
    if isinstance(failure, redis.ResponseError):
        word = str(failure).partition(" ")[0]
        return word if word.isalpha() and word.isupper() else None
    return getattr(failure, "sqlstate", None)


async def postgres(url: str) -> None:
    """Writes the heartbeat row (table of migrate.py), commits, and reads it back in a second transaction."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=3) as connection:
        written = await connection.execute(
            "INSERT INTO probe_heartbeat (id, beat) VALUES (1, clock_timestamp()) "
            "ON CONFLICT (id) DO UPDATE SET beat = excluded.beat RETURNING beat"
        )
        beat = await written.fetchone()
        read = await (await connection.execute("SELECT beat FROM probe_heartbeat WHERE id = 1")).fetchone()
        # Another replica may have written in between, so "not older" is what a working database promises.
        if beat is None or read is None or read[0] < beat[0]:
            raise StaleRead


async def redis_(url: str, replica: str) -> None:
    """Writes a key of this replica (gone after a minute) and reads it back."""
    key, value = f"probe:heartbeat:{replica}", str(time.time_ns())
    client = redis.asyncio.from_url(
        url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, decode_responses=True
    )
    async with client:
        await client.set(key, value, ex=60)
        if await client.get(key) != value:
            raise StaleRead


def key_id(secret: str) -> str | None:
    """Eight hex digits that change with the secret and do not give it away; None without a secret."""
    if not secret:
        return None
    return hmac.new(secret.encode(), b"probe key id", hashlib.sha256).hexdigest()[:8]
