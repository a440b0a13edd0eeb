"""/api/items: a table in the database, with single items cached in Redis where there is one."""

from __future__ import annotations

import json
import logging
from typing import Annotated, Any

import redis
from fastapi import APIRouter, HTTPException, Path, Request, Response
from pydantic import BaseModel, Field

from probe.database import Database, Row
from probe.runtime import Runtime

log = logging.getLogger("probe.items")

router = APIRouter(prefix="/api/items")

# An item changed while Redis could not be told is wrong in the cache for at most this long.
CACHE_SECONDS = 60
# The range of the table's bigint key: beyond it the database, not the client, would seem at fault.
ItemId = Annotated[int, Path(ge=1, le=2**63 - 1)]


class Item(BaseModel):
    name: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")


def _runtime(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


def _database(request: Request) -> Database:
    database = _runtime(request).database
    if database is None:
        raise HTTPException(503, "DATABASE_URL is not set")
    return database


def _shown(item: Row) -> dict[str, Any]:
    return {**item, "created": item["created"].isoformat()}


async def _one(request: Request, item_id: int) -> dict[str, Any]:
    item = await _database(request).item(item_id)
    if item is None:
        raise HTTPException(404, "no such item")
    return _shown(item)


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
    return [_shown(item) for item in await _database(request).items()]


@router.post("", status_code=201)
async def create_item(request: Request, item: Item) -> dict[str, Any]:
    return _shown(await _database(request).create_item(item.name))


@router.get("/{item_id}")
async def read_item(request: Request, response: Response, item_id: ItemId) -> dict[str, Any]:
    found = await _cached(request, item_id)
    response.headers["x-cache"] = "hit" if found else "miss"
    if found is None:
        found = await _one(request, item_id)
        await _remember(request, item_id, found)
    return found


@router.put("/{item_id}")
async def change_item(request: Request, item_id: ItemId, item: Item) -> dict[str, Any]:
    if not await _database(request).change_item(item_id, item.name):
        raise HTTPException(404, "no such item")
    await _remember(request, item_id, None)
    return await _one(request, item_id)


@router.delete("/{item_id}", status_code=204)
async def delete_item(request: Request, item_id: ItemId) -> None:
    if not await _database(request).delete_item(item_id):
        raise HTTPException(404, "no such item")
    await _remember(request, item_id, None)
