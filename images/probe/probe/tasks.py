"""The jobs. `python -m probe.worker` does them; `celery -A probe.tasks worker` and `… beat` work as well."""

from __future__ import annotations

import asyncio
import functools
import logging
import logging.config
import os
import time
from collections.abc import Callable, Coroutine
from typing import Any

from celery import Task, signals
from celery.exceptions import Reject

from probe import broker, kinds, log
from probe.database import database
from probe.settings import for_jobs

SETTINGS = for_jobs(os.environ)
DATABASE = database(SETTINGS.database_url)

RECORD_TRIES = 20

app = broker.application(SETTINGS, sender=False)


@signals.setup_logging.connect
def _log_as_json(**_: Any) -> None:
    logging.config.dictConfig(log.CONFIG)
    # Two lines a job otherwise.
    for name in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(name).setLevel(logging.INFO if SETTINGS.access_log else logging.WARNING)


@functools.cache
def _loop() -> asyncio.Runner:
    """This process's own event loop, with the database's pool open in it; a job asks first, so after the fork."""
    runner = asyncio.Runner()
    runner.run(DATABASE.open())
    return runner


def _record(write: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Writes, also when the database comes back late; the job goes back to its queue when it comes later still."""
    for _ in range(RECORD_TRIES):
        try:
            return _loop().run(write())
        except DATABASE.away as error:
            logging.getLogger("probe.worker").warning("not recorded yet: %s", type(error).__name__)
            time.sleep(1)
    raise Reject("the database is away", requeue=True)


@app.task(bind=True, name=kinds.ADD)
def add(self: Task[..., Any], a: int, b: int, counted: bool = True) -> int:
    """The sum. The deep check's own jobs are not `counted`."""
    if counted:
        _record(lambda: DATABASE.record_job(str(self.request.id)))
    return a + b


@app.task(bind=True, name=kinds.SLOW)
def slow(self: Task[..., Any], ms: int) -> int:
    """Takes `ms` milliseconds and counts when they are over."""
    time.sleep(ms / 1000)
    _record(lambda: DATABASE.record_job(str(self.request.id)))
    return ms


@app.task(name=kinds.TICK, ignore_result=True)
def tick(period: int) -> None:
    """Counts the period that beat sent."""
    _record(lambda: DATABASE.record_tick(period))
