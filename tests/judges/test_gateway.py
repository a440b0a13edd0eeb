"""nginx itself, and gixy, on the configuration of every kind of gateway; and one that runs for a moment."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from groundwork.catalog.redis import Redis
from groundwork.deployment import Deployment
from groundwork.gateway import PRIVATE, gateway_workload
from groundwork.images import ImageLock
from groundwork.nginx import ALIVE, HTTP, HTTPS, LIVE, PEER, SITE, VERSION
from groundwork.plan import plan
from groundwork.stack_file import read_values
from groundwork.system import Route, System, load_system
from groundwork.workload import FILES, Template, Workload
from tests.machines import existing, on_machines
from tests.sample import ROOT, SHOP, changed, planned, project_of, stack_files, stack_of, with_secrets

from .conftest import certificate, free_port, in_venv

APP = 8000
"""The port of every app, in these tests."""
WAIVED_BY_GIXY: dict[str, str] = {}
"""Finding of gixy to the reason why it is none."""


@dataclass(frozen=True)
class Placed:
    """A gateway's configuration in a folder: `main` includes the routes."""

    main: Path
    text: str


ENTRIES: dict[str, dict[str, Any]] = {
    "plain": {},
    "behind a load balancer": {"trusted_proxies": ["10.0.0.0/24", "192.168.7.0/28"]},
    "named": {"server_names": ["shop.example.com", "www.example.com"]},
    "slow": {"requests_per_second": 0.5, "burst": 1, "max_body_mib": 1},
    "TLS": {"certificate": "", "https_port": 443},
    "TLS by ACME": {"server_names": ["shop.example.com"], "acme": {"email": "ops@example.net"}},
    "TLS on another port": {
        "certificate": "",
        "server_names": ["shop.example.com"],
        "trusted_proxies": ["10.0.0.0/24"],
    },
}
CLUSTER: dict[str, Any] = {"kind": "kubernetes", "context": "test"}
BEHIND = {"namespace": "entry", "class_name": "public"}
TARGETS: dict[str, dict[str, Any]] = {
    "an Ingress with TLS": {"kind": "ingress", "controller": "traefik", "issuer": "letsencrypt", **BEHIND},
    "an Ingress without": {"kind": "ingress", "controller": "traefik", **BEHIND},
    "a Gateway": {"kind": "gateway", "tls_secret": "shop-tls", **BEHIND},
    "a load balancer": {"kind": "load_balancer"},
}
"""On a cluster, what stands in front of the gateway."""
NAMED = {"server_names": ["shop.example.com", "www.example.com"]}
SYSTEM: System = changed(
    SHOP, routes=(*SHOP.routes, Route(path="/ws", app="api", websocket=True), Route(path="/a/b-c.d/", app="web"))
)


def placed(
    deployment: Deployment, folder: Path, key: str = "", ports: dict[int, int] | None = None, machine: int = 0
) -> Placed:
    """The files where the gateway has them, with that folder for the container's root."""
    (gateway,) = [one for one in deployment.shares[machine].workloads if one.role == "gateway"]
    files = {folder / file.name: file for file in gateway.files}
    routes = folder / SITE / "routes.conf"
    if gateway.reload:
        current = folder / "live" / gateway.reload.version
        current.mkdir(parents=True)
        (folder / "live" / "current").symlink_to(current.name)
        files |= {current / file.name: file for file in gateway.reload.files}
        routes = current / "routes.conf"
    for path, file in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(moved(key if isinstance(file.content, Template) else file.content, folder, ports or {}))
    main = folder / "nginx.conf"
    return Placed(main, main.read_text() + routes.read_text())


def moved(text: str, folder: Path, ports: dict[int, int]) -> str:
    places = {LIVE: f"{folder}/live", "/tmp/": f"{folder}/tmp-", FILES: str(folder)}
    text = re.sub("|".join(places), lambda found: places[found[0]], text)
    for port, other in ports.items():
        text = re.sub(rf"listen (127\.0\.0\.1:)?{port}\b", f"listen 127.0.0.1:{other}", text)
    # A Service's name has an address where there is a cluster; and pods have private ones.
    return re.sub(r"server [a-z]+:\d+(?! resolve)\b", f"server 127.0.0.1:{ports.get(APP, APP)}", text).replace(
        f"{PRIVATE[0]}", "127.0.0.0/8"
    )


