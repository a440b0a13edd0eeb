"""`python -m sim`: serve until interrupted. Prints one line, the value for PULUMI_DEBUG_PROVIDERS."""

from __future__ import annotations

import signal
import sys
from threading import Event

from sim.server import serve


def main() -> int:
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with serve() as debug_providers:
            print(debug_providers, flush=True)
            stop.wait()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
