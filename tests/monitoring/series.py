"""Series of tests, in promtool's notation."""

from __future__ import annotations

LONG = 520
"""Steps; longer than any test."""


def level(*values: float, each: int = 10) -> str:
    """A gauge that takes each value for ten steps, and keeps the last."""
    return " ".join([*(f"{value:.10g}x{each - 1}" for value in values[:-1]), f"{values[-1]:.10g}x{LONG}"])


def steady(rate: float) -> str:
    """A counter."""
    return f"0+{rate:.10g}x{LONG}"


def counted(*parts: tuple[int, float], times: int = 1) -> str:
    """A counter that grows by so much for so many steps, and so on."""
    total, values = 0.0, ["0"]
    for count, growth in parts * times:
        for _ in range(count):
            total += growth
            values.append(f"{total:.10g}")
    return " ".join(values)
