"""The release job: `python -m probe.migrate` brings the schema to VERSION. Running it again changes nothing.

Exit status 0 and one line, or 1 and one line that says what is wrong. Replicas of the old release keep
running meanwhile, so a migration may only add.
"""

from __future__ import annotations

import os
import sys

import psycopg

from probe.settings import SettingsError, from_environment

# One statement list a version, in order; released entries are never changed.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    ("CREATE TABLE probe_heartbeat (id integer PRIMARY KEY, beat timestamptz NOT NULL)",),
    (
        "CREATE TABLE probe_item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, "
        "created timestamptz NOT NULL DEFAULT now())",
    ),
)
VERSION = len(MIGRATIONS)

# Any constant will do: it keeps two release jobs on one database from running at once.
LOCK = 7_025_001


def migrate(url: str) -> tuple[int, int]:
    """Brings the database to VERSION in one transaction; returns the versions before and after.

    A database that is already newer (the release before this one went further) is left as it is.
    """
    with psycopg.connect(url, connect_timeout=10) as connection:
        connection.execute("SET LOCAL lock_timeout = '30s'")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        connection.execute(
            "CREATE TABLE IF NOT EXISTS probe_schema "
            "(version integer PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())"
        )
        row = connection.execute("SELECT coalesce(max(version), 0) FROM probe_schema").fetchone()
        before = int(row[0]) if row else 0
        for version in range(before + 1, VERSION + 1):
            for statement in MIGRATIONS[version - 1]:
                connection.execute(statement.encode())
            connection.execute("INSERT INTO probe_schema (version) VALUES (%s)", (version,))
    return before, max(before, VERSION)


def main() -> int:
    try:
        settings = from_environment(os.environ)
        if not settings.database_url:
            raise SettingsError("DATABASE_URL (or DATABASE_URL_FILE) is not set: there is nothing to migrate")
        before, after = migrate(settings.database_url)
    except SettingsError as error:
        print(f"migrate: {error}", file=sys.stderr)
        return 1
    except psycopg.Error as error:
        # psycopg names host, user and cause, never the password; several addresses come as several lines.
        reason = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
        print(f"migrate: {type(error).__name__}: {reason}", file=sys.stderr)
        return 1
    change = f"was {before}" if before != after else "nothing to do"
    print(f"migrate: schema is at version {after} ({change})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
