"""The images of images/ in containers, hardened as the platform runs them, with real PostgreSQL and Redis.

Needs a Docker engine with (or with access to) the images python:3.13-slim-bookworm, nginx:1.30, postgres:17
and redis:8; without an engine every test here is skipped and says so. What it makes it removes,
but for the images, which are the engine's build cache.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors
import httpx
import pytest
from docker.models.containers import Container
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

ROOT = Path(__file__).parents[2]
PASSWORD = "e2e-only"
HARDENED: dict[str, Any] = {
    "read_only": True,
    "tmpfs": {"/tmp": "size=16m,mode=1777"},
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "init": True,
    "mem_limit": "192m",
}


def built(engine: docker.DockerClient, name: str) -> str:
    """Builds images/<name> and returns its id; pip's settings of the caller go along as build arguments."""
    arguments = {key: os.environ[key] for key in ("PIP_INDEX_URL", "PIP_TRUSTED_HOST") if key in os.environ}
    image, _ = engine.images.build(
        path=str(ROOT / "images" / name), buildargs=arguments, network_mode="host", rm=True, timeout=600
    )
    assert image.id
    return image.id


@dataclass(frozen=True)
class Host:
    """The engine, one network of the test's own, and all containers started through it."""

    engine: docker.DockerClient
    network: str

    def start(self, image: str, name: str, *, port: int | None = None, **options: Any) -> Container:
        """A running container that others reach as `name`; `port` is published on a free loopback port."""
        published: Any = {f"{port}/tcp": ("127.0.0.1", None)} if port else {}  # None: any free one
        container = self.engine.containers.create(
            image,
            hostname=name,
            network=self.network,
            networking_config={self.network: self.engine.api.create_endpoint_config(aliases=[name])},
            ports=published,
            labels={"groundwork.test": self.network},
            **options,
        )
        container.start()
        container.reload()
        return container

    def run(self, image: str, name: str, **options: Any) -> tuple[int, str]:
        """Runs a container to its end: exit status and output."""
        container = self.start(image, name, **options)
        status = container.wait(timeout=60)["StatusCode"]
        return int(status), container.logs().decode()


@pytest.fixture(scope="module")
def host(engine: docker.DockerClient) -> Iterator[Host]:
    name = f"groundwork-test-{uuid.uuid4().hex[:8]}"
    network = engine.networks.create(name)
    try:
        yield Host(engine, name)
    finally:
        for container in engine.containers.list(all=True, filters={"label": f"groundwork.test={name}"}):
            container.remove(force=True, v=True)
        network.remove()


def address(container: Container) -> str:
    """The loopback address:port at which the container's only published port is reached."""
    (bindings,) = (found for found in container.attrs["NetworkSettings"]["Ports"].values() if found)
    return f"127.0.0.1:{bindings[0]['HostPort']}"


def output(container: Container, *command: str) -> tuple[int | None, str]:
    """Exit status and output of a command in the container."""
    ended = container.exec_run(list(command))
    assert isinstance(ended.output, bytes)
    return ended.exit_code, ended.output.decode()


