"""Property values as the engine sends them, read into plain Python.

A secret travels as an object with a signature, an unknown as a reserved string; both are kept as they are,
so that whatever is secret in an input is secret in the output of the same name. `plain` takes the wrapping
off to compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, Union

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

Json: TypeAlias = Union[bool, float, str, list["Json"], dict[str, "Json"], None]  # noqa: UP007
"""One property value. Numbers arrive as floats: the protocol has no integers."""

Properties: TypeAlias = dict[str, Json]

# Reserved by the engine's protocol (sdk/go/common/resource/properties.go, and pulumi.runtime.rpc in Python).
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"


def read(message: Struct) -> Properties:
    values: Properties = MessageToDict(message)
    return values


def write(values: Mapping[str, Json]) -> Struct:
    return ParseDict(dict(values), Struct())


def is_secret(value: Json) -> bool:
    return isinstance(value, dict) and value.get(SIGNATURE) == SECRET


def secret(value: Json) -> Json:
    return value if is_secret(value) else {SIGNATURE: SECRET, "value": value}


def plain(value: Json) -> Json:
    """The value without any secret wrapping, at every depth. Unknowns stay UNKNOWN."""
    if isinstance(value, dict):
        if is_secret(value):
            return plain(value.get("value"))
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def absent(value: Json) -> bool:
    """Whether the real providers hold the value and its absence for the same: null and empty collections."""
    return value is None or value == [] or value == {}


def text(values: Mapping[str, Json], name: str) -> str:
    """A property as text, "" when it is missing."""
    value = plain(values.get(name))
    return value if isinstance(value, str) else ""


def objects(values: Mapping[str, Json], name: str) -> list[Properties]:
    """A property that is a list of objects, [] when it is missing or unknown."""
    value = plain(values.get(name))
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def at(values: Json, path: str) -> Json:
    """What is at a dotted path, without secret wrapping; None where there is nothing."""
    values = plain(values)
    for name in path.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
