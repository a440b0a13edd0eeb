"""`python -m ops COMMAND`."""

from __future__ import annotations

import sys

from groundwork.faults import FaultsError
from ops.cli import app
from tools.engine.checkout import UserError

if __name__ == "__main__":
    try:
        app()
    except (FaultsError, UserError) as error:
        print(error, file=sys.stderr)
        sys.exit(1)
