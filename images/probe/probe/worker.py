"""`python -m probe.worker`: does jobs until SIGTERM, then ends those under way within GRACE_SECONDS.

A job that takes longer than the grace is cut and goes back to its queue. Only /tmp is written to. Probes, for any
POSIX shell (see signs.py):

    live:   read -r until < /tmp/live && [ "$until" -gt "$(date +%s)" ]
    ready:  read -r until < /tmp/ready && [ "$until" -gt "$(date +%s)" ]

Live needs no broker; ready says that the broker gives this worker jobs, and ends with SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from typing import Any

from probe import signs
from probe.__main__ import leave_on_signals
from probe.settings import SettingsError, for_jobs

# What Celery needs after the last job: giving back what was not done, closing the connection.
CLOSING_SECONDS = 2.0


def main() -> int:
    leave_on_signals()
    try:
        settings = for_jobs(os.environ)
    except SettingsError as error:
        print(f"worker: {error}", file=sys.stderr)
        return 2
    signs.begin()
    import billiard.pool
    from celery import signals  # here: it imports half a second of libraries
    from celery.exceptions import SecurityWarning

    from probe.tasks import app

    if os.getuid():
        # Celery takes a user without a name, such as the image's, for root.
        warnings.filterwarnings("ignore", category=SecurityWarning)

    # A process that ends waits until its results were read, and under load sometimes counts one too many: 30 s for
    # nothing. By then the main process has read all of them. In tenths of a second:
    vars(billiard.pool)["GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT"] = 20

    def going(how: str, **_: Any) -> None:
        signs.not_ready()
        signs.live(settings.grace_seconds)
        if how == "Warm":
            # Celery waits for its jobs without end; SIGQUIT is its way to give them back.
            cut = threading.Timer(settings.grace_seconds - CLOSING_SECONDS, os.kill, (os.getpid(), signal.SIGQUIT))
            cut.daemon = True
            cut.start()

    signals.worker_shutting_down.connect(going, weak=False)
    worker = app.Worker(loglevel="INFO", hostname=f"worker@{settings.replica}", quiet=True)
    worker.start()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main())
