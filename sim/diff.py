"""What changed between a resource's state and its new inputs, and what of it replaces the resource."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from pulumi.runtime.proto.provider_pb2 import PropertyDiff

from sim.inputs import property_names, with_defaults
from sim.types import ResourceType
from sim.values import UNKNOWN, Json, Properties, absent, join, plain

ADD, DELETE, UPDATE = PropertyDiff.ADD, PropertyDiff.DELETE, PropertyDiff.UPDATE
_REPLACING = {
    ADD: PropertyDiff.ADD_REPLACE,
    DELETE: PropertyDiff.DELETE_REPLACE,
    UPDATE: PropertyDiff.UPDATE_REPLACE,
}


@dataclass(frozen=True)
class Change:
    """`path` is as the engine writes it (`ports[0].external`), `schema` as the table does (`ports.external`)."""

    path: str
    schema: str
    kind: PropertyDiff.Kind.ValueType
    replaces: bool

    @property
    def top(self) -> str:
        return re.split(r"[.\[]", self.path, maxsplit=1)[0]

    def message(self) -> PropertyDiff:
        return PropertyDiff(kind=_REPLACING[self.kind] if self.replaces else self.kind)


@dataclass(frozen=True)
class _At:
    """A place in the properties: `path` for the engine, `schema` without indices for the table."""

    path: str
    schema: str

    def key(self, name: str) -> _At:
        plain_name = re.fullmatch(r"[A-Za-z_$][\w$]*", name)
        path = join(self.path, name) if plain_name else f"{self.path}[{json.dumps(name)}]"
        return _At(path, join(self.schema, name))

    def index(self, number: int) -> _At:
        return _At(f"{self.path}[{number}]", self.schema)


def changes(row: ResourceType, state: Properties, inputs: Properties) -> list[Change]:
    """Compares as the bridge does: the last outputs against the new inputs, not inputs against inputs."""
    new = with_defaults(row, inputs, empty=True)
    found = []
    for name in sorted(property_names(row.args)):
        if absent(new.get(name)) and name in row.computed_inputs | row.removal_ignored:
            continue
        at = _At(name, name)
        old_value, new_value = (_tidy(plain(values.get(name))) for values in (state, new))
        for path, kind in _compare(row, old_value, new_value, at):
            replaces = _replaces(row, path.schema) or (kind != UPDATE and path.schema in row.replace_on_presence)
            found.append(Change(path.path, path.schema, kind, replaces))
    return found


def _replaces(row: ResourceType, schema: str) -> bool:
    def within(places: Iterable[str]) -> bool:
        return any(lies_in(schema, place) for place in places)

    return within(row.replace_on) and not within(row.in_place_within)


def lies_in(schema: str, place: str) -> bool:
    """Whether a path of the table is another one or below it."""
    return schema == place or schema.startswith(f"{place}.")


def _tidy(value: Json) -> Json:
    """The value without its empty parts."""
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    if isinstance(value, dict):
        return {name: _tidy(item) for name, item in value.items() if not absent(item)}
    return value


def _compare(
    row: ResourceType, old: Json, new: Json, at: _At
) -> Iterator[tuple[_At, PropertyDiff.Kind.ValueType]]:
    if absent(old) and absent(new):
        return
    if absent(old) or absent(new):
        yield at, ADD if absent(old) else DELETE
    elif new == UNKNOWN:
        yield at, UPDATE
    elif isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from _compare(row, old.get(name), new.get(name), at.key(name))
    elif isinstance(old, list) and isinstance(new, list):
        for number, before, after in _pairs(row, old, new, at.schema):
            yield from _compare(row, before, after, at.index(number))
    elif old != new:
        yield at, UPDATE


def _pairs(
    row: ResourceType, old: list[Json], new: list[Json], schema: str
) -> Iterator[tuple[int, Json, Json]]:
    """Index, old and new item of what is to compare. Of sets only what one of the two lacks."""
    gone, come = list(enumerate(old)), list(enumerate(new))
    if schema in row.sets:
        before = {_canonical(row, item, schema) for item in old}
        after = {_canonical(row, item, schema) for item in new}
        gone = [(index, item) for index, item in gone if _canonical(row, item, schema) not in after]
        come = [(index, item) for index, item in come if _canonical(row, item, schema) not in before]
    for lost, found in zip_longest(gone, come):
        yield (found or lost)[0], lost and lost[1], found and found[1]


def _canonical(row: ResourceType, value: Json, schema: str) -> str:
    """Equal for equal values, whatever the order of the sets in them."""
    if isinstance(value, list):
        items = [_canonical(row, item, schema) for item in value]
        return json.dumps(sorted(items) if schema in row.sets else items)
    if isinstance(value, dict):
        return json.dumps({name: _canonical(row, value[name], join(schema, name)) for name in sorted(value)})
    return json.dumps(value)
