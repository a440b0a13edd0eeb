"""What surrounds every request: metrics, the release header, the access log, draining, and the test faults.

Plain ASGI and not a Starlette BaseHTTPMiddleware, which would put a task and a queue between the
connection and a streamed upload.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import prometheus_client
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from probe.runtime import Runtime

log = logging.getLogger("probe.access")

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Around the latency objectives of the systems (200 ms, 500 ms, 1 s, 2 s) finer than Prometheus's default.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0, 10.0, 30.0)


class Metrics:
    """The application's metrics in a registry of their own (several applications can live in one test)."""

    def __init__(self) -> None:
        self.registry = prometheus_client.CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self.registry)
        prometheus_client.PlatformCollector(registry=self.registry)
        labels = ("method", "route", "status")
        self.requests = prometheus_client.Counter(
            "http_requests", "Requests answered.", labels, registry=self.registry
        )
        self.seconds = prometheus_client.Histogram(
            "http_request_duration_seconds",
            "From the request's headers to the last byte of the answer.",
            labels,
            registry=self.registry,
            buckets=BUCKETS,
        )
        self.in_progress = prometheus_client.Gauge(
            "http_requests_in_progress", "Requests under way.", registry=self.registry
        )
        self.websockets = prometheus_client.Gauge(
            "websockets_open", "WebSockets open.", registry=self.registry
        )


@dataclass(frozen=True)
class Observe:
    """ASGI middleware around `app`."""

    app: ASGIApp
    runtime: Runtime
    metrics: Metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = time.perf_counter()
        status = 500

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers", ()))
                headers.append((b"x-release", self.runtime.settings.release.encode("latin-1", "replace")))
                if self.runtime.draining:
                    # Tells the peer not to put another request on a connection that is about to close.
                    headers.append((b"connection", b"close"))
                message = {**message, "headers": headers}
            await send(message)

        self.metrics.in_progress.inc()
        try:
            if self.runtime.settings.fault == "not_ready":
                await _unavailable(send_marked, "http.response")
            else:
                await self.app(scope, receive, send_marked)
        finally:
            self.metrics.in_progress.dec()
            self._record(scope, status, time.perf_counter() - start)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.runtime.settings.fault == "not_ready":
            await _unavailable(send, "websocket.http.response")
            return
        with self.metrics.websockets.track_inprogress():
            await self.app(scope, receive, send)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        # The route's template and known methods only: a label per address would grow without end.
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        self.metrics.requests.labels(method, route, str(status)).inc()
        self.metrics.seconds.labels(method, route, str(status)).observe(seconds)
        if self.runtime.settings.access_log:
            fields: dict[str, object] = {
                "method": method,
                "path": scope["path"],
                "route": route,
                "status": status,
            }
            fields["milliseconds"] = round(seconds * 1000, 1)
            fields["request_id"] = _header(scope, b"x-request-id")
            log.info("request", extra={"fields": fields})


async def _unavailable(send: Send, kind: str) -> None:
    """Answers 503 as an HTTP response or, for `websocket.http.response`, as a refused WebSocket."""
    body = b'{"status":"unavailable","error":"PROBE_FAULT=not_ready"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": f"{kind}.start", "status": 503, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)
