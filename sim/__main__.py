"""`python -m sim`: serve until interrupted. Prints one line, the value for PULUMI_DEBUG_PROVIDERS."""

from __future__ import annotations

import signal
import sys

from sim.server import serve

ENDS = (signal.SIGINT, signal.SIGTERM)


def main() -> int:
    # Blocked before the first thread starts: a signal that another thread got would not wake this one.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    for number in ENDS:
        signal.signal(number, signal.SIG_DFL)
    try:
        with serve() as debug_providers:
            print(debug_providers, flush=True)
            signal.sigwait(ENDS)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
