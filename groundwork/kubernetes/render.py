"""Objects as text: for people, for judges, and for `kubectl apply`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

import yaml

from .. import yaml_text
from ..workload import SecretRef, Template
from .manifest import Manifest, Object

DUMPER: Any = type("Dumper", (yaml_text.DUMPER,), {})
# To Kubernetes the releases 12e45678 and 00411959 are numbers, to PyYAML they would be none and need no quotes.
NUMBER = re.compile(r"[-+]?\d+(?:[eE][-+]?\d+)?$")
DUMPER.add_implicit_resolver("tag:yaml.org,2002:float", NUMBER, list("-+0123456789"))


def placeholder(ref: SecretRef) -> str:
    """What stands for a secret where its value is nobody's business."""
    return f"<{ref.owner}.{ref.name}>"


def filled(manifest: Manifest, value: Callable[[SecretRef], str] = placeholder) -> Object:
    """The object with its secrets filled in."""
    found: Object = _filled(manifest.body, value)
    return found


def rendered(manifests: Iterable[Manifest], value: Callable[[SecretRef], str] = placeholder) -> str:
    """One YAML document an object, in the order in which they can be applied."""
    documents = [filled(manifest, value) for manifest in manifests]
    found: str = yaml.dump_all(documents, Dumper=DUMPER, sort_keys=False, explicit_start=True, allow_unicode=True)
    return found


def _filled(node: Any, value: Callable[[SecretRef], str]) -> Any:
    if isinstance(node, Template):
        return "".join(_text(part, node.escape, value) for part in node.parts)
    if isinstance(node, dict):
        return {key: _filled(item, value) for key, item in node.items()}
    if isinstance(node, list | tuple):
        return [_filled(item, value) for item in node]
    return node


def _text(part: str | SecretRef, escape: str, value: Callable[[SecretRef], str]) -> str:
    if isinstance(part, str):
        return part
    return json.dumps(value(part))[1:-1] if escape == "json" else value(part)
