"""MySQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, StringConstraints

from ..model import Name
from ..monitoring.alerts import Alert
from ..monitoring.dashboards.mysql import mysql_dashboard
from ..monitoring.dashboards.panels import Dashboard
from ..monitoring.mysql_rules import mysql_alerts
from ..monitoring.objectives import Objectives
from ..workload import FILES, Exec, File, Image, Probes, Resources, SecretRef, Template, Volume, Workload
from .backing_service import (
    ADMIN_PASSWORD,
    EXPORTER,
    EXPORTER_PASSWORD,
    PASSWORD,
    BackingService,
    Sizing,
    numbered,
)

VOLUME = "/var/lib/mysql"
SOCKET = "/tmp/mysql.sock"
OWN_SCHEMAS = ("mysql", "sys", "information_schema", "performance_schema")


def _not_its_own(name: str) -> str:
    if name in OWN_SCHEMAS:
        raise ValueError("should be another name: this schema is MySQL's own")
    return name


Database = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,26}$"), AfterValidator(_not_its_own)]
"""With `_` and a generation of four digits a user's name has the 32 characters that MySQL allows."""

START = f"""\
#!/bin/sh
# A volume is made once, under another name until it is whole, and never opened by an older version: mysqld would say
# no more than two numbers. Whether it can upgrade what it finds, it says itself. It keeps this history from 8.4 on.
set -eu
data={VOLUME}/groundwork
rm -rf {VOLUME}/tmp
mkdir {VOLUME}/tmp
if [ ! -d "$data" ]; then
    rm -rf "$data.new"
    mysqld --defaults-file={FILES}/my.cnf --datadir="$data.new" --initialize-insecure
    mv "$data.new" "$data"
fi
runs=$(mysqld --version | sed 's/.*Ver \\([0-9]*\\.[0-9]*\\).*/\\1/')
held=$(sed 's/.*"version":"\\([0-9]*\\.[0-9]*\\).*/\\1/' "$data/mysql_upgrade_history" 2> /dev/null || true)
if [ -n "$held" ] && [ "$(printf '%s\\n' "$held" "$runs" | sort -V | head -n 1)" != "$held" ]; then
    echo "this volume holds data of MySQL $held; set the service's version back to $held," >&2
    echo "or dump it there and restore it under a service of another name" >&2
    exit 1
fi
# Passwords are those of the file at every start: a volume that was kept may know others. No client is let in before.
(
    umask 077
    password=$(cat {ADMIN_PASSWORD})
    cat > /tmp/init.sql <<SQL
SET sql_log_bin = OFF;
CREATE USER IF NOT EXISTS 'admin'@'%';
ALTER USER 'admin'@'%' IDENTIFIED BY '$password', 'root'@'localhost' IDENTIFIED BY '$password';
GRANT ALL PRIVILEGES ON *.* TO 'admin'@'%' WITH GRANT OPTION;
SQL
)
# mysqld writes slow statements to no pipe: the file goes to this container's log, and mysqld begins another.
(
    slow={VOLUME}/slow.log
    while sleep 10 && kill -0 $$ 2> /dev/null; do
        grep -qs '^# Time' "$slow" || continue
        mv "$slow" "$slow.old"
        kill -USR1 $$
        sleep 1
        sed -n '/^# Time/,$p' "$slow.old"
    done
) &
exec mysqld --defaults-file={FILES}/my.cnf --init-file=/tmp/init.sql
"""

CLIENT = """\
umask 077
# A file, since a command line is seen by others. Tables are named and filled in UTF-8 wherever this runs.
printf '[client]\\nhost={host}\\nuser=%s\\npassword=%s\\ndefault-character-set=utf8mb4\\n' \\
    admin "$(cat {admin})" > /tmp/admin.cnf
"""

# The underscore in the name of a database stands for any letter when rights are given, unless it is escaped.
CREATE = (
    CLIENT
    + """\
mysql --defaults-file=/tmp/admin.cnf <<SQL
CREATE DATABASE IF NOT EXISTS \\`{database}\\`;
CREATE USER IF NOT EXISTS '{user}'@'%';
ALTER USER '{user}'@'%' IDENTIFIED BY '$(cat {password})' ACCOUNT UNLOCK;
GRANT ALL PRIVILEGES ON \\`{pattern}\\`.* TO '{user}'@'%';
SQL
"""
)

INIT = """\
sed 's/^user=.*/user={user}/; /^password=/d' /tmp/admin.cnf > /tmp/app.cnf
printf 'password=%s\\n' "$(cat {password})" >> /tmp/app.cnf
for file in {files}/init/*.sql; do
    mysql --defaults-file=/tmp/app.cnf {database} < "$file"
done
"""

