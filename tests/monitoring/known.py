"""The metrics that there are: what real programs told when the lists beside this file were made."""

from __future__ import annotations

from functools import cache
from pathlib import Path

OF_PROMETHEUS = {"up", "scrape_duration_seconds", "ALERTS"}
"""Made by Prometheus itself, with every scrape and every evaluation of a rule."""


@cache
def known_metrics() -> frozenset[str]:
    files = sorted(Path(__file__).parent.glob("*.metrics"))
    told = {line for file in files for line in file.read_text().split("\n") if line and not line.startswith("#")}
    return frozenset(told | OF_PROMETHEUS)
