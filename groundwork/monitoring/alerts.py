"""An alert: one rule of Prometheus, with all that a person needs who is woken by it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..yaml_text import as_yaml

Severity = Literal["P0", "P1", "P2", "P3"]
ANSWER: Mapping[Severity, str] = {"P0": "15 minutes", "P1": "1 hour", "P2": "4 hours", "P3": "24 hours"}
"""By when somebody has begun to look (M3, S3)."""


def runbook_of(name: str) -> str:
    """The page of the alerts of that name, from the top of the repository."""
    kebab = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
    return f"docs/runbooks/{kebab}.md"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """`expr` has been true for `hold`. Summary and description may hold templates of Prometheus; `why` says what it
    means to users, `reason` why the threshold is where it is, and `source` who says so."""

    name: str
    expr: str
    severity: Severity
    service: str
    """Whom it is about, as `ops` knows it, or `system`, `host`, `monitoring`. What is silenced is decided by it."""
    summary: str
    description: str
    why: str
    reason: str
    source: str
    hold: str = "0s"
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What tells it from all others of a stack."""
        return ".".join([self.name, *self.labels.values(), self.service if "{{" not in self.service else "each"])

    @property
    def runbook(self) -> str:
        """Its page, from the top of the repository. Alerts of one name share it."""
        return runbook_of(self.name)

    def rule(self) -> dict[str, Any]:
        """As a rule file has it."""
        rule: dict[str, Any] = {"alert": self.name, "expr": self.expr}
        if self.hold != "0s":
            rule["for"] = self.hold
        return rule | {
            "labels": {"severity": self.severity, "service": self.service, **self.labels},
            "annotations": {"summary": self.summary, "description": self.description, "runbook": self.runbook},
        }


@dataclass(frozen=True, kw_only=True)
class Group:
    """Alerts that are evaluated together, every `interval` or, without one, as often as the server does."""

    name: str
    alerts: tuple[Alert, ...]
    interval: str = ""


def rule_files(groups: Sequence[Group]) -> Mapping[str, str]:
    """A file for each group, as Prometheus reads them; groups without alerts have none."""
    return {f"{group.name}.yml": _file(group) for group in groups if group.alerts}


def _file(group: Group) -> str:
    body: dict[str, Any] = {"name": group.name, "rules": [alert.rule() for alert in group.alerts]}
    if group.interval:
        body["interval"] = group.interval
    return as_yaml({"groups": [body]})


def number(value: float) -> str:
    """As PromQL writes it, without the dust of floating point."""
    return f"{value:.6g}"
