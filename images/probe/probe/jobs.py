"""Sends jobs to the worker and reads what came of them, without holding up the event loop."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple

import amqp
import redis.asyncio
from amqp.exceptions import AMQPError
from kombu.exceptions import OperationalError

from probe import broker, kinds
from probe.database import TIMEOUT_SECONDS, StaleRead
from probe.settings import Settings

# Where Celery's Redis back end puts a result, as JSON.
RESULT_PREFIX = "celery-task-meta-"


class Outcome(NamedTuple):
    """What is known of a job: Celery's state (PENDING also for one that never was) and what it returned."""

    state: str
    result: Any


class Jobs:
    """The sender's side. Its connections are opened when they are first needed."""

    away = (OperationalError, AMQPError)
    """What a broker that is away makes of `send`."""

    def __init__(self, settings: Settings) -> None:
        self._app = broker.application(settings, sender=True)
        self._results = (
            redis.asyncio.from_url(
                settings.celery_result_backend,
                socket_timeout=TIMEOUT_SECONDS,
                socket_connect_timeout=TIMEOUT_SECONDS,
                decode_responses=True,
            )
            if settings.celery_result_backend
            else None
        )

    @property
    def has_results(self) -> bool:
        return self._results is not None

    async def send(self, task: str, *values: object, queue: str = kinds.JOBS, expires: float | None = None) -> str:
        """The new job's id, once the broker has it on disk. After `expires` seconds nobody does it any more."""
        sent = await asyncio.to_thread(self._app.send_task, task, values, queue=queue, expires=expires)
        return str(sent.id)

    async def outcome(self, job: str) -> Outcome:
        text = await self._results.get(RESULT_PREFIX + job) if self._results else None
        if not text:
            return Outcome("PENDING", None)
        found = json.loads(text)
        return Outcome(found["status"], found["result"])

    def round_trip(self, text: str) -> None:
        """Publishes a message to a queue of this connection's own and takes it back; blocks, and not for long."""
        wanted = self._app.connection_for_write()
        connection: Any = wanted.transport.establish_connection()  # once; connect() would try again
        try:
            channel = connection.channel()
            queue, _, _ = channel.queue_declare(exclusive=True)
            channel.basic_publish(amqp.Message(text), routing_key=queue)
            message = channel.basic_get(queue, no_ack=True)
            if message is None or message.body != text:
                raise StaleRead
        finally:
            connection.close()

    async def close(self) -> None:
        if self._results:
            await self._results.aclose()
        await asyncio.to_thread(self._app.close)
