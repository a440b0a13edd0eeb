"""`python -m probe.beat`: sends a tick a period (schedule.py) until SIGTERM. Run one at a time, and not two.

It keeps the time of its last tick in /data/celerybeat-schedule (BEAT_SCHEDULE), so /data must be a volume that
outlives the container and belongs to the user that it runs as. Probes, for any POSIX shell (see signs.py):

    live:   read -r until < /tmp/live && [ "$until" -gt "$(date +%s)" ]
    ready:  read -r until < /tmp/ready && [ "$until" -gt "$(date +%s)" ]

Both say that the loop turns, whether or not the broker is there.
"""

from __future__ import annotations

import logging.config
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from probe import log, signs
from probe.__main__ import leave_on_signals
from probe.settings import SettingsError, for_beat


def _writable(schedule: Path) -> None:
    folder = schedule.parent
    if not folder.is_dir():
        raise SettingsError(f"{folder} is missing; mount a volume there that outlives the container")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SettingsError(f"{folder} cannot be written to by user {os.getuid()}; give that user the volume")


def main() -> int:
    leave_on_signals()
    try:
        settings = for_beat(os.environ)
        _writable(Path(settings.beat_schedule))
    except SettingsError as error:
        print(f"beat: {error}", file=sys.stderr)
        return 2
    signs.begin()
    logging.config.dictConfig(log.CONFIG)
    from celery.beat import Service  # here: it imports half a second of libraries

    from probe.broker import application

    app = application(settings, sender=True)
    service = Service(app, scheduler_cls=app.conf.beat_scheduler)

    def going(_: int, __: FrameType | None) -> None:
        # Ends the loop at its next turn, never between a tick and its place on disk.
        signs.not_ready()
        service.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, going)
    service.start()
    signs.not_ready()
    return 0


if __name__ == "__main__":
    sys.exit(main())
