"""A real PostgreSQL with our start script, our configuration and our account jobs.

Debian's rolling suite has version 18; production's default is 17. Every parameter and statement used here is in both.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psycopg
import pytest

from groundwork.catalog import Sizing
from groundwork.catalog.postgres import Postgres
from groundwork.workload import FILES, Image, Resources

from .conftest import free_port, unprivileged
from .service import ADMIN, Served

IMAGE = Image(reference="postgres:18", digest=f"sha256:{'0' * 64}", origin="simulated")
SEED = (
    "CREATE TABLE IF NOT EXISTS seed (id int PRIMARY KEY, word text);"
    "INSERT INTO seed VALUES (1, '数字人') ON CONFLICT DO NOTHING;",
    "CREATE OR REPLACE VIEW seeded AS SELECT count(*) AS seeds FROM seed",
)
SERVICE = Postgres(database="shop", extensions=(), init_sql=SEED)


@dataclass(kw_only=True)
class Server(Served):
    """One PostgreSQL."""

    start_seconds: ClassVar[int] = 30

    programs: Path
    port: int

    def moved(self, text: str) -> str:
        text = text.replace(FILES, str(self.folder / "files")).replace("'/tmp'", f"'{self.folder}'")
        text = text.replace("--host=postgres", f"--host=127.0.0.1 --port={self.port}")
        return re.sub(r"^port = \d+", f"port = {self.port}", text, flags=re.MULTILINE)

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.programs}{os.pathsep}/usr/bin{os.pathsep}/bin"
        return {"PATH": path, "PGDATA": str(self.folder / "data" / "groundwork"), "LC_ALL": "C.UTF-8"}

    def is_ready(self) -> bool:
        return self.run(f"pg_isready --quiet --host=127.0.0.1 --port={self.port}").returncode == 0

    def start(self, resources: Resources) -> None:
        self.begun(SERVICE.workload(sizing(resources=resources)), self.is_ready)

    def login(self, user: str, password: str, database: str = "shop") -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=user, password=password, dbname=database, autocommit=True
        )

    def jobs(self, service: Postgres, generation: int, password: str) -> None:
        self.do(service.jobs(sizing(generation=generation)), password)


def sizing(resources: Resources = Postgres.default_resources, generation: int = 1) -> Sizing:
    return Sizing(image=IMAGE, version="18", resources=resources, generation=generation)


@pytest.fixture(scope="module")
def server(judges: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Started with the least memory that a stack file may give it."""
    folder = tmp_path_factory.mktemp("postgres")
    (programs,) = (judges / "usr/lib/postgresql").glob("*/bin")
    for place in (folder, folder / "data"):
        place.mkdir(exist_ok=True)
        if not os.geteuid():
            os.chown(place, 65534, 65534)
    one = Server(folder=folder, begin=unprivileged(), programs=programs, port=free_port())
    one.start(Resources(memory_mib=Postgres.minimum_memory_mib, cpus=0.5))
    try:
        one.jobs(SERVICE, 1, "first-password")
        one.jobs(SERVICE, 2, "second-password")
        yield one
    finally:
        one.stop()


def test_the_app_logs_in_with_the_password_of_its_generation(server: Server) -> None:
    for user, password in (("shop_1", "first-password"), ("shop_2", "second-password")):
        with server.login(user, password) as connection:
            assert connection.execute("SELECT current_user, session_user").fetchone() == ("shop", user)


def test_start_up_sql_has_run_in_its_order_as_the_owner(server: Server) -> None:
    with server.login("shop_2", "second-password") as connection:
        assert connection.execute("SELECT word, seeds FROM seed, seeded").fetchone() == ("数字人", 1)
        owners = connection.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'seed'").fetchall()
        assert owners == [("shop",)]


def test_a_job_fails_where_its_sql_does(server: Server) -> None:
    before, _ = Postgres(database="shop", init_sql=("SELECT * FROM nothing",)).jobs(sizing(generation=2))
    server.put(before, "second-password")
    done = server.run(server.moved(before.command[-1]))
    assert done.returncode != 0 and "nothing" in done.stderr


def test_a_wrong_password_and_another_generations_are_refused(server: Server) -> None:
    for user, password in (("shop_2", "first-password"), ("shop_2", ""), ("shop", "first-password")):
        with pytest.raises(psycopg.OperationalError):
            server.login(user, password)


def test_what_one_generation_makes_the_next_may_change(server: Server) -> None:
    with server.login("shop_1", "first-password") as first:
        first.execute("CREATE TABLE orders (id bigint PRIMARY KEY)")
        first.execute("INSERT INTO orders VALUES (1)")
    with server.login("shop_2", "second-password") as second:
        second.execute("ALTER TABLE orders ADD COLUMN note text")
        assert second.execute("SELECT id FROM orders").fetchall() == [(1,)]
        second.execute("DROP TABLE orders")


