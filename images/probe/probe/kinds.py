"""The kinds of jobs, their queues, and how ticks are numbered: what all sides agree on, without Celery's import."""

from __future__ import annotations

import time

ADD = "probe.add"
SLOW = "probe.slow"
TICK = "probe.tick"

JOBS = "probe.jobs"
PROMPT = "probe.prompt"
"""The queue of ticks and of the deep check's jobs, which don't wait behind thousands of jobs."""


def present(seconds: int) -> int:
    """The number of the present period of `seconds`, counted from 1970 on."""
    return int(time.time() // seconds)
