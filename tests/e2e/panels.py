"""What the panels of Grafana's files ask, put to Prometheus and Loki as Grafana would: each question has an answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from groundwork.workload import Workload

Ask = Callable[[str, str], list[Any]]
"""The result of a question (the second) to a data source (`prometheus` or `loki`)."""
LABEL_VALUES = re.compile(r"label_values\((?P<series>.*), (?P<label>\w+)\)")


@dataclass(frozen=True)
class Question:
    """`optional` ones are of panels that say what it means if there is nothing."""

    panel: str
    source: str
    expr: str
    optional: bool


def unanswered(grafana: Workload, ask: Ask) -> list[str]:
    """Panels and their questions that nothing answers although something should."""
    return [
        f"{one.panel}: {one.expr}"
        for one in questions(grafana, ask)
        if not ask(one.source, one.expr) and not one.optional
    ]


def questions(grafana: Workload, ask: Ask) -> Iterator[Question]:
    for file in grafana.files:
        if file.name.startswith("dashboards/"):
            assert isinstance(file.content, str)
            yield from questions_of(json.loads(file.content), ask)


def questions_of(dashboard: dict[str, Any], ask: Ask) -> Iterator[Question]:
    chosen = {"__rate_interval": "5m", "__auto": "5m"}
    for variable in dashboard["templating"]["list"]:
        chosen[variable["name"]] = value_of(variable, chosen, ask)
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield Question(
                panel=f"{dashboard['title']}, {panel['title']}",
                source=target.get("datasource", panel["datasource"])["type"],
                expr=filled(target["expr"], chosen),
                optional="noValue" in panel["fieldConfig"]["defaults"],
            )


def value_of(variable: dict[str, Any], chosen: dict[str, str], ask: Ask) -> str:
    """What the dashboard begins with: all of it, no text, or the first value that there is."""
    if variable.get("allValue"):
        return str(variable["allValue"])
    if variable["type"] == "textbox":
        return ""
    found = LABEL_VALUES.fullmatch(filled(variable["query"]["query"], chosen))
    assert found, variable
    values = sorted(one["metric"][found["label"]] for one in ask("prometheus", found["series"]))
    assert values, f"nobody has {variable['name']}"
    return str(values[0])


def filled(text: str, chosen: dict[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda name: chosen[name[1]], text)