def until(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """Seconds until the condition holds; a connection that fails meanwhile counts as "not yet"."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        with contextlib.suppress(httpx.HTTPError):
            if condition():
                return time.monotonic() - start
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:g} s: {what}")


def put_secrets(volume: str, host: Host, image: str, files: dict[str, str]) -> None:
    """Fills a volume with files that only the application's user reads."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.uid, entry.gid = len(text), 0o400, 10001, 10001
            archive.addfile(entry, io.BytesIO(text.encode()))
    container = host.engine.containers.create(
        image, volumes={volume: {"bind": "/run/secrets"}}, labels={"groundwork.test": host.network}
    )
    container.put_archive("/run/secrets", packed.getvalue())


# --- the probe application


@dataclass(frozen=True)
class Stack:
    host: Host
    image: str
    postgres: Container
    redis: Container
    options: dict[str, Any]

    def app(self, name: str, **environment: str) -> Container:
        options = {**self.options, "environment": {**self.options["environment"], **environment}}
        container = self.host.start(self.image, name, port=8000, **options)
        until(lambda: get(container, "/health/ready").status_code == 200, 20, "ready")
        return container


def get(container: Container, path: str) -> httpx.Response:
    return httpx.get(f"http://{address(container)}{path}", timeout=10)


@pytest.fixture(scope="module")
def stack(host: Host) -> Iterator[Stack]:
    image = built(host.engine, "probe")
    given = {"POSTGRES_USER": "app", "POSTGRES_DB": "app", "POSTGRES_PASSWORD": PASSWORD}
    postgres = host.start("postgres:17", "postgres", environment=given)
    redis = host.start("redis:8", "redis", command=["redis-server", "--requirepass", PASSWORD, "--save", ""])
    # Over TCP: the first start's temporary server listens on its socket only.
    asked = ["pg_isready", "-q", "-h", "127.0.0.1", "-U", "app"]
    until(lambda: postgres.exec_run(asked).exit_code == 0, 60, "PostgreSQL's start")
    secrets = host.engine.volumes.create(labels={"groundwork.test": host.network})
    try:
        files = {
            "database_url": f"postgresql://app:{PASSWORD}@postgres:5432/app\n",
            "redis_url": f"redis://default:{PASSWORD}@redis:6379/0\n",
            "jwt_secret_key": "signing-key-of-a-test\n",
        }
        put_secrets(secrets.name, host, image, files)
        environment = {f"{name.upper()}_FILE": f"/run/secrets/{name}" for name in files}
        mounted = {secrets.name: {"bind": "/run/secrets", "mode": "ro"}}
        options = {**HARDENED, "environment": environment, "volumes": mounted}
        status, said = host.run(image, "migrate", command=["python", "-m", "probe.migrate"], **options)
        assert (status, said) == (0, "migrate: schema is at version 3 (was 0)\n")
        yield Stack(host, image, postgres, redis, options)
    finally:
        for container in host.engine.containers.list(all=True, filters={"volume": secrets.name}):
            container.remove(force=True, v=True)
        secrets.remove()


@pytest.fixture(scope="module")
def app(stack: Stack) -> Container:
    return stack.app("api", RELEASE="r1")


def test_the_release_job_can_run_again(stack: Stack, app: Container) -> None:
    command = ["python", "-m", "probe.migrate"]
    status, said = stack.host.run(stack.image, "migrate-again", command=command, **stack.options)
    assert (status, said) == (0, "migrate: schema is at version 3 (nothing to do)\n")
    until(lambda: get(app, "/api/version").json()["schema_version"] == 3, 10, "the schema's version is seen")


def test_the_release_job_fails_on_a_wrong_password(stack: Stack) -> None:
    wrong = {**HARDENED, "environment": {"DATABASE_URL": "postgresql://app:not-it@postgres:5432/app"}}
    status, said = stack.host.run(stack.image, "migrate-wrong", command=["python", "-m", "probe.migrate"], **wrong)
    assert status == 1
    assert re.fullmatch(r"migrate: OperationalError: .*password authentication failed.*\n", said)
    assert "not-it" not in said


def test_deep_writes_and_reads_both_services(app: Container) -> None:
    answer = get(app, "/health/deep")
    services = answer.json()["services"]
    assert answer.status_code == 200, answer.text
    assert {name: check["status"] for name, check in services.items()} == {"postgres": "ok", "redis": "ok"}
    assert all(0 < check["milliseconds"] < 3000 for check in services.values())
    assert PASSWORD not in answer.text


def test_items_live_in_the_database_and_the_cache(app: Container) -> None:
    items = f"http://{address(app)}/api/items"
    made = httpx.post(items, json={"name": "eins"})
    assert made.status_code == 201
    item = f"{items}/{made.json()['id']}"
    assert [httpx.get(item).headers["x-cache"] for _ in range(2)] == ["miss", "hit"]
    assert httpx.put(item, json={"name": "zwei"}).json()["name"] == "zwei"
    assert httpx.get(item).json()["name"] == "zwei"
    assert httpx.get(items).json()[0]["name"] == "zwei"
    assert httpx.delete(item).status_code == 204
    assert httpx.get(item).status_code == 404


def test_it_runs_hardened_and_shows_no_secret(app: Container) -> None:
    assert output(app, "python", "-c", "import os; print(os.getuid(), os.getgid())") == (0, "10001 10001\n")
    status, said = output(app, "python", "-c", "open('/opt/x', 'w')")
    assert status == 1
    assert "Read-only file system" in said
    assert output(app, "python", "-c", "open('/tmp/x', 'w')") == (0, "")
    assert output(app, "sh", "-c", "command -v gcc cc make") == (127, "")
    shown = f"{app.attrs} {app.logs().decode()}"
    assert PASSWORD not in shown
    assert "signing-key-of-a-test" not in shown


def test_a_service_that_goes_and_comes_back(stack: Stack, app: Container) -> None:
    items = f"http://{address(app)}/api/items"
    item = f"{items}/{httpx.post(items, json={'name': 'stays'}).json()['id']}"
    stack.redis.stop(timeout=5)
    deep = get(app, "/health/deep")
    assert deep.status_code == 503
    services = deep.json()["services"]
    assert (services["redis"]["status"], services["postgres"]["status"]) == ("failed", "ok")
    assert get(app, "/health/ready").status_code == 200
    assert httpx.get(item, timeout=10).json()["name"] == "stays"  # without its cache
    stack.redis.start()
    until(lambda: get(app, "/health/deep").status_code == 200, 20, "deep after Redis came back")
    stack.postgres.restart(timeout=10)
    until(lambda: get(app, "/health/deep").status_code == 200, 30, "deep after PostgreSQL came back")
    until(lambda: httpx.get(items, timeout=10).status_code == 200, 15, "items after PostgreSQL came back")


def test_stop_drains(stack: Stack) -> None:
    app = stack.app("api-going", RELEASE="r2", DRAIN_SECONDS="1")
    answers: list[httpx.Response] = []
    slow = threading.Thread(target=lambda: answers.append(get(app, "/api/slow?ms=3000")))
    with connect(f"ws://{address(app)}/ws") as websocket:
        slow.start()
        time.sleep(0.5)
        stopping = threading.Thread(target=lambda: app.stop(timeout=20))
        stopping.start()
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(timeout=10)
    slow.join()
    stopping.join()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert [answer.status_code for answer in answers] == [200]
    assert app.wait()["StatusCode"] == 0


# --- the front end


@pytest.fixture(scope="module")
def web(host: Host) -> Container:
    container = host.start(built(host.engine, "web"), "web", port=8080, **{**HARDENED, "mem_limit": "32m"})
    until(lambda: get(container, "/health/ready").status_code == 200, 10, "ready")
    return container


def test_the_page_and_its_routes_are_never_kept(web: Container) -> None:
    for path in ("/", "/index.html", "/cases/2026", "/cases/"):
        answer = get(web, path)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
        assert "<h1>It runs</h1>" in answer.text


def test_assets_are_named_by_content_and_kept(web: Container) -> None:
    assets = re.findall(r'"(/assets/[^"]+)"', get(web, "/").text)
    assert [path.rpartition(".")[2] for path in assets] == ["svg", "css", "js"]
    for path in assets:
        answer = get(web, path)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["vary"] == "Accept-Encoding"
        assert get(web, path.replace("/assets/", "/assets/old-")).status_code == 404


def test_a_missing_file_is_not_the_page(web: Container) -> None:
    for path in ("/assets/app.0123456789abcdef.js", "/favicon.ico", "/a/b.css"):
        answer = get(web, path)
        assert answer.status_code == 404
        assert "cache-control" not in answer.headers
        assert "It runs" not in answer.text


def test_the_page_runs_under_a_strict_policy(web: Container) -> None:
    page = get(web, "/").text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=|javascript:|https?://", page)


def test_web_runs_hardened_and_ends_gracefully(web: Container) -> None:
    assert get(web, "/health/live").text == "ok\n"
    assert get(web, "/no-such-page-in-the-log").status_code == 200
    log = web.logs().decode()
    assert "/health/" not in log
    assert '"path":"/index.html"' in log
    assert not re.search(r"\[(warn|error|crit|alert|emerg)\]", log)
    assert output(web, "id", "-u") == (0, "10101\n")
    web.stop(timeout=10)
    assert web.wait()["StatusCode"] == 0
