"""A real MySQL with our start script, our configuration and our account jobs.

Debian's rolling suite has version 9.7; production's default is 8.4. Every parameter and statement used here is in both,
and 8.0 has them from 8.0.30 on.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from groundwork.catalog import Sizing
from groundwork.catalog.mysql import Mysql
from groundwork.workload import FILES, Exec, Image, Resources

from .conftest import free_port, unprivileged
from .service import Served

IMAGE = Image(reference="mysql:9.7", digest=f"sha256:{'0' * 64}", origin="simulated")
SEED = (
    "CREATE TABLE IF NOT EXISTS seed (id int PRIMARY KEY, word varchar(9));"
    "INSERT IGNORE INTO seed VALUES (1, '数字人');",
    "CREATE OR REPLACE VIEW seeded AS SELECT count(*) AS seeds FROM seed",
)
SERVICE = Mysql(database="my_shop", init_sql=SEED)


@dataclass(kw_only=True)
class Server(Served):
    """One MySQL."""

    root: Path
    port: int

    def moved(self, text: str) -> str:
        places = {
            FILES: f"{self.folder}/files",
            "/var/lib/mysql": f"{self.folder}/data",
            "/tmp/": f"{self.folder}/tmp/",
        }
        text = re.sub("|".join(places), lambda found: places[found[0]], text)
        text = text.replace("host=mysql\\n", f"host=127.0.0.1\\nport={self.port}\\n")
        text = text.replace("--port=3306", f"--port={self.port}")
        text = text.replace("sleep 10", "sleep 0.5").replace("bind_address = *", "bind_address = 127.0.0.1")
        # Where the program was built to be is not where it is.
        shared = (
            f"lc_messages_dir = {self.root}/usr/share/mysql\ncharacter_sets_dir = {self.root}/usr/share/mysql/charsets"
        )
        text = text.replace("[mysqld]", f"[mysqld]\n{shared}\nplugin_dir = {self.root}/usr/lib/mysql/plugin")
        return re.sub(r"^port = \d+", f"port = {self.port}", text, flags=re.MULTILINE)

    @property
    def environment(self) -> dict[str, str]:
        programs = (f"{self.root}/usr/sbin", f"{self.root}/usr/bin", "/usr/bin", "/bin")
        return {"PATH": os.pathsep.join(programs), "LC_ALL": "C.UTF-8"}

    def probe(self) -> bool:
        probes = SERVICE.workload(sizing()).probes
        assert probes and isinstance(probes.readiness, Exec) and isinstance(probes.liveness, Exec)
        ready = self.run(self.moved(probes.readiness.command)).returncode == 0
        assert not ready or self.run(self.moved(probes.liveness.command)).returncode == 0, "ready, and not alive"
        return ready

    def start(self, resources: Resources = Mysql.default_resources) -> None:
        workload = SERVICE.workload(sizing(resources))
        assert not self.probe(), "nobody answers yet"
        self.begun(workload, self.probe)

    def sql(self, user: str, password: str, statement: str, database: str = "my_shop") -> str:
        """What a client prints; ValueError with what the server said instead."""
        options = self.folder / "tmp" / f"{threading.get_ident()}.cnf"
        options.write_text(
            f"[client]\nhost=127.0.0.1\nport={self.port}\nuser={user}\npassword={password}\n"
            f"default-character-set=utf8mb4\ncharacter-sets-dir={self.root}/usr/share/mysql/charsets\n"
        )
        command = [
            f"{self.root}/usr/bin/mysql",
            f"--defaults-file={options}",
            "--batch",
            "--skip-column-names",
            database,
        ]
        done = subprocess.run([*command, "-e", statement], capture_output=True, text=True, timeout=30)
        if done.returncode:
            raise ValueError(done.stderr)
        return done.stdout.strip()

    def as_admin(self, statement: str) -> str:
        return self.sql("admin", self.admin, statement, "mysql")

    def jobs(self, service: Mysql, generation: int, password: str) -> None:
        self.do(service.jobs(sizing(generation=generation)), password)


def sizing(resources: Resources = Mysql.default_resources, generation: int = 1) -> Sizing:
    return Sizing(image=IMAGE, version="9.7", resources=resources, generation=generation)


def own(folder: Path) -> None:
    """Gives the folder to whom the server runs as."""
    if not os.geteuid():
        os.chown(folder, 65534, 65534)


@pytest.fixture(scope="module")
def server(judges: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Started with the least memory that a stack file may give it."""
    folder = tmp_path_factory.mktemp("mysql")
    for place in (folder, folder / "data", folder / "tmp"):
        place.mkdir(exist_ok=True)
        own(place)
    one = Server(folder=folder, begin=unprivileged(), root=judges, port=free_port())
    one.start(Resources(memory_mib=Mysql.minimum_memory_mib, cpus=0.5))
    try:
        one.jobs(SERVICE, 1, "first-password")
        yield one
    finally:
        one.stop()


