"""A real Redis with our start script, our configuration and our account jobs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from groundwork.catalog import Sizing
from groundwork.catalog.redis import Redis
from groundwork.workload import FILES, Exec, Image, Resources

from .conftest import free_port
from .service import ADMIN, Served

IMAGE = Image(reference="redis:8", digest=f"sha256:{'0' * 64}", origin="simulated")


@dataclass(kw_only=True)
class Server(Served):
    """One Redis."""

    start_seconds: ClassVar[int] = 5
    stop_seconds: ClassVar[int] = 15
    command_seconds: ClassVar[int] = 30

    programs: Path
    port: int
    service: Redis

    def moved(self, text: str) -> str:
        places = {FILES: f"{self.folder}/files", "/data": f"{self.folder}/data"}
        text = re.sub("|".join(places), lambda found: places[found[0]], text)
        text = text.replace("redis-cli -h redis", f"redis-cli -h 127.0.0.1 -p {self.port}")
        text = text.replace("redis-cli -t", f"redis-cli -p {self.port} -t")
        return re.sub(r"^port \d+", f"port {self.port}", text, flags=re.MULTILINE).replace(
            "bind * -::*", "bind 127.0.0.1"
        )

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.programs}{os.pathsep}/usr/bin{os.pathsep}/bin"}

    def start(self, resources: Resources = Redis.default_resources) -> None:
        workload = self.service.workload(sizing(resources))
        assert workload.probes and isinstance(workload.probes.readiness, Exec)
        probe = self.moved(workload.probes.readiness.command)
        (self.folder / "data").mkdir(exist_ok=True)
        self.begun(workload, lambda: self.run(probe).returncode == 0)

    def client(self, username: str | None = None, password: str | None = None) -> redis.Redis:
        """One that never tries again: a refusal is what some tests look for."""
        once = Retry(NoBackoff(), 0)
        return redis.Redis(port=self.port, username=username, password=password, decode_responses=True, retry=once)

    def jobs(self, generation: int, password: str) -> None:
        self.do(self.service.jobs(sizing(generation=generation)), password)


def sizing(resources: Resources = Redis.default_resources, generation: int = 1) -> Sizing:
    return Sizing(image=IMAGE, version="8", resources=resources, generation=generation)


def started(judges: Path, folder: Path, service: Redis) -> Iterator[Server]:
    one = Server(folder=folder, programs=judges / "usr/bin", port=free_port(), service=service)
    one.start(Resources(memory_mib=Redis.minimum_memory_mib, cpus=0.5))
    try:
        yield one
    finally:
        one.stop()


@pytest.fixture(scope="module")
def server(judges: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    for one in started(judges, tmp_path_factory.mktemp("redis"), Redis()):
        one.jobs(1, "first-password")
        yield one


@pytest.fixture(scope="module")
def app(server: Server) -> redis.Redis:
    return server.client("app_1", "first-password")


def test_an_app_does_everything_with_keys(app: redis.Redis) -> None:
    assert app.set("a", "1") and app.get("a") == "1"
    assert app.lpush("queue", "job") == 1 and app.brpop(["queue"], timeout=1) == ("queue", "job")
    assert app.eval("return redis.call('INCR', KEYS[1])", 1, "counter") == 1
    with app.pipeline() as transaction:
        transaction.incr("a")
        transaction.expire("a", 60)
        assert transaction.execute() == [2, True]
    assert app.publish("channel", "message") == 0
    assert "counter" in app.keys("*") and app.info("server")["redis_version"]
    assert app.select(1) and app.select(0)


@pytest.mark.parametrize(
    "command",
    [
        "FLUSHALL",
        "FLUSHDB",
        "CONFIG GET *",
        "ACL LIST",
        "ACL SETUSER app_1 +@all",
        "SHUTDOWN",
        "REPLICAOF NO ONE",
        "SAVE",
    ],
)
def test_an_app_does_nothing_with_the_server(app: redis.Redis, command: str) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        app.execute_command(*command.split())  # type: ignore[no-untyped-call]


def test_nobody_without_a_password_does_more_than_ping(server: Server) -> None:
    nobody = server.client()
    assert nobody.ping()
    with pytest.raises(redis.exceptions.NoPermissionError):
        nobody.get("a")


@pytest.mark.parametrize(("user", "password"), [("app_1", "wrong"), ("app_1", ""), ("app_9", "first-password")])
def test_a_wrong_password_is_refused(server: Server, user: str, password: str) -> None:
    with pytest.raises((redis.exceptions.AuthenticationError, redis.exceptions.ResponseError)):
        server.client(user, password).ping()


def test_the_volume_holds_no_password(server: Server) -> None:
    kept = (server.folder / "data" / "users.acl").read_text()
    assert "user app_1" in kept and "first-password" not in kept and ADMIN not in kept


def test_the_policy_for_full_memory_is_the_services_own(server: Server) -> None:
    admin = server.client("admin", ADMIN)
    assert admin.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert admin.config_get("appendonly") == {"appendonly": "yes"}
    assert admin.config_get("maxmemory") == {"maxmemory": str(Redis.minimum_memory_mib * 6 // 10 * 1024 * 1024)}


def test_slow_commands_are_remembered(server: Server) -> None:
    admin = server.client("admin", ADMIN)
    assert admin.config_get("slowlog-*") == {"slowlog-log-slower-than": "10000", "slowlog-max-len": "128"}


def test_users_and_keys_outlive_a_restart(server: Server) -> None:
    server.client("app_1", "first-password").set("kept", "7")
    server.stop()
    server.start()
    assert server.client("app_1", "first-password").get("kept") == "7"


def test_a_next_generation_works_beside_its_predecessor_which_then_ends(server: Server) -> None:
    draining = server.client("app_1", "first-password")
    assert draining.ping()
    server.jobs(2, "second-password")
    assert server.client("app_2", "second-password").set("a", "2")
    with pytest.raises(redis.exceptions.AuthenticationError):
        server.client("app_1", "first-password").ping()
    assert draining.get("a") == "2", "an open connection is not cut"


def test_a_job_fails_when_the_server_refuses(server: Server) -> None:
    before, _ = server.service.jobs(sizing(generation=3))
    server.put(before, "third-password")
    (server.folder / "files" / "secrets" / "admin_password").write_text("another")
    done = server.run(server.moved(before.command[-1]))
    assert done.returncode == 1 and "NOPERM" in done.stderr + done.stdout


def test_a_cache_writes_no_file_and_evicts(judges: Path, tmp_path: Path) -> None:
    for one in started(judges, tmp_path, Redis(durable=False, eviction="allkeys-lru")):
        admin = one.client("admin", ADMIN)
        assert admin.config_get("appendonly") == {"appendonly": "no"}
        assert admin.config_get("save") == {"save": ""}
        assert admin.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}


@pytest.mark.parametrize("eviction", ["noeviction", "allkeys-lru", "allkeys-lfu", "volatile-lru"])
def test_the_server_knows_every_policy_that_may_be_chosen(server: Server, eviction: str) -> None:
    assert server.client("admin", ADMIN).config_set("maxmemory-policy", eviction)