FORBIDDEN = [
    "CREATE ROLE other LOGIN",
    "CREATE DATABASE other_database",
    "ALTER ROLE shop_2 SUPERUSER",
    "ALTER ROLE postgres PASSWORD 'x'",
    "ALTER SYSTEM SET log_lock_waits = off",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "SELECT pg_read_file('/etc/hostname')",
    "SELECT rolpassword FROM pg_authid",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_an_app_can_not(server: Server, statement: str) -> None:
    with server.login("shop_2", "second-password") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("RESET ROLE")
        connection.execute(statement)


def test_another_database_of_the_same_server_is_closed_to_it(server: Server) -> None:
    server.jobs(Postgres(database="reports"), 1, "reports-password")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        server.login("shop_2", "second-password", "reports")
    for database in ("postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            server.login("shop_2", "second-password", database)
    server.login("reports_1", "reports-password", "reports").close()


def test_the_predecessor_ends_ten_minutes_after_the_apps_have_changed_over(server: Server) -> None:
    with server.login("postgres", ADMIN, "postgres") as admin:
        query = "SELECT rolvaliduntil - now() FROM pg_roles WHERE rolname = %s AND rolvaliduntil <> 'infinity'"
        (remaining,) = admin.execute(query, ("shop_1",)).fetchone() or (None,)
        assert remaining is not None and 500 < remaining.total_seconds() <= 600  # type: ignore[attr-defined]
        assert admin.execute(query, ("shop_2",)).fetchone() is None


def test_going_back_a_generation_opens_it_again(server: Server) -> None:
    service = Postgres(database="undo")
    server.jobs(service, 1, "one")
    server.jobs(service, 2, "two")
    before, _ = service.jobs(sizing(generation=1))
    server.put(before, "one")
    assert server.run(server.moved(before.command[-1])).returncode == 0
    with server.login("postgres", ADMIN, "postgres") as admin:
        found = admin.execute("SELECT rolvaliduntil = 'infinity' FROM pg_roles WHERE rolname = 'undo_1'").fetchone()
        assert found == (True,)


def test_passwords_are_kept_as_scram_and_checksums_are_on(server: Server) -> None:
    with server.login("postgres", ADMIN, "postgres") as admin:
        kept = admin.execute("SELECT rolpassword FROM pg_authid WHERE rolcanlogin").fetchall()
        assert kept and all(str(password).startswith("SCRAM-SHA-256$") for (password,) in kept)
        assert admin.execute("SHOW data_checksums").fetchone() == ("on",)


@pytest.mark.parametrize("memory_mib", [Postgres.minimum_memory_mib, 512, 4096, 65536])
def test_the_server_understands_its_configuration(server: Server, memory_mib: int, tmp_path: Path) -> None:
    """`postgres -C` reads the whole file, and refuses what it does not know or what is out of bounds."""
    resources = Resources(memory_mib=memory_mib, cpus=2)
    (text,) = [file.content for file in SERVICE.workload(sizing(resources)).files if file.name == "postgresql.conf"]
    assert isinstance(text, str)
    path = tmp_path / "postgresql.conf"
    path.write_text(server.moved(text))
    value = server.run(f'postgres -D "$PGDATA" -c config_file={path} -C shared_buffers')
    assert value.returncode == 0, value.stderr
    path.write_text(path.read_text().replace("work_mem", "work_memory", 1))
    assert server.run(f'postgres -D "$PGDATA" -c config_file={path} -C shared_buffers').returncode != 0


def test_a_second_start_finds_its_data(server: Server) -> None:
    with server.login("shop_2", "second-password") as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS seven")
    server.stop()
    server.start(Resources(memory_mib=1024, cpus=2))
    with server.login("shop_2", "second-password") as connection:
        assert connection.execute("SELECT seven FROM kept").fetchone() == (7,)
        assert connection.execute("SHOW shared_buffers").fetchone() == ("256MB",)


def test_data_of_another_major_version_is_not_opened(server: Server) -> None:
    server.stop()
    mark = server.folder / "data" / "groundwork" / "PG_VERSION"
    held = mark.read_text()
    mark.write_text("14\n")
    try:
        done = server.run(f"sh {server.folder}/files/start.sh")
        assert done.returncode == 1
        assert "this volume holds data of PostgreSQL 14; set the service's version back to 14" in done.stderr
    finally:
        mark.write_text(held)
        server.start(Postgres.default_resources)
