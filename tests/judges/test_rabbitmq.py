"""A real RabbitMQ with our start script, our configuration and our account jobs.

Debian's rolling suite has version 4.3, the newest of those that `rabbitmq:4-management` may be.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from groundwork.catalog import Sizing
from groundwork.catalog.rabbitmq import RabbitMq
from groundwork.workload import FILES, Exec, Image, Resources

from .conftest import free_port
from .service import Served

IMAGE = Image(reference="rabbitmq:4-management", digest=f"sha256:{'0' * 64}", origin="simulated")
SERVICE = RabbitMq(vhost="shop")
COMPLETE = "Server startup complete"


class Refused(Exception):
    """The broker closed the connection, or said why."""


class Client:
    """As much of AMQP 0-9-1 as these tests need: every method has a class, a number, and its arguments in bytes."""

    def __init__(self, port: int, user: str, password: str, vhost: str = "shop") -> None:
        self.link = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.stream = self.link.makefile("rb")
        self.link.sendall(b"AMQP\0\0\x09\x01")
        self.expect(10, 10)
        login = f"\0{user}\0{password}".encode()
        self.send(0, 10, 11, b"\0\0\0\0", short("PLAIN"), struct.pack(">I", len(login)), login, short("en_US"))
        tune = self.expect(10, 30)
        self.send(0, 10, 31, tune[:8])
        self.send(0, 10, 40, short(vhost), b"\0\0")
        self.expect(10, 41)
        self.call(20, 10, b"\0", answer=11)

    def send(self, channel: int, kind: int, number: int, *arguments: bytes) -> None:
        self.frame(1, channel, struct.pack(">HH", kind, number) + b"".join(arguments))

    def frame(self, kind: int, channel: int, payload: bytes) -> None:
        self.link.sendall(struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce")

    def read(self) -> tuple[int, bytes]:
        try:
            head = self.stream.read(7)
        except ConnectionResetError:
            head = b""
        if len(head) < 7:
            raise Refused("closed")
        kind, _, size = struct.unpack(">BHI", head)
        return kind, self.stream.read(size + 1)[:-1]

    def expect(self, kind: int, number: int) -> bytes:
        _, payload = self.read()
        if struct.unpack(">HH", payload[:4]) != (kind, number):
            raise Refused(payload[7:].decode(errors="replace"))
        return payload[4:]

    def call(self, kind: int, number: int, *arguments: bytes, answer: int) -> bytes:
        self.send(1, kind, number, *arguments)
        return self.expect(kind, answer)

    def declare(self, queue: str, *, durable: bool = True) -> None:
        self.call(50, 10, b"\0\0", short(queue), bytes([2 if durable else 0]), b"\0\0\0\0", answer=11)

    def publish(self, queue: str, body: bytes) -> None:
        self.send(1, 60, 40, b"\0\0", short(""), short(queue), b"\0")
        # Delivery mode 2 is the one property: on disk.
        self.frame(2, 1, struct.pack(">HHQHB", 60, 0, len(body), 0x1000, 2))
        self.frame(3, 1, body)

    def get(self, queue: str) -> bytes:
        self.call(60, 70, b"\0\0", short(queue), b"\x01", answer=71)
        self.read()
        return self.read()[1]


def short(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


@dataclass(kw_only=True)
class Server(Served):
    """One RabbitMQ."""

    root: Path
    port: int = field(default_factory=free_port)
    management: int = field(default_factory=free_port)
    metrics: int = field(default_factory=free_port)
    epmd: int = field(default_factory=free_port)

    def moved(self, text: str) -> str:
        places = {
            FILES: f"{self.folder}/files",
            "/var/lib/rabbitmq": f"{self.folder}/data",
            "/tmp/": f"{self.folder}/tmp/",
        }
        text = re.sub("|".join(places), lambda found: places[found[0]], text)
        text = text.replace("/dev/tcp/rabbitmq/", "/dev/tcp/127.0.0.1/")
        for said, meant in ((5672, self.port), (15672, self.management), (15692, self.metrics)):
            text = re.sub(rf"\b{said}\b", str(meant), text)
        return text

    @property
    def environment(self) -> dict[str, str]:
        programs = (f"{self.root}/rabbitmq/sbin", f"{self.root}/usr/lib/erlang/bin", "/usr/bin", "/bin")
        own = {name: self.moved(str(value)) for name, value in SERVICE.workload(sizing()).env.items()}
        # Several brokers may be tested on one machine at a time.
        elsewhere = {"ERL_EPMD_PORT": str(self.epmd), "RABBITMQ_DIST_PORT": str(free_port())}
        return {**own, **elsewhere, "PATH": os.pathsep.join(programs), "LC_ALL": "C.UTF-8"}

    def probe(self) -> tuple[bool, bool]:
        """Whether it is live, and whether it is ready."""
        probes = SERVICE.workload(sizing()).probes
        assert probes and isinstance(probes.liveness, Exec) and isinstance(probes.readiness, Exec)
        live, ready = (
            self.run(self.moved(check.command)).returncode == 0 for check in (probes.liveness, probes.readiness)
        )
        return live, ready

    def start(self, resources: Resources = RabbitMq.default_resources) -> None:
        workload = SERVICE.workload(sizing(resources))
        assert self.probe() == (False, False), "nobody answers yet"
        # Its port opens a moment before it says that all is done, and what clients do then is no part of its start.
        self.begun(workload, lambda: self.probe() == (True, True) and COMPLETE in self.log)

    def stop(self) -> None:
        if self.process:
            super().stop()
            # The port mapper outlives its broker; in a container it ends with it.
            self.run("epmd -kill")

    def client(self, user: str, password: str, vhost: str = "shop") -> Client:
        return Client(self.port, user, password, vhost)

    def jobs(self, generation: int, password: str) -> None:
        self.do(SERVICE.jobs(sizing(generation=generation)), password)


def sizing(resources: Resources = RabbitMq.default_resources, generation: int = 1) -> Sizing:
    return Sizing(image=IMAGE, version="4", resources=resources, generation=generation)


@pytest.fixture(scope="module")
def server(judges: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Started with the least memory that a stack file may give it."""
    folder = tmp_path_factory.mktemp("rabbitmq")
    for place in (folder, folder / "data", folder / "tmp"):
        place.mkdir(exist_ok=True)
    one = Server(folder=folder, root=judges)
    one.start(Resources(memory_mib=RabbitMq.minimum_memory_mib, cpus=0.5))
    try:
        one.jobs(1, "first-password")
        yield one
    finally:
        one.stop()


