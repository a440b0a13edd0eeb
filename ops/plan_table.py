"""A Deployment as tables for a terminal and as a page with its picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from groundwork.deployment import Deployment, Network
from groundwork.targets import DockerTarget, Target
from groundwork.views.document import copies_of, opening_text, secret_name, short, source_of
from groundwork.views.draw import mermaid, svg
from groundwork.workload import Workload

HEADINGS = ("Workload", "Role", "Image", "MiB", "CPU", "Port", "Uses", "Reached by", "Release", "Machines")
"""The last one only where there are machines."""


def workload_rows(deployment: Deployment) -> Iterator[tuple[str, ...]]:
    """One row a workload, in the order of HEADINGS; memory in MiB."""
    for workload in deployment.workloads:
        image, resources = workload.image, workload.resources
        copies = copies_of(workload)
        yield (
            workload.name,
            workload.role,
            f"{image.reference}\n{short(image.digest)} {image.origin}",
            f"{copies}{resources.memory_mib:,}",
            f"{resources.cpus:g}",
            str(workload.port or ""),
            ", ".join(workload.uses),
            reached_by(workload, deployment),
            workload.release,
            ", ".join(machine.name for machine in deployment.machines_of(workload.name)),
        )


def machine_rows(deployment: Deployment) -> Iterator[tuple[str, str, str, str, str]]:
    """One row a machine: name, role and address, what its containers need at most, and what it opens to whom."""
    for share in deployment.shares:
        if share.machine:
            machine, percent = share.machine, round(100 * share.memory_mib / share.machine.memory_mib)
            memory = f"{share.memory_mib:,} of {machine.memory_mib:,} MiB ({percent} %)"
            opened = "; ".join(map(opening_text, deployment.openings[machine.name]))
            yield machine.name, machine.role, str(machine.address), memory, opened


def reached_by(workload: Workload, deployment: Deployment) -> str:
    """Who may open a connection to the workload."""
    outside = [f"{port.address}:{port.port}" for port in deployment.front_doors(workload.name)]
    return ", ".join([*outside, *(c.client for c in deployment.connections if c.server == workload.name)])


def secret_rows(deployment: Deployment) -> Iterator[tuple[str, str]]:
    """Names of secrets and where their values come from; never a value."""
    for ref, key in deployment.secrets.items():
        yield secret_name(ref), source_of(key)


def memory_line(deployment: Deployment, target: Target) -> str:
    of = ""
    if isinstance(target, DockerTarget) and not deployment.machines:
        of = f" of the machine's {target.memory_mib:,} ({round(100 * deployment.memory_mib / target.memory_mib)} %)"
    return f"at most {deployment.memory_mib:,} MiB{of}, with every release beside its predecessor"


def place_lines(deployment: Deployment, target: Target) -> Iterator[tuple[str, str]]:
    """Where it runs on a cluster, and who may reach whom there."""
    if isinstance(target, DockerTarget):
        return
    namespace = target.namespace_of(deployment.prefix)
    yield "Cluster", f"context {target.context}, namespace {namespace}; entry by {target.exposure.kind}"
    yield "Network", "policies close everything but the paths above and DNS"


def show(console: Console, deployment: Deployment, target: Target) -> None:
    console.print(f"[bold]{deployment.system}[/] in {deployment.project}/{deployment.stack}")
    # Two lines a workload, so that 80 columns are enough.
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("Workload", no_wrap=True)
    table.add_column("Image", overflow="fold", min_width=18)
    table.add_column("Limits", justify="right", no_wrap=True)
    table.add_column("Paths")
    table.add_column("Release", no_wrap=True, min_width=9)
    for row in workload_rows(deployment):
        name, role, image, memory, cpus, port, uses, reached, release, machines = map(escape, row)
        reference, _, digest = image.partition("\n")
        paths = [f"uses {uses}"] if uses else []
        paths += [f":{port} from {reached}"] if reached else []
        table.add_row(
            f"{name}\n[dim]{role}{' on ' if machines else ''}{machines}[/]",
            f"{reference}\n[dim]{digest}[/]", f"{memory} MiB\n[dim]{cpus} CPU[/]",
            "\n".join(paths), release,
        )  # fmt: skip
    console.print(table)
    facts = [("Memory", memory_line(deployment, target)), *place_lines(deployment, target)]
    facts += [("URL", f"{url}  [dim]{name}[/]") for name, url in deployment.urls.items()]
    for name, role, address, memory, opened in machine_rows(deployment):
        facts.append(("Machine", f"{name} [dim]{role}, {address}[/] {memory}" + (f"; opens {opened}" * bool(opened))))
    for where, network in networks_by_place(deployment):
        members = ", ".join(sorted(network.members))
        facts.append(("Network", f"{where}{network.name} [dim]{network.subnet}{way_of(network)}[/] {members}"))
    facts += [("Secret", f"{escape(name)}  [dim]{escape(source)}[/]") for name, source in secret_rows(deployment)]
    for word, text in facts:
        console.print(f"[bold]{word:8}[/] {text}", soft_wrap=True, highlight=False)


def networks_by_place(deployment: Deployment) -> Iterator[tuple[str, Network]]:
    for share in deployment.shares:
        for network in share.networks:
            yield (f"{share.machine.name}/" if share.machine else ""), network


def way_of(network: Network) -> str:
    if network.leads_to:
        return f" (leads to {', '.join(f'{one.address}:{one.port}' for one in network.leads_to)})"
    if network.internal:
        return ""
    # The one of a single engine's gateway is told of as it always was.
    return " (leads outside)" if network.masquerade or network.name == "public" else " (for its published port)"


def write(folder: Path, system: str, deployment: Deployment) -> list[Path]:
    """Writes `<system>-<stack>.mmd`, `.svg` and `.md` into `folder`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{system}-{deployment.stack}"
    texts = {"mmd": mermaid(deployment), "svg": svg(deployment), "md": page(deployment, f"{name}.svg")}
    files = {folder / f"{name}.{ending}": text for ending, text in texts.items()}
    for file, text in files.items():
        file.write_text(text)
    return list(files)


def page(deployment: Deployment, picture: str) -> str:
    """Picture, tables and networks in Markdown."""
    lines = [
        f"# {deployment.system} in {deployment.project}/{deployment.stack}",
        "",
        f"![What runs where]({picture})",
        "",
    ]
    shown = len(HEADINGS) if deployment.machines else -1
    rows = (row[:shown] for row in workload_rows(deployment))
    lines += markdown_table(HEADINGS[:shown], rows)
    if deployment.machines:
        lines += ["", *markdown_table(("Machine", "Role", "Address", "Memory", "Opens"), machine_rows(deployment))]
    lines += ["", f"Memory: {deployment.memory_mib:,} MiB, with every release beside its predecessor.", ""]
    networks = (
        (f"{where}{n.name}", str(n.subnet), "no" if n.internal else "yes", ", ".join(sorted(n.members)))
        for where, n in networks_by_place(deployment)
    )
    if deployment.networks:
        lines += markdown_table(("Network", "Subnet", "Way out", "Members"), networks)
    lines += ["", *markdown_table(("Secret", "Source"), secret_rows(deployment))]
    lines += ["", "```mermaid", mermaid(deployment).rstrip(), "```", ""]
    return "\n".join(lines)


def markdown_table(headings: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> list[str]:
    lines = [f"| {' | '.join(headings)} |", "|" + "---|" * len(headings)]
    return lines + [f"| {' | '.join(map(cell, row))} |" for row in rows]


def cell(text: str) -> str:
    """Text that stays within its cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", "<br>")
