"""Open-loop load on a system that runs on this machine, to prove that a release loses nothing.

    python tests/e2e/load.py --url http://127.0.0.1:8080 --rate 200 --seconds 120 --json out.json

Sends `rate` requests a second at fixed moments whether or not the answers come (half of them POST with a
body, a share to /api/slow), keeps one WebSocket open with a message every 500 ms and one slow 100 MiB upload
to /api/upload running. Nothing is ever tried again. A WebSocket closed with 1001 or 1012 connects anew and is
no failure. Exit status 0: no failure; 1: failures, or nothing sent; 2: a target or an option that is refused.
SIGINT and SIGTERM end the run early, with its report. Only loopback targets, and bounded in rate, time and
requests under way.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import ipaddress
import json
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import aiohttp

MAX_RATE, MAX_SECONDS, MAX_UNDER_WAY, MAX_DETAILS = 1000.0, 3600.0, 2000, 500
TIMEOUT_SECONDS = 15.0
MESSAGE_SECONDS = 0.5
PIECE = hashlib.sha256(b"groundwork").digest() * 2048  # 64 KiB
GOING_AWAY, SERVICE_RESTART = 1001, 1012


class TargetRefused(Exception):
    """The target is not on this machine."""


class Wrong(Exception):
    """An answer came and is not the right one. First argument: the kind of failure; second: detail."""


@dataclass(frozen=True, kw_only=True)
class Options:
    url: str
    rate: float = 200.0
    seconds: float = 60.0
    slow_share: float = 0.1
    slow_ms: int = 500
    websocket: bool = True
    upload_bytes: int = 100 * 1024 * 1024
    """0: no upload."""
    upload_seconds: float = 20.0
    timeout_seconds: float = TIMEOUT_SECONDS
    """Of a request; a message must be answered in a third of that."""


def loopback_url(url: str) -> str:
    """The URL without a last slash; raises TargetRefused unless its host is this machine's loopback."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM) if host == "localhost" else []
        addresses = [str(entry[4][0]) for entry in found] or [host]
        local = all(ipaddress.ip_address(address).is_loopback for address in addresses)
    except (ValueError, OSError):
        local = False
    if not local or parts.scheme not in ("http", "https"):
        raise TargetRefused(f"--url {url}: only http(s) on this machine's loopback, as http://127.0.0.1:8080")
    return url.rstrip("/")


@dataclass
class Report:
    """What was seen. Times are seconds since `start` (monotonic) and, for people, UTC."""

    options: Options
    start: float = field(default_factory=time.monotonic)
    cpu: float = field(default_factory=time.process_time)
    latencies: dict[str, list[float]] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    details: list[dict[str, Any]] = field(default_factory=list)
    releases: dict[str, dict[str, Any]] = field(default_factory=dict)
    closes: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    connects: int = 0
    uploads: int = 0
    uploads_failed: int = 0
    lag: float = 0.0

    def failed(self, kind: str, what: str, detail: str, **more: Any) -> None:
        self.kinds[kind] += 1
        if len(self.details) < MAX_DETAILS:
            when = {"at": _utc(), "second": round(time.monotonic() - self.start, 3)}
            self.details.append({"kind": kind, **when, "what": what, "detail": detail[:300], **more})

    def seen(self, release: str) -> None:
        entry = self.releases.setdefault(release, {"answers": 0, "first": _utc(), "last": ""})
        entry["answers"] += 1
        entry["last"] = _utc()

    def as_json(self) -> dict[str, Any]:
        wall = time.monotonic() - self.start
        failures, requests = self.kinds.total(), self.sent.total()
        everything = [value for values in self.latencies.values() for value in values]
        latency = {"all": _percentiles(everything)}
        latency |= {name: _percentiles(values) for name, values in sorted(self.latencies.items())}
        return {
            "ok": failures == 0 and requests > 0,
            "url": self.options.url,
            "seconds": round(wall, 1),
            "requests": requests,
            "requests_by_kind": dict(sorted(self.sent.items())),
            "failures": failures,
            "failures_by_kind": dict(self.kinds.most_common()),
            "failure_details": self.details,
            "latency_ms": latency,
            "releases": self.releases,
            "websocket": {"connects": self.connects, "messages": self.messages, "closes": dict(self.closes)},
            "uploads": {"ok": self.uploads, "failed": self.uploads_failed},
            # A client that lags or eats its core measures itself: judge the latencies with these two.
            "client": {
                "cpu_share": round((time.process_time() - self.cpu) / wall, 3),
                "lag_max_ms": round(self.lag * 1000, 1),
            },
        }


def _utc() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds by nearest rank; empty without a sample."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    last = len(ordered) - 1
    ranks = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    places = {name: min(last, int(share * len(ordered))) for name, share in ranks.items()}
    return {name: round(ordered[place] * 1000, 1) for name, place in places.items()}