def test_the_app_logs_in_with_the_password_of_its_generation(server: Server) -> None:
    assert server.sql("my_shop_1", "first-password", "SELECT current_user()") == "my_shop_1@%"


@pytest.mark.parametrize(
    ("user", "password"), [("my_shop_1", "wrong"), ("my_shop_1", ""), ("my_shop", "first-password")]
)
def test_a_wrong_password_is_refused(server: Server, user: str, password: str) -> None:
    with pytest.raises(ValueError, match="Access denied"):
        server.sql(user, password, "SELECT 1")


def test_the_admin_needs_a_password_wherever_it_comes_from(server: Server) -> None:
    listed = "SELECT group_concat(user, '@', host ORDER BY user) FROM user WHERE account_locked = 'N'"
    assert server.as_admin(listed) == "admin@%,my_shop_1@%,root@localhost"
    assert server.as_admin("SELECT count(*) FROM user WHERE authentication_string = ''") == "0"
    with pytest.raises(ValueError, match="Access denied"):
        server.sql("root", server.admin, "SELECT 1")


def test_start_up_sql_has_run_in_its_order_as_the_apps_user(server: Server) -> None:
    assert server.sql("my_shop_1", "first-password", "SELECT word, seeds FROM seed, seeded") == "数字人\t1"


def test_a_job_fails_where_its_sql_does(server: Server) -> None:
    before, _ = Mysql(database="my_shop", init_sql=("SELECT * FROM nothing",)).jobs(sizing())
    server.put(before, "first-password")
    done = server.run(server.moved(before.command[-1]))
    server.put(SERVICE.jobs(sizing())[0], "first-password")
    assert done.returncode != 0 and "nothing" in done.stderr


