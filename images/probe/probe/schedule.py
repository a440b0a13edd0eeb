"""One tick a period, also across a release of beat.

Periods are counted on the wall clock from 1970 on. What counts is not how long ago the last tick was but
in which period: a beat that was away for less than a period catches up within it, and none is sent twice. A
beat that was away for longer leaves a gap, and so does the very first period of a new volume.

The time of a tick is on disk before the tick is sent: a beat that is killed in between loses this one and
does not repeat it. A tick that the broker did not take is sent again as long as its period lasts.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import Any

from celery.beat import PersistentScheduler, ScheduleEntry
from celery.schedules import BaseSchedule

from probe import signs

log = logging.getLogger("probe.beat")

LOOP_SECONDS = 1.0


class EveryPeriod(BaseSchedule):
    """Due once in each period of `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)

    def period(self, moment: datetime) -> int:
        return int(moment.timestamp() // self.seconds)

    def is_due(self, last_run_at: datetime) -> tuple[bool, float]:  # type: ignore[override]  # the stub is wrong
        """Whether the present period has had no tick yet, and the seconds until the next period."""
        now = time.time()
        # A clock that was set back repeats no period: not "another one" but "a later one".
        return int(now // self.seconds) > self.period(last_run_at), self.seconds - now % self.seconds

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EveryPeriod) and other.seconds == self.seconds

    def __reduce__(self) -> tuple[Any, ...]:
        return EveryPeriod, (self.seconds,)  # as it goes into the schedule's file


class Scheduler(PersistentScheduler):
    """Celery's own with its file; each entry's period is the one argument of its task."""

    def tick(self, *_: Any, **__: Any) -> float:
        """One turn of beat's loop; returns the seconds until the next one."""
        signs.live()
        signs.ready()
        wait = LOOP_SECONDS
        for entry in list(self.schedule.values()):
            due, seconds = entry.is_due()
            wait = min(wait, seconds)
            if due:
                self._send(entry)
        return wait

    def _send(self, entry: ScheduleEntry) -> None:
        reserved: Any = self.reserve(entry)  # the stub is wrong: the entry with its new time
        assert entry.name and entry.task
        self.sync()
        period = reserved.schedule.period(reserved.last_run_at)
        try:
            self.app.send_task(entry.task, (period,))
        except Exception as error:  # whatever it was: beat goes on and tries again
            log.error("tick %d not sent: %s", period, type(error).__name__)
            self.schedule[entry.name] = entry
            self.sync()
        else:
            log.info("tick %d sent", period)
