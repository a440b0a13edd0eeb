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
from sim.types.row import Autoname
from sim.values import SIGNATURE, Json, Properties, at, join, plain, secret


@dataclass(frozen=True)
class Fault:
    """One thing wrong with the inputs: the path of the property, and what to do about it."""

    path: str
    reason: str


def faults(row: ResourceType, given: Properties, name: str) -> Iterator[Fault]:
    """Unknown and missing properties at every depth, those that are not simulated, and a name that gets too long."""
    yield from _object_faults(row.args, given, "")
    if row.autoname and _lacks_name(row.autoname, given):
        longest = row.autoname.longest - len(row.autoname.prefix) - len("-1234567")
        if len(name) > longest:
            yield Fault(
                row.autoname.property,
                f"{name} and seven digits are too long for {row.autoname.property}, which has at most "
                f"{row.autoname.longest} characters; give one, or shorten the resource's name to {longest}",
            )
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
    if row.autoname and _lacks_name(row.autoname, filled):
        filled[row.autoname.property] = _autoname(row.autoname, old, name, seed)
    filled |= {name: secret(filled[name]) for name in row.secret if filled.get(name) is not None}
    filled["__defaults"] = [*sorted(name for name in filled if given.get(name) is None)]
    return filled


def named(row: ResourceType, inputs: Properties) -> Properties:
    """The inputs, with the name that comes of a prefix only when the resource is made."""
    autoname = row.autoname
    if autoname is None or inputs.get(autoname.property):
        return inputs
    return inputs | {autoname.property: f"{plain(inputs.get(f'{autoname.property}Prefix'))}{secrets.token_hex(13)}"}


def _lacks_name(autoname: Autoname, given: Properties) -> bool:
    """With a prefix AWS makes the name."""
    return not given.get(autoname.property) and not given.get(f"{autoname.property}Prefix")


def _autoname(autoname: Autoname, old: Properties, name: str, seed: bytes) -> Json:
    """The name that a resource has already, or a new one."""
    defaults = old.get("__defaults")
    if isinstance(defaults, list) and autoname.property in defaults and old.get(autoname.property):
        return old[autoname.property]
    made = f"{autoname.prefix}{name}-{(seed.hex() or secrets.token_hex(4))[:7]}"
    return made.lower() if autoname.lowered else made


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
