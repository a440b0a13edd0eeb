"""What one check of a running stack found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Result:
    """`detail` says what was seen. What this stack gives no occasion for is `left out`, with the reason."""

    check: str
    outcome: Literal["ok", "failed", "left out"]
    detail: str
    milliseconds: float | None = None

    @property
    def failed(self) -> bool:
        return self.outcome == "failed"

    def data(self) -> dict[str, Any]:
        return asdict(self)
