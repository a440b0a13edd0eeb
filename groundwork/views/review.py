"""The comment on a pull request: what its changes do to every stack, in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .compare import Change, Impact, difference, impact_of
from .document import Data

MARKER = "<!-- groundwork-preview -->"
"""By this line a later run finds its comment again."""
WORDS: dict[Impact, str] = {
    "none": "none",
    "switch": "none; the new takes over from the old",
    "interruption": "**short**",
    "data": "**data is removed**",
}
LONGEST_DIFF = 80
"""Lines of a difference that a comment shows."""
LONGEST = 60_000
"""Characters of a comment with differences; GitHub takes 65,536."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One stack in one checkout: its document, or why there is none (None: it has no such stack file)."""

    document: Data | None = None
    fault: str | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    stack: str
    before: Side
    after: Side

    @property
    def changes(self) -> list[Change] | None:
        """None where one of the two sides has no document."""
        if self.before.document is None or self.after.document is None:
            return None
        return difference(self.before.document, self.after.document)


def review(comparisons: Sequence[Comparison]) -> str:
    """The whole comment: a table of all stacks first, then each stack's details, folded.

    Differences of files are left out where they make it too long.
    """
    text = rendered(comparisons, texts=True)
    return text if len(text) <= LONGEST else rendered(comparisons, texts=False)


def rendered(comparisons: Sequence[Comparison], *, texts: bool) -> str:
    lines = [MARKER, "### What this changes in each environment", ""]
    if comparisons and all(comparison.changes == [] for comparison in comparisons):
        stacks = ", ".join(f"`{comparison.stack}`" for comparison in comparisons)
        lines += [f"Nothing changes in {stacks}."]
        return "\n".join(lines) + "\n"
    lines += ["| Stack | What happens | Interruption | Memory |", "|---|---|---|---|"]
    lines += [row(comparison) for comparison in comparisons]
    for comparison in comparisons:
        lines += details(comparison, texts)
    lines += [
        "",
        "<sub>From the two checkouts' own code, without credentials; nothing was started or changed.</sub>",
    ]
    return "\n".join(lines) + "\n"


def row(comparison: Comparison) -> str:
    changes, name = comparison.changes, f"`{comparison.stack}`"
    if comparison.after.fault:
        return f"| {name} | **can't be deployed: its stack file or system is broken** | — | — |"
    if comparison.after.document is None:
        return f"| {name} | its stack file goes; what runs stays until `make down` from before | — | — |"
    peak = comparison.after.document["memory_mib"]
    if changes is None:
        why = "cannot be read before" if comparison.before.fault else "new stack"
        count = len(comparison.after.document["workloads"])
        return f"| {name} | {why}: {count} containers and jobs | — | {peak:,} MiB |"
    if not changes:
        return f"| {name} | nothing changes | none | {peak:,} MiB |"
    assert comparison.before.document is not None
    was = comparison.before.document["memory_mib"]
    memory = f"{peak:,} MiB" if was == peak else f"{was:,} → {peak:,} MiB"
    return f"| {name} | {headline(changes)} | {WORDS[impact_of(changes)]} | {memory} |"


def headline(changes: list[Change]) -> str:
    """The changes of the containers by what happens to them; of the rest only how many there are."""
    said: dict[str, list[str]] = {}
    for change in changes:
        if change.kind == "workload" and change.action == "changed":
            said.setdefault(change.effect, []).append(change.name)
        elif change.kind in ("workload", "volume"):
            said.setdefault(f"{change.action} {change.kind}", []).append(change.name)
    parts = [f"{', '.join(names)}: {cell(effect)}" for effect, names in said.items()]
    rest = Counter(change.kind for change in changes if change.kind not in ("workload", "volume"))
    parts += [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in rest.items()]
    return "<br>".join(parts)


def details(comparison: Comparison, texts: bool) -> list[str]:
    """The folded part of one stack; a broken one stands open."""
    if comparison.after.fault:
        return ["", f"**`{comparison.stack}`**", "", *fenced(comparison.after.fault, "text")]
    changes = comparison.changes
    if not changes:
        return []
    lines = ["", f"<details><summary><b>{comparison.stack}</b>: {len(changes)} changes</summary>", ""]
    if len(changes) == 1:
        lines[1] = f"<details><summary><b>{comparison.stack}</b>: 1 change</summary>"
    lines += ["| | What | Differs | At run time |", "|---|---|---|---|"]
    for change in changes:
        facts = "<br>".join(cell(fact) for fact in change.facts) or "—"
        lines.append(f"| {change.action} | {change.kind} **{cell(change.name)}** | {facts} | {cell(change.effect)} |")
    for change in changes if texts else ():
        for name, text in change.texts:
            lines += [
                "",
                f"<details><summary>{change.name}: {name}</summary>",
                "",
                *fenced(shortened(text), "diff"),
            ]
            lines += ["", "</details>"]
    if not texts:
        lines += [
            "",
            "The differences of files are too long for a comment: `make plan` on both commits has them.",
        ]
    return [*lines, "", "</details>"]


def cell(text: str) -> str:
    """Text that stays within its cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def fenced(text: str, language: str) -> list[str]:
    # Longer than any fence inside, so that no content ends it.
    fence = "`" * max(3, 1 + max((len(line) - len(line.lstrip("`")) for line in text.splitlines()), default=0))
    return [f"{fence}{language}", text, fence]


def shortened(text: str) -> str:
    lines = text.splitlines()
    if len(lines) <= LONGEST_DIFF:
        return text
    return "\n".join([*lines[:LONGEST_DIFF], f"… {len(lines) - LONGEST_DIFF} more lines"])
