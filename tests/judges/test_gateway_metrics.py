"""What the gateway counts: nginx itself before an app that answers as it is told, and one that is not there."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from groundwork.nginx import ALIVE, HTTP, METRICS, SCRIPT, VERSION
from groundwork.system import Route
from tests.monitoring.asked import asked
from tests.monitoring.reference import DASHBOARDS
from tests.sample import SHOP, changed, planned

from .conftest import free_port
from .scraping import prometheus
from .test_gateway import APP, CLUSTER, NAMED, TARGETS, counting, nginx, placed, two_gateways

SYSTEM = changed(
    SHOP,
    routes=(
        *SHOP.routes,
        Route(path="/api/short", app="api", timeout_seconds=1),
        Route(path="/ws", app="api", websocket=True),
    ),
)
BURST = 5
PATIENCE_SECONDS = 5
CLIENTS = itertools.count(1)
Counts = Mapping[tuple[str, ...], float]
"""Differences that are not 0: name without `gateway_`, and the values of the labels app, status, reason, le."""


async def answer(request: web.Request) -> web.StreamResponse:
    """Waits `wait` seconds, then answers with `status`; 0 ends the connection without an answer."""
    if request.path == "/ws":
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket
    await request.read()
    await asyncio.sleep(float(request.query.get("wait", 0)))
    status = int(request.query.get("status", 200))
    if status == 0:
        assert request.transport
        request.transport.abort()
    return web.Response(status=status)


@contextmanager
def app() -> Iterator[int]:
    """Its port, in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def begun() -> tuple[web.AppRunner, int]:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(application, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port := free_port(), backlog=512)
        await site.start()
        return runner, port

    runner, port = asyncio.run_coroutine_threadsafe(begun(), loop).result(timeout=10)
    yield port
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(timeout=10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(timeout=10)
    loop.close()


@dataclass(frozen=True)
class Running:
    url: str
    metrics: str
    alive: str
    folder: Path

    def get(self, path: str, client: str = "") -> int:
        """The status of the answer; the balancer in front says who asks, somebody else each time."""
        headers = {"x-forwarded-for": client or f"203.0.113.{next(CLIENTS)}"}
        return httpx.get(f"{self.url}{path}", headers=headers, timeout=20).status_code

    def reload(self) -> None:
        """Returns when new workers serve."""
        pid = int((self.folder / "tmp-nginx.pid").read_text())
        children = Path(f"/proc/{pid}/task/{pid}/children")
        old = set(children.read_text().split())
        os.kill(pid, signal.SIGHUP)
        assert until(lambda: len(set(children.read_text().split()) - old) == 2)
        # The old ones take nothing more.
        time.sleep(0.5)


def until(holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return holds()


@pytest.fixture(scope="module")
def metered() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        counting(patch)
        yield


@pytest.fixture(scope="module")
def running(judges: Path, metered: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """On an engine, behind a balancer; `api` is there and `web` is not."""
    folder = tmp_path_factory.mktemp("metered")
    ports = {port: free_port() for port in (HTTP, ALIVE, VERSION, METRICS.port)}
    entry = {"trusted_proxies": ["127.0.0.0/8"], "requests_per_second": 0.1, "burst": BURST, "max_body_mib": 1}
    deployment = planned({"entry": entry}, SYSTEM)
    main = placed(deployment, folder, ports=ports).main
    with app() as port:
        for file in (folder / "live").glob("*/routes.conf"):
            alias = deployment.workload("api").alias
            file.write_text(
                file.read_text().replace(f"server {alias}:{APP} resolve;", f"server 127.0.0.1:{port} max_fails=0;")
            )
        with nginx(judges, main, ports[ALIVE]):
            yield Running(
                f"http://127.0.0.1:{ports[HTTP]}",
                f"http://127.0.0.1:{ports[METRICS.port]}/metrics",
                f"http://127.0.0.1:{ports[ALIVE]}/alive",
                folder,
            )


def read(url: str) -> Counts:
    return {
        (one.name.removeprefix("gateway_"), *(one.labels[name] for name in sorted(one.labels))): one.value
        for family in text_string_to_metric_families(httpx.get(url).text)
        for one in family.samples
    }


class Difference:
    """What was counted since it began."""

    def __init__(self, url: str) -> None:
        self.url, self.before = url, read(url)

    def now(self, name: str) -> Counts:
        after = read(self.url)
        assert after.keys() == self.before.keys()
        found = {key[1:]: after[key] - self.before[key] for key in after if key[0] == name}
        return {labels: value for labels, value in found.items() if value}

    def becomes(self, wanted: Counts, name: str = "requests_total") -> None:
        """An answer is counted a moment after it has arrived; more must not come."""
        until(lambda: self.now(name) == wanted)
        time.sleep(0.2)
        assert self.now(name) == wanted


@pytest.fixture
def counted(running: Running) -> Difference:
    return Difference(running.metrics)


def test_every_kind_of_answer_is_counted_once_for_its_app(running: Running, counted: Difference) -> None:
    told = {200: 7, 204: 2, 304: 3, 404: 5, 500: 4, 503: 1}
    for status, times in told.items():
        assert [running.get(f"/api/x?status={status}") for _ in range(times)] == [status] * times
    counted.becomes({("api", "2xx"): 9, ("api", "3xx"): 3, ("api", "4xx"): 5, ("api", "5xx"): 5})
    assert counted.now("request_seconds_count") == {("api",): 22}
    assert counted.now("refused_total") == {}


def test_an_app_that_fails_to_answer_is_counted_as_its_own_failure(running: Running, counted: Difference) -> None:
    assert running.get("/") == 502
    assert running.get("/api/x?status=0") == 502
    assert running.get("/api/short?wait=3") == 504
    counted.becomes({("web", "5xx"): 1, ("api", "5xx"): 2})


def test_what_the_gateway_refuses_is_told_from_what_an_app_refuses(running: Running, counted: Difference) -> None:
    asked = [running.get("/api/x?status=429", "192.0.2.77") for _ in range(BURST + 1)]
    assert asked == [429] * (BURST + 1)
    counted.becomes({("api", "4xx"): BURST + 1})
    assert counted.now("refused_total") == {}
    assert [running.get("/api/x", "192.0.2.77") for _ in range(3)] == [429] * 3
    counted.becomes({("api", "4xx"): BURST + 4})
    assert counted.now("refused_total") == {("rate",): 3}


def test_what_no_app_is_asked_for_is_counted_for_the_gateway_itself(running: Running, counted: Difference) -> None:
    assert httpx.post(f"{running.url}/api/", content=b"x" * (1024 * 1024 + 1)).status_code == 413
    with socket.create_connection(("127.0.0.1", httpx.URL(running.url).port or 0)) as raw:
        raw.sendall(b"NONSENSE\r\n\r\n")
        assert b"400 Bad Request" in raw.recv(1000)
    counted.becomes({("", "4xx"): 2})


def test_who_looks_whether_the_gateway_lives_is_not_counted(running: Running, counted: Difference) -> None:
    assert running.get("/health") == 200
    assert httpx.get(running.alive).status_code == 204
    assert httpx.get(running.metrics).status_code == 200
    counted.becomes({})


def test_a_slow_answer_is_in_the_bucket_of_its_time_and_in_all_above(running: Running, counted: Difference) -> None:
    assert running.get("/api/x?wait=0.6") == 200
    assert running.get("/api/x?wait=2.1") == 200
    wanted = {"1": 1, "2": 1, "5": 2, "10": 2, "+Inf": 2}
    counted.becomes({("api", bound): times for bound, times in wanted.items()}, "request_seconds_bucket")
    assert 2.7 <= counted.now("request_seconds_sum")[("api",)] < 6
    assert counted.now("request_seconds_count") == {("api",): 2}


def test_a_websocket_is_counted_when_it_ends_and_its_time_is_not(running: Running, counted: Difference) -> None:
    async def talk() -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{running.url}/ws") as connection:
            await connection.send_str("hello")
            assert (await connection.receive_str()) == "hello"
            await asyncio.sleep(0.3)

    asyncio.run(talk())
    counted.becomes({("api", "1xx"): 1})
    assert counted.now("request_seconds_count") == counted.now("request_seconds_sum") == {}


def test_a_reload_keeps_what_was_counted_and_counts_on(running: Running, counted: Difference) -> None:
    async def talk() -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{running.url}/ws") as connection:
            # An old worker keeps it, and counts it in the end.
            await asyncio.to_thread(running.reload)
            await asyncio.to_thread(counted.becomes, {("api", "2xx"): 1})
            await connection.send_str("hello")
            assert (await connection.receive_str()) == "hello"

    assert running.get("/api/x") == 200
    counted.becomes({("api", "2xx"): 1})
    asyncio.run(talk())
    assert running.get("/api/x?status=404") == 404
    counted.becomes({("api", "2xx"): 1, ("api", "1xx"): 1, ("api", "4xx"): 1})


def test_five_thousand_requests_by_fifty_clients_over_a_reload_are_all_counted(
    running: Running, counted: Difference
) -> None:
    async def client(number: int, session: aiohttp.ClientSession, reloaded: asyncio.Event) -> None:
        for one in range(100):
            if one == 90:
                # So many are for the new workers in any case.
                await reloaded.wait()
            status = 404 if one % 4 == 0 else 200
            headers = {"x-forwarded-for": f"198.18.{number}.{one}"}
            async with session.get(f"{running.url}/api/x?status={status}", headers=headers) as got:
                await got.read()
                assert got.status == status

    async def all_of_them() -> None:
        reloaded = asyncio.Event()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=50)) as session:
            clients = asyncio.gather(*(client(number, session, reloaded) for number in range(50)))
            await asyncio.sleep(0.3)
            await asyncio.to_thread(running.reload)
            reloaded.set()
            await clients

    asyncio.run(all_of_them())
    counted.becomes({("api", "2xx"): 3750, ("api", "4xx"): 1250})
    assert counted.now("request_seconds_count") == {("api",): 5000}


def test_every_panel_about_requests_finds_its_data(running: Running, monitoring: Path, tmp_path: Path) -> None:
    boards = [DASHBOARDS["groundwork-gateway"], DASHBOARDS["groundwork-overview"]]
    exprs = [expr for board in boards for expr in asked(board) if "gateway" in expr]
    assert len(exprs) > 15
    with prometheus(monitoring, tmp_path, {"gateway": running.metrics}) as server:
        server.asked("query?query=gateway_requests_total")
        for _ in range(4):
            assert [running.get(f"/api/x?status={status}") for status in (200, 404, 500)] == [200, 404, 500]
            # Too large for any app to be asked.
            assert httpx.post(f"{running.url}/api/", content=b"x" * (1024 * 1024 + 1)).status_code == 413
            time.sleep(0.5)
        assert server.unanswered(exprs) == []


def test_counts_and_histogram_agree_for_every_app(running: Running) -> None:
    found = read(running.metrics)
    for app in ("", "api", "web"):
        bounds = ("0.05", "0.1", "0.2", "0.3", "0.5", "1", "2", "5", "10", "+Inf")
        buckets = [found["request_seconds_bucket", app, bound] for bound in bounds]
        assert buckets == sorted(buckets)
        timed = sum(found["requests_total", app, status] for status in ("2xx", "3xx", "4xx", "5xx"))
        assert buckets[-1] == found["request_seconds_count", app] == timed
    assert {key[1] for key in found if key[0] == "requests_total"} == {"", "api", "web"}


def test_promtool_finds_nothing(promtool: Path, running: Running) -> None:
    answer = httpx.get(running.metrics)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    command = [str(promtool), "check", "metrics"]
    for text, status in ((answer.text, 0), (answer.text.replace("_total", "_number"), 3)):
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=30)
        assert (done.returncode, bool(done.stdout + done.stderr)) == (status, status != 0), done.stdout + done.stderr


