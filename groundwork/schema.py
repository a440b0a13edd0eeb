"""The JSON schema of a stack file, for editors: `python -m groundwork.schema` writes docs/stack-file.schema.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .settings import Settings
from .stack_file import FOREIGN_NAMESPACES, NAMESPACE, OF_THE_ENGINE, SECRET_PREFIX

PATH = Path(__file__).parent.parent / "docs" / "stack-file.schema.json"


def stack_file_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of a whole `Pulumi.<stack>.yaml`: what the model allows, in its plain types."""
    settings = _closed(Settings.model_json_schema())
    foreign = "|".join(sorted(FOREIGN_NAMESPACES))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A stack file of Groundwork",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "config": {
                "description": settings["description"],
                "type": ["object", "null"],
                "additionalProperties": False,
                "properties": {f"{NAMESPACE}:{name}": field for name, field in settings["properties"].items()},
                "patternProperties": {
                    f"^{NAMESPACE}:{SECRET_PREFIX}[a-z][a-z0-9_]*$": {
                        "description": f"A secret: `pulumi config set --secret {NAMESPACE}:{SECRET_PREFIX}<name>`.",
                        "anyOf": [
                            {"type": "string"},
                            {
                                "type": "object",
                                "properties": {"secure": {"type": "string"}},
                                "required": ["secure"],
                                "additionalProperties": False,
                            },
                        ],
                    },
                    f"^({foreign}):": {"description": "Read by the engine or a provider."},
                },
            },
            **{key: {"description": "Written or read by pulumi itself."} for key in OF_THE_ENGINE},
        },
        "$defs": settings["$defs"],
    }


def _closed(node: Any) -> Any:
    """Where a mapping says which names it allows, it allows no others."""
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {key: _closed(value) for key, value in node.items()}
    return closed | {"additionalProperties": False} if "patternProperties" in closed else closed


def schema_text() -> str:
    """The file's content."""
    return json.dumps(stack_file_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(schema_text())
