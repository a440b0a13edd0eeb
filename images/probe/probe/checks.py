"""Checks of the backing services: one function a service, each writes something and reads it back.

A check opens a connection of its own, so that it sees what a new replica would see: name resolution,
network, credentials, and a service that really takes a write. It feeds no probe: a broken database must not
make every replica of the application restart.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import time
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import redis.asyncio

from probe import kinds
from probe.database import TIMEOUT_SECONDS, Database, StaleRead
from probe.runtime import Runtime

if TYPE_CHECKING:
    from probe.jobs import Jobs

POLL_SECONDS = 0.05
LATE_PERIODS = 2


class JobFailed(Exception):
    """The worker took the job, and what it returned is wrong."""


class NoTick(Exception):
    """Beat has sent nothing for more than LATE_PERIODS, or nobody has recorded it."""


class Outcome(NamedTuple):
    """What one check found. `error` is a class name and the service's error code, never a message."""

    ok: bool
    milliseconds: float
    error: str | None

    def as_json(self) -> dict[str, Any]:
        status = "ok" if self.ok else "failed"
        return {"status": status, "milliseconds": self.milliseconds, "error": self.error}


Check = Callable[[], Awaitable[None]]


def checks(runtime: Runtime) -> dict[str, Check]:
    """The checks of what was given, by service name."""
    settings, database, jobs = runtime.settings, runtime.database, runtime.jobs
    found: dict[str, Check] = {}
    if database:
        found[database.name] = database.check
    if settings.redis_url:
        found["redis"] = partial(redis_, settings.redis_url, settings.replica)
    if settings.celery_result_backend:
        found["results"] = partial(redis_, settings.celery_result_backend, settings.replica)
    if jobs:
        found["rabbitmq"] = partial(asyncio.to_thread, jobs.round_trip, uuid.uuid4().hex)
    if jobs and jobs.has_results:
        found["job"] = partial(job, jobs)
    if jobs and database:
        found["beat"] = partial(beat, database, settings.tick_seconds)
    return found


async def run(runtime: Runtime) -> dict[str, Outcome]:
    """All checks side by side, each at most TIMEOUT_SECONDS."""
    wanted = checks(runtime)
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
    """PostgreSQL's SQL state, MySQL's error number, AMQP's reply code, or the capitals with which Redis starts an
    error (MISCONF, DENIED, …)."""
    if isinstance(failure, redis.ResponseError):
        word = str(failure).partition(" ")[0]
        return word if word.isalpha() and word.isupper() else None
    if state := getattr(failure, "sqlstate", None):
        return str(state)
    number = getattr(failure, "code", None) or (failure.args[0] if failure.args else None)
    return str(number) if isinstance(number, int) and number else None


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


async def job(jobs: Jobs) -> None:
    """Has the worker add two numbers and waits for the sum."""
    a, b = random.randrange(1_000_000), random.randrange(1_000_000)
    sent = await jobs.send(kinds.ADD, a, b, False, queue=kinds.PROMPT, expires=TIMEOUT_SECONDS)
    while (outcome := await jobs.outcome(sent)).state == "PENDING":
        await asyncio.sleep(POLL_SECONDS)
    if outcome != ("SUCCESS", a + b):
        raise JobFailed


async def beat(database: Database, seconds: int) -> None:
    """Looks for the newest tick; in the period before it nobody may have had the time to record it."""
    latest = await database.latest_tick()
    if latest is None or kinds.present(seconds) - latest > LATE_PERIODS:
        raise NoTick


def key_id(secret: str) -> str | None:
    """Eight hex digits that change with the secret and do not give it away; None without a secret."""
    if not secret:
        return None
    return hmac.new(secret.encode(), b"probe key id", hashlib.sha256).hexdigest()[:8]
