"""Each check against a small server that keeps the gateway's promises, and against one that breaks each of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from groundwork.stack_file import Configuration
from ops import smoke
from ops.checkout import Stack, open_stack
from ops.entry import Way
from ops.request import Answer
from ops.result import Result
from ops.running import Running
from ops.smoke import Door
from tests.sample import CERTIFICATE, changed
from tools.engine.checkout import UserError

HEADERS = {**smoke.SECURITY_HEADERS, "X-Request-ID": "0123"}


class Gateway(BaseHTTPRequestHandler):
    """Answers as the gateway of `housing` does; `broken` names the promise that it does not keep."""

    broken = ""

    def do_GET(self) -> None:
        if self.path == "/ws" and self.headers.get("Upgrade") == "websocket":
            self.answer(200 if self.broken == "websocket" else 101)
        elif self.path == "/health" and self.broken == "health":
            self.answer(503)
        elif self.path == "/health/deep" and self.broken == "deep":
            self.answer(503, b'{"postgres": "down"}')
        elif self.path == "/api/":
            self.answer(502 if self.broken == "route" else 404)
        elif self.path.startswith("/groundwork-smoke") and self.broken == "page":
            self.answer(404)
        elif self.path.startswith("/groundwork-smoke") and self.broken == "other page":
            self.answer(200, b"<html>not the front end</html>", "text/html")
        else:
            self.answer(200, b"<html>page</html>", "text/html")

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        self.answer(413 if size > 100 * 1_048_576 and self.broken != "body" else 200)

    def answer(self, status: int, body: bytes = b"", kind: str = "application/json") -> None:
        self.send_response(status)
        headers = dict(HEADERS)
        if self.broken == "header":
            del headers["x-frame-options"]
        for name, value in (headers | {"Content-Type": kind, "Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Tests print nothing."""


@contextmanager
def gateway(broken: str) -> Iterator[int]:
    handler = type("Broken", (Gateway,), {"broken": broken})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def results(broken: str = "") -> dict[str, Result]:
    stack = open_stack("dev", "housing")
    with gateway(broken) as port:
        return {result.check: result for result in smoke.run(stack, running(stack, port))}


def running(stack: Stack, port: int, simulated: bool = False) -> Running:
    outputs = {"simulated": simulated, "urls": {"system": f"http://127.0.0.1:{port}/"}, "containers": []}
    return Running(stack=stack, system="housing", outputs=outputs, environment={})


def test_a_gateway_that_keeps_its_promises_passes_every_check() -> None:
    found = results()
    left_out = [name for name, result in found.items() if result.outcome == "left out"]
    assert left_out == ["http leads to https"]
    assert [result for result in found.values() if result.failed] == []
    # health, four routes, deep, headers, redirect, page, body.
    assert len(found) == 10


@pytest.mark.parametrize(
    ("broken", "check", "detail"),
    [
        ("health", "gateway /health", "503 instead of 200"),
        ("route", "/api/ reaches api", "502"),
        ("websocket", "/ws upgrades to a WebSocket of api", "200 instead of 101 or 401 or 403"),
        ("deep", "every backing service /health/deep", "503 instead of 200"),
        ("header", "security headers", "x-frame-options: missing instead of SAMEORIGIN"),
        ("other page", "an unknown path gives the front end's page", "200 with another body than /"),
        ("page", "an unknown path gives the front end's page", "404 with another body than /"),
        ("body", "a body above 100 MiB is refused", "200 instead of 413"),
    ],
)
def test_a_broken_promise_fails_its_check_and_no_other(broken: str, check: str, detail: str) -> None:
    failed = {name: result.detail for name, result in results(broken).items() if result.failed}
    assert failed == {check: detail}


def test_nobody_there_fails_every_request() -> None:
    stack = open_stack("dev", "housing")
    with gateway("") as port:
        pass
    found = smoke.run(stack, running(stack, port))
    assert {result.outcome for result in found if result.check != "http leads to https"} == {"failed"}


def test_with_a_certificate_http_must_lead_to_the_same_path_over_https() -> None:
    settings = open_stack("dev", "housing").configuration.settings
    settings = changed(settings, entry=changed(settings.entry, certificate=CERTIFICATE))
    door = Door(base="https://h:8443", way=Way(), max_body_mib=100, http_port=smoke.http_port(settings))
    check = smoke.redirect_check(door)
    assert (check.http_port, check.left_out) == (8080, None)
    answer = Answer(status=308, headers={"location": "https://h:8443/smoke?a=1"}, body=b"", milliseconds=1)
    assert check.judge(answer) is None
    for wrong in (
        replace(answer, status=302),
        replace(answer, headers={"location": "https://h:8443/"}),
        replace(answer, headers={"location": "http://h:8443/smoke?a=1"}),
        replace(answer, headers={}),
    ):
        assert "instead of 308" in str(check.judge(wrong))


def test_over_https_the_answer_must_ask_for_https_to_be_kept() -> None:
    answer = Answer(status=200, headers={k.lower(): v for k, v in HEADERS.items()}, body=b"", milliseconds=1)
    assert smoke.missing_headers(answer, over_tls=False) is None
    assert smoke.missing_headers(answer, over_tls=True) == "strict-transport-security: missing"


def test_a_simulated_stack_is_not_asked() -> None:
    stack = open_stack("dev", "housing")
    with pytest.raises(UserError, match="SIMULATED: nothing was started"):
        smoke.run(stack, running(stack, 1, simulated=True))


def test_only_the_stacks_own_addresses_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetch(url: str, **_: object) -> Answer:
        asked.append(url)
        return Answer(status=200, headers={}, body=b"", milliseconds=1)

    monkeypatch.setattr(smoke, "fetch", fetch)
    stack = open_stack("prod", "housing")
    settings = changed(stack.configuration.settings, apps={})
    stack = replace(stack, configuration=Configuration(settings, {}))
    smoke.run(stack, running(stack, 8080))
    assert asked
    assert {url.split("/")[2] for url in asked} == {"127.0.0.1:8080"}
