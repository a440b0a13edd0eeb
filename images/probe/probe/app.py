"""The application. Endpoints:

- /health/live: the process answers. /health/ready: this replica takes traffic (started, not draining).
- /health/deep: writes and reads every backing service that was given; feeds no probe.
- /metrics: for Prometheus.
- /api/jobs, /api/ticks: what the worker and beat did (work.py).
- /api/version, /api/echo, /api/slow, /api/upload, /api/items: what the platform's tests call.
- /ws: WebSocket echo.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

import prometheus_client
import redis
from fastapi import APIRouter, FastAPI, Query, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from probe import checks, items, work
from probe.observe import Metrics, Observe
from probe.runtime import Runtime
from probe.settings import Settings

BODY_BYTES = 1024 * 1024
# What a gateway sets or must pass on.
SHOWN_HEADERS = frozenset({"host", "x-real-ip", "x-request-id", "user-agent", "content-type", "forwarded"})
SHOWN_PREFIX = "x-forwarded-"
SERVICE_RESTART = 1012

router = APIRouter()


def create_app(settings: Settings) -> FastAPI:
    """The ASGI application; it connects to nothing before its lifespan starts."""
    runtime, metrics = Runtime(settings), Metrics()

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with runtime.open():
            yield

    app = FastAPI(
        title="probe", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json"
    )
    app.state.runtime, app.state.metrics = runtime, metrics
    app.include_router(router)
    app.include_router(items.router)
    app.include_router(work.router)
    app.add_middleware(Observe, runtime=runtime, metrics=metrics)
    for error in runtime.database.away if runtime.database else ():
        app.add_exception_handler(error, _database_away)
    for error in runtime.jobs.away if runtime.jobs else ():
        app.add_exception_handler(error, _broker_away)
    app.add_exception_handler(redis.RedisError, _results_away)
    app.add_exception_handler(ClientDisconnect, _client_away)
    return app


async def _database_away(_: Request, error: Exception) -> Response:
    return JSONResponse({"detail": f"database: {type(error).__name__}"}, status_code=503)


async def _broker_away(_: Request, error: Exception) -> Response:
    return JSONResponse({"detail": f"broker: {type(error).__name__}"}, status_code=503)


async def _results_away(_: Request, error: Exception) -> Response:
    return JSONResponse({"detail": f"results: {type(error).__name__}"}, status_code=503)


async def _client_away(_: Request, __: Exception) -> Response:
    # Nobody reads this answer; the status keeps "the client left" apart from our own failures in the metrics.
    return Response(status_code=499)


def _runtime(app: FastAPI) -> Runtime:
    runtime: Runtime = app.state.runtime
    return runtime


async def _digest(request: Request, limit: int | None) -> dict[str, Any]:
    """Reads the body in pieces: its size in bytes and SHA-256; answers 413 beyond `limit` bytes."""
    size, sha = 0, hashlib.sha256()
    async for piece in request.stream():
        size += len(piece)
        if limit is not None and size > limit:
            raise HTTPException(413, f"at most {limit} bytes here; /api/upload takes more")
        sha.update(piece)
    return {"size": size, "sha256": sha.hexdigest()}


@router.get("/health/live")
async def live() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/health/ready")
async def ready(request: Request) -> Response:
    draining = _runtime(request.app).draining
    return JSONResponse({"status": "draining" if draining else "ok"}, status_code=503 if draining else 200)


@router.get("/health/deep")
async def deep(request: Request) -> Response:
    runtime = _runtime(request.app)
    outcomes = await checks.run(runtime)
    ok = all(outcome.ok for outcome in outcomes.values())
    body = {
        "status": "ok" if ok else "failed",
        "release": runtime.settings.release,
        "services": {service: outcome.as_json() for service, outcome in outcomes.items()},
    }
    return JSONResponse(body, status_code=200 if ok else 503)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    text = prometheus_client.generate_latest(request.app.state.metrics.registry)
    return Response(text, media_type=prometheus_client.CONTENT_TYPE_LATEST)


@router.get("/api/version")
async def version(request: Request) -> dict[str, Any]:
    runtime = _runtime(request.app)
    return {
        "release": runtime.settings.release,
        "replica": runtime.settings.replica,
        "schema_version": runtime.schema_version,
        "jwt_key_id": checks.key_id(runtime.settings.jwt_secret_key),
    }


@router.get("/api/echo")
@router.post("/api/echo")
async def echo(request: Request) -> dict[str, Any]:
    shown = (name for name in request.headers if name in SHOWN_HEADERS or name.startswith(SHOWN_PREFIX))
    headers = {name: request.headers[name] for name in shown}
    client = request.client.host if request.client else None
    seen = {"method": request.method, "scheme": request.url.scheme, "client": client, "headers": headers}
    return seen | await _digest(request, BODY_BYTES) | await version(request)


@router.get("/api/slow")
@router.post("/api/slow")
async def slow(request: Request, ms: Annotated[int, Query(ge=0, le=30_000)] = 500) -> dict[str, Any]:
    digest = await _digest(request, BODY_BYTES)
    await asyncio.sleep(ms / 1000)
    return {"method": request.method, "ms": ms} | digest | await version(request)


@router.post("/api/upload")
@router.put("/api/upload")
async def upload(request: Request) -> dict[str, Any]:
    return await _digest(request, None) | await version(request)


@router.websocket("/ws")
async def websocket_echo(websocket: WebSocket) -> None:
    """Sends each text back with the release; closes with 1012 (service restart) when the drain time is over.

    The closing handshake is ours: uvicorn's own cuts the socket while a message may be under way.
    """
    runtime = _runtime(websocket.app)
    await websocket.accept()
    closing = asyncio.create_task(runtime.closing.wait())
    try:
        while True:
            received = asyncio.create_task(websocket.receive_text())
            done, _ = await asyncio.wait({received, closing}, return_when=asyncio.FIRST_COMPLETED)
            if received in done:
                await websocket.send_json({"release": runtime.settings.release, "message": received.result()})
            else:
                received.cancel()
                await websocket.close(SERVICE_RESTART, "restarting")
                return
    except (WebSocketDisconnect, KeyError):
        return  # gone, or (KeyError) sent bytes, which this endpoint does not take
    finally:
        closing.cancel()
