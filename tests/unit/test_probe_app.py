"""The probe application as a process; with real backing services it is in tests/e2e/test_images.py."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.unit.probe_server import Server, environment, free_port, probe

PASSWORD = "s3cret-Passw0rd"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with probe(HOSTNAME="replica-7", JWT_SECRET_KEY=PASSWORD, ACCESS_LOG="1") as running:
        yield running


def run(module: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module]
    return subprocess.run(command, env=environment(**settings), capture_output=True, text=True, timeout=30)


# --- what it answers


def test_health_and_version(server: Server) -> None:
    assert httpx.get(f"{server.url}/health/live").status_code == 200
    assert httpx.get(f"{server.url}/health/ready").json() == {"status": "ok"}
    answer = httpx.get(f"{server.url}/api/version")
    assert answer.headers["x-release"] == "r1"
    assert answer.json()["release"] == "r1"
    assert answer.json()["replica"] == "replica-7"
    assert PASSWORD not in answer.text


def test_echo_tells_what_arrived(server: Server) -> None:
    body = b"hello" * 1000
    headers = {
        "x-forwarded-for": "203.0.113.9",
        "x-forwarded-proto": "https",
        "x-request-id": "abc",
        "cookie": "c=1",
    }
    answer = httpx.post(f"{server.url}/api/echo", content=body, headers=headers).json()
    assert (answer["method"], answer["size"]) == ("POST", 5000)
    assert answer["sha256"] == hashlib.sha256(body).hexdigest()
    assert (answer["scheme"], answer["client"]) == ("https", "203.0.113.9")
    assert answer["headers"]["x-request-id"] == "abc"
    assert answer["headers"]["x-forwarded-for"] == "203.0.113.9"
    assert answer["headers"]["host"] == f"127.0.0.1:{server.port}"
    assert "cookie" not in answer["headers"]


def test_echo_refuses_a_large_body(server: Server) -> None:
    assert httpx.post(f"{server.url}/api/echo", content=bytes(1024 * 1024)).status_code == 200
    assert httpx.post(f"{server.url}/api/echo", content=bytes(1024 * 1024 + 1)).status_code == 413


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_slow_takes_its_time_within_bounds(server: Server, method: str) -> None:
    start = time.monotonic()
    assert httpx.request(method, f"{server.url}/api/slow?ms=300").json()["ms"] == 300
    assert 0.3 <= time.monotonic() - start < 3
    assert httpx.request(method, f"{server.url}/api/slow?ms=30001").status_code == 422


def test_upload_is_not_held_in_memory(server: Server) -> None:
    piece, count = bytes(range(256)) * 4096, 128  # 128 MiB in all
    httpx.post(f"{server.url}/api/upload", content=piece)
    before = server.rss_mib()
    answer = httpx.post(f"{server.url}/api/upload", content=(piece for _ in range(count)), timeout=60).json()
    assert answer["size"] == count * len(piece)
    assert answer["sha256"] == hashlib.sha256(piece * count).hexdigest()
    assert server.rss_mib() - before < 24


def test_metrics_count_by_route_template(server: Server) -> None:
    for path in ("/api/items/1", "/api/items/2", "/nowhere/1", "/nowhere/2"):
        httpx.get(server.url + path)
    text = httpx.get(f"{server.url}/metrics").text
    assert 'http_requests_total{method="GET",route="/api/items/{item_id}",status="503"} 2.0' in text
    assert 'http_requests_total{method="GET",route="unmatched",status="404"} 2.0' in text
    assert (
        'http_request_duration_seconds_bucket{le="0.2",method="GET",route="unmatched",status="404"} 2.0'
        in text
    )
    assert "http_requests_in_progress 1.0" in text  # this one
    assert "process_resident_memory_bytes" in text


def test_websocket_echo(server: Server) -> None:
    with connect(f"ws://127.0.0.1:{server.port}/ws") as socket_:
        socket_.send("one")
        assert json.loads(socket_.recv(timeout=5)) == {"release": "r1", "message": "one"}


# --- settings


def test_secret_from_a_file_is_the_same_secret(server: Server, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(PASSWORD + "\n")
    with probe(JWT_SECRET_KEY_FILE=str(tmp_path / "key")) as other:
        key_ids = [httpx.get(f"{one.url}/api/version").json()["jwt_key_id"] for one in (server, other)]
    assert key_ids[0] == key_ids[1] is not None
    with probe(JWT_SECRET_KEY="rotated") as rotated:
        assert httpx.get(f"{rotated.url}/api/version").json()["jwt_key_id"] not in key_ids


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"DATABASE_URL": f"sqlite://u:{PASSWORD}@h/d"}, "DATABASE_URL does not read as postgresql:// or mysql://"),
        ({"CELERY_BROKER_URL": f"redis://u:{PASSWORD}@h/0"}, "CELERY_BROKER_URL does not read as amqp://user:"),
        ({"CELERY_RESULT_BACKEND": f"rpc://{PASSWORD}"}, "CELERY_RESULT_BACKEND does not read as redis://"),
        ({"TICK_SECONDS": "0"}, "TICK_SECONDS is '0'; write a number from 1 to 3600"),
        ({"DATABASE_URL": f"postgresql://u:{PASSWORD}@h:port/d"}, "percent-encoded"),
        ({"REDIS_URL": PASSWORD}, "REDIS_URL does not read as redis://"),
        ({"REDIS_URL": "redis://h/0", "REDIS_URL_FILE": "/x"}, "REDIS_URL and REDIS_URL_FILE are both set"),
        ({"REDIS_URL_FILE": "/nowhere/url"}, "REDIS_URL_FILE: cannot read /nowhere/url: No such file"),
        ({"PORT": "http"}, "PORT is 'http'; write a number from 1 to 65535"),
        ({"GRACE_SECONDS": "8", "DRAIN_SECONDS": "6"}, "DRAIN_SECONDS (6) leaves no time"),
        ({"PROBE_FAULT": "broken"}, "PROBE_FAULT is 'broken'; write not_ready"),
    ],
)
def test_wrong_setting_is_one_line_without_secrets(settings: dict[str, str], wanted: str) -> None:
    ended = run("probe", **settings)
    assert ended.returncode == 2
    assert wanted in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert PASSWORD not in ended.stderr + ended.stdout


# --- backing services that are away


def test_deep_names_the_error_and_no_secret() -> None:
    port = free_port()  # nobody listens there
    postgres_url = f"postgresql://app:{PASSWORD}@127.0.0.1:{port}/app"
    redis_url = f"redis://app:{PASSWORD}@127.0.0.1:{port}/0"
    with probe(DATABASE_URL=postgres_url, REDIS_URL=redis_url) as server:
        answer = httpx.get(f"{server.url}/health/deep", timeout=10)
        items = httpx.get(f"{server.url}/api/items", timeout=10)
        assert httpx.get(f"{server.url}/health/ready").status_code == 200
        server.terminate()
        status, output = server.ended(10)
    assert answer.status_code == 503
    services = answer.json()["services"]
    assert {name: check["error"] for name, check in services.items()} == {
        "postgres": "OperationalError",
        "redis": "ConnectionError",
    }
    assert items.status_code == 503
    assert status == 0
    assert PASSWORD not in answer.text + items.text + output


def test_deep_names_the_errors_of_a_system_with_jobs_and_no_secret() -> None:
    away = f"app:{PASSWORD}@127.0.0.1:{free_port()}"
    settings = {
        "DATABASE_URL": f"mysql://{away}/app",
        "CELERY_BROKER_URL": f"amqp://{away}/app",
        "CELERY_RESULT_BACKEND": f"redis://{away}/1",
    }
    with probe(wait=True, **settings) as server:
        answers = [
            httpx.get(f"{server.url}/health/deep", timeout=10),
            httpx.get(f"{server.url}/api/items", timeout=10),
            httpx.get(f"{server.url}/api/ticks", timeout=10),
            httpx.get(f"{server.url}/api/jobs/summary", timeout=10),
            httpx.post(f"{server.url}/api/jobs", json={"a": 1, "b": 2}, timeout=10),
            httpx.get(f"{server.url}/api/jobs/{uuid.uuid4()}", timeout=10),
        ]
        server.terminate()
        status, output = server.ended(10)
    assert status == 0
    assert [answer.status_code for answer in answers] == [503] * 6
    assert {name: check["error"] for name, check in answers[0].json()["services"].items()} == {
        "mysql": "OperationalError (2003)",
        "results": "ConnectionError",
        "rabbitmq": "ConnectionRefusedError (111)",
        "job": "OperationalError",
        "beat": "OperationalError (2003)",
    }
    assert PASSWORD not in output + "".join(answer.text for answer in answers)


def test_deep_gives_up_on_a_service_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with probe(DATABASE_URL=f"postgresql://a:b@{address}/c", REDIS_URL=f"redis://{address}/0") as server:
            start = time.monotonic()
            answer = httpx.get(f"{server.url}/health/deep", timeout=10)
            assert time.monotonic() - start < 4.5
    assert answer.status_code == 503
    assert all(check["status"] == "failed" for check in answer.json()["services"].values())


def test_a_system_with_jobs_gives_up_on_services_that_never_answer_and_still_ends() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        address = f"a:b@127.0.0.1:{silent.getsockname()[1]}"
        settings = {
            "DATABASE_URL": f"mysql://{address}/c",
            "CELERY_BROKER_URL": f"amqp://{address}/c",
            "CELERY_RESULT_BACKEND": f"redis://{address}/0",
        }
        with probe(wait=True, **settings) as server:
            start = time.monotonic()
            answer = httpx.get(f"{server.url}/health/deep", timeout=10)
            assert time.monotonic() - start < 4.5
            server.terminate()
            assert server.ended(12)[0] == 0
    assert answer.status_code == 503
    assert [check["status"] for check in answer.json()["services"].values()] == ["failed"] * 5


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"DATABASE_URL": f"postgresql://app:{PASSWORD}@127.0.0.1:1/app"},
        {"DATABASE_URL": f"mysql://app:{PASSWORD}@127.0.0.1:1/app"},
    ],
)
def test_migrate_fails_with_one_line(settings: dict[str, str]) -> None:
    ended = run("probe.migrate", **settings)
    assert ended.returncode == 1
    assert ended.stderr.startswith("migrate: ")
    assert ended.stderr.count("\n") == 1
    assert PASSWORD not in ended.stderr


# --- faults on demand


def test_fault_not_ready_answers_503_to_everything() -> None:
    with probe(PROBE_FAULT="not_ready") as server:
        for path in ("/health/ready", "/health/live", "/api/echo", "/metrics"):
            assert httpx.get(server.url + path).status_code == 503
        with pytest.raises(InvalidStatus) as refused, connect(f"ws://127.0.0.1:{server.port}/ws"):
            pass
        assert refused.value.response.status_code == 503


def test_fault_not_listening_runs_and_ends_on_sigterm() -> None:
    with probe(wait=False, PROBE_FAULT="not_listening") as server:
        assert server.process.stdout is not None
        assert "without listening" in server.process.stdout.readline()
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.url)
        server.terminate()
        assert server.ended(5)[0] == 0


# --- the end


def test_sigterm_ends_requests_under_way_and_says_not_ready() -> None:
    with probe(DRAIN_SECONDS="1") as server:
        answers: list[httpx.Response] = []
        url = f"{server.url}/api/slow?ms=2500"
        slow = threading.Thread(target=lambda: answers.append(httpx.post(url, content=b"x", timeout=10)))
        slow.start()
        time.sleep(0.3)
        server.terminate()
        time.sleep(0.3)
        assert httpx.get(f"{server.url}/health/ready").status_code == 503
        assert httpx.get(f"{server.url}/health/live").status_code == 200
        late = httpx.get(f"{server.url}/api/echo")  # whoever has not noticed yet is still served
        assert (late.status_code, late.headers["connection"]) == (200, "close")
        slow.join(10)
        assert [answer.status_code for answer in answers] == [200]
        assert answers[0].headers["connection"] == "close"
        assert server.ended(5)[0] == 0


def test_sigterm_closes_idle_connections_and_ends_at_once() -> None:
    with probe() as server, httpx.Client() as client:
        client.get(f"{server.url}/api/echo")
        server.terminate()
        start = time.monotonic()
        assert server.ended(5)[0] == 0
        assert time.monotonic() - start < 2


def test_sigterm_closes_websockets_with_1012() -> None:
    with probe() as server, connect(f"ws://127.0.0.1:{server.port}/ws") as socket_:
        threading.Timer(0.3, server.terminate).start()
        received = 0
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                socket_.send(str(received))
                assert json.loads(socket_.recv(timeout=5))["message"] == str(received)
                received += 1
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert received > 100
        assert server.ended(5)[0] == 0


def test_sigterm_leaves_a_websocket_open_until_the_peer_has_answered_the_close() -> None:
    """A server that closes at once resets the socket when a message comes in, and the code gets lost."""
    handshake = (
        "GET /ws HTTP/1.1\r\nHost: probe\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with probe() as server, socket.create_connection(("127.0.0.1", server.port), timeout=5) as peer:
        peer.sendall(handshake.encode())
        assert peer.recv(4096).startswith(b"HTTP/1.1 101 ")
        server.terminate()
        close = peer.recv(4096)
        assert (close[0], int.from_bytes(close[2:4])) == (0x88, 1012)
        peer.settimeout(0.7)
        with pytest.raises(TimeoutError):  # b"" would be the end of the connection
            peer.recv(1)
        peer.sendall(bytes([0x88, 0x82, 0, 0, 0, 0]) + (1012).to_bytes(2))  # the answer, with a mask of zeros
        assert peer.recv(1) == b""
        assert server.ended(5)[0] == 0


def test_the_grace_is_the_limit() -> None:
    outcomes: list[str] = []

    def too_slow(url: str) -> None:
        try:
            outcomes.append(f"status {httpx.get(url, timeout=40).status_code}")
        except httpx.RemoteProtocolError:
            outcomes.append("cut")

    with probe(GRACE_SECONDS="6", DRAIN_SECONDS="0") as server:
        slow = threading.Thread(target=too_slow, args=(f"{server.url}/api/slow?ms=30000",))
        slow.start()
        time.sleep(0.3)
        server.terminate()
        assert server.ended(6)[0] == 0
        slow.join(5)
    assert outcomes in (["cut"], ["status 500"])


def test_no_request_is_lost_by_clients_that_leave_when_told() -> None:
    """Eight clients on kept connections, until readiness says no; only then do they stop."""
    failures: list[str] = []
    done = threading.Event()

    def client(url: str) -> None:
        with httpx.Client() as session:
            while not done.is_set():
                try:
                    status = session.post(f"{url}/api/echo", content=b"x" * 2000).status_code
                    failures.extend([f"status {status}"] if status != 200 else [])
                except httpx.HTTPError as error:
                    failures.append(repr(error))

    with probe(DRAIN_SECONDS="1.5") as server:
        clients = [threading.Thread(target=client, args=(server.url,)) for _ in range(8)]
        for one in clients:
            one.start()
        time.sleep(1)
        server.terminate()
        while httpx.get(f"{server.url}/health/ready").status_code == 200:
            time.sleep(0.05)
        time.sleep(0.3)  # the moment it takes a router to act on it
        done.set()
        for one in clients:
            one.join(5)
        status, _ = server.ended(5)
    assert (failures, status) == ([], 0)
