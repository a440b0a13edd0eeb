"""Signs of life of a process that serves no HTTP, cheap enough to be asked for every three seconds.

Each sign is a file of one line, the Unix time until which it holds; the process renews it while it works. So a
process that hangs, was stopped or killed loses its signs by doing nothing. They are asked for with any POSIX
shell (dash, busybox):

    live:   read -r until < /tmp/live && [ "$until" -gt "$(date +%s)" ]
    ready:  read -r until < /tmp/ready && [ "$until" -gt "$(date +%s)" ]
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

SECONDS = 30.0
"""How long a sign holds."""
RENEWAL_SECONDS = 5.0

DIRECTORY = Path(tempfile.gettempdir())
LIVE = DIRECTORY / "live"
READY = DIRECTORY / "ready"


def begin() -> None:
    """Live, and not ready yet: /tmp may outlive the container that wrote to it."""
    not_ready()
    live()


def live(seconds: float = SECONDS) -> None:
    _hold(LIVE, seconds)


def ready() -> None:
    _hold(READY, SECONDS)


def not_ready() -> None:
    READY.unlink(missing_ok=True)


def _hold(sign: Path, seconds: float) -> None:
    # Renamed into place: a file that is being written would be read as empty.
    fresh = sign.with_suffix(".new")
    fresh.write_text(f"{int(time.time() + seconds)}\n", encoding="ascii")
    os.replace(fresh, sign)
