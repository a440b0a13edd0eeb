"""Settings of apps as templates: `postgresql://{postgres.username}:{postgres.password}@…`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from string import Formatter

from .workload import SecretRef, Template, Value


def placeholders(template: str) -> list[str]:
    """What stands in braces; ValueError where the text is no template."""
    return [field for _, field in pieces(template) if field is not None]


def pieces(template: str) -> Iterator[tuple[str, str | None]]:
    """Literal text and the placeholder behind it, in turn."""
    for literal, field, spec, conversion in Formatter().parse(template):
        if spec or conversion:
            raise ValueError(f"`{field}` is followed by a format, and values are taken as they are")
        yield literal, field


def fill(template: str, variables: Mapping[str, Mapping[str, str | SecretRef]]) -> Value:
    """The template with its placeholders filled: plain text, or a Template where a secret is among them."""
    parts: list[str | SecretRef] = []
    for literal, field in pieces(template):
        parts.append(literal)
        if field is not None:
            owner, _, key = field.partition(".")
            parts.append(variables[owner][key])
    if any(isinstance(part, SecretRef) for part in parts):
        return Template(tuple(part for part in parts if part != ""))
    return "".join(part for part in parts if isinstance(part, str))
