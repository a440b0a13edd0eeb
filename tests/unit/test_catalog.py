"""The catalog: every entry keeps the contract, and its configuration fits the memory it is given."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from groundwork.catalog import BackingService, Sizing, mysql
from groundwork.catalog.backing_service import EXPORTER
from groundwork.catalog.mysql import Mysql
from groundwork.catalog.postgres import Postgres, configuration, volume_path
from groundwork.catalog.rabbitmq import RabbitMq
from groundwork.catalog.redis import Redis
from groundwork.scripts import JOB, scripts_of
from groundwork.workload import Image, Resources, SecretRef, Template
from tests.sample import ROOT

IMAGE = Image(reference="x:1", digest=f"sha256:{'0' * 64}", origin="simulated")
SERVICES: dict[str, BackingService] = {
    "mysql": Mysql(database="shop"),
    "postgres": Postgres(database="shop"),
    "rabbitmq": RabbitMq(vhost="shop"),
    "redis": Redis(),
}
PER_CONNECTION_MIB = 5


def sizing(service: BackingService, generation: int = 1, memory_mib: int = 512, version: str | None = None) -> Sizing:
    return Sizing(
        image=IMAGE,
        version=version or service.default_version,
        resources=Resources(memory_mib=memory_mib, cpus=1),
        generation=generation,
    )


def megabytes(text: str, name: str) -> float:
    """The value of a parameter in MiB, whatever unit it is written in."""
    found = re.search(rf"^{name} = (\d+)(kB|MB|M|MiB)$", text, flags=re.MULTILINE)
    assert found, f"{name} is missing"
    return int(found[1]) / (1024 if found[2] == "kB" else 1)


def number(text: str, name: str) -> int:
    found = re.search(rf"^{name} = (\d+)$", text, flags=re.MULTILINE)
    assert found, f"{name} is missing"
    return int(found[1])


def test_every_file_of_the_catalog_is_tested_here() -> None:
    files = {path.stem for path in (ROOT / "groundwork" / "catalog").glob("*.py")}
    assert files - {"__init__", "backing_service"} == SERVICES.keys()


@given(st.integers(Postgres.minimum_memory_mib, 1_048_576), st.floats(0.05, 128))
def test_postgres_fits_its_memory_however_much_it_has(memory_mib: int, cpus: float) -> None:
    text = configuration(Resources(memory_mib=memory_mib, cpus=cpus))
    buffers, connections = megabytes(text, "shared_buffers"), number(text, "max_connections")
    assert buffers + connections * PER_CONNECTION_MIB <= memory_mib
    assert buffers + 3 * connections * megabytes(text, "work_mem") <= memory_mib
    assert 20 <= connections <= 400
    assert megabytes(text, "work_mem") >= 1
    assert buffers >= 32
    assert megabytes(text, "maintenance_work_mem") <= max(16, memory_mib / 16) <= memory_mib / 4
    assert megabytes(text, "min_wal_size") < megabytes(text, "max_wal_size")
    assert number(text, "max_parallel_workers") <= number(text, "max_worker_processes")


@given(st.integers(Postgres.minimum_memory_mib, 65_536), st.integers(1, 4096))
def test_more_memory_is_never_less_of_anything(memory_mib: int, more: int) -> None:
    small, large = (configuration(Resources(memory_mib=one, cpus=1)) for one in (memory_mib, memory_mib + more))
    assert megabytes(small, "shared_buffers") <= megabytes(large, "shared_buffers")
    assert number(small, "max_connections") <= number(large, "max_connections")


@given(st.integers(Mysql.minimum_memory_mib, 1_048_576), st.floats(0.05, 128))
def test_mysql_fits_its_memory_however_much_it_has(memory_mib: int, cpus: float) -> None:
    text = mysql.configuration(Resources(memory_mib=memory_mib, cpus=cpus))
    pool, connections = megabytes(text, "innodb_buffer_pool_size"), number(text, "max_connections")
    schema = mysql.PERFORMANCE_SCHEMA_MIB[number(text, "table_definition_cache")] if "schema = ON" in text else 0
    others = mysql.SERVER_MIB + schema + connections * mysql.PER_CONNECTION_MIB + megabytes(text, "temptable_max_ram")
    assert pool * 1.1 + others <= memory_mib, "its control structures take a tenth of the pool"
    assert 64 <= pool <= memory_mib * 3 / 4
    assert 20 <= connections <= 500
    step = megabytes(text, "innodb_buffer_pool_chunk_size") * number(text, "innodb_buffer_pool_instances")
    assert pool % step == 0, "MySQL would round it up"
    assert megabytes(text, "innodb_redo_log_capacity") >= 100


def test_mysql_gives_a_machine_of_16_gib_what_s1_asks_for() -> None:
    text = mysql.configuration(Resources(memory_mib=16384, cpus=8))
    assert number(text, "max_connections") == 500
    assert 0.7 <= megabytes(text, "innodb_buffer_pool_size") / 16384 <= 0.8
    assert megabytes(text, "innodb_redo_log_capacity") >= 2 * 512
    assert number(text, "binlog_expire_logs_seconds") == 7 * 24 * 3600
    assert "long_query_time = 1\n" in text and "query_cache" not in text


@pytest.mark.parametrize("name", ["mysql", "information_schema", "a" * 28, "Shop", "1a"])
def test_a_database_of_mysql_is_none_of_its_own_and_leaves_room_for_the_generation(name: str) -> None:
    with pytest.raises(ValidationError):
        Mysql(database=name)


def test_a_user_of_mysql_has_at_most_32_characters() -> None:
    assert len(Mysql(database="a" * 27).credentials(9999).username) == 32


@given(st.integers(RabbitMq.minimum_memory_mib, 1_048_576))
def test_rabbitmq_stops_publishers_before_its_memory_is_used_up(memory_mib: int) -> None:
    text = RabbitMq(vhost="shop").configuration(Resources(memory_mib=memory_mib, cpus=1))
    mark = megabytes(text, "vm_memory_high_watermark.absolute")
    assert 150 <= mark <= 0.6 * memory_mib
    assert megabytes(text, "disk_free_limit.absolute") >= mark


@pytest.mark.parametrize(("cpus", "schedulers"), [(0.25, 1), (1, 1), (1.5, 2), (4, 4)])
def test_rabbitmq_has_a_scheduler_for_each_processor_of_its_limit(cpus: float, schedulers: int) -> None:
    service = RabbitMq(vhost="shop", ack_seconds=7200)
    one = replace(sizing(service), resources=Resources(memory_mib=512, cpus=cpus))
    workload = service.workload(one)
    assert f"+S {schedulers}:{schedulers} " in str(workload.env["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"])
    assert "consumer_timeout = 7200000\n" in service.configuration(one.resources)
    assert workload.uses == () and workload.side_ports == {"management": 15672, "metrics": 15692}


def test_the_jobs_of_rabbitmq_reach_its_management_alone() -> None:
    for job in filter(None, SERVICES["rabbitmq"].jobs(sizing(SERVICES["rabbitmq"], 2))):
        assert job.uses == ("rabbitmq.management",)


@pytest.mark.parametrize(
    "service", [Mysql(database="shop", init_sql=("A", "B")), Postgres(database="shop", init_sql=("A", "B"))]
)
def test_start_up_sql_is_in_files_of_the_job_in_its_order(service: BackingService) -> None:
    create, retire = service.jobs(sizing(service, 2))
    assert {file.name: file.content for file in create.files if file.name.startswith("init/")} == {
        "init/000.sql": "A",
        "init/001.sql": "B",
    }
    assert "/init/*.sql" in create.command[-1]
    assert retire and not [file for file in retire.files if file.name.startswith("init/")]
    without, _ = type(service)(database="shop").jobs(sizing(service))  # type: ignore[call-arg]
    assert "init/" not in without.command[-1]


@given(st.integers(Redis.minimum_memory_mib, 1_048_576))
def test_redis_leaves_room_for_the_copy_of_a_rewrite(memory_mib: int) -> None:
    found = re.search(
        r"^maxmemory (\d+)mb$", Redis().configuration(Resources(memory_mib=memory_mib, cpus=1)), re.MULTILINE
    )
    assert found and 0 < int(found[1]) <= 0.6 * memory_mib
    assert memory_mib - int(found[1]) >= 8, "what Redis itself takes"


@pytest.mark.parametrize("name", SERVICES)
def test_the_default_version_and_memory_are_among_those_allowed(name: str) -> None:
    service = SERVICES[name]
    assert service.default_version in service.versions
    assert service.default_resources.memory_mib >= service.minimum_memory_mib


@pytest.mark.parametrize("name", SERVICES)
def test_every_version_names_an_image_of_that_version(name: str) -> None:
    for version, image in SERVICES[name].versions.items():
        assert image.partition(":")[2].removesuffix("-management") == version


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_runs_unprivileged_with_data_on_a_volume(name: str) -> None:
    service = SERVICES[name]
    workload = service.workload(sizing(service))
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", workload.user)
    assert workload.role == "service" and workload.strategy == "recreate", "never two on one volume"
    assert len(workload.volumes) == 1 and not workload.published
    assert workload.port == service.port and workload.probes and workload.grace_seconds >= 30
    assert service.admin_password in workload.secrets


@pytest.mark.parametrize("name", SERVICES)
def test_the_first_generation_ends_nobody_and_each_next_one_ends_its_predecessor(name: str) -> None:
    service = SERVICES[name]
    create, retire = service.jobs(sizing(service))
    assert retire is None
    user = service.credentials(1).username
    assert user in create.command[-1]
    for generation in (2, 3, 9999):
        create, retire = service.jobs(sizing(service, generation))
        assert retire
        account = service.account
        assert f"{account}_{generation}" in create.command[-1]
        assert f"{account}_{generation - 1}" in retire.command[-1]
        assert not re.search(rf"{account}_{generation}\b", retire.command[-1]), "it never ends the present one"
        assert create.after == (service.name,) and retire.after == ("gateway",)


@pytest.mark.parametrize("name", SERVICES)
def test_a_rotation_changes_the_apps_credentials_and_not_the_service(name: str) -> None:
    service = SERVICES[name]
    first, second = sizing(service), sizing(service, 2)
    assert service.workload(first).release == service.workload(second).release
    one, two = service.connection(1), service.connection(2)
    assert {key for key in one if one[key] != two[key]} == {"username", "password"}
    assert one["password"] == SecretRef(owner=name, name="password", generation="1")


@pytest.mark.parametrize("name", SERVICES)
def test_no_password_is_in_a_command_an_environment_or_a_plain_file(name: str) -> None:
    service = SERVICES[name]
    for workload in (service.workload(sizing(service)), *filter(None, service.jobs(sizing(service, 2)))):
        assert not [value for value in workload.env.values() if not isinstance(value, str)]
        secret = [file for file in workload.files if not isinstance(file.content, str)]
        assert secret and all(file.name.startswith("secrets/") for file in secret)


@pytest.mark.parametrize("name", SERVICES)
def test_a_job_stays_longer_than_what_it_leaves_running(name: str) -> None:
    """Its container ends with its last sleep, and everything in it."""
    (stays,) = re.findall(r"exec sleep (\d+)", JOB)
    for workload in filter(None, SERVICES[name].jobs(sizing(SERVICES[name], 2))):
        assert all(int(left) + 10 <= int(stays) for left in re.findall(r"sleep (\d+)", workload.command[-1]))


@pytest.mark.parametrize(
    ("version", "path"),
    [("14", "/var/lib/postgresql/data"), ("17", "/var/lib/postgresql/data"), ("18", "/var/lib/postgresql")],
)
def test_the_volume_is_where_the_image_of_that_version_declares_it(version: str, path: str) -> None:
    service = Postgres(database="shop")
    assert volume_path(version) == path
    workload = service.workload(sizing(service, version=version))
    assert workload.volumes[0].path == path
    assert str(workload.env["PGDATA"]).startswith(f"{path}/")


def test_extensions_are_made_by_the_administrator_in_the_apps_database() -> None:
    service = Postgres(database="shop", extensions=("vector", "pg_trgm"))
    create, _ = service.jobs(sizing(service))
    script = create.command[-1]
    after = script[script.index('\\connect "shop"') :]
    assert 'CREATE EXTENSION IF NOT EXISTS "vector";\nCREATE EXTENSION IF NOT EXISTS "pg_trgm";' in after


def test_whatever_holds_work_keeps_it_unless_the_system_says_it_is_a_cache() -> None:
    resources = Resources(memory_mib=128, cpus=1)
    queue, cache = (
        Redis().configuration(resources),
        Redis(durable=False, eviction="allkeys-lru").configuration(resources),
    )
    assert "appendonly yes" in queue and "maxmemory-policy noeviction" in queue
    assert "appendonly no" in cache and 'save ""' in cache and "maxmemory-policy allkeys-lru" in cache


EXPORTERS = sorted(name for name, service in SERVICES.items() if service.exporter_image)


def monitored(service: BackingService, generation: int = 1) -> Sizing:
    return replace(sizing(service, generation), monitored=True)


def test_only_rabbitmq_tells_of_itself() -> None:
    assert EXPORTERS == ["mysql", "postgres", "redis"]
    broker = SERVICES["rabbitmq"]
    assert broker.exporter(monitored(broker), IMAGE) is None
    assert broker.jobs(monitored(broker)) == broker.jobs(sizing(broker)), "its plugin wants no account"
    metrics = broker.workload(monitored(broker)).metrics
    assert metrics and metrics.port == broker.side_ports["metrics"]
    assert metrics.path.startswith("/metrics/detailed?vhost=shop&family=queue_coarse_metrics&"), "by queue"
    assert "connection_coarse" not in metrics.path and "channel" not in metrics.path, "never by client"


@pytest.mark.parametrize("name", SERVICES)
def test_without_monitoring_no_service_and_no_job_knows_of_an_exporter(name: str) -> None:
    service = SERVICES[name]
    for workload in (service.workload(sizing(service)), *filter(None, service.jobs(sizing(service, 2)))):
        assert workload.metrics is None
        assert "exporter" not in str(workload) and "reserved" not in str(workload)


@pytest.mark.parametrize("name", EXPORTERS)
def test_with_monitoring_the_accounts_job_makes_one_more_user_and_nothing_else(name: str) -> None:
    service = SERVICES[name]
    (plain, _), (with_it, retire) = service.jobs(sizing(service, 2)), service.jobs(monitored(service, 2))
    assert with_it.command[-1].startswith(plain.command[-1]) and EXPORTER in with_it.command[-1]
    (added,) = set(with_it.files) - set(plain.files)
    assert added.name == "secrets/exporter_password" and added.path in with_it.command[-1]
    assert replace(with_it, command=plain.command, files=plain.files) == plain
    assert retire and EXPORTER not in retire.command[-1], "it is no user of a generation"
    assert service.workload(monitored(service, 1)).release == service.workload(monitored(service, 2)).release


RIGHTS = {
    "mysql": r"GRANT (PROCESS, REPLICATION CLIENT ON \*\.\*) TO 'groundwork_exporter'",
    "postgres": r'GRANT (pg_monitor|%I|CONNECT ON DATABASE "shop") TO "groundwork_exporter"',
    "redis": r"rules='(on \+info \+slowlog\|len \+slowlog\|get)'\n",
}


@pytest.mark.parametrize("name", EXPORTERS)
def test_an_exporters_rights_are_these_and_no_others(name: str) -> None:
    script = SERVICES[name].create_exporter_account()
    granted = re.findall(RIGHTS[name], script)
    assert granted and len(granted) == script.count("GRANT ") + script.count("rules='")
    assert "ALL PRIVILEGES" not in script and "SUPERUSER" not in script and "+@" not in script


@pytest.mark.parametrize(("version", "kept"), [("14", False), ("15", False), ("16", True), ("18", True)])
def test_postgres_keeps_the_exporter_connections_where_it_can(version: str, kept: bool) -> None:
    service = Postgres(database="shop")
    one = replace(sizing(service, version=version), monitored=True)
    (text,) = [file.content for file in service.workload(one).files if file.name == "postgresql.conf"]
    assert isinstance(text, str) and ("\nreserved_connections = 2\n" in text) == kept


@pytest.mark.parametrize(("version", "there"), [("14", False), ("16", False), ("17", True), ("18", True)])
def test_checkpoints_are_asked_for_where_they_are_counted(version: str, there: bool) -> None:
    service = Postgres(database="shop")
    exporter = service.exporter(sizing(service, version=version), IMAGE)
    assert ("--collector.stat_checkpointer" in exporter.command) == there


@pytest.mark.parametrize("name", EXPORTERS)
def test_an_exporter_reaches_its_service_alone_and_knows_its_password_from_a_file_alone(name: str) -> None:
    service = SERVICES[name]
    exporter = service.exporter(monitored(service), IMAGE)
    assert exporter and exporter.name == f"{name}-exporter" and exporter.role == "monitoring"
    assert exporter.uses == (name,) and not exporter.egress and not exporter.published and not exporter.volumes
    assert exporter.after == (f"{name}-accounts",)
    assert exporter.metrics and exporter.metrics.port == exporter.port
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", exporter.user) and exporter.image is IMAGE
    assert exporter.secrets == {SecretRef(owner=name, name="exporter_password", generation="1")}
    (secret,) = exporter.files
    assert isinstance(secret.content, Template) and secret.name.startswith("secrets/")
    assert [one for one in (*exporter.env.values(), *exporter.command) if str(one).endswith(secret.path)]
    assert all(isinstance(value, str) for value in exporter.env.values())


@pytest.mark.parametrize("name", EXPORTERS)
def test_an_exporter_follows_the_name_of_its_service(name: str) -> None:
    service = SERVICES[name].model_copy(update={"name": "second"})
    exporter = service.exporter(monitored(service), IMAGE)
    assert exporter and exporter.name == "second-exporter" and exporter.uses == ("second",)
    content = exporter.files[0].content
    assert isinstance(content, Template)
    said = " ".join([*map(str, exporter.env.values()), *(part for part in content.parts if isinstance(part, str))])
    assert re.search(r"\bsecond\b", said) and not re.search(rf"(//|@|= |^){name}\b", said)


@pytest.mark.parametrize("name", EXPORTERS)
def test_an_exporter_is_probed_at_its_own_page_which_asks_its_service_nothing(name: str) -> None:
    exporter = SERVICES[name].exporter(monitored(SERVICES[name]), IMAGE)
    assert exporter and exporter.probes and exporter.probes.liveness == exporter.probes.readiness
    assert f"http http://127.0.0.1:{exporter.port}/ " in str(scripts_of(exporter)[0].content)


@pytest.mark.parametrize("name", EXPORTERS)
def test_an_exporters_image_has_a_version_and_a_shell(name: str) -> None:
    """The images of Prometheus's own are Busybox; redis_exporter's has nothing unless it is the one on Alpine."""
    repository, _, tag = SERVICES[name].exporter_image.partition(":")
    assert re.fullmatch(r"v\d+\.\d+\.\d+(-alpine)?", tag)
    assert "-alpine" in tag or repository.split("/")[0] in ("prom", "prometheuscommunity")


@pytest.mark.parametrize("name", EXPORTERS)
def test_the_metrics_that_are_written_down_are_those_of_the_exporters_version(name: str) -> None:
    """tests/judges/test_exporters.py writes them."""
    first, *metrics = (ROOT / "tests" / "monitoring" / f"{name}-exporter.metrics").read_text().splitlines()
    tag = SERVICES[name].exporter_image.partition(":")[2]
    assert first.startswith(f"# {name}-exporter {tag.removeprefix('v').removesuffix('-alpine')} with ")
    assert f"{'pg' if name == 'postgres' else name}_up" in metrics and metrics == sorted(set(metrics))
