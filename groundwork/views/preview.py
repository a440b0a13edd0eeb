"""What `pulumi preview --json` says about stacks as they run, in Markdown: for a pull request, and for drift.

Only names of resources and of properties are shown, never a value: the reader of a comment may not be somebody who may
know what the state knows.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .review import cell, fenced

STATE_MARKER = "<!-- groundwork-state -->"
DRIFT_MARKER = "<!-- groundwork-drift -->"
"""By its first line a job knows the text that it may publish."""
CHANGES = ("create", "update", "replace", "delete")
"""In the order of the table. The engine's other words are parts of these, or change nothing."""
HEAVY = ("replace", "delete")
OUTSIDE = {"gone": "is gone", "changed": "changed outside"}
NO_STACK = "no stack named"
EXPECTED_NONE = 7
"""Exit code of `--expect-no-changes` where there are some."""
SHOWN = 100
"""Resources of one stack that a text lists."""
LONGEST = 20_000
"""Characters of a section with the lists of resources; the comment has another one beside it."""
LONGEST_ERROR = 1_500
ODD = re.compile(r"[^\w.,:/$+ -]")


@dataclass(frozen=True, kw_only=True)
class Step:
    """What would be done to one resource. `properties` are those that differ, by their first word."""

    op: str
    type: str
    name: str
    properties: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Preview:
    """One stack. `fault` is what kept it from being previewed."""

    stack: str
    steps: tuple[Step, ...] = ()
    outside: tuple[Step, ...] = ()
    """What a refresh found to be otherwise than the state says."""
    unchanged: int = 0
    absent: bool = False
    """There is no such stack in the state."""
    fault: str | None = None

    @property
    def differs(self) -> bool:
        return bool(self.steps or self.outside)


def read_preview(stack: str, text: str, code: int, log: str = "") -> Preview:
    """The events that `pulumi preview --json` streams, its exit code, and what it wrote beside.

    Streamed, since the other form of its JSON leaves out what a policy pack says.
    """
    events = [event for line in text.splitlines() if (event := event_of(line))]
    if not events and NO_STACK in log:
        return Preview(stack=stack, absent=True)
    if not events or code not in (0, EXPECTED_NONE):
        said = "\n".join(faults_in(events)) or log.strip() or f"pulumi ended with exit code {code} and said nothing"
        return Preview(stack=stack, fault=shortened(said))
    steps = [event["resourcePreEvent"]["metadata"] for event in events if "resourcePreEvent" in event]
    done = [event["resOutputsEvent"]["metadata"] for event in events if "resOutputsEvent" in event]
    changes = [step for step in steps if step["op"] in CHANGES]
    totals = [event["summaryEvent"]["resourceChanges"] for event in events if "summaryEvent" in event]
    return Preview(
        stack=stack,
        steps=tuple(step_of(step) for step in changes),
        outside=tuple(found_outside(done, frozenset(step["urn"] for step in changes))),
        unchanged=sum(total.get("same", 0) for total in totals),
    )


def event_of(line: str) -> dict[str, Any] | None:
    """One event; None for a line that is none."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def faults_in(events: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What the engine and the policy pack refused."""
    for event in events:
        if policy := event.get("policyEvent"):
            yield f"{policy['policyName']}:\n{policy['message'].strip()}"
        elif (said := event.get("diagnosticEvent", {})).get("severity") == "error":
            yield said["message"].strip()


def step_of(step: dict[str, Any], op: str = "", properties: Sequence[str] = ()) -> Step:
    kind, name = step["urn"].split("::", 3)[2:]
    differing = properties or [*(step.get("detailedDiff") or {}), *(step.get("keys") or [])]
    first = {re.split(r"[.\[]", path)[0] for path in differing}
    return Step(op=op or step["op"], type=kind.split("$")[-1], name=name, properties=tuple(sorted(first)))


