"""Real exporters in front of real services, with our command, our settings and the account that our jobs make.

The names of the metrics that they have are kept in tests/monitoring/: no alert may ask for another one. Where a new
version has others, `RECORD=1 pytest tests/judges/test_exporters.py` writes the files anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pymysql
import pytest
import redis

from groundwork.catalog import BackingService, Sizing
from groundwork.catalog.backing_service import EXPORTER
from groundwork.catalog.mysql import Mysql
from groundwork.catalog.redis import Redis
from groundwork.monitoring.objectives import Objectives
from groundwork.workload import FILES, HttpGet, Image, SecretRef, Template, Value, Workload
from tests.monitoring.asked import asked
from tests.sample import ROOT

from . import test_mysql, test_postgres, test_rabbitmq, test_redis
from .conftest import free_port, unprivileged
from .scraping import prometheus
from .service import Served

KEPT = ROOT / "tests" / "monitoring"
APP = "first-password"
OWN = "exporter-password"
IMAGE = Image(reference="x:1", digest=f"sha256:{'0' * 64}", origin="simulated")
SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")
Samples = dict[tuple[str, str], float]
"""Values by the metric's name and its labels as they are written."""


@dataclass(kw_only=True)
class Exporter:
    """One exporter of one server."""

    workload: Workload
    port: int
    version: str
    process: subprocess.Popen[bytes]
    log: Path

    def page(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def samples(self) -> Samples:
        assert self.workload.metrics
        return parsed(self.page(self.workload.metrics.path))


def parsed(text: str) -> Samples:
    """Not by prometheus_client's parser, which gives counters a name that their exporter does not."""
    found = (SAMPLE.fullmatch(line) for line in text.splitlines() if not line.startswith("#"))
    return {(one[1], one[2] or ""): float(one[3]) for one in found if one}


def filled(value: Value) -> str:
    """The text with the exporter's password in it."""
    parts = value.parts if isinstance(value, Template) else (value,)
    return "".join(OWN if isinstance(part, SecretRef) else part for part in parts)


@contextmanager
def exporting(
    service: BackingService, one: Sizing, program: Path, folder: Path, places: Mapping[str, str]
) -> Iterator[Exporter]:
    """Its process, with its files in `folder` and its server where `places` say."""

    def moved(text: str) -> str:
        for said, meant in {**places, FILES: str(folder)}.items():
            text = text.replace(said, meant)
        return text

    workload, port = service.exporter(one, IMAGE), free_port()
    assert workload and workload.probes and isinstance(workload.probes.readiness, HttpGet)
    for file in workload.files:
        path = folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(moved(filled(file.content)))
    command = [str(program), *map(moved, workload.command[1:]), f"--web.listen-address=127.0.0.1:{port}"]
    log = folder / "log"
    environment = {name: moved(filled(value)) for name, value in workload.env.items()}
    with log.open("w") as written:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=written, stderr=written)
    exporter = Exporter(workload=workload, port=port, version=version_of(program), process=process, log=log)
    try:
        for _ in range(100):
            assert process.poll() is None, log.read_text()
            try:
                exporter.page(workload.probes.readiness.path)
                break
            except OSError:
                time.sleep(0.1)
        yield exporter
    finally:
        process.terminate()
        process.wait(timeout=workload.grace_seconds)


def accounts(server: Served, service: BackingService, one: Sizing) -> None:
    """The job that makes the accounts, twice, with a password for each."""
    before, _ = service.jobs(one)
    server.put(before, APP)
    (server.folder / "files" / "secrets" / "exporter_password").write_text(OWN)
    for _ in range(2):
        done = server.run(server.moved(before.command[-1]))
        assert done.returncode == 0, done.stdout + done.stderr


def folders(tmp_path_factory: pytest.TempPathFactory, name: str) -> Path:
    folder = tmp_path_factory.mktemp(name)
    for place in (folder, folder / "data", folder / "tmp"):
        place.mkdir(exist_ok=True)
        if not os.geteuid():
            os.chown(place, 65534, 65534)
    return folder


