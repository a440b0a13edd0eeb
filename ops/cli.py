"""The commands and their options.

Each command imports what it needs itself: `plan` must not wait for an engine's client.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ops.checkout import ROOT, lock_of_commit, lock_of_machine, open_stack

app = typer.Typer(
    help="Day-two commands for one stack of one system.", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False,
)  # fmt: skip

StackOption = Annotated[str, typer.Option("--stack", help="The environment: Pulumi.STACK.yaml.")]
SystemOption = Annotated[str, typer.Option("--system", help="A folder of systems/; the top-level project without it.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Data instead of a table.")]


def print_json(data: object) -> None:
    typer.echo(json.dumps(data, indent=2))


@app.command()
def plan(
    stack: StackOption = "dev",
    system: SystemOption = "",
    as_json: JsonOption = False,
    write: Annotated[Path, typer.Option(help="Folder for the pictures and the page.")] = Path(".groundwork/plan"),
    committed: Annotated[
        bool, typer.Option(help="Nothing that only this machine has: for comparing two commits.")
    ] = False,
) -> None:
    """What the stack runs, as a table and a picture, without an engine."""
    from groundwork.views.document import document
    from ops import plan_table

    opened = open_stack(stack, system)
    deployment = opened.deployment(lock_of_commit() if committed else lock_of_machine())
    if as_json:
        print_json(document(deployment))
        return
    console = Console()
    plan_table.show(console, deployment, opened.configuration.settings.target.memory_mib)
    for file in plan_table.write(write, opened.system.name, deployment):
        console.print(f"[dim]written:[/] {file}", soft_wrap=True)


@app.command()
def compare(
    base: Annotated[Path, typer.Argument(help="Checkout of the commit before.", exists=True, file_okay=False)],
    head: Annotated[Path, typer.Argument(help="Checkout of the commit after.", exists=True, file_okay=False)],
    stack: Annotated[str, typer.Option("--stack", help="Only this environment.")] = "",
    output: Annotated[Path | None, typer.Option(help="File for the Markdown; standard output without it.")] = None,
) -> None:
    """What a change does to every stack, as a pull request's comment. Exit code 1 where it breaks one."""
    from groundwork.views.review import review
    from ops.comparison import compare_checkouts

    comparisons = compare_checkouts(base.resolve(), head.resolve(), stack)
    text = review(comparisons)
    if output:
        output.write_text(text)
    else:
        typer.echo(text, nl=False)
    raise typer.Exit(1 if any(comparison.after.fault for comparison in comparisons) else 0)


@app.command()
def lock(
    stack: StackOption = "dev",
    system: SystemOption = "",
    refresh: Annotated[
        bool, typer.Option(help="Ask the registries for images that have a digest already, too.")
    ] = False,
) -> None:
    """Resolve every image of the stack to a digest; build the ones that are built here."""
    from ops.lock import lock_images

    opened = open_stack(stack, system)
    for line in lock_images(ROOT, opened.images().values(), refresh=refresh):
        typer.echo(line)


@app.command()
def check(stack: StackOption = "dev", system: SystemOption = "") -> None:
    """Whether the stack file fits its system. Says nothing when it does."""
    open_stack(stack, system).deployment(lock_of_machine())


@app.command()
def status(stack: StackOption = "dev", system: SystemOption = "", as_json: JsonOption = False) -> None:
    """What runs where, and how it does. Exit code 0 when everything is healthy."""
    from ops import status as command
    from ops.running import open_running

    report = command.look(open_running(stack, system))
    if as_json:
        print_json(report.data())
    else:
        command.show(Console(), report)
    raise typer.Exit(0 if report.healthy else 1)


@app.command()
def logs(
    workload: Annotated[str, typer.Argument(help="A workload such as `api`; all of them without it.")] = "",
    stack: StackOption = "dev",
    system: SystemOption = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until interrupted.")] = False,
    tail: Annotated[int, typer.Option(min=0, help="At most so many lines of each container.")] = 100,
    since: Annotated[str, typer.Option(help="Only what is younger, such as 90s, 10m, 2h or 1d.")] = "",
    as_json: JsonOption = False,
) -> None:
    """What containers wrote, merged by time."""
    from ops import logs as command
    from ops.running import open_running

    command.show(
        Console(highlight=False), open_running(stack, system), workload,
        command.Wanted(follow=follow, tail=tail, since=since), as_json=as_json,
    )  # fmt: skip


@app.command()
def smoke(stack: StackOption = "dev", system: SystemOption = "", as_json: JsonOption = False) -> None:
    """One request for each promise of the gateway. Exit code 1 when one is broken."""
    from ops import smoke as command
    from ops.running import open_running

    opened = open_stack(stack, system)
    results = command.run(opened, open_running(stack, system))
    if as_json:
        print_json([result.data() for result in results])
    else:
        command.show(Console(), results)
    raise typer.Exit(1 if any(result.failed for result in results) else 0)
