"""Whether the API server stores what it was sent."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from tests.cluster.client import Object


def differences(sent: Object, stored: Object) -> list[str]:
    """Each field of `sent` that is not in `stored`, or is another one there. Fields that the server adds are its own
    affair."""
    expected = dict(sent)
    if sent["kind"] == "Secret":
        # Write-only by definition; stored as `data`.
        texts = expected.pop("stringData", {})
        expected["data"] = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
    return list(_differences(expected, stored, ""))


def _differences(sent: Any, stored: Any, path: str) -> Iterator[str]:
    if isinstance(sent, dict) and isinstance(stored, dict):
        for key, value in sent.items():
            if key in stored:
                yield from _differences(value, stored[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}: dropped {value!r}"
    elif isinstance(sent, list) and isinstance(stored, list) and len(sent) == len(stored):
        for number, (mine, theirs) in enumerate(zip(sent, stored, strict=True)):
            yield from _differences(mine, theirs, f"{path}[{number}]")
    elif sent != stored or type(sent) is not type(stored):
        yield f"{path}: sent {sent!r}, stored {stored!r}"
