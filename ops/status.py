"""What runs where: the state's containers as the engine sees them, and the URLs as a user does."""

from __future__ import annotations

import http.client
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ops.request import fetch, trusting
from ops.running import Running, make_up

if TYPE_CHECKING:
    from docker.models.containers import Container

MIB = 1_048_576


@dataclass(frozen=True, kw_only=True)
class Row:
    """One container. `since` is its start or end in UTC; memory in MiB, None where it does not run."""

    workload: str
    role: str
    release: str
    container: str
    state: str
    ok: bool
    health: str = ""
    restarts: int = 0
    since: str | None = None
    memory_mib: float | None = None
    limit_mib: float | None = None


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
    """Asks the engine for every container and the gateway for every URL; a simulated stack is only listed."""
    expected: list[dict[str, str]] = list(running.outputs["containers"])
    addresses = running.urls
    if running.simulated:
        rows = [Row(**known(entry), state="simulated", ok=True) for entry in expected]
        urls = [Reached(name=name, url=url, answer="simulated", ok=True) for name, url in addresses.items()]
    else:
        rows = rows_of(running, expected)
        urls = [reached(running, name, url) for name, url in addresses.items()]
    return Report(
        stack=running.stack.label, prefix=running.prefix, simulated=running.simulated,
        rows=tuple(rows), urls=tuple(urls), next=tuple(next_commands(running, rows)),
    )  # fmt: skip


def known(entry: Mapping[str, str]) -> dict[str, Any]:
    return {
        "workload": entry["workload"],
        "role": entry["role"],
        "release": entry["release"],
        "container": entry["name"],
    }


def rows_of(running: Running, expected: Iterable[Mapping[str, str]]) -> list[Row]:
    """A row for each container in the state, and one for each that runs and is in no state."""
    found = {
        str(container.name): container
        for container in running.engine().containers.list(all=True, filters={"label": running.labels})
    }
    names = [entry["name"] for entry in expected]
    with ThreadPoolExecutor(max_workers=8) as pool:
        memory = dict(pool.map(lambda name: (name, memory_of(found.get(name))), names))
    attributes = {name: container.attrs for name, container in found.items()}
    rows = [row_of(entry, attributes.get(entry["name"]), memory) for entry in expected]
    for name, container in found.items():
        if name not in names and container.status == "running":
            labels = container.labels
            rows.append(
                Row(
                    workload=labels.get("groundwork.workload", ""), role=labels.get("groundwork.role", ""),
                    release=labels.get("groundwork.release", ""), container=name,
                    state="in no state", ok=False,
                )
            )  # fmt: skip
    return rows


def memory_of(container: Container | None) -> float | None:
    """What the container holds in MiB, less files that the kernel may drop; None where it does not run."""
    if container is None or container.status != "running":
        return None
    sample: dict[str, Any] = container.stats(stream=False, one_shot=True)  # type: ignore[assignment]
    used = sample.get("memory_stats", {})
    if "usage" not in used:
        return None
    return float(used["usage"] - used.get("stats", {}).get("inactive_file", 0)) / MIB


def row_of(entry: Mapping[str, str], attributes: Mapping[str, Any] | None, memory: Mapping[str, float | None]) -> Row:
    """A container as `docker inspect` shows it (None: there is none of that name) as a row."""
    if attributes is None:
        return Row(**known(entry), state="missing", ok=False)
    state, host = attributes["State"], attributes["HostConfig"]
    health = str(state.get("Health", {}).get("Status", ""))
    once = host["RestartPolicy"]["Name"] in ("", "no")
    word, ok = verdict(state["Status"], health, state["ExitCode"], once)
    ended = state["Status"] in ("exited", "dead")
    return Row(
        **known(entry),
        state=word,
        ok=ok,
        health="" if once or ended else health,
        restarts=attributes["RestartCount"],
        since=state["FinishedAt" if ended else "StartedAt"],
        memory_mib=memory.get(entry["name"]),
        limit_mib=host["Memory"] / MIB or None,
    )


def verdict(status: str, health: str, exit_code: int, once: bool) -> tuple[str, bool]:
    """The word for a container's state, and whether that is as it should be.

    What runs once is healthy from the moment its work is done, and stays a while until that was seen.
    """
    if once:
        if status == "exited":
            return ("done", True) if exit_code == 0 else (f"failed ({exit_code})", False)
        return ("done", True) if health == "healthy" else (status, False)
    if status == "exited":
        return f"exited ({exit_code})", False
    return status, status == "running" and health in ("healthy", "")


def reached(running: Running, name: str, url: str) -> Reached:
    """One GET of a URL of the stack."""
    certificate = running.stack.configuration.settings.entry.certificate
    tls = trusting(certificate) if url.startswith("https:") else None
    try:
        answer = fetch(url, tls=tls)
    except (OSError, http.client.HTTPException) as error:
        return Reached(name=name, url=url, answer=str(error) or type(error).__name__, ok=False)
    ok, took = answer.status < 400, round(answer.milliseconds, 1)
    return Reached(name=name, url=url, answer=str(answer.status), ok=ok, milliseconds=took)


def next_commands(running: Running, rows: Iterable[Row]) -> list[str]:
    """What to try now: the log of what is wrong first."""
    if running.simulated:
        up = make_up(running.stack.name, running.system)
        return [running.command("plan"), f"{up} PROVIDERS=real"]
    ill = [row.workload for row in rows if not row.ok]
    apps = [row.workload for row in rows if row.role == "app"]
    urls = running.urls
    commands = [f"curl -sS {urls['system']}"] if not ill and "system" in urls else []
    return [*commands, running.command("logs", *(ill or apps)[-1:]), running.command("smoke")]


def show(console: Console, report: Report) -> None:
    if report.simulated:
        console.print(f"[bold yellow]SIMULATED:[/] nothing was started for {report.stack}. Would run:")
    names = f"[dim]names begin with[/] {report.prefix}"
    console.print(f"[bold]{report.stack}[/]  {names}", highlight=False)
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("Container", overflow="fold", min_width=len("postgres-accounts"))
    table.add_column("Role", no_wrap=True)
    table.add_column("Release", no_wrap=True)
    table.add_column("State", no_wrap=True)
    if not report.simulated:
        table.add_column("Restarts", justify="right")
        table.add_column("Since", justify="right", no_wrap=True)
        table.add_column("Memory MiB", justify="right", no_wrap=True)
    for row in report.rows:
        cells = [row.container.removeprefix(report.prefix), row.role, row.release, state_text(row)]
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
