"""PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import StringConstraints

from ..model import Name
from ..monitoring.alerts import Alert
from ..monitoring.dashboards.panels import Dashboard
from ..monitoring.dashboards.postgres import postgres_dashboard
from ..monitoring.objectives import Objectives
from ..monitoring.postgres_rules import postgres_alerts
from ..workload import FILES, Exec, File, Image, Probes, Resources, SecretRef, Volume, Workload
from .backing_service import (
    ADMIN_PASSWORD,
    EXPORTER,
    EXPORTER_PASSWORD,
    PASSWORD,
    BackingService,
    Sizing,
    numbered,
)

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,50}$")]

START = f"""\
#!/bin/sh
# A volume is made once, under another name until it is whole, and never opened by another major version.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    rm -rf "$PGDATA.new"
    initdb --pgdata="$PGDATA.new" --username=postgres --pwfile={ADMIN_PASSWORD} --auth=scram-sha-256 \\
        --data-checksums --encoding=UTF8 --locale=C.UTF-8
    mv "$PGDATA.new" "$PGDATA"
fi
held=$(cat "$PGDATA/PG_VERSION")
if [ "$held" != "$(postgres --version | sed 's/[^0-9]*\\([0-9]*\\).*/\\1/')" ]; then
    echo "this volume holds data of PostgreSQL $held; set the service's version back to $held," >&2
    echo "or dump it there and restore it under a service of another name" >&2
    exit 1
