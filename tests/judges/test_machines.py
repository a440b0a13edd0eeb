"""`ops` on a stack with machines of its own: real ssh servers, behind each of them a stand-in for a Docker engine."""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

import pytest

from groundwork.ssh import options, url
from ops.on_docker.bridge import Bridge, forwarded
from ops.on_docker.machines import OnMachines
from ops.place import Wanted, newest_ready
from tests.sample import planned
from tests.sshd import Server, listening
from tools.engine.checkout import UserError

from .conftest import free_port

DIAL = """\
#!{python}
# What `docker system dial-stdio` does: standard input and output lead to the engine.
import os, socket, sys, threading
assert sys.argv[1:] == ["system", "dial-stdio"], sys.argv
link = socket.socket(socket.AF_UNIX)
link.connect(os.environ["ENGINE"])
def send():
    while data := os.read(0, 65536):
        link.sendall(data)
    link.shutdown(socket.SHUT_WR)
threading.Thread(target=send, daemon=True).start()
while data := link.recv(65536):
    os.write(1, data)
"""
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDp1bnQgZ3JvdW5kd29yayBrZXkgZm9yIGRvY3MgMTIzNDU2"


@dataclass
class Engine:
    """As much of a Docker engine as `ops` asks: containers with a workload, a state, an address and one line each.
    Nothing happens on it, until it is `gone`."""

    containers: dict[str, dict[str, Any]] = field(default_factory=dict)
    gone: threading.Event = field(default_factory=threading.Event)

    def has(self, workload: str, started: str, address: str = "127.0.0.1", internal: bool = False) -> None:
        name = f"shop-test-{workload}-0"
        labels = {"groundwork.project": "shop", "groundwork.stack": "test", "groundwork.workload": workload}
        self.containers[name] = {
            "Id": name, "Name": f"/{name}", "Config": {"Labels": labels, "Tty": False}, "RestartCount": 0,
            "State": {"Status": "running", "StartedAt": started, "Health": {"Status": "healthy"}, "ExitCode": 0},
            "HostConfig": {"RestartPolicy": {"Name": "always"}, "Memory": 0, "NetworkMode": "bridge"},
            "NetworkSettings": {"Networks": {"own" if not internal else "closed": {"IPAddress": address}}},
        }  # fmt: skip

    def answer(self, path: str) -> bytes:
        path = re.sub(r"^/v[0-9.]+", "", path)
        where, _, asked = path.partition("?")
        if where == "/version":
            return json.dumps({"ApiVersion": "1.44"}).encode()
        if where == "/containers/json":
            wanted = re.findall(r"groundwork.workload%3D([a-z-]+)", asked)
            names = [
                name for name, one in self.containers.items()
                if not wanted or one["Config"]["Labels"]["groundwork.workload"] in wanted
            ]  # fmt: skip
            return json.dumps([{"Id": name} for name in names]).encode()
        if found := re.match(r"/containers/([^/]+)/json", where):
            return json.dumps(self.containers[found[1]]).encode()
        if found := re.match(r"/containers/([^/]+)/logs", where):
            line = f"{self.containers[found[1]]['State']['StartedAt']} {found[1]} says so\n".encode()
            return struct.pack(">BxxxL", 1, len(line)) + line
        if where.endswith("/stats"):
            return json.dumps({"memory_stats": {"usage": 64 * 1_048_576}}).encode()
        assert where.startswith("/networks/"), path
        return json.dumps({"Id": "n", "Internal": where.endswith("closed")}).encode()


@dataclass(frozen=True)
class Machine:
    server: Server
    engine: Engine

    def described(self, host_key: str = "") -> dict[str, Any]:
        words = ["-i", str(self.server.folder / "client"), *options(host_key or self.server.host_key())]
        return {"role": "app", "host": at(self.server.user, self.server.port), "ssh_options": words}


def at(user: str, port: int) -> str:
    return url("127.0.0.1", port).replace("groundwork@", f"{user}@")