def kept(name: str, versions: str, samples: Samples) -> None:
    """Everything that is written down is there; RECORD=1 writes what is there. A newer version may have more."""
    file, there = KEPT / f"{name}.metrics", {metric for metric, _ in samples}
    if os.environ.get("RECORD"):
        file.write_text(f"# {name} {versions}\n" + "".join(f"{metric}\n" for metric in sorted(there)))
    _, *written = file.read_text().splitlines()
    gone = set(written) - there
    assert written and not gone, f"{name} {versions} has no such metrics; RECORD=1 writes those it has"


def unanswered(monitoring: Path, folder: Path, service: BackingService, exporter: Exporter) -> list[str]:
    """Queries of the service's panels for which Prometheus finds nothing that the exporter tells."""
    assert exporter.workload.metrics
    url = f"http://127.0.0.1:{exporter.port}{exporter.workload.metrics.path}"
    return without_data(monitoring, folder, service, {exporter.workload.name: url})


def without_data(
    monitoring: Path, folder: Path, service: BackingService, targets: Mapping[str, str]
) -> list[str]:
    """The same of what `targets` tell, by job."""
    dashboard = service.dashboard(Objectives())
    assert dashboard
    exprs = [*asked(dashboard), *(query.expr for query in dashboard.filled)]
    assert len(exprs) > 10
    with prometheus(monitoring, folder, targets) as server:
        return server.unanswered(exprs)


def without_success(samples: Samples, metric: str) -> list[str]:
    assert metric in {name for name, _ in samples}
    return [labels for (name, labels), value in samples.items() if name == metric and not value]


def version_of(program: Path) -> str:
    """What runs here is Debian's newest; a unit test asks that the files are kept of the catalog's version."""
    said = subprocess.run([str(program), "--version"], capture_output=True, text=True, timeout=20)
    found = re.search(r"(?:version|Exporter) v?(\d+\.\d+\.\d+)", said.stdout + said.stderr)
    assert found, said
    return found[1]


# PostgreSQL


POSTGRES = test_postgres.SERVICE


@pytest.fixture(scope="module")
def postgres(judges: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[test_postgres.Server, Exporter]]:
    folder = folders(tmp_path_factory, "postgres")
    (programs,) = (judges / "usr/lib/postgresql").glob("*/bin")
    one = replace(test_postgres.sizing(), monitored=True)
    server = test_postgres.Server(folder=folder, begin=unprivileged(), programs=programs, port=free_port())
    server.begun(POSTGRES.workload(one), server.is_ready)
    program = judges / "usr/bin/prometheus-postgres-exporter"
    with ExitStack() as ends:
        ends.callback(server.stop)
        accounts(server, POSTGRES, one)
        places = {"postgres:5432": f"127.0.0.1:{server.port}"}
        at = tmp_path_factory.mktemp("postgres-exporter")
        yield server, ends.enter_context(exporting(POSTGRES, one, program, at, places))


def test_postgres_tells_its_connections_transactions_hits_and_dead_locks(
    postgres: tuple[test_postgres.Server, Exporter],
) -> None:
    server, exporter = postgres
    with server.login("shop_1", APP) as app, app.transaction():
        app.execute("SELECT count(*) FROM seed")
        samples = exporter.samples()
    names = {name for name, _ in samples}
    assert samples["pg_up", ""] == 1 and samples["pg_exporter_last_scrape_error", ""] == 0
    assert not without_success(samples, "pg_scrape_collector_success")
    assert {
        "pg_settings_max_connections",
        "pg_stat_activity_count",
        "pg_stat_activity_max_tx_duration",
        "pg_stat_database_blks_hit",
        "pg_stat_database_blks_read",
        "pg_stat_database_deadlocks",
        "pg_stat_archiver_failed_count",
        "pg_database_size_bytes",
        "pg_database_wraparound_age_datfrozenxid_seconds",
        "pg_stat_checkpointer_num_timed_total",
        "pg_replication_lag_seconds",
    } <= names
    assert not [name for name in names if name.startswith(("pg_stat_user_tables", "pg_statio_user_tables"))]
    kept("postgres-exporter", f"{exporter.version} with PostgreSQL 18", samples)