fi
set -- -D "$PGDATA" -c config_file={FILES}/postgresql.conf -c hba_file={FILES}/pg_hba.conf
# The admin's password is that of the file at every start: a volume that was kept may know another one.
echo "ALTER ROLE postgres PASSWORD '$(cat {ADMIN_PASSWORD})'" | postgres --single "$@" postgres > /dev/null
exec postgres "$@"
"""

HBA = """\
# type  database  user      address  method
local   all       postgres           scram-sha-256
host    all       all       all      scram-sha-256
"""

CREATE = """\
PGPASSWORD="$(cat {admin})"
export PGPASSWORD
psql --host={host} --username=postgres --no-psqlrc --set=ON_ERROR_STOP=1 --quiet <<'SQL'
\\set password `cat {password}`
SELECT 'CREATE ROLE "{owner}" NOLOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{owner}') \\gexec
SELECT 'CREATE DATABASE "{owner}" OWNER "{owner}"'
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{owner}') \\gexec
REVOKE ALL ON DATABASE "{owner}", postgres, template1 FROM PUBLIC;
SELECT 'CREATE ROLE "{user}"' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{user}') \\gexec
ALTER ROLE "{user}" LOGIN PASSWORD :'password' VALID UNTIL 'infinity';
GRANT "{owner}" TO "{user}";
ALTER ROLE "{user}" SET role TO "{owner}";
\\connect "{owner}"
{extensions}
SQL
"""

INIT = """\
PGPASSWORD="$(cat {password})"
for file in {files}/init/*.sql; do
    PGCLIENTENCODING=UTF8 psql --host={host} --username={user} --dbname={owner} --no-psqlrc --set=ON_ERROR_STOP=1 \\
        --quiet --file="$file"
done
"""

RETIRE = """\
PGPASSWORD="$(cat {admin})"
export PGPASSWORD
psql --host={host} --username=postgres --no-psqlrc --set=ON_ERROR_STOP=1 --quiet <<'SQL'
-- Whoever is still draining keeps its connections; ten minutes later nobody can make a new one.
SELECT format('ALTER ROLE %I VALID UNTIL %L', rolname, now() + interval '10 minutes')
    FROM pg_roles WHERE rolname = '{user}' AND rolvaliduntil = 'infinity' \\gexec
SQL
"""


# pg_monitor: statistics of all sessions, sizes of databases, the folder of the write-ahead log, all settings, and no
# row of a table. It may connect to the apps' database alone, and never calls what an app has put there. 16 and later
# keep connections for it, so that a server whose connections are used up can still say so.
MONITOR = """\
PGPASSWORD="$(cat {admin})"
psql --host={host} --username=postgres --no-psqlrc --set=ON_ERROR_STOP=1 --quiet <<'SQL'
\\set password `cat {password}`
SELECT 'CREATE ROLE "{user}"' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{user}') \\gexec
ALTER ROLE "{user}" LOGIN PASSWORD :'password' CONNECTION LIMIT {connections};
ALTER ROLE "{user}" SET search_path TO pg_catalog;
ALTER ROLE "{user}" SET default_transaction_read_only TO on;
ALTER ROLE "{user}" SET statement_timeout TO '{seconds}s';
GRANT pg_monitor TO "{user}";
SELECT format('GRANT %I TO "{user}"', rolname) FROM pg_roles WHERE rolname = 'pg_use_reserved_connections' \\gexec
GRANT CONNECT ON DATABASE "{owner}" TO "{user}";
SQL
"""

COLLECTORS = (
    # How near the server is to refusing every write.
    "--collector.database_wraparound",
    # Thirty series for each table and each role, of which no alert speaks.
    "--no-collector.stat_user_tables",
    "--no-collector.statio_user_tables",
    "--no-collector.stat_progress_vacuum",
    "--no-collector.roles",
)


class Postgres(BackingService):
    """One database with one owner. Apps log in as a user of their generation and act as the owner."""

    name: Name = "postgres"
    """What apps write in `uses` and in templates; also its host name."""
    database: Identifier
    """The database, and the role that owns everything in it."""
    extensions: tuple[Identifier, ...] = ()
    """Made in the database before the apps start; the image must have them."""
    init_sql: tuple[str, ...] = ()
    """SQL that runs in the database in this order before the apps start, as the owner. It runs again whenever it, the
    version or the credentials change: write it so that this does no harm (`CREATE TABLE IF NOT EXISTS`)."""

    versions: ClassVar[Mapping[str, str]] = {str(major): f"postgres:{major}" for major in range(14, 19)}
    default_version: ClassVar[str] = "17"
    default_resources: ClassVar[Resources] = Resources(memory_mib=512, cpus=1)
    minimum_memory_mib: ClassVar[int] = 160
    """A quarter for shared buffers, and 20 connections of 5 MiB."""
    port: ClassVar[int] = 5432
    user: ClassVar[str] = "999:999"
    exporter_image: ClassVar[str] = "prometheuscommunity/postgres-exporter:v0.19.1"
    """Busybox, whose shell the probes need. From 0.20 on collectors and metrics of slots have other names."""

    @property
    def account(self) -> str:
        return self.database

    def workload(self, sizing: Sizing) -> Workload:
        volume = volume_path(sizing.version)
        ready = f"pg_isready --quiet --host=127.0.0.1 --port={self.port}"
        # 1: it refuses clients, as it does while it recovers from a crash; that must not be cut short.
        live = f"{ready}; [ $? -le 1 ]"
        return Workload(
            name=self.name,
            role="service",
            image=sizing.image,
            command=("/bin/sh", f"{FILES}/start.sh"),
            user=self.user,
            env={"PGDATA": f"{volume}/groundwork"},
            files=(
                File(name="start.sh", content=START),
                File(name="postgresql.conf", content=configuration(sizing.resources) + reserved(sizing)),
                File(name="pg_hba.conf", content=HBA),
                self.admin_file(),
            ),
            volumes=(Volume(name=f"{self.name}-data", path=volume),),
            shm_mib=max(64, sizing.resources.memory_mib // 4),
            port=self.port,
            resources=sizing.resources,
            probes=Probes(liveness=Exec(command=live), readiness=Exec(command=ready), startup_seconds=300),
            timeout_seconds=300,
            grace_seconds=60,
        )

    @property
    def account_files(self) -> tuple[File, ...]:
        return numbered("init", "sql", self.init_sql)

    def create_account(self, username: str) -> str:
        extensions = "\n".join(f'CREATE EXTENSION IF NOT EXISTS "{name}";' for name in self.extensions)
        names = {"admin": ADMIN_PASSWORD, "password": PASSWORD, "host": self.name, "owner": self.database}
        script = CREATE + (INIT if self.init_sql else "")
        return script.format(**names, files=FILES, user=username, extensions=extensions)

    def retire_account(self, username: str) -> str:
        return RETIRE.format(admin=ADMIN_PASSWORD, host=self.name, user=username)

    def create_exporter_account(self) -> str:
        return MONITOR.format(
            admin=ADMIN_PASSWORD,
            password=EXPORTER_PASSWORD,
            host=self.name,
            owner=self.database,
            user=EXPORTER,
            connections=EXPORTER_CONNECTIONS,
            seconds=EXPORTER_SECONDS,
        )

    def exporter(self, sizing: Sizing, image: Image) -> Workload:
        # Where checkpoints are counted from 17 on; asked of an older one, it complains with every scrape.
        checkpointer = ("--collector.stat_checkpointer",) if int(sizing.version) >= 17 else ()
        return self._exporter(
            image,
            command=("/bin/postgres_exporter", f"--collection-timeout={EXPORTER_SECONDS}s", *COLLECTORS, *checkpointer),
            user="65534:65534",
            port=9187,
            env={
                "DATA_SOURCE_URI": f"{self.name}:{self.port}/{self.database}?sslmode=disable",
                "DATA_SOURCE_USER": EXPORTER,
                "DATA_SOURCE_PASS_FILE": EXPORTER_PASSWORD,
            },
            secret=self.exporter_file(),
        )

    def alerts(self, sizing: Sizing, objectives: Objectives) -> tuple[Alert, ...]:
        return postgres_alerts(self.name, objectives)

    def dashboard(self, objectives: Objectives) -> Dashboard:
        return postgres_dashboard(self.name, objectives)

    def connection(self, generation: int) -> Mapping[str, str | SecretRef]:
        return {**super().connection(generation), "database": self.database}


EXPORTER_CONNECTIONS = 3
"""It keeps one open and opens another for each scrape; one that hangs may still be there at the next."""
EXPORTER_SECONDS = 8
"""Less than the 10 s that Prometheus waits: better some figures than none."""


def reserved(sizing: Sizing) -> str:
    """The line of `postgresql.conf` that keeps the exporter the two connections of a scrape."""
    if not sizing.monitored or int(sizing.version) < 16:
        return ""
    return "reserved_connections = 2\n"


def volume_path(version: str) -> str:
    """Where the image of that major version declares its volume: one level higher since 18."""
    return "/var/lib/postgresql" if int(version) >= 18 else "/var/lib/postgresql/data"


def configuration(resources: Resources) -> str:
    """`postgresql.conf` for one database on `resources`.

    A quarter of the memory for shared buffers and three quarters as the planner's estimate of the cache are the
    starting points of PostgreSQL's own manual (19.4.1, 19.7.2). A connection is counted as 5 MiB, and work_mem
    shares what the buffers leave among the connections, three sorts each.
    """
    memory = resources.memory_mib
    buffers = memory // 4
    connections = max(20, min(400, memory // 8))
    work_kib = max(1024, (memory - buffers) * 1024 // (connections * 3))
    return f"""\
listen_addresses = '*'
port = {Postgres.port}
unix_socket_directories = '/tmp'
max_connections = {connections}
shared_buffers = {buffers}MB
effective_cache_size = {memory * 3 // 4}MB
work_mem = {work_kib}kB
maintenance_work_mem = {max(16, min(2048, memory // 16))}MB
max_worker_processes = {max(4, round(resources.cpus) * 2)}
max_parallel_workers = {max(2, round(resources.cpus))}
random_page_cost = 1.1
password_encryption = scram-sha-256
wal_compression = on
min_wal_size = 80MB
max_wal_size = {max(256, min(4096, memory))}MB
checkpoint_timeout = 15min
idle_in_transaction_session_timeout = 10min
log_destination = stderr
log_timezone = 'UTC'
log_min_duration_statement = 1s
log_lock_waits = on
log_checkpoints = on
log_line_prefix = '%m [%p] %q%u@%d '
"""
