"""YAML that programs read. A plan writes some twenty documents, and PyYAML's own emitter was most of its time."""

from __future__ import annotations

from typing import Any

import yaml

DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""libyaml's, which takes a fifth of the time, wherever PyYAML was built with it. It writes the same text."""


def as_yaml(document: Any) -> str:
    """In the document's own order, each text on one line: the same document is always the same file."""
    found: str = yaml.dump(document, Dumper=DUMPER, sort_keys=False, width=4096, allow_unicode=True)
    return found