def test_an_app_declares_publishes_and_gets(server: Server) -> None:
    client = server.client("shop_1", "first-password")
    client.declare("jobs")
    client.publish("jobs", b"a task")
    assert client.get("jobs") == b"a task"


def test_what_celery_before_5_5_asks_for_is_permitted(server: Server) -> None:
    client = server.client("shop_1", "first-password")
    client.call(60, 10, struct.pack(">IHB", 0, 4, 1), answer=11)
    client.declare("celery.pidbox", durable=False)


@pytest.mark.parametrize(
    ("user", "password"), [("shop_1", "wrong"), ("shop_1", ""), ("guest", "guest"), ("admin", "first-password")]
)
def test_a_wrong_password_is_refused(server: Server, user: str, password: str) -> None:
    with pytest.raises(Refused):
        server.client(user, password)


def test_an_app_gets_into_no_other_virtual_host_and_not_into_the_management(server: Server) -> None:
    call = SERVICE.create_account("other").split("call PUT users")[0].replace("'admin:%s'", "'%s'")
    secret = server.folder / "files" / "secrets" / "admin_password"
    held = secret.read_text()
    vhost = "call PUT vhosts/reports '{}'\nBASH\n"
    secret.write_text(f"admin:{held}")
    assert server.run(server.moved(call + vhost)).returncode == 0
    secret.write_text("shop_1:first-password")
    refused = server.run(server.moved(call + vhost))
    secret.write_text(held)
    assert refused.returncode != 0 and "401" in refused.stderr
    for other in ("reports", "/"):
        with pytest.raises(Refused):
            server.client("shop_1", "first-password", other)


