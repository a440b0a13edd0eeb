"""/api/items: a table in PostgreSQL, with single items cached in Redis where there is one."""

from __future__ import annotations

import json
import logging
from typing import Annotated, Any

import redis
from fastapi import APIRouter, HTTPException, Path, Request, Response
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, Field

from probe.runtime import Runtime

log = logging.getLogger("probe.items")

router = APIRouter(prefix="/api/items")

# An item changed while Redis could not be told is wrong in the cache for at most this long.
CACHE_SECONDS = 60
COLUMNS = "id, name, created"
# The range of the table's bigint key: beyond it the database, not the client, would seem at fault.
ItemId = Annotated[int, Path(ge=1, le=2**63 - 1)]


class Item(BaseModel):
    name: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")


def _runtime(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


def _pool(request: Request) -> AsyncConnectionPool:
    pool = _runtime(request).pool
    if pool is None:
        raise HTTPException(503, "DATABASE_URL is not set")
    return pool


async def _rows(request: Request, query: str, *values: object) -> list[dict[str, Any]]:
    async with _pool(request).connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query.encode(), values)
        return [{**row, "created": row["created"].isoformat()} for row in await cursor.fetchall()]


async def _one(request: Request, query: str, *values: object) -> dict[str, Any]:
    rows = await _rows(request, query, *values)
    if not rows:
        raise HTTPException(404, "no such item")
    return rows[0]


async def _cached(request: Request, item_id: int) -> dict[str, Any] | None:
    cache = _runtime(request).cache
    try:
        text = await cache.get(f"probe:item:{item_id}") if cache else None
    except redis.RedisError as error:
        log.warning("cache not read: %s", type(error).__name__)
        return None
    found: dict[str, Any] | None = json.loads(text) if text else None
    return found


async def _remember(request: Request, item_id: int, item: dict[str, Any] | None) -> None:
    """Puts an item into the cache, or takes it out."""
    cache, key = _runtime(request).cache, f"probe:item:{item_id}"
    if cache is None:
        return
    try:
        if item is None:
            await cache.delete(key)
        else:
            await cache.set(key, json.dumps(item), ex=CACHE_SECONDS)
    except redis.RedisError as error:
        log.warning("cache not written: %s", type(error).__name__)


@router.get("")
async def list_items(request: Request) -> list[dict[str, Any]]:
    return await _rows(request, f"SELECT {COLUMNS} FROM probe_item ORDER BY id DESC LIMIT 100")


@router.post("", status_code=201)
async def create_item(request: Request, item: Item) -> dict[str, Any]:
    return await _one(request, f"INSERT INTO probe_item (name) VALUES (%s) RETURNING {COLUMNS}", item.name)


@router.get("/{item_id}")
async def read_item(request: Request, response: Response, item_id: ItemId) -> dict[str, Any]:
    found = await _cached(request, item_id)
    response.headers["x-cache"] = "hit" if found else "miss"
    if found is None:
        found = await _one(request, f"SELECT {COLUMNS} FROM probe_item WHERE id = %s", item_id)
        await _remember(request, item_id, found)
    return found


@router.put("/{item_id}")
async def change_item(request: Request, item_id: ItemId, item: Item) -> dict[str, Any]:
    query = f"UPDATE probe_item SET name = %s WHERE id = %s RETURNING {COLUMNS}"
    changed = await _one(request, query, item.name, item_id)
    await _remember(request, item_id, None)
    return changed


@router.delete("/{item_id}", status_code=204)
async def delete_item(request: Request, item_id: ItemId) -> None:
    await _one(request, f"DELETE FROM probe_item WHERE id = %s RETURNING {COLUMNS}", item_id)
    await _remember(request, item_id, None)