RETIRE = (
    CLIENT
    + """\
mysql --defaults-file=/tmp/admin.cnf <<'SQL'
ALTER USER IF EXISTS '{user}'@'%' ACCOUNT LOCK;
SQL
"""
)

# PROCESS: InnoDB's own counters, dead locks among them. REPLICATION CLIENT: the state of a replica, and the size of the
# binary logs. Status and settings are for everybody. It reads no table, and what hangs takes no more than these
# connections from the apps.
MONITOR = (
    CLIENT
    + """\
mysql --defaults-file=/tmp/admin.cnf <<SQL
CREATE USER IF NOT EXISTS '{user}'@'%';
ALTER USER '{user}'@'%' IDENTIFIED BY '$(cat {password})' WITH MAX_USER_CONNECTIONS 3;
GRANT PROCESS, REPLICATION CLIENT ON *.* TO '{user}'@'%';
SQL
"""
)

COLLECTORS = (
    # Dead locks, which the status of MySQL itself does not count.
    "--collect.info_schema.innodb_metrics",
    # Seven days of it are kept on the disk of the data.
    "--collect.binlog_size",
    # For compressed tables, and for a plugin that MySQL does not have.
    "--no-collect.info_schema.innodb_cmp",
    "--no-collect.info_schema.innodb_cmpmem",
    "--no-collect.info_schema.query_response_time",
)


class Mysql(BackingService):
    """One database. Apps log in as a user of their generation, with every right in it and none elsewhere."""

    name: Name = "mysql"
    """What apps write in `uses` and in templates; also its host name."""
    database: Database
    """The database, and the stem of its users' names."""
    init_sql: tuple[str, ...] = ()
    """SQL that runs in the database in this order before the apps start, as the apps' user. It runs again whenever
    it, the version or the credentials change: write it so that this does no harm (`CREATE TABLE IF NOT EXISTS`)."""

    versions: ClassVar[Mapping[str, str]] = {version: f"mysql:{version}" for version in ("8.0", "8.4", "9.7")}
    default_version: ClassVar[str] = "8.4"
    default_resources: ClassVar[Resources] = Resources(memory_mib=1024, cpus=1)
    minimum_memory_mib: ClassVar[int] = 384
    """What SERVER_MIB says, 20 connections, and a buffer pool of 112 MiB. 320 MiB were used up by ten connections that
    filled and counted fifty tables."""
    port: ClassVar[int] = 3306
    retire_seconds: ClassVar[int] = 60
    """A locked account keeps the connections of whoever is still draining, so new ones get a minute before that."""
    user: ClassVar[str] = "999:999"
    exporter_image: ClassVar[str] = "prom/mysqld-exporter:v0.19.0"
    """Busybox, whose shell the probes need."""

    @property
    def account(self) -> str:
        return self.database

    def workload(self, sizing: Sizing) -> Workload:
        # It also succeeds when the server answers that the password is wrong, or that no connection is left.
        ping = "mysqladmin --no-defaults {where} --user=root --connect-timeout=2 ping 2>&1"
        return Workload(
            name=self.name,
            role="service",
            image=sizing.image,
            command=("/bin/sh", f"{FILES}/start.sh"),
            user=self.user,
            # Memory that glibc sets aside for each thread is never given back.
            env={"MALLOC_ARENA_MAX": "2"},
            files=(
                File(name="start.sh", content=START),
                File(name="my.cnf", content=configuration(sizing.resources)),
                self.admin_file(),
            ),
            volumes=(Volume(name=f"{self.name}-data", path=VOLUME),),
            port=self.port,
            resources=sizing.resources,
            probes=Probes(
                liveness=Exec(command=ping.format(where=f"--socket={SOCKET}")),
                # The way that clients take.
                readiness=Exec(command=ping.format(where=f"--host=127.0.0.1 --port={self.port}")),
                # Nobody is let in while it recovers from a crash or upgrades its data, and neither must be cut short.
                startup_seconds=1800,
            ),
            timeout_seconds=300,
            grace_seconds=60,
        )

    @property
    def account_files(self) -> tuple[File, ...]:
        return numbered("init", "sql", self.init_sql)

    def create_account(self, username: str) -> str:
        return (CREATE + (INIT if self.init_sql else "")).format(
            host=self.name,
            admin=ADMIN_PASSWORD,
            password=PASSWORD,
            files=FILES,
            database=self.database,
            # Once for SQL, and once more for the shell.
            pattern=self.database.replace("_", r"\\_"),
            user=username,
        )

    def retire_account(self, username: str) -> str:
        return RETIRE.format(host=self.name, admin=ADMIN_PASSWORD, user=username)

    def create_exporter_account(self) -> str:
        return MONITOR.format(host=self.name, admin=ADMIN_PASSWORD, password=EXPORTER_PASSWORD, user=EXPORTER)

    def exporter(self, sizing: Sizing, image: Image) -> Workload:
        login = f"[client]\nhost = {self.name}\nport = {self.port}\nuser = {EXPORTER}\npassword = "
        secret = File(name="secrets/exporter.cnf", content=Template((login, self.exporter_password, "\n")))
        return self._exporter(
            image,
            command=("/bin/mysqld_exporter", f"--config.my-cnf={secret.path}", *COLLECTORS),
            user="65534:65534",
            port=9104,
            env={},
            secret=secret,
        )

    def alerts(self, sizing: Sizing, objectives: Objectives) -> tuple[Alert, ...]:
        return mysql_alerts(self.name, objectives)

    def dashboard(self, objectives: Objectives) -> Dashboard:
        return mysql_dashboard(self.name, objectives)

    def connection(self, generation: int) -> Mapping[str, str | SecretRef]:
        return {**super().connection(generation), "database": self.database}