def serve(engine: Engine, path: Path) -> ThreadingUnixStreamServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if "/events?" in self.path:
                self.send_response(200)
                self.end_headers()
                self.wfile.flush()
                engine.gone.wait()
                self.close_connection = True
                return
            body = engine.answer(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            return "ssh"

        def log_message(self, *_: object) -> None:
            return

    made = ThreadingUnixStreamServer(str(path), Handler)
    made.daemon_threads = True
    threading.Thread(target=made.serve_forever, daemon=True).start()
    return made


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Machine]]:
    """app-1 and data-1."""
    folder = tmp_path_factory.mktemp("machines")
    (folder / "bin").mkdir()
    (folder / "bin" / "docker").write_text(DIAL.format(python=sys.executable))
    (folder / "bin" / "docker").chmod(0o755)
    found = {}
    with ExitStack() as until_used:
        for name in ("app-1", "data-1"):
            engine = Engine()
            (folder / name).mkdir()
            engines = serve(engine, folder / name / "engine.sock")
            until_used.callback(engines.server_close)
            until_used.callback(engines.shutdown)
            more = f"SetEnv ENGINE={folder}/{name}/engine.sock PATH={folder}/bin:/usr/bin:/bin\nMaxStartups 64"
            server = until_used.enter_context(listening(folder / name / "sshd", free_port(), more=more))
            found[name] = Machine(server, engine)
        found["app-1"].engine.has("api", "2026-01-01T00:00:02.000000000Z")
        found["data-1"].engine.has("api", "2026-01-01T00:00:03.000000000Z")
        found["data-1"].engine.has("postgres", "2026-01-01T00:00:01.000000000Z")
        yield found


def place(machines: dict[str, Machine], **more: dict[str, Any]) -> OnMachines:
    described = {name: one.described() for name, one in machines.items()} | more
    return OnMachines(machines=described, project="shop", stack="test", environment=os.environ)


def entry(workload: str, machine: str) -> dict[str, str]:
    name = f"shop-test-{workload}-0"
    return {"name": name, "workload": workload, "role": "app", "release": "1a2b3c4d", "machine": machine}


GONE = {"role": "cache", "host": "ssh://groundwork@127.0.0.1:1", "ssh_options": options(OTHER)}


def test_containers_are_looked_for_on_their_own_machine(two: dict[str, Machine]) -> None:
    rows = place(two).rows([entry("api", "app-1"), entry("api", "data-1"), entry("postgres", "app-1")])
    assert [(row.machine, row.workload, row.state, row.memory_mib) for row in rows] == [
        ("app-1", "api", "running", 64), ("app-1", "postgres", "missing", None), ("data-1", "api", "running", 64),
        ("data-1", "postgres", "in no state", None),
    ]  # fmt: skip


def test_a_machine_that_does_not_answer_hides_no_other(two: dict[str, Machine]) -> None:
    found = place(two, **{"cache-1": GONE})
    rows = found.rows([entry("api", "app-1"), entry("redis", "cache-1")])
    states = {(row.machine, row.workload): (row.state, row.ok) for row in rows}
    assert states["app-1", "api"] == ("running", True)
    assert states["cache-1", "redis"] == ("machine does not answer", False)
    assert [replica.machine for replica in found.replicas("api")] == ["app-1", "data-1"]


def test_a_machine_with_another_key_is_none_of_ours(two: dict[str, Machine]) -> None:
    false = two["app-1"].described(OTHER)
    found = OnMachines(machines={"app-1": false}, project="shop", stack="test", environment=os.environ)
    with pytest.raises(UserError, match=r"app-1 \(ssh://.*\) does not answer: Host key verification failed"):
        found.replicas("api")