def found_outside(done: Sequence[dict[str, Any]], corrected: frozenset[str]) -> Iterator[Step]:
    """Resources that a refresh found gone, or changed and therefore to be corrected by `up`.

    Many outputs differ from day to day and mean nothing, such as the time of a last use.
    """
    for step in done:
        if step["op"] != "refresh":
            continue
        if not step.get("new"):
            yield step_of(step, "gone")
        elif step["urn"] in corrected:
            was, now = ((step[side] or {}).get("outputs") or {} for side in ("old", "new"))
            changed = [key for key in sorted({*was, *now}) if was.get(key) != now.get(key)]
            if changed:
                yield step_of(step, "changed", changed)


def shortened(text: str) -> str:
    """The end of what went wrong: a traceback's last lines say it."""
    text = text.strip()
    return text if len(text) <= LONGEST_ERROR else f"… {text[-LONGEST_ERROR:]}"


def state_section(previews: Sequence[Preview]) -> str:
    """The second half of a pull request's comment: what `up` would do to the stacks that run."""
    heading = [STATE_MARKER, "### Against the stacks that run", ""]
    end = [
        "",
        "<sub>A preview with a role that only reads. Containers and objects of clusters are left out, since their "
        "machines are not reached from here: the table above has them.</sub>",
    ]
    return fitting(heading, [row(preview) for preview in previews], previews, end)


def drift_report(previews: Sequence[Preview]) -> str:
    """What differs although nobody proposed a change: the text of the issue, and of the job's summary."""
    drifted = ", ".join(f"`{plain(preview.stack)}`" for preview in previews if preview.differs)
    words = (
        f"`up` would change {drifted}, and no pull request says so: somebody changed it by hand, or what was merged "
        "was not brought up. `make up` makes it what the code says."
        if drifted
        else "No stack differs from what the code says."
    )
    heading = [DRIFT_MARKER, "### Drift", "", words, ""]
    return fitting(heading, [row(preview) for preview in previews], previews, [])


def fitting(heading: list[str], rows: list[str], previews: Sequence[Preview], end: list[str]) -> str:
    """With the lists of resources, or without them where these make it too long."""
    table = ["| Stack | Create | Update | Replace | Delete | Unchanged |", "|---|---|---|---|---|---|", *rows]
    lists = [line for preview in previews for line in details(preview)]
    text = "\n".join([*heading, *table, *lists, *end]) + "\n"
    if len(text) <= LONGEST:
        return text
    short = ["", "The lists of resources are too long for this text: the job's log has them."]
    return "\n".join([*heading, *table, *short, *end])[:LONGEST] + "\n"


def row(preview: Preview) -> str:
    if preview.fault:
        return f"| `{plain(preview.stack)}` | **can't be previewed** | | | | |"
    if preview.absent:
        return f"| `{plain(preview.stack)}` | not up yet | | | | |"
    counted = Counter(step.op for step in preview.steps)
    numbers = [f"**{counted[op]}**" if op in HEAVY and counted[op] else str(counted[op]) for op in CHANGES]
    return f"| `{plain(preview.stack)}` | {' | '.join(numbers)} | {preview.unchanged} |"


def details(preview: Preview) -> list[str]:
    if preview.fault:
        return ["", f"**`{plain(preview.stack)}`**", "", *fenced(preview.fault, "text")]
    steps = [*preview.outside, *sorted(preview.steps, key=lambda step: CHANGES.index(step.op), reverse=True)]
    if not steps:
        return []
    count = "1 line" if len(steps) == 1 else f"{len(steps)} lines"
    lines = ["", f"<details><summary><b>{plain(preview.stack)}</b>: {count}</summary>", ""]
    lines += ["| | Resource | Type | Differs |", "|---|---|---|---|"]
    for step in steps[:SHOWN]:
        differing = ", ".join(f"`{plain(name)}`" for name in step.properties[:12]) or "—"
        names = f"`{plain(step.name)}` | `{plain(step.type)}`"
        lines.append(f"| {OUTSIDE.get(step.op, step.op)} | {names} | {cell(differing)} |")
    if len(steps) > SHOWN:
        lines += ["", f"… and {len(steps) - SHOWN} more."]
    return [*lines, "", "</details>"]


def plain(name: str) -> str:
    """A name that can end neither its code span nor its cell, and mentions nobody."""
    return ODD.sub("·", name)[:120]
