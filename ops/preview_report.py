"""What `.ci/preview-state` left in a folder: `STACK.json`, `STACK.log` and `STACK.code` of each stack."""

from __future__ import annotations

from pathlib import Path

from groundwork.views.preview import Preview, read_preview
from tools.engine.checkout import UserError


def read_folder(folder: Path) -> list[Preview]:
    """Each stack that was previewed, by name. UserError where there is none."""
    codes = sorted(folder.glob("*.code"))
    if not codes:
        raise UserError(f"{folder}: no preview there; .ci/preview-state makes them")
    return [
        read_preview(
            code.stem,
            code.with_suffix(".json").read_text(),
            int(code.read_text()),
            code.with_suffix(".log").read_text(),
        )
        for code in codes
    ]
