"""What a rule is, and what it looks at: plain data, so that a test needs no engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PRODUCTION = frozenset({"prod", "production", "live"})
"""A stack is production when its name has one of these words: `prod`, `eu-prod`, `live_2`."""


class Unknown:
    """Stands for what only the provider will know: the `up` that makes it judges it, before it is made."""

    def __repr__(self) -> str:
        return "known later"


UNKNOWN = Unknown()


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource as the engine is about to make or keep it. Properties have the names of Pulumi's schema."""

    type: str
    name: str
    props: Mapping[str, Any] = field(default_factory=dict)
    urn: str = ""
    protect: bool = False
    tags: Mapping[str, Any] = field(default_factory=dict)
    """Those that the resource's provider puts on everything."""
    made_from: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Property to the URNs of the resources whose outputs are in it; only where a rule sees the whole stack."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The stack that a rule judges."""

    name: str
    also_production: tuple[str, ...] = ()
    """Names of further stacks that are production, from the pack's configuration."""

    @property
    def production(self) -> bool:
        return self.name in self.also_production or bool(PRODUCTION & set(re.split(r"[^a-z]+", self.name.lower())))


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Judges one resource before it is made. `judge` says each thing that is wrong, without remedy."""

    name: str
    description: str
    """What must hold, in one sentence."""
    remedy: str
    """What to write instead."""
    types: frozenset[str] | None
    """Types that it looks at; None for all."""
    judge: Callable[[Resource, Stack], Iterator[str]]
    depends_on_kind: str = ""
    """How it differs between production and other stacks."""


@dataclass(frozen=True, kw_only=True)
class StackRule:
    """Judges all resources of a stack together, at the end of a preview. `judge` says of which resource what is
    wrong."""

    name: str
    description: str
    remedy: str
    judge: Callable[[Sequence[Resource], Stack], Iterator[tuple[Resource, str]]]
    depends_on_kind: str = ""


def types(text: str) -> frozenset[str]:
    """Types of one package, written `ec2/vpc:Vpc` below a heading such as `aws:`, or in full."""
    found, package = set(), ""
    for word in text.split():
        if word.endswith(":"):
            package = word
        else:
            found.add(package + word)
    return frozenset(found)


def items(value: Any) -> list[Any]:
    """A list, or a block that may be there once, as a list."""
    if value is None or isinstance(value, Unknown):
        return []
    return list(value) if isinstance(value, list) else [value]


def mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in items(value) if isinstance(item, Mapping)]


def texts(value: Any) -> list[str]:
    return [item for item in items(value) if isinstance(item, str)]


def is_true(value: Any) -> bool:
    """Whether it is true, or may be: some schemas write booleans as text."""
    return isinstance(value, Unknown) or value is True or value == "true"


def labels_of(resource: Resource) -> dict[str, str]:
    """The labels of a container."""
    return {str(entry.get("label")): str(entry.get("value")) for entry in mappings(resource.props.get("labels"))}