def test_the_volume_holds_no_password_and_a_cookie_of_its_own(server: Server) -> None:
    cookie = server.folder / "data" / ".erlang.cookie"
    assert cookie.stat().st_mode & 0o777 == 0o400 and len(cookie.read_text()) >= 20
    for secret in (b"admin-secret", b"first-password"):
        assert not [
            path for path in (server.folder / "data").rglob("*") if path.is_file() and secret in path.read_bytes()
        ]


def test_nothing_but_its_three_ports_is_open_to_others(server: Server) -> None:
    listed = "import sys; print(open('/proc/net/tcp').read() + open('/proc/net/tcp6').read())"
    lines = subprocess.run(["python3", "-c", listed], capture_output=True, text=True, check=True).stdout.splitlines()
    listening = {line.split()[1] for line in lines if " 0A " in line}
    for port in (server.port, server.management, server.metrics):
        assert any(one.endswith(f":{port:04X}") and one.startswith("00000000") for one in listening)
    assert f"0100007F:{server.epmd:04X}" in listening and f"00000000:{server.epmd:04X}" not in listening


def test_it_starts_without_a_warning_about_its_settings(server: Server) -> None:
    start, complete, _ = server.log.partition(COMPLETE)
    assert complete
    warned = {line.split("> ", 1)[1] for line in start.splitlines() if "[error]" in line or "[warning]" in line}
    usual = ("peer discovery backend", "Metrics collection disabled", "rebuilding indices from scratch")
    assert {line for line in warned if not any(word in line for word in usual)} == set()


@pytest.mark.parametrize("memory_mib", [RabbitMq.minimum_memory_mib, 65536])
def test_the_mark_for_publishers_is_below_the_limit(memory_mib: int) -> None:
    text = SERVICE.configuration(Resources(memory_mib=memory_mib, cpus=1))
    assert f"vm_memory_high_watermark.absolute = {memory_mib * 6 // 10}MiB" in text


def test_a_second_start_finds_its_data_and_takes_the_admins_new_password(server: Server) -> None:
    client = server.client("shop_1", "first-password")
    client.declare("kept")
    client.publish("kept", b"task")
    client.call(20, 40, b"\0\0", short(""), b"\0\0\0\0", answer=41)
    server.stop()
    server.admin = "another-secret"
    server.start()
    assert server.client("shop_1", "first-password").get("kept") == b"task"
    assert server.client("admin", "another-secret")
    with pytest.raises(Refused):
        server.client("admin", "admin-secret")


def test_a_next_generation_works_beside_its_predecessor_which_then_ends(server: Server) -> None:
    draining = server.client("shop_1", "first-password")
    server.jobs(2, "second-password")
    server.client("shop_2", "second-password").declare("shared")
    with pytest.raises(Refused):
        server.client("shop_1", "first-password")
    draining.publish("shared", b"still here")
    assert draining.get("shared") == b"still here", "an open connection is not cut"


def test_going_back_a_generation_opens_it_again(server: Server) -> None:
    server.jobs(1, "first-password")
    assert server.client("shop_1", "first-password")


def test_a_job_fails_when_the_server_refuses(server: Server) -> None:
    before, _ = SERVICE.jobs(sizing(generation=3))
    server.put(before, "third-password")
    (server.folder / "files" / "secrets" / "admin_password").write_text("not-it")
    done = server.run(server.moved(before.command[-1]))
    assert done.returncode == 1 and "PUT users/shop_3: 401" in done.stderr


def test_data_of_a_newer_version_is_not_opened(server: Server) -> None:
    server.stop()
    flags = server.folder / "data" / "mnesia" / "rabbit@localhost-feature_flags"
    held = flags.read_text()
    flags.write_text(held.replace("'rabbitmq_4.3.0'", "'rabbitmq_4.3.0',\n 'rabbitmq_5.1.0'"))
    try:
        done = server.run(f"sh {server.folder}/files/start.sh")
        assert done.returncode == 1
        assert "this volume holds data of RabbitMQ 5.1; set the service's version back to that" in done.stderr
    finally:
        flags.write_text(held)
        server.start()
