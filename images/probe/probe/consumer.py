"""What a worker's main process does with the broker: Celery's own consumer, quieter and with signs of life.

Live: the main loop turns, or waits for the broker, and there is a process that does jobs. Ready: connected and
taking jobs.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import bootsteps
from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.consumer.tasks import Tasks

from probe import signs

log = logging.getLogger("probe.worker")

RETRY_SECONDS = 3.0


def stopping() -> bool:
    # 0 is an exit status here, and means yes.
    return any(flag is not None and flag is not False for flag in (state.should_stop, state.should_terminate))


class Signs(bootsteps.StartStopStep):
    """Gives the signs as long as the connection lasts; the loop drops the timer with the connection."""

    requires = (Tasks,)

    def start(self, parent: Any) -> None:
        self._renew(parent)
        parent.timer.call_repeatedly(signs.RENEWAL_SECONDS, self._renew, (parent,))

    def stop(self, parent: Any) -> None:
        signs.not_ready()

    shutdown = stop

    def _renew(self, consumer: Any) -> None:
        processes = consumer.pool._pool._pool
        if not stopping() and any(process.exitcode is None for process in processes):
            signs.live()
            signs.ready()


class Consumer(CeleryConsumer):
    """Without what workers tell each other (mingle, gossip, events, remote control, delayed delivery): that
    would be a queue a worker and dozens for the delays, and nothing here asks for it."""

    class Blueprint(CeleryConsumer.Blueprint):  # type: ignore[misc,valid-type]  # the stub has it as a variable
        default_steps = (
            "celery.worker.consumer.connection:Connection",
            "celery.worker.consumer.tasks:Tasks",
            "probe.consumer:Signs",
            "celery.worker.consumer.consumer:Evloop",
        )

    def __init__(self, *args: Any, **options: Any) -> None:
        quiet = {"without_mingle": True, "without_gossip": True, "without_heartbeat": True, "task_events": False}
        super().__init__(*args, **{**options, **quiet})

    def ensure_connected(self, conn: Any) -> Any:
        """Tries until the broker answers, every few seconds (Celery's own pauses grow to half a minute)."""

        def failed(error: Exception, seconds: float) -> None:
            log.warning("broker: %s; next try in %g s", type(error).__name__, seconds)

        def waiting() -> None:
            signs.live()
            state.maybe_shutdown()

        connected = conn.ensure_connection(
            failed, None, interval_start=1, interval_step=1, interval_max=RETRY_SECONDS, callback=waiting
        )
        self.first_connection_attempt = False
        return connected
