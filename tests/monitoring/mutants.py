"""Every threshold, duration and comparison of a rule, changed one at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from groundwork.monitoring.alerts import Alert
from tests.monitoring.promtool import seconds

TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'[^']*')
    |(?P<labels>\{(?:[^}"]|"[^"]*")*\})
    |\[(?P<window>\w+)\]
    |(?P<comparison>==|!=|>=|<=|>|<)
    |(?P<word>[A-Za-z_:][\w:]*)
    |(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)""",
    re.VERBOSE,
)
OTHERS = {">": (">=", "<"), "<": ("<=", ">"), ">=": (">", "<"), "<=": ("<", ">"), "==": ("!=",), "!=": ("==",)}
WORDS = {"and": "or", "or": "and"}


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """`what` says which part of the rule was changed to what."""

    what: str
    alert: Alert


GROUPING = re.compile(r"\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)")
BEFORE = re.compile(r"""\{(?:[^}"]|"[^"]*")*\}|\[\w+\]|"[^"]*\"""")
KEYWORDS = {"and", "offset", "or", "unless", "bool", "sum", "min", "max", "avg", "count"}


def metrics_of(expr: str) -> set[str]:
    """The names of metrics in an expression: words that are no function, keyword, label or text."""
    bare = GROUPING.sub(" ", BEFORE.sub("", expr))
    return set(re.findall(r"\b[a-zA-Z_][a-zA-Z0-9_]*\b(?!\s*\()", bare)) - KEYWORDS


def mutants(alert: Alert) -> Iterator[Mutant]:
    for token in TOKEN.finditer(alert.expr):
        kind = token.lastgroup
        if kind not in ("window", "comparison", "number", "word"):
            continue
        said = token[kind]
        for other in _others(kind, said):
            start, end = token.span(kind)
            expr = alert.expr[:start] + other + alert.expr[end:]
            yield Mutant(what=f"{said} at {start} becomes {other}", alert=replace(alert, expr=expr))
    for hold in _durations(alert.hold):
        yield Mutant(what=f"for {alert.hold} becomes {hold}", alert=replace(alert, hold=hold))


def _others(kind: str, said: str) -> Iterator[str]:
    if kind == "comparison":
        yield from OTHERS[said]
    elif kind == "window":
        yield from _durations(said)
    elif kind == "word":
        if said in WORDS:
            yield WORDS[said]
    else:
        yield from _numbers(said)


def _durations(said: str) -> Iterator[str]:
    length = seconds(said)
    yield from (f"{length * 2}s", f"{length // 2}s") if length else ("300s",)


def _numbers(said: str) -> Iterator[str]:
    """A twentieth more and less, and the next whole numbers of small counts."""
    value = float(said)
    if value == int(value) and value < 10:
        yield from (f"{value + 1:g}", f"{value - 1:g}")
    else:
        by = max(1, value * 0.05) if value == int(value) else value * 0.05
        yield from (f"{value + by:.8g}", f"{value - by:.8g}")