FORBIDDEN = [
    "CREATE USER other",
    "CREATE DATABASE other",
    # `_` stands for any letter where rights are given.
    "CREATE DATABASE myxshop",
    "SELECT authentication_string FROM mysql.user",
    "SET GLOBAL slow_query_log = OFF",
    "GRANT SELECT ON my_shop.* TO 'admin'@'%'",
    "SELECT load_file('/etc/hostname') INTO OUTFILE '/tmp/x'",
    "SHUTDOWN",
    "KILL 1",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_an_app_can_not(server: Server, statement: str) -> None:
    with pytest.raises(ValueError, match=r"denied|Unknown thread|secure-file-priv"):
        server.sql("my_shop_1", "first-password", statement)


def test_an_app_does_everything_in_its_database(server: Server) -> None:
    statements = (
        "CREATE TABLE orders (id bigint PRIMARY KEY)",
        "ALTER TABLE orders ADD note text",
        "CREATE TRIGGER noted BEFORE INSERT ON orders FOR EACH ROW SET NEW.note = 'a'",
        "CREATE FUNCTION seven() RETURNS int DETERMINISTIC RETURN 7",
        "INSERT INTO orders (id) VALUES (seven())",
        "SELECT id, note FROM orders",
        "DROP TABLE orders",
    )
    assert server.sql("my_shop_1", "first-password", ";".join(statements)) == "7\ta"


def test_a_server_without_a_free_connection_is_alive(server: Server) -> None:
    server.as_admin("SET GLOBAL max_connections = 1")
    with ThreadPoolExecutor() as pool:
        # The second is let in only because the admin may use one more.
        holding = [pool.submit(server.as_admin, "SELECT sleep(0.9)") for _ in range(2)]
        time.sleep(0.4)
        with pytest.raises(ValueError, match="Too many connections"):
            server.sql("my_shop_1", "first-password", "SELECT 1")
        assert server.probe()
        assert [one.result() for one in holding] == ["0", "0"]
    server.as_admin("SET GLOBAL max_connections = 20")


def test_slow_statements_are_in_the_containers_log(server: Server) -> None:
    server.sql("my_shop_1", "first-password", "SELECT sleep(1.1), 'slow one'")
    for _ in range(50):
        if "'slow one'" in server.log:
            break
        time.sleep(0.1)
    else:
        raise AssertionError(server.log)
    server.sql("my_shop_1", "first-password", "SELECT sleep(1.1), 'slow again'")
    time.sleep(2.5)
    assert server.log.count("'slow again'") == 1, "the server writes to the new file"


def test_it_says_nothing_of_unknown_or_deprecated_settings(server: Server) -> None:
    warned = [line for line in server.log.splitlines() if "[Warning]" in line or "[ERROR]" in line]
    known = {"self signed", "Insecure configuration for --pid-file", "container restrictions", "empty password"}
    # What the jobs and the tests above do.
    known |= {"CREATE USER IF NOT EXISTS", "sha256_password"}
    assert [line for line in warned if not any(word in line for word in known)] == []


@pytest.mark.parametrize("memory_mib", [Mysql.minimum_memory_mib, 1024, 4096, 65536])
def test_the_server_understands_its_configuration(server: Server, memory_mib: int, tmp_path: Path) -> None:
    workload = SERVICE.workload(sizing(Resources(memory_mib=memory_mib, cpus=2)))
    (text,) = [file.content for file in workload.files if file.name == "my.cnf"]
    assert isinstance(text, str)
    path = server.folder / "tmp" / "checked.cnf"
    path.write_text(server.moved(text))
    done = server.run(f"mysqld --defaults-file={path} --validate-config --log-error-verbosity=2")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert not re.search("deprecated|unknown", done.stderr), done.stderr
    path.write_text(path.read_text() + "query_cache_size = 64M\n")
    assert server.run(f"mysqld --defaults-file={path} --validate-config").returncode != 0


def test_a_next_generation_works_beside_its_predecessor_which_then_ends(server: Server) -> None:
    server.sql("my_shop_1", "first-password", "CREATE TABLE shared (id int PRIMARY KEY)")
    server.jobs(SERVICE, 2, "second-password")
    assert server.sql("my_shop_2", "second-password", "INSERT INTO shared VALUES (1); SELECT id FROM shared") == "1"
    with pytest.raises(ValueError, match="Account is locked"):
        server.sql("my_shop_1", "first-password", "SELECT 1")


def test_going_back_a_generation_opens_it_again(server: Server) -> None:
    server.jobs(SERVICE, 1, "first-password")
    assert server.sql("my_shop_1", "first-password", "SELECT 1") == "1"


def test_a_second_start_finds_its_data_and_takes_the_admins_new_password(server: Server) -> None:
    server.sql("my_shop_1", "first-password", "CREATE TABLE kept AS SELECT 7 AS seven")
    server.stop()
    server.admin = "another-secret"
    server.start()
    assert server.sql("my_shop_1", "first-password", "SELECT seven FROM kept") == "7"
    assert server.as_admin("SELECT @@innodb_buffer_pool_size DIV 1048576, @@performance_schema") == "368\t1"
    with pytest.raises(ValueError, match="Access denied"):
        server.sql("admin", "admin-secret", "SELECT 1", "mysql")


def test_no_password_is_in_the_binary_log(server: Server) -> None:
    logged = b"".join(path.read_bytes() for path in (server.folder / "data/groundwork").glob("binlog.0*"))
    assert b"my_shop_1" in logged and b"secret" not in logged and b"-password" not in logged


def test_an_interrupted_first_start_begins_anew(server: Server) -> None:
    server.stop()
    data = server.folder / "data"
    (data / "groundwork").rename(data / "whole")
    (data / "groundwork.new").mkdir()
    (data / "groundwork.new" / "half").touch()
    own(data / "groundwork.new")
    try:
        server.start()
        server.stop()
        assert not (data / "groundwork.new").exists() and not (data / "groundwork" / "half").exists()
    finally:
        subprocess.run(["rm", "-rf", str(data / "groundwork")], check=True)
        (data / "whole").rename(data / "groundwork")
        server.start()


def test_data_of_a_newer_version_is_not_opened(server: Server) -> None:
    server.stop()
    history = server.folder / "data" / "groundwork" / "mysql_upgrade_history"
    held = history.read_text()
    history.write_text(held.replace('"version":"9.7', '"version":"10.2'))
    try:
        done = server.run(f"sh {server.folder}/files/start.sh")
        assert done.returncode == 1
        assert "this volume holds data of MySQL 10.2; set the service's version back to 10.2" in done.stderr
    finally:
        history.write_text(held)
        server.start()
