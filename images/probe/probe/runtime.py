"""What lives as long as the process: connection pools, the schema's version, and whether it is draining."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import psycopg
import redis.asyncio
from psycopg_pool import AsyncConnectionPool

from probe.settings import Settings

log = logging.getLogger("probe")

SCHEMA_SECONDS = 5.0


@dataclass
class Runtime:
    """Built once by the application; `open()` is its lifespan."""

    settings: Settings
    draining: bool = False
    """Set by SIGTERM: readiness says no and every answer closes its connection."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the drain time is over: WebSockets close now."""
    pool: AsyncConnectionPool | None = None
    cache: redis.asyncio.Redis | None = None
    schema_version: int | None = None

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Opens the pools without waiting for the services: they may come later, and /health/deep tells."""
        async with contextlib.AsyncExitStack() as stack:
            if self.settings.database_url:
                # reconnect_timeout: the pool otherwise backs off for minutes after the database was away.
                self.pool = AsyncConnectionPool(
                    self.settings.database_url,
                    min_size=1,
                    max_size=8,
                    timeout=3.0,
                    reconnect_timeout=5.0,
                    check=AsyncConnectionPool.check_connection,
                    kwargs={"autocommit": True, "connect_timeout": 3},
                    open=False,
                )
                await self.pool.open(wait=False)
                stack.push_async_callback(self.pool.close, 1.0)
                follow = asyncio.create_task(self._follow_schema())
                stack.callback(follow.cancel)
            if self.settings.redis_url:
                self.cache = redis.asyncio.from_url(
                    self.settings.redis_url,
                    socket_timeout=1.0,
                    socket_connect_timeout=1.0,
                    decode_responses=True,
                )
                stack.push_async_callback(self.cache.aclose)
            yield

    async def _follow_schema(self) -> None:
        """Keeps `schema_version` fresh in the background: no request waits for a database that is away."""
        while True:
            try:
                self.schema_version = await self._read_schema()
            except psycopg.Error:
                self.schema_version = None
            await asyncio.sleep(SCHEMA_SECONDS if self.schema_version else 1.0)

    async def _read_schema(self) -> int | None:
        assert self.pool is not None
        async with self.pool.connection() as connection:
            row = await (await connection.execute("SELECT max(version) FROM probe_schema")).fetchone()
        return None if row is None or row[0] is None else int(row[0])