def test_the_port_of_metrics_has_nothing_else_and_users_have_no_metrics(running: Running) -> None:
    for path in ("", "/", "/api/x", "/health", "/metrics/"):
        assert httpx.get(f"{running.metrics.removesuffix('/metrics')}{path}").status_code == 404
    answer = httpx.get(f"{running.url}/metrics")
    assert answer.status_code == 502 and "gateway_" not in answer.text, "it is the app's"


def test_a_full_zone_costs_counts_and_no_line_of_the_log(judges: Path, metered: None, tmp_path: Path) -> None:
    ports = {port: free_port() for port in (HTTP, ALIVE, VERSION, METRICS.port)}
    main = placed(planned({}, SYSTEM), tmp_path, ports=ports).main
    # 94 numbers, of which each app takes two here.
    main.write_text(main.read_text().replace("zone=gateway:1m", "zone=gateway:32k"))
    script = tmp_path / SCRIPT
    script.write_text(script.read_text().replace("const app = v.app;", "const app = v.app + v.request_uri;"))
    with nginx(judges, main, ports[ALIVE]), httpx.Client(base_url=f"http://127.0.0.1:{ports[HTTP]}") as client:
        assert {client.get(f"/{one}").status_code for one in range(150)} == {502}
    log = (tmp_path / "log").read_text()
    assert log.count('"status":502') == 150
    assert "metrics: " in log