def test_every_panel_of_postgres_finds_its_data(
    postgres: tuple[test_postgres.Server, Exporter], monitoring: Path, tmp_path: Path
) -> None:
    server, exporter = postgres
    with server.login("shop_1", APP) as app, app.transaction():
        app.execute("SELECT count(*) FROM seed")
        assert unanswered(monitoring, tmp_path, POSTGRES, exporter) == []


def test_the_exporter_of_postgres_reads_no_table_and_changes_nothing(
    postgres: tuple[test_postgres.Server, Exporter],
) -> None:
    server, _ = postgres
    for database in ("postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            server.login(EXPORTER, OWN, database)
    with server.login(EXPORTER, OWN) as own:
        for statement in (*test_postgres.FORBIDDEN, "SELECT * FROM public.seed", "SET ROLE shop"):
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)):
                own.execute(statement)
        own.execute("SET default_transaction_read_only TO off")
        for statement in ("CREATE TABLE public.mine (id int)", "CREATE SCHEMA mine", "DELETE FROM public.seed"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                own.execute(statement)


def test_postgres_still_tells_when_apps_have_used_up_its_connections(
    postgres: tuple[test_postgres.Server, Exporter],
) -> None:
    server, exporter = postgres
    with ExitStack() as opened:
        with pytest.raises(psycopg.OperationalError, match="reserved"):
            for _ in range(500):
                opened.enter_context(server.login("shop_1", APP))
        samples = exporter.samples()
        used = sum(value for (name, _), value in samples.items() if name == "pg_stat_activity_count")
        assert samples["pg_up", ""] == 1 and used >= 50


# MySQL


MYSQL = test_mysql.SERVICE


@pytest.fixture(scope="module", params=[Mysql.minimum_memory_mib, 1024])
def mysql(
    request: pytest.FixtureRequest, judges: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[test_mysql.Server, Exporter]]:
    """Without a performance schema, and with one."""
    folder = folders(tmp_path_factory, "mysql")
    one = replace(test_mysql.sizing(), monitored=True)
    server = test_mysql.Server(folder=folder, begin=unprivileged(), root=judges, port=free_port())
    program = judges / "usr/bin/prometheus-mysqld-exporter"
    with ExitStack() as ends:
        server.start(replace(one.resources, memory_mib=request.param))
        ends.callback(server.stop)
        accounts(server, MYSQL, one)
        places = {"= mysql\n": "= 127.0.0.1\n", "= 3306": f"= {server.port}"}
        at = tmp_path_factory.mktemp("mysql-exporter")
        yield server, ends.enter_context(exporting(MYSQL, one, program, at, places))


def test_mysql_tells_its_connections_slow_queries_hits_and_dead_locks(
    mysql: tuple[test_mysql.Server, Exporter],
) -> None:
    server, exporter = mysql
    server.sql("my_shop_1", APP, "SELECT sleep(1.1)")
    samples = exporter.samples()
    names = {name for name, _ in samples}
    assert samples["mysql_up", ""] == 1, exporter.log.read_text()
    assert not without_success(samples, "mysql_exporter_collector_success"), exporter.log.read_text()
    assert samples["mysql_global_status_slow_queries", ""] >= 1
    assert {
        "mysql_global_status_threads_connected",
        "mysql_global_status_max_used_connections",
        "mysql_global_variables_max_connections",
        "mysql_global_status_innodb_buffer_pool_reads",
        "mysql_global_status_innodb_buffer_pool_read_requests",
        "mysql_global_status_aborted_connects",
        "mysql_global_status_innodb_row_lock_waits",
        "mysql_info_schema_innodb_metrics_lock_lock_deadlocks_total",
        "mysql_binlog_size_bytes",
        "mysql_global_status_uptime",
    } <= names
    kept("mysql-exporter", f"{exporter.version} with MySQL 9.7", samples)


def test_every_panel_of_mysql_finds_its_data(
    mysql: tuple[test_mysql.Server, Exporter], monitoring: Path, tmp_path: Path
) -> None:
    _, exporter = mysql
    assert unanswered(monitoring, tmp_path, MYSQL, exporter) == []


def test_the_exporter_of_mysql_reads_no_table_and_ends_no_session(mysql: tuple[test_mysql.Server, Exporter]) -> None:
    server, _ = mysql
    sessions = server.sql(EXPORTER, OWN, "SELECT count(*) FROM information_schema.processlist", "information_schema")
    assert int(sessions) >= 1, "it sees what the server does"
    for statement in (
        "SELECT * FROM my_shop.seed",
        "SELECT user FROM mysql.user",
        "CREATE DATABASE mine",
        "CREATE USER mine",
        "SET GLOBAL max_connections = 1",
        "FLUSH LOGS",
        "SHUTDOWN",
    ):
        with pytest.raises(ValueError, match="denied"):
            server.sql(EXPORTER, OWN, statement, "information_schema")
    app = pymysql.connect(host="127.0.0.1", port=server.port, user="my_shop_1", password=APP)
    session = app.thread_id()  # type: ignore[no-untyped-call]
    with app, pytest.raises(ValueError, match="not owner of thread"):
        server.sql(EXPORTER, OWN, f"KILL {session}", "information_schema")


def test_the_exporter_of_mysql_takes_three_connections_at_most(mysql: tuple[test_mysql.Server, Exporter]) -> None:
    server, exporter = mysql
    with ExitStack() as opened:
        with pytest.raises(pymysql.err.OperationalError, match="max_user_connections"):
            for _ in range(4):
                one = pymysql.connect(host="127.0.0.1", port=server.port, user=EXPORTER, password=OWN)
                opened.enter_context(one)
        assert exporter.samples()["mysql_up", ""] == 0, "then it says so, and goes on"
    assert exporter.samples()["mysql_up", ""] == 1


# Redis


REDIS = Redis()


@pytest.fixture(scope="module")
def store(judges: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[test_redis.Server, Exporter]]:
    folder = tmp_path_factory.mktemp("redis")
    one = replace(test_redis.sizing(), monitored=True)
    server = test_redis.Server(folder=folder, programs=judges / "usr/bin", port=free_port(), service=REDIS)
    program = judges / "usr/bin/prometheus-redis-exporter"
    with ExitStack() as ends:
        server.start()
        ends.callback(server.stop)
        accounts(server, REDIS, one)
        places = {"redis:6379": f"127.0.0.1:{server.port}"}
        at = tmp_path_factory.mktemp("redis-exporter")
        yield server, ends.enter_context(exporting(REDIS, one, program, at, places))


def test_redis_tells_its_memory_clients_evictions_hits_persistence_and_slow_commands(
    store: tuple[test_redis.Server, Exporter],
) -> None:
    server, exporter = store
    app, admin = server.client("app_1", APP), server.client("admin", "admin-secret")
    app.set("key", "1")
    app.get("key")
    for _ in range(2):
        app.eval("local x = 0; for i = 1, 3000000 do x = x + i end", 0)
    admin.bgsave()
    samples = exporter.samples()
    names = {name for name, _ in samples}
    assert samples["redis_up", ""] == 1 and samples["redis_exporter_last_scrape_error", 'err=""'] == 0
    assert samples["redis_memory_max_bytes", ""] > 0 and samples["redis_max_clients", ""] > 0
    assert samples["redis_slowlog_last_id", ""] >= 1 and samples["redis_slowlog_length", ""] >= 2
    assert {
        "redis_memory_used_bytes",
        "redis_connected_clients",
        "redis_evicted_keys_total",
        "redis_keyspace_hits_total",
        "redis_keyspace_misses_total",
        "redis_rdb_last_bgsave_status",
        "redis_aof_last_write_status",
        "redis_aof_last_bgrewrite_status",
        "redis_rejected_connections_total",
        "redis_uptime_in_seconds",
        "redis_db_keys",
    } <= names
    assert "ERROR" not in exporter.log.read_text().upper(), exporter.log.read_text()
    kept("redis-exporter", f"{exporter.version} with Redis 8", samples)


@pytest.mark.parametrize("eviction", ["noeviction", "allkeys-lru"])
def test_every_panel_of_redis_finds_its_data(
    store: tuple[test_redis.Server, Exporter], monitoring: Path, tmp_path: Path, eviction: str
) -> None:
    server, exporter = store
    server.client("app_1", APP).set("key", "1")
    service = Redis.model_validate({"eviction": eviction})
    assert unanswered(monitoring, tmp_path, service, exporter) == []


@pytest.mark.parametrize(
    "command", ["GET key", "SET key 2", "KEYS *", "CONFIG GET *", "ACL LIST", "CLIENT LIST", "SLOWLOG RESET", "MONITOR"]
)
def test_the_exporter_of_redis_can_not(store: tuple[test_redis.Server, Exporter], command: str) -> None:
    server, _ = store
    with pytest.raises(redis.exceptions.NoPermissionError):
        server.client(EXPORTER, OWN).execute_command(*command.split())  # type: ignore[no-untyped-call]


def test_the_exporter_of_redis_logs_in_nowhere_else(store: tuple[test_redis.Server, Exporter]) -> None:
    _, exporter = store
    with pytest.raises(urllib.error.HTTPError) as refused:
        exporter.page("/scrape?target=redis://127.0.0.1:1")
    assert refused.value.code == 404


def test_what_an_exporter_logs_and_shows_has_no_password(
    postgres: tuple[Served, Exporter], mysql: tuple[Served, Exporter], store: tuple[Served, Exporter]
) -> None:
    for _, exporter in (postgres, mysql, store):
        says_no_password(exporter)


def says_no_password(exporter: Exporter) -> None:
    said = exporter.log.read_text() + exporter.page("/") + exporter.page("/metrics")
    assert OWN not in said and APP not in said
    command = Path(f"/proc/{exporter.process.pid}/cmdline").read_text()
    assert OWN not in command and OWN not in Path(f"/proc/{exporter.process.pid}/environ").read_text()


# RabbitMQ


def test_rabbitmq_tells_messages_and_consumers_of_each_queue_and_no_more_for_each_client(
    judges: Path, monitoring: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    service, one = test_rabbitmq.SERVICE, replace(test_rabbitmq.sizing(), monitored=True)
    folder = tmp_path_factory.mktemp("rabbitmq")
    for place in (folder / "data", folder / "tmp"):
        place.mkdir()
    server = test_rabbitmq.Server(folder=folder, root=judges)
    metrics = service.workload(one).metrics
    assert metrics and metrics.port in service.side_ports.values()

    def samples() -> Samples:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics}{metrics.path}", timeout=10) as answer:
            return parsed(answer.read().decode())

    try:
        server.start()
        server.jobs(1, APP)
        clients = [server.client("shop_1", APP) for _ in range(5)]
        for number in range(4):
            clients[0].declare(f"queue{number}")
        clients[0].publish("queue1", b"job")
        for _ in range(100):
            after = samples()
            if after.get(("rabbitmq_detailed_queue_messages_ready", 'vhost="shop",queue="queue1"')) == 1:
                break
            time.sleep(0.2)
        assert after["rabbitmq_detailed_queue_messages_ready", 'vhost="shop",queue="queue1"'] == 1
        assert after["rabbitmq_detailed_queue_consumers", 'vhost="shop",queue="queue1"'] == 0
        each = [labels for _, labels in after if "queue=" in labels]
        assert len(each) == 4 * 6, "six series for each queue"
        assert len(after) - len(each) <= 40, "and none for a connection"
        assert after["rabbitmq_detailed_connections_opened_total", ""] == len(clients)
        assert {
            "rabbitmq_detailed_process_resident_memory_bytes",
            "rabbitmq_detailed_resident_memory_limit_bytes",
            "rabbitmq_detailed_disk_space_available_bytes",
            "rabbitmq_detailed_disk_space_available_limit_bytes",
            "rabbitmq_detailed_process_open_fds",
            "rabbitmq_detailed_process_max_fds",
            "rabbitmq_detailed_erlang_uptime_seconds",
        } <= {name for name, _ in after}
        url = f"http://127.0.0.1:{server.metrics}{metrics.path}"
        place = tmp_path_factory.mktemp("panels")
        assert without_data(monitoring, place, service, {service.name: url}) == []
        version = next(labels for name, labels in after if name == "rabbitmq_build_info")
        kept("rabbitmq", re.sub(r'.*rabbitmq_version="([\d.]+)".*', r"\1", version), after)
    finally:
        server.stop()