class Load:
    """One run against one target."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.report = Report(options)
        self.over = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, ready: Callable[[Load], None] = lambda _: None) -> Report:
        """Runs to the end, or until `over` is set; what is then under way is still waited for."""
        ready(self)
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_reuseconn.append(_mark_reuse)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=self.options.timeout_seconds),
            trace_configs=[tracing],
        ) as session:
            _never_retry(session)
            self.report.start, self.report.cpu = time.monotonic(), time.process_time()
            beside = [self._progress()]
            beside += [self._websocket(session)] if self.options.websocket else []
            beside += [self._uploads(session)] if self.options.upload_bytes else []
            tasks = [asyncio.create_task(one) for one in beside]
            await self._requests(session)
            self.over.set()
            await asyncio.gather(*tasks, *self._under_way)
        return self.report

    async def _wait(self, seconds: float) -> None:
        """Waits, or less if the run is over."""
        try:
            await asyncio.wait_for(self.over.wait(), max(seconds, 0))
        except TimeoutError:
            return

    async def _progress(self) -> None:
        while not self.over.is_set():
            await self._wait(10)
            sent, failures = self.report.sent.total(), self.report.kinds.total()
            passed = time.monotonic() - self.report.start
            print(f"load: {passed:5.0f} s, {sent} requests, {failures} failures", file=sys.stderr, flush=True)

    async def _requests(self, session: aiohttp.ClientSession) -> None:
        slow_every = round(1 / self.options.slow_share) if self.options.slow_share else 0
        for number in range(int(self.options.rate * self.options.seconds)):
            due = self.report.start + number / self.options.rate
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            if self.over.is_set():
                return
            self.report.lag = max(self.report.lag, time.monotonic() - due)
            method = "POST" if number % 2 else "GET"
            # Counted by pairs, so that both methods get their share of slow answers.
            path = "/api/slow" if slow_every and number // 2 % slow_every == 0 else "/api/echo"
            self.report.sent[f"{method} {path}"] += 1
            if len(self._under_way) >= MAX_UNDER_WAY:
                self.report.failed("not sent", f"{method} {path}", f"{MAX_UNDER_WAY} requests under way")
                continue
            task = asyncio.create_task(self._request(session, method, path, number, due))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _request(
        self, session: aiohttp.ClientSession, method: str, path: str, number: int, due: float
    ) -> None:
        body = f"{number:012d}".encode() * 85 if method == "POST" else b""  # about 1 KiB
        query = f"?ms={self.options.slow_ms}" if path == "/api/slow" else ""
        mark = SimpleNamespace(reused=False)
        try:
            async with session.request(
                method, self.options.url + path + query, data=body or None, allow_redirects=False,
                ssl=False, trace_request_ctx=mark, headers={"x-request-id": f"load-{number}"},
            ) as response:  # fmt: skip
                await self._checked(response, hashlib.sha256(body).hexdigest())
            # From the planned moment: a stalled client must not make the server look fast.
            self.report.latencies.setdefault(path.rpartition("/")[2], []).append(time.monotonic() - due)
        except Exception as error:
            kind, detail = _explained(error)
            self.report.failed(kind, f"{method} {path}", detail, number=number, reused_connection=mark.reused)

    async def _checked(self, response: aiohttp.ClientResponse, sha256: str) -> None:
        """Raises Wrong unless the answer is 200 and tells the SHA-256 of what was sent."""
        text = await response.text()
        if response.status != 200:
            release = response.headers.get("x-release", "no release")
            raise Wrong(f"status {response.status}", f"{release}: {text}")
        try:
            answer = json.loads(text)
            got, release = answer["sha256"], answer["release"]
        except (ValueError, KeyError, TypeError):
            raise Wrong("bad answer", text) from None
        if got != sha256:
            raise Wrong("sha mismatch", f"sent {sha256}, the server saw {got}")
        self.report.seen(release)

    async def _uploads(self, session: aiohttp.ClientSession) -> None:
        count = max(1, self.options.upload_bytes // len(PIECE))
        sha256 = hashlib.sha256(PIECE * count).hexdigest()
        pause = self.options.upload_seconds / count

        async def pieces() -> AsyncIterator[bytes]:
            start = time.monotonic()
            for number in range(count):
                await asyncio.sleep(max(0.0, start + number * pause - time.monotonic()))
                yield PIECE

        timeout = aiohttp.ClientTimeout(total=2 * self.options.upload_seconds + self.options.timeout_seconds)
        headers = {"content-length": str(count * len(PIECE)), "content-type": "application/octet-stream"}
        while not self.over.is_set():
            try:
                async with session.post(
                    self.options.url + "/api/upload", data=pieces(), headers=headers, timeout=timeout,
                    allow_redirects=False, ssl=False, trace_request_ctx=SimpleNamespace(),
                ) as response:  # fmt: skip
                    await self._checked(response, sha256)
                self.report.uploads += 1
            except Exception as error:
                kind, detail = _explained(error)
                self.report.failed(f"upload: {kind}", "POST /api/upload", detail)
                self.report.uploads_failed += 1
                await self._wait(1)

    async def _websocket(self, session: aiohttp.ClientSession) -> None:
        while not self.over.is_set():
            try:
                code = await self._one_websocket(session)
            except Exception as error:
                kind, detail = _explained(error)
                self.report.failed(f"websocket: {kind}", "/ws", detail)
                await self._wait(0.5)
                continue
            self.report.closes["end of the run" if self.over.is_set() else str(code)] += 1
            if code not in (GOING_AWAY, SERVICE_RESTART) and not self.over.is_set():
                self.report.failed(f"websocket: closed with {code}", "/ws", "")
                await self._wait(0.5)

    async def _one_websocket(self, session: aiohttp.ClientSession) -> int | None:
        """Sends and checks until the socket closes; returns the code it closed with."""
        wanted: list[str] = []
        answer_seconds = self.options.timeout_seconds / 3
        async with session.ws_connect(self.options.url + "/ws", ssl=False) as websocket:
            self.report.connects += 1
            sender = asyncio.create_task(self._messages(websocket, wanted))
            try:
                while True:
                    message = await websocket.receive(timeout=answer_seconds)
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        return websocket.close_code
                    answer = json.loads(message.data)
                    if not wanted or answer["message"] != wanted.pop(0):
                        raise Wrong("wrong message", message.data)
                    self.report.messages += 1
                    self.report.seen(answer["release"])
            except TimeoutError:
                raise Wrong("silent", f"no answer within {answer_seconds:g} s") from None
            finally:
                sender.cancel()

    async def _messages(self, websocket: aiohttp.ClientWebSocketResponse, wanted: list[str]) -> None:
        number = 0
        while not self.over.is_set():
            wanted.append(f"message {number}")
            try:
                await websocket.send_str(wanted[-1])
            except ConnectionError:
                return  # the receiving side learns the reason
            number += 1
            await self._wait(MESSAGE_SECONDS)
        await websocket.close()


async def _mark_reuse(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
    if context.trace_request_ctx is not None:
        context.trace_request_ctx.reused = True


def _never_retry(session: aiohttp.ClientSession) -> None:
    """Switches off aiohttp's second attempt at idempotent requests whose kept connection was closed.

    It would hide exactly the losses that are looked for. A private attribute: test_load_tool.py proves it.
    """
    assert hasattr(session, "_retry_connection"), "this aiohttp has another switch for its silent retry"
    session._retry_connection = False


def _explained(error: Exception) -> tuple[str, str]:
    if isinstance(error, Wrong):
        return str(error.args[0]), str(error.args[1])
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"status {error.status}", "at the WebSocket's handshake"
    return type(error).__name__, str(error)


def _until_signal(load: Load) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, load.over.set)


def _options(arguments: Sequence[str]) -> tuple[Options, Path | None]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--url", required=True, help="loopback only")
    parser.add_argument("--rate", type=float, default=200, help="requests a second")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--slow-share", type=float, default=0.1, help="share of requests sent to /api/slow")
    parser.add_argument("--slow-ms", type=int, default=500)
    parser.add_argument("--upload-mib", type=float, default=100, help="0: no upload")
    parser.add_argument("--upload-seconds", type=float, default=20, help="least time of an upload")
    parser.add_argument("--timeout-seconds", type=float, default=TIMEOUT_SECONDS, help="of one request")
    parser.add_argument("--no-websocket", action="store_true")
    parser.add_argument("--json", type=Path, help="write the report into this file")
    given = parser.parse_args(arguments)
    if not 0 < given.rate <= MAX_RATE or not 0 < given.seconds <= MAX_SECONDS:
        parser.error(f"--rate up to {MAX_RATE:g} and --seconds up to {MAX_SECONDS:g}")
    bounds = {"slow_share": 1, "slow_ms": 10_000, "upload_mib": 1024, "upload_seconds": 600, "timeout_seconds": 600}
    for name, high in bounds.items():
        if not 0 <= getattr(given, name) <= high:
            parser.error(f"--{name.replace('_', '-')} from 0 to {high}")
    try:
        url = loopback_url(given.url)
    except TargetRefused as error:
        parser.error(str(error))
    names = ("rate", "seconds", "slow_share", "slow_ms", "upload_seconds", "timeout_seconds")
    same = {name: getattr(given, name) for name in names}
    upload_bytes = int(given.upload_mib * 1024 * 1024)
    options = Options(url=url, websocket=not given.no_websocket, upload_bytes=upload_bytes, **same)
    return options, given.json


def main(arguments: Sequence[str] | None = None) -> int:
    options, path = _options(sys.argv[1:] if arguments is None else arguments)

    async def run() -> Report:
        return await Load(options).run(_until_signal)

    report = asyncio.run(run()).as_json()
    text = json.dumps(report, indent=2)
    if path:
        path.write_text(text + "\n", encoding="utf-8")
    shown = {**report, "failure_details": report["failure_details"][:10]}
    print(json.dumps(shown, indent=2))
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