def test_what_containers_wrote_is_merged_by_time_over_all_machines(two: dict[str, Machine]) -> None:
    lines = [(line.machine, line.workload, line.time[17:19]) for line in place(two).lines("", Wanted())]
    assert lines == [("data-1", "postgres", "01"), ("app-1", "api", "02"), ("data-1", "api", "03")]
    assert [line.machine for line in place(two).lines("postgres", Wanted())] == ["data-1"]


def test_what_is_followed_comes_from_all_machines(two: dict[str, Machine]) -> None:
    lines = islice(place(two).lines("", Wanted(follow=True)), 3)
    assert sorted((line.machine, line.workload) for line in lines) == [
        ("app-1", "api"), ("data-1", "api"), ("data-1", "postgres"),
    ]  # fmt: skip


def test_a_machine_that_is_lost_while_it_is_followed_is_named(two: dict[str, Machine]) -> None:
    lines = place({"app-1": two["app-1"]}).lines("", Wanted(follow=True))
    assert next(lines).workload == "api"
    two["app-1"].engine.gone.set()
    assert next(lines).text == "does not answer any more"
    with pytest.raises(UserError, match=r"No machine answers any more"):
        next(lines)
    two["app-1"].engine.gone.clear()


def test_a_shell_is_opened_on_the_machine_of_the_newest_container(
    two: dict[str, Machine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\n")
    (tmp_path / "docker").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "DOCKER_CONTEXT": "another"}
    described = {name: one.described() for name, one in two.items()}
    found = OnMachines(machines=described, project="shop", stack="test", environment=environment)
    replica = newest_ready(found.replicas("api"))
    assert replica and replica.machine == "data-1"
    words, given = found.inside(replica, ("true",), terminal=False)
    assert words[-2:] == ["shop-test-api-0", "true"]
    assert "DOCKER_CONTEXT" not in given
    # Whoever asks that engine asks the machine's: it knows postgres, and app-1's does not.
    path = given["DOCKER_HOST"].removeprefix("unix://")
    assert "shop-test-postgres-0" in asked(path, "/containers/json")


def asked(path: str, what: str) -> str:
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(path)
        link.sendall(f"GET {what} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        return b"".join(iter(lambda: link.recv(65536), b"")).decode()


@pytest.fixture
def service() -> Iterator[ThreadingHTTPServer]:
    """Stands for a container's port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"from the container")

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def test_a_tunnel_leads_through_its_machine_to_the_container(
    two: dict[str, Machine], service: ThreadingHTTPServer
) -> None:
    deployment = planned()
    with place(two).tunnel(deployment, deployment.workload("postgres"), service.server_port, 0) as tunnel:
        assert urllib.request.urlopen(f"http://127.0.0.1:{tunnel.port}/", timeout=10).read() == b"from the container"
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{tunnel.port}/", timeout=10)


def test_nothing_runs_and_so_nothing_is_led_to(two: dict[str, Machine]) -> None:
    deployment = planned()
    tunnel = place(two).tunnel(deployment, deployment.workload("redis"), 6379, 0)
    with pytest.raises(UserError, match="Nothing of redis runs now"), tunnel:
        raise AssertionError("it leads somewhere")


def test_a_forwarded_port_that_ends_says_why(two: dict[str, Machine]) -> None:
    one = two["app-1"].described()
    way = forwarded(one["host"], options(OTHER), os.environ, to=("127.0.0.1", 1), local=0)
    with pytest.raises(UserError, match=r"No way to ssh://.*: Host key verification failed"), way:
        raise AssertionError("it leads somewhere")


def test_the_way_to_an_engine_is_nobody_elses_and_leaves_nothing(two: dict[str, Machine]) -> None:
    one = two["app-1"].described()
    bridge = Bridge(one["host"], one["ssh_options"], os.environ)
    folder = bridge.path.parent
    assert folder.stat().st_mode & 0o077 == 0
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(bridge.path))
        link.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
        assert link.recv(65536).startswith(b"HTTP/1.1 200")
        bridge.close()
    assert not folder.exists()
    assert [one.poll() is not None for one in bridge.connections] == [True]
