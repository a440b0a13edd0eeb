"""What everything wrote, by Loki. Its streams have the labels stack, workload, machine and level."""

from __future__ import annotations

from ..log_rules import BURST
from .panels import Dashboard, Panel, Query, Row, Variable, rising

UID = "groundwork-logs"
ANY = '{stack=~".+"}'
CHOSEN = 'stack=~".+", workload=~"$workload", machine=~"$machine"'
LINES = f'{{{CHOSEN}, level=~"$level"}} |= `$search`'
BAD = f'{{{CHOSEN}, level=~"error|fatal"}}'
BURST_A_MINUTE = BURST // 5
"""Lines with an error from one workload, beyond which a person should read them: where its alert is."""


def logs_dashboard() -> Dashboard:
    return Dashboard(
        uid=UID,
        title="Logs",
        text="What everything wrote. Choose a workload, then narrow it by level or by a word.",
        tags=("logs",),
        hours=1,
        variables=(
            _chosen("workload", "Workload", "Whose lines are shown; all of them to begin with."),
            _chosen("machine", "Machine", "Where it ran."),
            _chosen("level", "Level", "How bad the program itself says that it is."),
            Variable(name="search", title="Contains", text="Text that a line must contain, such as a request's id."),
        ),
        rows=(
            Row(title="How much", panels=(
                _counted(
                    "Lines by level",
                    f"sum by (level) (count_over_time({LINES} [$__auto]))",
                    "{{level}}",
                    "More errors than before a release: read them below before the release goes on.",
                ),
                _counted(
                    "Lines by workload",
                    f"sum by (workload) (count_over_time({LINES} [$__auto]))",
                    "{{workload}}",
                    "One that writes far more than all others fills the store: lower its level. One that fell silent "
                    "has stopped, or its lines no longer arrive.",
                ),
                _errors(),
            )),
            Row(title="Lines", panels=(_lines(),)),
        ),
    )  # fmt: skip


def _chosen(name: str, title: str, text: str) -> Variable:
    return Variable(name=name, title=title, text=text, label=name, of=ANY, source="loki", many=True)


def _counted(title: str, expr: str, legend: str, text: str) -> Panel:
    return Panel(
        kind="lines",
        title=title,
        unit="short",
        text=text,
        queries=(Query(expr=expr, legend=legend, source="loki"),),
        stacked=True,
        empty="no lines",
    )


def _errors() -> Panel:
    return Panel(
        kind="lines",
        title="Errors a minute",
        unit="short",
        text=f"Above {BURST_A_MINUTE} a minute something fails for many: choose that workload, and read the first of "
        "them.",
        queries=(
            Query(expr=f"sum by (workload) (rate({BAD} [5m])) * 60", legend="{{workload}}", source="loki"),
        ),
        steps=rising(BURST_A_MINUTE),
        empty="none",
    )


def _lines() -> Panel:
    return Panel(
        kind="log",
        title="Lines",
        unit="none",
        text="The newest first. A click on a line shows its fields, and what came before and after it.",
        queries=(Query(expr=LINES, source="loki"),),
        width=24,
        height=18,
        empty="no lines",
    )
