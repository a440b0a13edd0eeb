"""A stack file with other images in it, and everything else as its people wrote it: comments, order, quotes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

APPS = "groundwork:apps"
LONGEST_LINE = 100_000
STYLES = [(mapping, *sequence) for mapping in (2, 4) for sequence in ((4, 2), (2, 0))]
"""How people indent: mappings, entries of sequences, and the hyphen in front of them."""


def with_images(text: str, images: Mapping[str, str]) -> str:
    """The text of a stack file that names these images, by app."""
    style = min(STYLES, key=lambda style: changed_lines(text, written(read(text, style), style, text)))
    content = read(text, style)
    apps = below(below(content, "config"), APPS)
    for app, image in images.items():
        below(apps, app)["image"] = image
    return written(content, style, text)


def below(mapping: Any, key: str) -> Any:
    """The mapping of that key; a new one at the end where there is none."""
    if mapping.get(key) is None:
        mapping[key] = CommentedMap()
    return mapping[key]


def read(text: str, style: tuple[int, int, int]) -> Any:
    found = parser(style, text).load(text)
    return CommentedMap() if found is None else found


def written(content: Any, style: tuple[int, int, int], like: str) -> str:
    stream = io.StringIO()
    parser(style, like).dump(content, stream)
    return stream.getvalue()


def parser(style: tuple[int, int, int], like: str) -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = LONGEST_LINE
    yaml.explicit_start = like.startswith("---")
    mapping, sequence, offset = style
    yaml.indent(mapping=mapping, sequence=sequence, offset=offset)
    return yaml


def changed_lines(before: str, after: str) -> int:
    return len(set(before.splitlines()) ^ set(after.splitlines()))
