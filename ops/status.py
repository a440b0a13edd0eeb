"""What runs where: the state's containers as the place that runs them sees them, and the URLs as a user does."""

from __future__ import annotations

import http.client
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ops.entry import Way, is_inside, way_in
from ops.place import Row, blank
from ops.request import fetch
from ops.running import Running, make_up


@dataclass(frozen=True, kw_only=True)
class Reached:
    """What a URL answered: a status, or the words of what went wrong."""

    name: str
    url: str
    answer: str
    ok: bool
    milliseconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    stack: str
    prefix: str
    """What every container's name begins with."""
    simulated: bool
    rows: tuple[Row, ...]
    urls: tuple[Reached, ...]
    next: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether everything is as it should be; a simulated stack has nothing that could be otherwise."""
        return all(row.ok for row in self.rows) and all(url.ok for url in self.urls)

    def data(self) -> dict[str, Any]:
        return {**asdict(self), "healthy": self.healthy}


def look(running: Running) -> Report:
    """Asks the place for every container and the gateway for every URL; a simulated stack is only listed."""
    expected: list[dict[str, str]] = list(running.outputs["containers"])
    addresses = running.urls
    # Pods are named in a namespace of their own.
    prefix = "" if running.stack.on_cluster else running.prefix
    if running.simulated:
        rows = [blank(entry, "simulated", ok=True) for entry in expected]
        urls = [Reached(name=name, url=url, answer="simulated", ok=True) for name, url in addresses.items()]
    else:
        place = running.place()
        prefix, rows = place.prefix, place.rows(expected)
        with way_in(running, lambda: place) as way:
            urls = [reached(way, name, url) for name, url in addresses.items()]
    return Report(
        stack=running.stack.label, prefix=prefix, simulated=running.simulated,
        rows=tuple(rows), urls=tuple(urls), next=tuple(next_commands(running, rows)),
    )  # fmt: skip


def reached(way: Way, name: str, url: str) -> Reached:
    """One GET of a URL of the stack."""
    if way.trouble:
        return Reached(name=name, url=url, answer=way.trouble, ok=False)
    try:
        answer = fetch(way.url(url), tls=way.tls, through=way.port)
    except (OSError, http.client.HTTPException) as error:
        return Reached(name=name, url=url, answer=str(error) or type(error).__name__, ok=False)
    # A system need not have anything at its root; the gateway then says so.
    ok, took = answer.status < 400 or answer.status == 404, round(answer.milliseconds, 1)
    return Reached(name=name, url=url, answer=str(answer.status), ok=ok, milliseconds=took)


def next_commands(running: Running, rows: Iterable[Row]) -> list[str]:
    """What to try now: the log of what is wrong first."""
    if running.simulated:
        up = make_up(running.stack.name, running.system)
        return [running.command("plan"), f"{up} PROVIDERS=real"]
    ill = [row.workload for row in rows if not row.ok]
    apps = [row.workload for row in rows if row.role == "app"]
    urls = running.urls
    commands = []
    if not ill and "system" in urls:
        inside = is_inside(urls["system"])
        commands = [running.command("tunnel", "gateway") if inside else f"curl -sS {urls['system']}"]
    return [*commands, running.command("logs", *(ill or apps)[-1:]), running.command("smoke")]


def show(console: Console, report: Report) -> None:
    if report.simulated:
        console.print(f"[bold yellow]SIMULATED:[/] nothing was started for {report.stack}. Would run:")
    names = f"[dim]names begin with[/] {report.prefix}" if report.prefix else ""
    console.print(f"[bold]{report.stack}[/]  {names}", highlight=False)
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("Container", overflow="fold", min_width=len("postgres-accounts"))
    on_machines = any(row.machine for row in report.rows)
    if on_machines:
        table.add_column("Machine", no_wrap=True)
    table.add_column("Role", no_wrap=True)
    table.add_column("Release", no_wrap=True)
    table.add_column("State", no_wrap=True)
    if not report.simulated:
        table.add_column("Restarts", justify="right")
        table.add_column("Since", justify="right", no_wrap=True)
        table.add_column("Memory MiB", justify="right", no_wrap=True)
    for row in report.rows:
        cells = [row.container.removeprefix(report.prefix), *([row.machine] if on_machines else [])]
        cells += [row.role, row.release, state_text(row)]
        if not report.simulated:
            cells += [str(row.restarts or ""), age(row.since, datetime.now(UTC)), memory_text(row)]
        table.add_row(*cells)
    console.print(table)
    for url in report.urls:
        colour = "yellow" if report.simulated else "green" if url.ok else "red"
        took = f" [dim]{url.milliseconds:.0f} ms[/]" if url.milliseconds is not None else ""
        answer = f"[{colour}]{escape(url.answer)}[/]{took}"
        console.print(f"[bold]{url.url}[/]  {answer}", soft_wrap=True, highlight=False)
    console.print("Next:")
    for command in report.next:
        console.print(f"  {command}", soft_wrap=True, highlight=False, markup=False)


def state_text(row: Row) -> str:
    colour = "yellow" if row.state == "simulated" else "green" if row.ok else "red"
    return f"[{colour}]{row.health if row.health and row.state == 'running' else row.state}[/]"


def age(since: str | None, now: datetime) -> str:
    """How long ago, in the largest unit that fits: `42 s`, `7 min`, `3 h`, `12 d`."""
    if since is None or since.startswith("0001-"):
        return ""
    # The engine gives nanoseconds, Python takes microseconds.
    seconds = (now - datetime.fromisoformat(since[:19] + "+00:00")).total_seconds()
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def memory_text(row: Row) -> str:
    if row.memory_mib is None or row.state == "done":
        return ""
    return f"{row.memory_mib:.0f} / {row.limit_mib:.0f}" if row.limit_mib else f"{row.memory_mib:.0f}"
