"""Both sides of the edges of LogErrorBurst, as lines that Loki is given and asked about at one moment."""

from __future__ import annotations

import time
from dataclasses import dataclass

from groundwork.monitoring.log_rules import BURST, TIMES
from tests.monitoring.log_programs import Store


@dataclass(frozen=True, kw_only=True)
class Edge:
    """So many lines in five minutes, and so many in the hour before these."""

    recent: int
    before: int = 0
    level: str = "error"
    fires: bool
    recent_at: tuple[int, int] = (100, 90)
    before_at: tuple[int, int] = (3890, 490)
    """When the first and the last of them were written, in seconds before the moment."""

    @property
    def workload(self) -> str:
        return f"w-{self.recent}-{self.before}-{self.level}-{self.recent_at[0]}-{self.before_at[0]}"


OFTEN = 12 // TIMES
MANY = BURST + 10
EDGES = (
    Edge(recent=BURST + 1, fires=True),
    Edge(recent=BURST + 1, level="fatal", fires=True),
    Edge(recent=BURST + 1, recent_at=(298, 290), fires=True),
    Edge(recent=BURST, fires=False),
    Edge(recent=BURST * 9, level="warn", fires=False),
    # Three times as many as in twelve such times before, or one more.
    Edge(recent=MANY, before=OFTEN * MANY, fires=False),
    Edge(recent=MANY + 1, before=OFTEN * MANY, recent_at=(298, 10), fires=True),
    # At the beginning of that hour, at its end, and earlier.
    Edge(recent=MANY, before=OFTEN * MANY, before_at=(3890, 3880), fires=False),
    Edge(recent=MANY, before=OFTEN * MANY, before_at=(330, 305), fires=False),
    Edge(recent=MANY, before=OFTEN * MANY, before_at=(4500, 4400), fires=True),
)


def given(store: Store) -> float:
    """Loki has all of them; the moment at which it is to be asked."""
    end = float(int(time.time()) - 30)
    for edge in EDGES:
        lines = [*spread(end, edge.before, edge.before_at, "old"), *spread(end, edge.recent, edge.recent_at, "new")]
        labels = {"stack": "test", "workload": edge.workload, "machine": "m", "level": edge.level}
        answer = store.push(labels, lines)
        assert answer.status_code == 204, answer.text
    return end


def spread(end: float, count: int, at: tuple[int, int], text: str) -> list[tuple[float, str]]:
    first, last = at
    return [(end - first + (first - last) * number / count, f"{text} {number}") for number in range(count)]


def fired(store: Store, expr: str, moment: float) -> dict[str, int]:
    """The workloads that the rule is about at that moment, with its value."""
    return {one["metric"]["workload"]: int(float(one["value"][1])) for one in store.query(expr, moment)}


def expected() -> dict[str, int]:
    return {edge.workload: edge.recent for edge in EDGES if edge.fires}