MACHINES: dict[str, tuple[int, dict[str, Any]]] = {
    "the first of three machines": (0, {"entry": {"trusted_proxies": ["10.9.0.0/24"]}}),
    "a machine without replicas of an app": (2, {"apps": {"api": {"replicas": 2}}}),
    "the only app machine": (0, {"machines": existing(app=1, data=1, cache=1)}),
}
"""On machines, which of them, and what its stack says."""


def counting(patch: pytest.MonkeyPatch) -> None:
    """Every gateway that is planned from here on has metrics, also where monitoring can't be yet."""

    def counts(*given: Any, **named: Any) -> Workload:
        return gateway_workload(*given, **(named | {"metrics": True}))

    patch.setattr("groundwork.plan.gateway_workload", counts)


@pytest.fixture(params=["", "counting"], ids=["", "with metrics"])
def metrics(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param:
        counting(monkeypatch)


@pytest.fixture(params=[*ENTRIES, *TARGETS, *MACHINES])
def gateway(request: pytest.FixtureRequest, metrics: None, judges: Path, tmp_path: Path) -> Placed:
    if request.param in MACHINES:
        machine, values = MACHINES[request.param]
        return placed(on_machines(SYSTEM, {"app": 3, "data": 1, "cache": 1}, **values), tmp_path, machine=machine)
    entry, key, secrets = dict(ENTRIES.get(request.param, NAMED)), "", {}
    exposure = TARGETS.get(request.param)
    target = {"target": CLUSTER | {"exposure": exposure}} if exposure else {}
    if "certificate" in entry or request.param == "a load balancer":
        entry["certificate"], key = certificate(judges, tmp_path)
        secrets = {"secret_tls_key": key}
    return placed(planned({"entry": entry, **secrets, **target}, SYSTEM), tmp_path, key)


def program(judges: Path) -> list[str]:
    """nginx with the folder in which it finds its modules."""
    return [str(judges / "usr/sbin/nginx"), "-p", str(judges / "usr/share/nginx")]


def nginx_says(judges: Path, main: Path) -> str:
    """Its verdict; and it has read the routes, which a pattern that fits no file would leave out in silence."""
    command = [*program(judges), "-T", "-c", str(main), "-e", "stderr"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert "proxy_http_version 1.1;" in done.stdout or "test failed" in done.stderr, done.stderr
    return done.stderr


def test_nginx_accepts_every_kind_of_gateway_without_a_warning(judges: Path, gateway: Placed) -> None:
    said = nginx_says(judges, gateway.main)
    assert "test is successful" in said, said
    assert not re.search(r"\[(warn|error|emerg)\]", said), said


@pytest.mark.parametrize("path", stack_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_nginx_accepts_the_gateway_of_every_stack_file(judges: Path, path: Path, tmp_path: Path) -> None:
    configuration = read_values(with_secrets(path)[0], path.name)
    system = load_system(ROOT, configuration.settings.system or project_of(path))
    deployment = plan(system, configuration, ImageLock({}, "mark"), project=project_of(path), stack=stack_of(path))
    assert "test is successful" in nginx_says(judges, placed(deployment, tmp_path).main)


def test_nginx_refuses_what_is_wrong_so_this_judge_is_awake(judges: Path, tmp_path: Path) -> None:
    main = placed(planned({}, SYSTEM), tmp_path).main
    main.write_text(main.read_text().replace("server_tokens off", "server_token off"))
    assert 'unknown directive "server_token"' in nginx_says(judges, main)


def test_gixy_finds_nothing(gateway: Placed, tmp_path: Path) -> None:
    whole = tmp_path / "whole.conf"
    main = gateway.main.read_text()
    (included,) = re.findall(r"include (\S+)/\*\.conf;", main)
    routes = (Path(included) / "routes.conf").read_text()
    whole.write_text(main.replace(f"include {included}/*.conf;", routes))
    done = subprocess.run([in_venv("gixy"), "--format", "text", str(whole)], capture_output=True, text=True, timeout=60)
    found = set(re.findall(r">> Problem: \[(\w+)\]", done.stdout))
    assert "Total issues" in done.stdout or "No issues found" in done.stdout, done.stdout + done.stderr
    assert found <= WAIVED_BY_GIXY.keys(), done.stdout
    assert found or done.returncode == 0, done.stdout


@dataclass(frozen=True)
class Running:
    http: str
    https: str
    version: str
    expected_version: str
    log: Path


@pytest.fixture(scope="module")
def running(judges: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway with TLS whose apps are all absent."""
    folder = tmp_path_factory.mktemp("running")
    chain, key = certificate(judges, folder)
    ports = {port: free_port() for port in (HTTP, HTTPS, ALIVE, VERSION)}
    entry = {
        "certificate": chain,
        "max_body_mib": 1,
        "requests_per_second": 0.1,
        "burst": 5,
        "https_port": ports[HTTPS],
    }
    deployment = planned({"entry": entry, "secret_tls_key": key}, SYSTEM)
    main = placed(deployment, folder, key, ports).main
    with nginx(judges, main, ports[ALIVE]):
        reload = deployment.workload("gateway").reload
        assert reload
        yield Running(
            f"http://127.0.0.1:{ports[HTTP]}",
            f"https://127.0.0.1:{ports[HTTPS]}",
            f"http://127.0.0.1:{ports[VERSION]}/version",
            reload.version,
            main.parent / "log",
        )


@contextmanager
def nginx(judges: Path, main: Path, alive: int) -> Iterator[None]:
    """One that runs."""
    command = [*program(judges), "-c", str(main), "-e", "stderr", "-g", "daemon off; user root;"]
    with (main.parent / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until_it_answers(f"http://127.0.0.1:{alive}/alive", process, main.parent / "log")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(100):
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(url).status_code == 204:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(log.read_text())


def test_a_gateway_starts_and_is_healthy_though_every_app_is_absent(running: Running) -> None:
    answer = httpx.get(f"{running.https}/health", verify=False)
    assert (answer.status_code, answer.text) == (200, "ok\n")
    assert httpx.get(f"{running.http}/health").status_code == 200
    assert httpx.get(running.version).text == running.expected_version


def test_plain_http_is_sent_to_https_with_method_and_body(running: Running) -> None:
    answer = httpx.post(f"{running.http}/api/x?y=1", follow_redirects=False)
    assert answer.status_code == 308
    assert answer.headers["location"] == f"{running.https}/api/x?y=1"


def test_every_answer_has_the_security_headers_even_a_failed_one(running: Running) -> None:
    for path, status in (("/health", 200), ("/api/", 502)):
        answer = httpx.get(f"{running.https}{path}", verify=False, timeout=20)
        assert answer.status_code == status
        assert answer.headers["strict-transport-security"] == "max-age=63072000"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"
        assert answer.headers["server"] == "nginx"
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


def test_every_request_is_in_the_log_and_no_probe_is(running: Running) -> None:
    before = len(running.log.read_text().splitlines())
    httpx.get(f"{running.https}/health", verify=False)
    answer = httpx.get(f"{running.https}/api/x?secret=1", verify=False, timeout=20)
    lines = [line for line in running.log.read_text().splitlines()[before:] if line.startswith("{")]
    (said,) = map(json.loads, lines)
    assert (said["path"], said["status"], said["client"]) == ("/api/x", 502, "127.0.0.1")
    assert said["request_id"] == answer.headers["x-request-id"]


def test_a_body_that_is_too_large_is_refused(running: Running) -> None:
    answer = httpx.post(f"{running.https}/api/", content=b"x" * (1024 * 1024 + 1), verify=False)
    assert answer.status_code == 413


def test_who_asks_too_often_is_told_so(running: Running) -> None:
    with httpx.Client(verify=False, timeout=20) as client:
        assert 429 in [client.get(f"{running.https}/ws").status_code for _ in range(8)]


class Echo(BaseHTTPRequestHandler):
    """An app that says what it was asked."""

    def do_GET(self) -> None:
        body = json.dumps({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the terminal."""


@dataclass(frozen=True)
class Pair:
    """Where two gateways listen, the second one's door for the first, and the first one's for the second."""

    first: str
    door: str
    closed: str


@pytest.fixture(scope="module")
def pair(judges: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with two_gateways(judges, tmp_path_factory, [{}, {}]) as found:
        yield found


@contextmanager
def two_gateways(
    judges: Path, folders: pytest.TempPathFactory, more_ports: Sequence[Mapping[int, int]]
) -> Iterator[Pair]:
    """The first has no replica that answers, the second has one; the stranger's address is not the second's."""
    deployment = on_machines(SYSTEM, {"app": 2, "data": 1, "cache": 1})
    app = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=app.serve_forever, daemon=True).start()
    sides = [{port: free_port() for port in (HTTP, ALIVE, VERSION, PEER)} | dict(more) for more in more_ports]
    peer = next(one.port for one in deployment.openings["app-2"] if one.sources == ("app-1",))
    alias = deployment.workload("api").alias
    with ExitStack() as stack:
        for machine, ports in enumerate(sides):
            folder = folders.mktemp(f"app-{machine + 1}")
            main = placed(deployment, folder, ports=ports, machine=machine).main
            for file in (folder / "live").glob("*/routes.conf"):
                # Here both machines are this one, which is known to the second as the first, and to nobody else.
                text = file.read_text().replace(f"10.9.0.12:{peer}", f"127.0.0.1:{sides[1][PEER]}")
                if machine == 1:
                    text = text.replace("10.9.0.11 1;", "127.0.0.1 1;")
                    text = text.replace(f"server {alias}:{APP} resolve;", f"server 127.0.0.1:{app.server_port};")
                file.write_text(text)
            stack.enter_context(nginx(judges, main, ports[ALIVE]))
        yield Pair(*(f"http://127.0.0.1:{port}" for port in (sides[0][HTTP], sides[1][PEER], sides[0][PEER])))
    app.shutdown()
    app.server_close()


def test_a_gateway_without_a_replica_answers_through_another_one(pair: Pair) -> None:
    answer = httpx.get(f"{pair.first}/api/x?y=1", headers={"host": "shop.example.com"}, timeout=20)
    assert answer.status_code == 200
    seen = answer.json()
    assert seen["path"] == "/api/x?y=1" and seen["host"] == "shop.example.com"


def test_what_the_first_gateway_knows_of_the_client_reaches_the_app(pair: Pair) -> None:
    claimed = {"x-forwarded-for": "192.0.2.1", "x-request-id": "mine", "x-forwarded-proto": "https"}
    answer = httpx.get(f"{pair.first}/api/", headers=claimed, timeout=20)
    seen = answer.json()
    assert (seen["x-forwarded-for"], seen["x-real-ip"], seen["x-forwarded-proto"]) == ("127.0.0.1", "127.0.0.1", "http")
    assert seen["x-request-id"] == answer.headers["x-request-id"] != "mine"


def test_headers_of_two_gateways_come_once(pair: Pair) -> None:
    answer = httpx.get(f"{pair.first}/api/", timeout=20)
    for name in ("x-request-id", "x-frame-options", "x-content-type-options"):
        assert len(answer.headers.get_list(name)) == 1, name


def test_only_another_gateway_comes_in_at_its_door(pair: Pair) -> None:
    assert httpx.get(f"{pair.door}/api/").status_code == 200
    assert httpx.get(f"{pair.closed}/api/").status_code == 403


def test_a_system_without_routes_is_a_gateway_all_the_same(judges: Path, tmp_path: Path) -> None:
    bare = System(name="bare", apps=(), services=(Redis(),))
    assert "test is successful" in nginx_says(judges, placed(planned({}, bare), tmp_path).main)