SERVER_MIB = 160
"""What mysqld takes beside the buffer pool and its clients: 9.7.4 had 146 MiB with a 32 MiB pool taken off."""
PERFORMANCE_SCHEMA_MIB = {400: 160, 2000: 320}
"""What the performance schema adds by `table_definition_cache`, which it sizes itself by: measured on 9.7.4."""
PER_CONNECTION_MIB = 4
"""Buffers, and temporary tables of the least size: ten connections that sort and count took 7 MiB each, yet few do so
at once."""


def configuration(resources: Resources) -> str:
    """`my.cnf` for one database on `resources`.

    The buffer pool gets what the server, its connections and temporary tables leave, and at most the 75 % that S1 asks
    for (70-80 % of the machine), rounded down to what it is allocated in. The performance schema costs a quarter of a
    gigabyte, so that only services of 1 GiB and more have it. S1's figures for 16 GiB are the measure of what follows:
    500 connections are its most and 8 GiB have them; its two log files of 512 MiB are one sixteenth, where MySQL's own
    default of 100 MiB is the least. The binary log, flushed with every commit, keeps seven days, as S1 does.
    `query_cache_size`, `innodb_log_file_size` and `expire_logs_days` are gone or going in 8.0 and later.
    """
    memory = resources.memory_mib
    tables = 400 if memory < 2048 else 2000
    schema = 0 if memory < 1024 else PERFORMANCE_SCHEMA_MIB[tables]
    connections = max(20, min(500, memory // 16))
    temporary = max(4, memory // 32)
    left = memory - SERVER_MIB - schema - connections * PER_CONNECTION_MIB - temporary
    # Its control structures take up to a tenth of the pool besides (manual, innodb_buffer_pool_size).
    pool = min(left * 10 // 11, memory * 3 // 4)
    # The pool is rounded up to chunks times instances.
    chunk, instances = (128, 4) if pool >= 4096 else (16, 1)
    return f"""\
[mysqld]
bind_address = *
port = {Mysql.port}
mysqlx = OFF
socket = {SOCKET}
datadir = {VOLUME}/groundwork
tmpdir = {VOLUME}/tmp
pid_file = mysqld.pid
secure_file_priv = NULL
skip_name_resolve = ON
character_set_server = utf8mb4
max_connections = {connections}
performance_schema = {"ON" if schema else "OFF"}
table_definition_cache = {tables}
table_open_cache = {tables * 2}
temptable_max_ram = {temporary}M
tmp_table_size = {max(4, min(16, memory // 64))}M
max_heap_table_size = {max(4, min(16, memory // 64))}M
innodb_buffer_pool_size = {pool // (chunk * instances) * chunk * instances}M
innodb_buffer_pool_chunk_size = {chunk}M
innodb_buffer_pool_instances = {instances}
innodb_log_buffer_size = {max(8, min(64, memory // 64))}M
innodb_redo_log_capacity = {max(100, min(8192, memory // 4))}M
innodb_flush_log_at_trx_commit = 1
# It asks for a right that a container without capabilities does not have.
loose_innodb_numa_interleave = OFF
server_id = 1
log_bin = binlog
sync_binlog = 1
# Triggers and functions are the app's own business: what is logged are rows, not statements.
log_bin_trust_function_creators = ON
max_binlog_size = 128M
binlog_expire_logs_seconds = {7 * 24 * 3600}
slow_query_log = ON
slow_query_log_file = {VOLUME}/slow.log
long_query_time = 1
"""
