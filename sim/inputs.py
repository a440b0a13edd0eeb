"""Checking what a program gives a resource against the SDK's own Args classes, and filling in defaults."""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, get_args

from pulumi import _types as sdk  # the only place where the SDK keeps the names it puts on the wire

from sim.types import ResourceType
from sim.values import SIGNATURE, Json, Properties, at, join, secret


@dataclass(frozen=True)
class Fault:
    """One thing wrong with the inputs: the path of the property, and what to do about it."""

    path: str
    reason: str


def faults(row: ResourceType, given: Properties) -> Iterator[Fault]:
    """Unknown and missing properties at every depth, and those that are not simulated."""
    yield from _object_faults(row.args, given, "")
    for name in sorted(row.refused & given.keys()):
        yield Fault(name, f"{name} is not simulated; see sim/types/")
    for path in sorted(row.needed):
        if at(given, path) is None:
            yield Fault(path, f"{path} is missing; the simulation asks for it")


def property_names(args: type) -> frozenset[str]:
    """The names on the wire of everything that an Args class takes."""
    return frozenset(sdk.input_type_py_to_pulumi_names(args).values())


@cache
def required_names(args: type) -> frozenset[str]:
    names = sdk.input_type_py_to_pulumi_names(args)
    parameters = inspect.signature(args.__init__).parameters  # type: ignore[misc]
    return frozenset(names[p] for p, it in parameters.items() if p in names and it.default is it.empty)


@cache
def _nested_classes(args: type) -> Mapping[str, type | None]:
    """Of every property, the Args class of its objects; None for scalars and free maps."""
    by_python_name = sdk.input_type_types(args)
    names = sdk.input_type_py_to_pulumi_names(args)
    return {names.get(name, name): _args_class(hint) for name, hint in by_python_name.items()}


def _args_class(hint: Any) -> type | None:
    """The Args class inside e.g. Sequence[Union[ContainerPortArgs, Awaitable[…], …]]."""
    if isinstance(hint, type) and sdk.is_input_type(hint):
        return hint
    return next((found for part in get_args(hint) if (found := _args_class(part))), None)


def _object_faults(args: type, given: Properties, path: str) -> Iterator[Fault]:
    known = property_names(args)
    for name in sorted(required_names(args) - {name for name, value in given.items() if value is not None}):
        yield Fault(join(path, name), f"{join(path, name)} is required and missing")
    for name, value in given.items():
        place = join(path, name)
        if name.startswith("__"):
            continue
        if name not in known:
            nearest = get_close_matches(name, known, n=1)
            hint = f"; did you mean {nearest[0]}?" if nearest else f"; known are {', '.join(sorted(known))}"
            yield Fault(place, f"{place} is no property of {args.__name__.removesuffix('Args')}{hint}")
        elif nested := _nested_classes(args).get(name):
            yield from _nested_faults(nested, value, place)


def _nested_faults(args: type, value: Json, path: str) -> Iterator[Fault]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nested_faults(args, item, f"{path}[{index}]")
    elif isinstance(value, dict) and SIGNATURE in value:
        yield from _nested_faults(args, value.get("value"), path)
    elif isinstance(value, dict):
        yield from _object_faults(args, value, path)


def complete(row: ResourceType, given: Properties, old: Properties, name: str, seed: bytes) -> Properties:
    """The inputs as the bridge keeps them: `__defaults` names what was filled in."""
    filled = row.normalize(with_defaults(row, given, empty=False))
    if row.autonamed and not filled.get("name"):
        old_defaults = old.get("__defaults")
        kept = old.get("name") if isinstance(old_defaults, list) and "name" in old_defaults else None
        filled["name"] = kept or f"{name}-{(seed.hex() or secrets.token_hex(4))[:7]}"
    filled |= {name: secret(filled[name]) for name in row.secret if filled.get(name) is not None}
    filled["__defaults"] = [*sorted(name for name in filled if given.get(name) is None)]
    return filled


def with_defaults(row: ResourceType, given: Properties, *, empty: bool) -> Properties:
    """The row's defaults added at every depth. The bridge keeps empty ones in states alone."""
    filled = _filled(row, given, "", empty)
    return filled if isinstance(filled, dict) else given


def _filled(row: ResourceType, value: Json, path: str, empty: bool) -> Json:
    if isinstance(value, list):
        return [_filled(row, item, path, empty) for item in value]
    if not isinstance(value, dict):
        return value
    if SIGNATURE in value:
        return {**value, "value": _filled(row, value.get("value"), path, empty)}
    filled = {name: _filled(row, item, join(path, name), empty) for name, item in value.items()}
    for place, default in row.defaults.items():
        parent, _, name = place.rpartition(".")
        if parent == path and filled.get(name) is None and (empty or default):
            filled[name] = default
    return filled
