"""A gateway as it runs in a cluster behind an Ingress with TLS: nginx itself, before an app that fails on demand."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from groundwork.nginx import ALIVE, HTTP, VERSION
from tests.sample import planned

from .conftest import free_port
from .test_gateway import APP, CLUSTER, NAMED, SYSTEM, TARGETS, nginx, placed

CLIENT = "203.0.113.9"
FROM_THE_CONTROLLER = {"host": "shop.example.com", "x-forwarded-for": CLIENT, "x-forwarded-proto": "https"}


@dataclass
class App:
    """Tells what it was asked; `broken` is how many of the next connections end without an answer."""

    port: int = 0
    broken: int = 0
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def app() -> Iterator[App]:
    found = App()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            if found.broken:
                found.broken -= 1
                self.close_connection = True
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({key.lower(): value for key, value in self.headers.items()}).encode())

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()


@dataclass(frozen=True)
class Running:
    client: httpx.Client
    routes: Path


@pytest.fixture(scope="module")
def running(judges: Path, app: App, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("cluster")
    ports = {port: free_port() for port in (HTTP, ALIVE, VERSION)} | {APP: app.port}
    values = {"target": CLUSTER | {"exposure": TARGETS["an Ingress with TLS"]}, "entry": NAMED}
    main = placed(planned(values, SYSTEM), folder, ports=ports).main
    base = f"http://127.0.0.1:{ports[HTTP]}"
    with nginx(judges, main, ports[ALIVE]), httpx.Client(base_url=base, headers=FROM_THE_CONTROLLER) as client:
        yield Running(client, folder / "site" / "routes.conf")


def test_it_asks_nobody_for_names(running: Running) -> None:
    """Docker's resolver is not there; the pod's own is asked once, for Services that keep their address."""
    text = running.routes.read_text()
    assert "resolve" not in text and "max_fails=0 backup" in text


def test_what_came_by_plain_http_is_sent_to_https_with_method_and_body(running: Running) -> None:
    answer = running.client.post("/api/x?y=1", headers={"x-forwarded-proto": "http"}, follow_redirects=False)
    assert answer.status_code == 308
    assert answer.headers["location"] == "https://shop.example.com/api/x?y=1"
    assert running.client.get("/health", headers={"x-forwarded-proto": "http"}).status_code == 200


def test_an_app_is_told_who_asks_and_that_it_was_by_https(running: Running) -> None:
    told = running.client.get("/api/x").json()
    assert told["x-forwarded-for"] == told["x-real-ip"] == CLIENT
    assert told["x-forwarded-proto"] == "https"
    assert told["host"] == "shop.example.com"


def test_what_a_client_claims_to_be_goes_no_further(running: Running) -> None:
    told = running.client.get("/api/", headers={"x-forwarded-for": f"198.51.100.1, {CLIENT}, 192.168.1.2"}).json()
    assert told["x-forwarded-for"] == told["x-real-ip"] == CLIENT


def test_a_second_try_meets_another_pod_of_the_same_service(running: Running, app: App) -> None:
    app.broken, app.asked[:] = 1, []
    assert running.client.get("/api/again").status_code == 200
    assert app.asked == ["/api/again"] * 2


def test_what_changes_something_is_not_tried_twice(running: Running, app: App) -> None:
    app.broken, app.asked[:] = 1, []
    assert running.client.post("/api/once", content=b"x").status_code == 502
    assert app.asked == ["/api/once"]


def test_one_broken_pod_does_not_close_the_way_to_the_others(running: Running, app: App) -> None:
    app.broken = 2
    assert running.client.get("/api/lost").status_code == 502
    assert running.client.get("/api/next").status_code == 200
