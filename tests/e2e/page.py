"""What a trial measured, as the part of a page that it makes."""

from __future__ import annotations

import os
import re
from pathlib import Path


def write_part(page: Path, mark: str, made: str) -> None:
    """Prints it, and with GROUNDWORK_WRITE_DOCS writes it between `<!-- mark -->` and `<!-- end of mark -->`."""
    print(made)
    if not os.environ.get("GROUNDWORK_WRITE_DOCS"):
        return
    part = re.compile(rf"(<!-- {mark} -->\n).*(<!-- end of {mark} -->\n)", re.DOTALL)
    text = page.read_text()
    assert part.search(text), f"{page.name} has no place for {mark}"
    page.write_text(part.sub(lambda found: f"{found[1]}{made}\n{found[2]}", text))
