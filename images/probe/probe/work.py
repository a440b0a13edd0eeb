"""/api/jobs and /api/ticks: what the worker and beat did, counted, so that a test sees what was lost or repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query, Request
from pydantic import BaseModel, Field

from probe import kinds
from probe.database import Database
from probe.runtime import Runtime

if TYPE_CHECKING:
    from probe.jobs import Jobs

router = APIRouter(prefix="/api")

JobId = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]
Number = Annotated[int, Field(ge=-(2**53), le=2**53)]


class Sum(BaseModel):
    a: Number
    b: Number


def _runtime(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


def _jobs(request: Request) -> Jobs:
    jobs = _runtime(request).jobs
    if jobs is None:
        raise HTTPException(503, "CELERY_BROKER_URL is not set")
    return jobs


def _database(request: Request) -> Database:
    database = _runtime(request).database
    if database is None:
        raise HTTPException(503, "DATABASE_URL is not set")
    return database


@router.post("/jobs", status_code=202)
async def add(request: Request, numbers: Sum) -> dict[str, Any]:
    return {"id": await _jobs(request).send(kinds.ADD, numbers.a, numbers.b)}


@router.post("/jobs/slow", status_code=202)
async def slow(request: Request, ms: Annotated[int, Query(ge=0, le=60_000)] = 500) -> dict[str, Any]:
    return {"id": await _jobs(request).send(kinds.SLOW, ms)}


@router.get("/jobs/summary")
async def summary(request: Request, since: float = 0) -> dict[str, int]:
    """How many jobs were done since a Unix time, how often in all, and how many more than once."""
    return (await _database(request).jobs_since(since))._asdict()


@router.get("/jobs/{job}")
async def outcome(request: Request, job: JobId) -> dict[str, Any]:
    return {"id": job} | (await _jobs(request).outcome(job))._asdict()


@router.get("/ticks")
async def ticks(request: Request, last: Annotated[int, Query(ge=1, le=10_000)] = 10) -> dict[str, Any]:
    """The `last` periods that are over, oldest first, with how often each was seen."""
    database, seconds = _database(request), _runtime(request).settings.tick_seconds
    end = kinds.present(seconds)
    seen = await database.ticks(end - last, end - 1)
    periods = [{"period": period, "seen": seen.get(period, 0)} for period in range(end - last, end)]
    return {"seconds": seconds, "periods": periods}
