"""The commands and their options.

Each command imports what it needs itself: `plan` must not wait for an engine's client.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ops.checkout import ROOT, lock_of, lock_of_commit, open_stack
from tools.engine.checkout import UserError

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
    deployment = opened.deployment(lock_of_commit() if committed else lock_of(opened))
    if as_json:
        print_json(document(deployment))
        return
    console = Console()
    plan_table.show(console, deployment, opened.configuration.settings.target)
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
def preview_report(
    folder: Annotated[Path, typer.Argument(help="What `.ci/preview-state` wrote.", exists=True, file_okay=False)],
    drift: Annotated[bool, typer.Option("--drift", help="A difference is a fault: exit code 1.")] = False,
    output: Annotated[Path | None, typer.Option(help="File for the Markdown; standard output without it.")] = None,
) -> None:
    """What previews of running stacks say, by resource. Exit code 1 where a stack can't be previewed."""
    from groundwork.views.preview import drift_report, state_section
    from ops.preview_report import read_folder

    previews = read_folder(folder)
    text = drift_report(previews) if drift else state_section(previews)
    if output:
        output.write_text(text)
    else:
        typer.echo(text, nl=False)
    raise typer.Exit(1 if any(preview.fault or (drift and preview.differs) for preview in previews) else 0)


@app.command()
def lock(
    stack: StackOption = "dev",
    system: SystemOption = "",
    refresh: Annotated[
        bool, typer.Option(help="Ask the registries for images that have a digest already, too.")
    ] = False,
) -> None:
    """Resolve every image of the stack to a digest; build the ones that are built here."""
    from ops.lock import lock_images, refuse_local

    opened = open_stack(stack, system)
    images = opened.images()
    if opened.on_cluster:
        refuse_local(opened.name, images)
    for line in lock_images(ROOT, images.values(), refresh=refresh):
        typer.echo(line)


@app.command()
def check(stack: StackOption = "dev", system: SystemOption = "") -> None:
    """Whether the stack file fits its system. Says nothing when it does."""
    opened = open_stack(stack, system)
    opened.deployment(lock_of(opened))


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
    tail: Annotated[int, typer.Option(min=0, help="At most so many lines of each container, or workload.")] = 100,
    since: Annotated[str, typer.Option(help="Only what is younger, such as 90s, 10m, 2h or 1d.")] = "",
    as_json: JsonOption = False,
) -> None:
    """What containers wrote, merged by time."""
    from ops import logs as command
    from ops.running import open_running

    command.show(
        Console(highlight=False), open_running(stack, system), workload,
        command.wanted_of(follow=follow, tail=tail, since=since), as_json=as_json,
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


@app.command()
def shell(
    workload: Annotated[str, typer.Argument(help="A workload such as `api`.")],
    command: Annotated[list[str] | None, typer.Argument(help="Behind `--`: a command instead of a shell.")] = None,
    stack: StackOption = "dev",
    system: SystemOption = "",
) -> None:
    """A shell in the newest container that is ready. What is written there is lost with the container."""
    from ops import shell as entering
    from ops.running import open_running

    code = entering.enter(
        open_running(stack, system), workload, command or (), terminal=entering.at_terminal(),
        say=lambda text: typer.echo(text, err=True),
    )  # fmt: skip
    raise typer.Exit(code)


@app.command()
def tunnel(
    workload: Annotated[str, typer.Argument(help="A workload such as `postgres`.")],
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of 127.0.0.1 on this machine.")] = None,
    remote: Annotated[str, typer.Option(help="Name or number of another port than the main one.")] = "",
    stack: StackOption = "dev",
    system: SystemOption = "",
) -> None:
    """An internal port on 127.0.0.1 of this machine, until interrupted."""
    from ops import tunnel as command
    from ops.running import open_running

    raise typer.Exit(command.hold(open_running(stack, system), workload, local=port, remote=remote, say=typer.echo))


@app.command()
def rollback(
    app: Annotated[str, typer.Argument(help="An app such as `api`; without it all that have an image.")] = "",
    to: Annotated[str, typer.Option(help="Number of an update, digest of an image, or NAME@sha256:….")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: for CI.")] = False,
    stack: StackOption = "dev",
    system: SystemOption = "",
) -> None:
    """Back to an earlier image: writes it into the stack file and runs `up`."""
    from ops import rollback as command
    from ops.running import open_running
    from ops.shell import at_terminal

    def ask() -> bool:
        if not yes and not at_terminal():
            raise UserError("Nobody is there to be asked: say --yes.")
        return yes or typer.confirm("Do it?")

    raise typer.Exit(command.run(open_running(stack, system), app, to, ask=ask, console=Console()))


@app.command()
def manifests(
    stack: StackOption = "dev",
    system: SystemOption = "",
    output: Annotated[Path | None, typer.Option(help="File for the YAML; standard output without it.")] = None,
) -> None:
    """The objects of a stack on Kubernetes as YAML, with placeholders for secrets: to read, and for judges."""
    from groundwork.kubernetes import manifests as objects
    from groundwork.kubernetes.render import rendered

    opened = open_stack(stack, system)
    if not opened.on_cluster:
        raise UserError(f"{opened.label} runs on a Docker engine and has no manifests; `make plan` shows what runs.")
    text = rendered(objects(opened.deployment(lock_of(opened)), opened.configuration.settings))
    if output:
        output.write_text(text)
    else:
        typer.echo(text, nl=False)


@app.command()
def harden(
    host: Annotated[str, typer.Argument(help="A machine of the stack file such as `app-1`, or its address.")],
    stack: StackOption = "prod",
    system: SystemOption = "",
    login: Annotated[str, typer.Option(help="Who can become root there; the first time it is your own user.")] = (
        "groundwork"
    ),
    key: Annotated[
        list[Path] | None, typer.Option(help="Public key of who deploys; again for each. Without it all stay.")
    ] = None,
) -> None:
    """Prepare a host that exists for containers. A second run changes nothing and says so."""
    from ops import harden as command

    raise typer.Exit(command.harden(command.host_of(open_stack(stack, system), host, login, key or ()), typer.echo))
