"""The load tool (tests/e2e/load.py): it must be able to fail, or "nothing was lost" means nothing."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.unit.probe_server import ROOT, free_port, probe

LOAD = ROOT / "tests/e2e/load.py"
SMALL = ["--rate", "60", "--seconds", "2.5", "--upload-mib", "1", "--upload-seconds", "1"]
REQUESTS_ONLY = ["--upload-mib", "0", "--no-websocket"]
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def start(url: str, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(LOAD), "--url", url, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(load: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    output, errors = load.communicate(timeout=60)
    assert output, errors
    return load.returncode, json.loads(output)


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1:80",
        "http://example.org",
        "http://10.0.0.1",
        "http://[::ffff:8.8.8.8]/",
        "ftp://127.0.0.1",
        "x",
    ],
)
def test_only_this_machine_is_a_target(url: str) -> None:
    load = start(url)
    _, errors = load.communicate(timeout=30)
    assert load.returncode == 2
    assert "loopback" in errors


def test_bounds_are_kept() -> None:
    load = start("http://127.0.0.1:1", "--rate", "100000")
    assert "--rate up to 1000" in load.communicate(timeout=30)[1]
    assert load.returncode == 2


def test_a_sound_server_has_no_failure(tmp_path: Path) -> None:
    with probe() as server:
        status, report = finished(start(server.url, *SMALL, "--json", str(tmp_path / "out.json")))
    assert json.loads((tmp_path / "out.json").read_text()) == report
    assert (status, report["ok"], report["failures"]) == (0, True, 0)
    assert report["requests"] == 150
    kinds = report["requests_by_kind"]
    assert kinds["POST /api/echo"] + kinds["POST /api/slow"] == 75
    assert kinds["GET /api/slow"] > 0
    assert kinds["POST /api/slow"] > 0
    assert report["latency_ms"]["slow"]["p50"] >= 500 > report["latency_ms"]["echo"]["p50"]
    assert list(report["releases"]) == ["r1"]
    assert report["websocket"]["messages"] >= 4
    assert report["uploads"]["ok"] >= 2


def test_a_killed_server_is_seen() -> None:
    with probe() as server:
        load = start(server.url, *SMALL)
        threading.Timer(1.8, server.process.kill).start()
        status, report = finished(load)
    assert (status, report["ok"]) == (1, False)
    kinds = report["failures_by_kind"]
    assert kinds["ClientConnectorError"] > 10
    assert any(kind.startswith("websocket: ") for kind in kinds)
    assert report["uploads"]["failed"] > 0
    assert {"at", "second", "what", "detail"} <= set(report["failure_details"][0])


def test_answers_of_503_are_seen() -> None:
    with probe(PROBE_FAULT="not_ready") as server:
        status, report = finished(start(server.url, *SMALL))
    assert status == 1
    assert report["failures_by_kind"]["status 503"] == 150
    assert report["failures_by_kind"]["websocket: status 503"] > 0
    assert report["failures_by_kind"]["upload: status 503"] > 0


def test_a_run_that_sends_nothing_is_no_success() -> None:
    with probe() as server:
        load = start(server.url, "--rate", "0.1", "--seconds", "5", *REQUESTS_ONLY)
        status, report = finished(load)
    assert (status, report["ok"], report["requests"]) == (1, False, 0)


def test_a_signal_ends_the_run_with_its_report() -> None:
    with probe() as server:
        load = start(server.url, "--rate", "50", "--seconds", "300", *REQUESTS_ONLY)
        threading.Timer(2, load.send_signal, [signal.SIGTERM]).start()
        status, report = finished(load)
    assert status == 0
    assert 0 < report["requests"] < 200


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def served(routes: dict[str, Answer], *options: str) -> tuple[int, dict[str, Any]]:
    """The load tool's result against an application of these routes."""

    async def run() -> tuple[int, dict[str, Any]]:
        app = web.Application()
        for path, answer in routes.items():
            app.router.add_route("*", path, answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            return await asyncio.to_thread(lambda: finished(start(f"http://127.0.0.1:{port}", *options)))
        finally:
            await runner.cleanup()

    return asyncio.run(run())


async def echo(request: web.Request) -> web.StreamResponse:
    """Right for GET, wrong for POST."""
    await request.read()
    return web.json_response({"sha256": EMPTY_SHA256, "release": "fake"})


def test_a_wrong_body_is_seen() -> None:
    status, report = served(
        {"/api/echo": echo}, "--rate", "20", "--seconds", "1", "--slow-share", "0", *REQUESTS_ONLY
    )
    assert status == 1
    assert report["failures_by_kind"] == {"sha mismatch": 10}  # the POSTs


def test_a_get_on_a_closed_kept_connection_is_sent_once() -> None:
    """aiohttp by itself would send it again on a new connection and report nothing."""
    seen: list[str] = []

    async def every_third_cut(request: web.Request) -> web.StreamResponse:
        seen.append(request.method)
        sha256 = hashlib.sha256(await request.read()).hexdigest()
        if len(seen) % 3 == 0:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"sha256": sha256, "release": "fake"})

    options = ["--rate", "20", "--seconds", "1.5", "--slow-share", "0", *REQUESTS_ONLY]
    status, report = served({"/api/echo": every_third_cut}, *options)
    assert status == 1
    assert len(seen) == report["requests"] == 30
    assert report["failures"] == 10
    kept = [detail["what"] for detail in report["failure_details"] if detail["reused_connection"]]
    assert "GET /api/echo" in kept


def test_which_websocket_closes_are_failures() -> None:
    codes = [1012, 1001, 1000, 1011]
    used: list[int] = []

    async def closing(request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        text = await websocket.receive_str()
        await websocket.send_json({"message": text, "release": "fake"})
        used.append(codes[len(used) % len(codes)])
        await websocket.close(code=used[-1])
        return websocket

    options = ["--rate", "10", "--seconds", "2.5", "--slow-share", "0", "--upload-mib", "0"]
    _, report = served({"/api/echo": echo, "/ws": closing}, *options)
    assert set(used) == set(codes)
    kinds = {kind for kind in report["failures_by_kind"] if kind.startswith("websocket")}
    assert kinds == {"websocket: closed with 1000", "websocket: closed with 1011"}
    assert report["websocket"]["closes"]["1012"] >= 1
    assert report["websocket"]["closes"]["1001"] >= 1