def test_nobody_complains_in_the_log(running: Running) -> None:
    log = (running.folder / "log").read_text()
    assert not re.search(r"js|uninitialized|metrics: ", "\n".join(re.findall(r".*\[(?:warn|error|alert)\].*", log)))


def test_what_another_machine_answers_is_counted_where_the_user_came_in(
    judges: Path, metered: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ports = [free_port(), free_port()]
    with two_gateways(judges, tmp_path_factory, [{METRICS.port: port} for port in ports]) as pair:
        first, second = (Difference(f"http://127.0.0.1:{port}/metrics") for port in ports)
        assert [httpx.get(f"{pair.first}/api/x", timeout=20).status_code for _ in range(3)] == [200] * 3
        first.becomes({("api", "2xx"): 3})
        second.becomes({})


@contextmanager
def in_a_cluster(
    judges: Path, folder: Path, values: Mapping[str, Any], *, status: str = "v.status"
) -> Iterator[Running]:
    """A gateway that takes `status` for that of the answer."""
    ports = {port: free_port() for port in (HTTP, ALIVE, VERSION, METRICS.port)}
    with app() as port:
        main = placed(planned({"target": CLUSTER, **values}, SYSTEM), folder, ports=ports | {APP: port}).main
        script = folder / SCRIPT
        script.write_text(script.read_text().replace("v.status", status))
        with nginx(judges, main, ports[ALIVE]):
            url, metrics, alive = (f"http://127.0.0.1:{ports[port]}" for port in (HTTP, METRICS.port, ALIVE))
            yield Running(url, f"{metrics}/metrics", f"{alive}/alive", folder)


def test_who_is_sent_to_https_is_counted_for_the_gateway_itself(judges: Path, metered: None, tmp_path: Path) -> None:
    values = {"target": CLUSTER | {"exposure": TARGETS["an Ingress with TLS"]}, "entry": NAMED}
    with in_a_cluster(judges, tmp_path, values) as gateway:
        counted = Difference(gateway.metrics)
        for scheme, status in (("http", 308), ("https", 200)):
            headers = {"host": "shop.example.com", "x-forwarded-proto": scheme}
            assert httpx.get(f"{gateway.url}/api/x", headers=headers).status_code == status
        counted.becomes({("", "3xx"): 1, ("api", "2xx"): 1})


def test_an_answer_that_never_began_is_not_counted(judges: Path, metered: None, tmp_path: Path) -> None:
    """nginx's status is 000 where it gave a request up before it had any."""
    with in_a_cluster(judges, tmp_path, {}, status="v.arg_seen") as gateway:
        counted = Difference(gateway.metrics)
        assert [gateway.get(f"/api/x?seen={seen}&wait=0.3") for seen in ("000", "204", "600")] == [200] * 3
        counted.becomes({("api", "2xx"): 1})
        assert 0.3 <= counted.now("request_seconds_sum")[("api",)] < 0.6
