"""The base of everything a user writes: frozen, closed to unknown keys, its errors turned into faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from .faults import Fault, nearest


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, str_strip_whitespace=True)


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
"""A name that is valid as a DNS label, a container name and a Kubernetes object: `a-z`, `0-9`, `-`, at most 31 characters."""

Port = Annotated[int, Field(ge=1, le=65535)]


def model_faults(error: ValidationError, model: type[BaseModel], root: str) -> Iterator[Fault]:
    """Each error of pydantic as a fault with its path, the value that was found and what is allowed there."""
    for item in error.errors(include_url=False):
        path = ".".join([root, *(str(step) for step in item["loc"])]) if item["loc"] else root
        if item["type"] == "extra_forbidden":
            known = fields_at(model, item["loc"][:-1])
            yield Fault(path, f"no such key `{item['loc'][-1]}`", nearest(str(item["loc"][-1]), known))
        elif item["type"] == "missing":
            yield Fault(path, "is missing", "this key must be given")
        else:
            yield Fault(path, f"`{shorten(item['input'])}` can't be used", allowed(item["msg"]))


def shorten(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def allowed(message: str) -> str:
    message = message.removeprefix("Value error, ").removeprefix("Input ")
    return f"it {message}" if message.startswith("should") else message


def fields_at(model: type[BaseModel], path: tuple[int | str, ...]) -> set[str]:
    """The keys that the model allows at `path`; empty where the path leads into no model."""
    for step in path:
        field = model.model_fields.get(str(step))
        if field is None:
            continue  # an item of a list or of a mapping: the model behind it was already taken
        inner = next(models_in(field.annotation), None)
        if inner is None:
            return set()
        model = inner
    return set(model.model_fields)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def known_name(name: str, known: Mapping[str, object], where: str, kind: str) -> Iterator[Fault]:
    """A fault when `name` is not among `known`."""
    if name not in known:
        yield Fault(where, f"there is no {kind} `{name}`", nearest(name, known))
