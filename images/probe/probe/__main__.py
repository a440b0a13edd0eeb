"""`python -m probe`: serves until SIGTERM (settings.py lists the environment it reads)."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from probe.settings import SettingsError, from_environment


def _leave(_: int, __: FrameType | None) -> None:
    raise SystemExit(0)


def leave_on_signals() -> None:
    """A clean exit on SIGTERM and SIGINT until whoever serves takes them over.

    Also for process 1, which the kernel otherwise lets ignore SIGTERM; uvicorn raises the signal again at its end,
    which then means a clean exit.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)


def main() -> int:
    leave_on_signals()
    try:
        settings = from_environment(os.environ)
    except SettingsError as error:
        print(f"probe: {error}", file=sys.stderr)
        return 2
    if settings.fault == "not_listening":
        print("probe: PROBE_FAULT=not_listening: running without listening", file=sys.stderr, flush=True)
        while True:
            signal.pause()
    from probe.server import serve  # here: it imports half a second of libraries

    return serve(settings)


if __name__ == "__main__":
    sys.exit(main())
