"""What lives as long as the process: connection pools, the schema's version, and whether it is draining."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import redis.asyncio

from probe.database import Database, database
from probe.settings import Settings

if TYPE_CHECKING:
    from probe.jobs import Jobs

log = logging.getLogger("probe")

SCHEMA_SECONDS = 5.0
THREADS = 32


@dataclass
class Runtime:
    """Built once by the application; `open()` is its lifespan."""

    settings: Settings
    draining: bool = False
    """Set by SIGTERM: readiness says no and every answer closes its connection."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the drain time is over: WebSockets close now."""
    database: Database | None = None
    jobs: Jobs | None = None
    cache: redis.asyncio.Redis | None = None
    schema_version: int | None = None

    def __post_init__(self) -> None:
        if self.settings.database_url:
            self.database = database(self.settings.database_url)
        if self.settings.celery_broker_url:
            from probe.jobs import Jobs  # here: it imports half a second of Celery

            self.jobs = Jobs(self.settings)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Opens the pools without waiting for the services: they may come later, and /health/deep tells."""
        async with contextlib.AsyncExitStack() as stack:
            # For the clients that block (MySQL's, Celery's): the default is as few as six.
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
            if self.database:
                await self.database.open()
                stack.push_async_callback(self.database.close)
                follow = asyncio.create_task(self._follow_schema(self.database))
                stack.callback(follow.cancel)
            if self.jobs:
                stack.push_async_callback(self.jobs.close)
            if self.settings.redis_url:
                self.cache = redis.asyncio.from_url(
                    self.settings.redis_url,
                    socket_timeout=1.0,
                    socket_connect_timeout=1.0,
                    decode_responses=True,
                )
                stack.push_async_callback(self.cache.aclose)
            yield

    async def _follow_schema(self, database: Database) -> None:
        """Keeps `schema_version` fresh in the background: no request waits for a database that is away."""
        while True:
            try:
                self.schema_version = await database.schema_version()
            except database.errors:
                self.schema_version = None
            await asyncio.sleep(SCHEMA_SECONDS if self.schema_version else 1.0)
