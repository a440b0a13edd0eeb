"""The release job: `python -m probe.migrate` brings the schema to the newest version. Running it again changes nothing.

Exit status 0 and one line, or 1 and one line that says what is wrong. Replicas of the old release keep
running meanwhile, so a migration may only add.
"""

from __future__ import annotations

import asyncio
import os
import sys

from probe.database import database
from probe.settings import SettingsError, from_environment


def main() -> int:
    try:
        settings = from_environment(os.environ)
        if not settings.database_url:
            raise SettingsError("DATABASE_URL (or DATABASE_URL_FILE) is not set: there is nothing to migrate")
        wanted = database(settings.database_url)
    except SettingsError as error:
        print(f"migrate: {error}", file=sys.stderr)
        return 1
    try:
        before, after = asyncio.run(wanted.migrate())
    except wanted.errors as error:
        # Both clients name host, user and cause, never the password; several addresses come as several lines.
        reason = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
        print(f"migrate: {type(error).__name__}: {reason}", file=sys.stderr)
        return 1
    change = f"was {before}" if before != after else "nothing to do"
    print(f"migrate: schema is at version {after} ({change})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
