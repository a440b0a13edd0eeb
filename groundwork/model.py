"""The base of everything a user writes: frozen, closed to unknown keys, its errors turned into faults."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from .faults import Fault, closest, nearest


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, str_strip_whitespace=True)


def _no_number(value: object) -> object:
    """Python takes 512 for the address 0.0.2.0; nobody who writes it means that."""
    if isinstance(value, int):
        raise PydanticCustomError("text_type", "should be text")
    return value


Name = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]{0,29}[a-z0-9])?$"), Field(examples=["api"])]
"""A DNS label, so that it names containers and Kubernetes objects: `a-z`, `0-9`, `-`, at most 31 characters."""

Whole = Annotated[int, Strict()]
"""A whole number; `true` and `"5"` are none."""
Number = Annotated[float, Strict()]
Address = Annotated[IPv4Address, BeforeValidator(_no_number)]
AddressRange = Annotated[IPv4Network, BeforeValidator(_no_number)]
Port = Annotated[Whole, Field(ge=1, le=65535)]
Memory = Annotated[Whole, Field(ge=16, le=1_048_576)]
Cpus = Annotated[Number, Field(ge=0.05, le=128)]
ImageReference = Annotated[
    str,
    StringConstraints(pattern=r"^(build:[a-z][a-z0-9_-]*|[a-z0-9][\w.:/-]*)(@sha256:[0-9a-f]{64})?$", max_length=255),
    Field(examples=["harbor.example.com/team/api:1.4.2"]),
]


def model_faults(error: ValidationError, model: type[BaseModel], root: str) -> Iterator[Fault]:
    """Each error of pydantic as a fault with its path, the value that was found and what is allowed there."""
    schema = _schema_of(model)
    items = error.errors(include_url=False)
    misspelled = {_meant(schema, item["loc"]) for item in items if item["type"] == "extra_forbidden"}
    for item in items:
        kind, loc, found = item["type"], item["loc"], item["input"]
        if kind == "too_short" and any(one["loc"][: len(loc)] == loc != one["loc"] for one in items):
            # An item that can't be used does not count as one; that is told already.
            continue
        path = ".".join([root, *(str(step) for step in _written(schema, loc) if step != "[key]")])
        reason = str(item["ctx"]["error"]) if kind == "value_error" else ""
        if kind == "extra_forbidden":
            yield Fault(path, f"there is no key `{loc[-1]}`", nearest(str(loc[-1]), _keys(schema, loc[:-1])))
        elif kind == "missing":
            if loc not in misspelled:
                yield Fault(path, "is missing", f"it should be {_words(schema, loc)}")
        elif kind == "union_tag_not_found" and isinstance(found, dict):
            known = {key for variant in _variants(schema, loc) for key in variant["properties"]}
            meant = next((key for key in found if key not in known and closest(str(key), ["kind"])), None)
            if meant:
                yield Fault(f"{path}.{meant}", f"there is no key `{meant}`", nearest(str(meant), ["kind"]))
            else:
                kinds = [variant["properties"]["kind"]["const"] for variant in _variants(schema, loc)]
                yield Fault(f"{path}.kind", "is missing", f"it should be {_one_of(kinds)}")
        elif kind == "union_tag_invalid":
            kinds = [variant["properties"]["kind"]["const"] for variant in _variants(schema, loc)]
            yield Fault(f"{path}.kind", f"`{shorten(found['kind'])}` can't be used", f"it should be {_one_of(kinds)}")
        elif loc and loc[-1] == "[key]":
            yield Fault(path, f"`{found}` can't be a name here", _key_words(schema, loc[:-2], str(found)))
        elif reason and isinstance(found, dict | BaseModel):
            what, _, instead = reason.partition("; ")
            yield Fault(path, what, instead)
        else:
            yield Fault(path, f"`{shorten(found)}` can't be used", f"it {reason or f'should be {_words(schema, loc)}'}")


@cache
def _schema_of(model: type[BaseModel]) -> Schema:
    return model.model_json_schema()


def shorten(value: object) -> str:
    """A value as it is written in YAML, on one line of at most 60 characters."""
    text = value if isinstance(value, str) and value else json.dumps(value, default=str, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."


Schema = Mapping[str, Any]
Loc = tuple[int | str, ...]


def _meant(schema: Schema, loc: Loc) -> Loc:
    """Where the value of a misspelled key was to go."""
    close = closest(str(loc[-1]), _keys(schema, loc[:-1]))
    return (*loc[:-1], close or "")


def _keys(schema: Schema, loc: Loc) -> set[str]:
    return set(_at(schema, loc).get("properties", ()))


def _written(schema: Schema, loc: Loc) -> Loc:
    """`loc` without the steps that name a variant, which nobody writes."""
    return tuple(step for depth, step in enumerate(loc) if "oneOf" not in _at(schema, loc[:depth]))


def _variants(schema: Schema, loc: Loc) -> list[Schema]:
    return [resolved(schema, variant) for variant in _at(schema, loc)["oneOf"]]


def _at(schema: Schema, loc: Loc) -> Schema:
    """The JSON schema of what may stand at `loc`, in which pydantic names the variant behind a `oneOf`."""
    node = resolved(schema, schema)
    for step in loc:
        if "oneOf" in node:
            variants = [resolved(schema, variant) for variant in node["oneOf"]]
            node = next(variant for variant in variants if variant["properties"]["kind"]["const"] == step)
        elif "properties" in node:
            node = node["properties"][step]
        elif "items" in node:
            node = node["items"]
        else:
            inner = node.get("patternProperties") or {"": node["additionalProperties"]}
            node = next(iter(inner.values()))
        node = resolved(schema, node)
    return node


def resolved(schema: Schema, node: Schema) -> Schema:
    """What `node` means, behind its reference and without the possibility of leaving it out."""
    if "$ref" in node:
        return resolved(schema, schema["$defs"][node["$ref"].rsplit("/", 1)[1]])
    if "anyOf" in node:
        return resolved(schema, next(one for one in node["anyOf"] if one.get("type") != "null"))
    return node


def _words(schema: Schema, loc: Loc) -> str:
    """What may stand at `loc`, for a person."""
    node = _at(schema, loc)
    if "const" in node or "enum" in node:
        return _one_of(node.get("enum", [node.get("const")]))
    if "oneOf" in node:
        return "a mapping with the key `kind`"
    match node["type"]:
        case "integer" | "number" as number:
            kind = "a whole number" if number == "integer" else "a number"
            return f"{kind} from {node['minimum']} to {node['maximum']}" if "minimum" in node else kind
        case "boolean":
            return "true or false"
        case "array":
            return "a list, with each item on a line of its own behind a dash"
        case "object":
            known = ", ".join(node.get("properties", ()))
            return f"a mapping with keys among: {known}" if known else "a mapping, one line `name: …` for each"
    return _text_words(node)


def _one_of(allowed: list[str]) -> str:
    return " or ".join(f"`{one}`" for one in allowed)


def _text_words(node: Schema) -> str:
    formats = {"ipv4": "an IPv4 address such as 10.0.1.5", "ipv4network": "an IPv4 network such as 10.0.0.0/16"}
    if node.get("format") in formats:
        return formats[node["format"]]
    such = f" such as {' or '.join(f'`{one}`' for one in node['examples'])}" if "examples" in node else ""
    pattern = f", matching {node['pattern']}" if "pattern" in node else "" if such else ", in quotes"
    length = f", at most {node['maxLength']} characters" if "maxLength" in node else ""
    return f"text{such}{pattern}{length}"


def _key_words(schema: Schema, loc: Loc, found: str) -> str:
    node = _at(schema, loc)
    if "enum" in node.get("propertyNames", ()):
        return nearest(found, node["propertyNames"]["enum"])
    (pattern,) = node["patternProperties"]
    return f"a name should match {pattern}"


def model_named(name: str) -> type[BaseModel]:
    """The model of that name, as pydantic's errors give it; KeyError when there is none."""
    waiting: list[type[BaseModel]] = [Model]
    for model in waiting:
        if model.__name__ == name:
            return model
        waiting += model.__subclasses__()
    raise KeyError(name)


def known_name(name: str, known: Mapping[str, object], where: str, kind: str) -> Iterator[Fault]:
    """A fault when `name` is not among `known`."""
    if name not in known:
        yield Fault(where, f"there is no {kind} `{name}`", nearest(name, known))
