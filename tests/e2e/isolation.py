"""The isolation table: what can be reached, compared with what the Deployment says.

`python -m tests.e2e.isolation --system housing --stack dev` makes it for a real stack of this checkout that is
up. It ends with 1 where something is open that must not be, or closed that must be open.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

import docker

from groundwork.deployment import Connection, Deployment
from groundwork.workload import Published
from ops.checkout import lock_of_machine, open_stack
from tests.e2e.decoys import Decoys, decoys
from tests.e2e.reach import (
    RESOLVE,
    Kind,
    Place,
    Row,
    Target,
    attempts,
    attempts_here,
    container_targets,
    machine_targets,
    outside_targets,
    places,
    run_inside,
)

FORWARDED = "host rule (DOCKER-USER)"
"""Between containers or onwards: the engine leaves these packets to that chain first."""
INCOMING = "host rule (INPUT)"
"""To the machine itself: such packets never see DOCKER-USER."""
PEERS = "clients of one service"
KINDS: dict[Kind, str] = {
    "container": "containers of the stack",
    "stranger": "another container",
    "nobody": "addresses of nobody",
    "bridge": "its bridges",
    "machine": "machine",
    "published": "published port",
    "metadata": "169.254.169.254",
    "outside": "server outside",
    "neighbour": "server that knows the way back",
}
ANYWHERE = "0.0.0.0"


def labels(deployment: Deployment) -> list[str]:
    return [f"groundwork.project={deployment.project}", f"groundwork.stack={deployment.stack}"]


def published(deployment: Deployment) -> list[Published]:
    return [port for workload in deployment.workloads for port in workload.published]


def scan(
    engine: docker.DockerClient, deployment: Deployment, around: Decoys, strangers: Sequence[Place] = ()
) -> list[Row]:
    """Every attempt: from each running container, from `strangers` on the same engine, from the machine and from
    outside; to each other, at every port that any of them listens on or the plan names."""
    found = places(engine, deployment.prefix, labels(deployment))
    entries = published(deployment)
    planned = {*(it.port for it in deployment.connections), *(it.target for it in entries)}
    ports = planned | {port for place in (*found, *strangers) for port in place.listeners}
    inside = container_targets(found, ports)
    taken = {target.address for target in inside}
    machine = machine_targets(engine, labels(deployment), {around.host_port, *(it.port for it in entries)}, taken)
    others = container_targets(strangers, ports, "stranger")
    subnets = [network.subnet for network in deployment.networks]
    nobody = [
        Target(kind="nobody", server="nobody", address=str(address), port=max(planned))
        for address in (subnet[-2] for subnet in subnets)
        if str(address) not in taken
    ]
    with around.no_way_on(subnets):
        table = attempts(engine, found, [*inside, *others, *machine, *nobody, *outside_targets(around)])
        table += attempts(engine, strangers, inside)
        table += attempts_here("machine", [], [entry(it) for it in entries])
        if around.outside:
            used = {it.port for it in entries}
            with around.way_in(subnets):
                at_machine = [target for target in machine if target.port in used]
                table += attempts_here("outside", around.enter(), [*inside, *at_machine])
    return table


def entry(port: Published) -> Target:
    """Where the machine finds its own published port."""
    address = "127.0.0.1" if port.address == ANYWHERE else port.address
    return Target(kind="published", server="gateway", address=address, port=port.port)


def reason(deployment: Deployment, client: str, target: Target) -> str | None:
    """Why `target` may answer `client`; None when it must not. Taken from what connects, not from who was put into
    which network, so that a network with a member too many is seen."""
    if target.kind == "container":
        return _reason_inside(deployment, client, target)
    if target.kind == "published":
        return "published" if client == "machine" else None
    if client == "outside":
        open_to_all = {it.port for it in published(deployment) if it.address != "127.0.0.1"}
        return "published" if target.port in open_to_all else None
    if target.kind == "nobody":
        return None
    egress = any(workload.name == client and workload.egress for workload in deployment.workloads)
    if target.kind == "stranger" or not (egress or client == "gateway"):
        return None
    if target.kind in ("bridge", "machine"):
        return INCOMING
    if egress:
        return FORWARDED if target.kind == "metadata" else "egress"
    # The gateway's packets leave with its own address. Who sends answers back to that is reached, unless the
    # engine (28 does) drops what comes to a container's address from elsewhere.
    return FORWARDED if target.kind == "neighbour" else None


def _reason_inside(deployment: Deployment, client: str, target: Target) -> str | None:
    ways = [it for it in deployment.connections if network_of(it) == target.network]
    clients, servers = {it.client for it in ways}, {it.server for it in ways}
    if any((it.client, it.server, it.port) == (client, target.server, target.port) for it in ways):
        return "route" if target.network == "edge" else "uses"
    if target.network != "edge" and {client, target.server} <= clients:
        return PEERS
    replicas = client == target.server and target.network == f"{client}-egress"
    return FORWARDED if replicas or {client, target.server} <= clients | servers else None


def network_of(connection: Connection) -> str:
    """The one network in which a connection is meant to come about."""
    return "edge" if connection.client == "gateway" else connection.server


def faults(deployment: Deployment, table: Sequence[Row]) -> list[str]:
    """One line for everything that answers without a reason, and for what is allowed and does not come about."""
    return [*_unexplained(deployment, table), *_missing(deployment, table)]


def answered(row: Row) -> bool:
    """Whether the way was open. What the machine tells its neighbours where nothing listens is not the stack's."""
    foreign = row.client == "outside" and row.target.server == "machine"
    return row.answer == "open" or (row.answer == "refused" and not foreign)


def nobody_answers(table: Sequence[Row]) -> bool:
    """False where this machine's router accepts connections to addresses that nobody has, and so proves nothing."""
    return not any(row.target.kind == "nobody" and answered(row) for row in table)


def _unexplained(deployment: Deployment, table: Sequence[Row]) -> Iterator[str]:
    for row in table:
        if answered(row) and reason(deployment, row.client, row.target) is None:
            yield f"open: {row.container} reaches {_place(row.target)} ({row.answer}), and nothing allows it"


def _missing(deployment: Deployment, table: Sequence[Row]) -> Iterator[str]:
    must = ("uses", "route", "egress", "published")
    allowed = [row for row in table if reason(deployment, row.client, row.target) in must]
    for row in allowed:
        if row.answer != "open":
            yield f"closed: {row.container} does not reach {_place(row.target)}"
    tried = {(row.client, row.target.server, row.target.port, row.target.network) for row in allowed}
    running = {row.client for row in table}
    for it in deployment.connections:
        if it.client in running and (it.client, it.server, it.port, network_of(it)) not in tried:
            yield f"closed: {it.server} has no address in {network_of(it)}, where {it.client} looks for it"


def _place(target: Target) -> str:
    name = target.server if target.server == target.kind else f"{target.kind} {target.server}"
    return f"{name} at {target.address}:{target.port}" + (f" in {target.network}" if target.network else "")


def name_faults(engine: docker.DockerClient, deployment: Deployment) -> list[str]:
    """Every client finds its servers by name, and no container finds one that it shares no network with."""
    found = places(engine, deployment.prefix, labels(deployment))
    used = {(connection.client, connection.server) for connection in deployment.connections}
    wrong = []
    for place in found:
        others = [other for other in found if other.workload != place.workload]
        physical = [f"{deployment.prefix}-{other.name}" for other in others]
        names = [*(other.workload for other in others), *physical]
        known = dict(zip(names, run_inside(engine, place.id, RESOLVE, names), strict=True))
        for other, name in zip(others, physical, strict=True):
            if (place.workload, other.workload) in used and not known[other.workload]:
                wrong.append(f"closed: {place.name} does not find the name {other.workload}")
            shares = place.addresses.keys() & other.addresses.keys()
            if not shares and (known[name] or known[other.workload]):
                wrong.append(f"open: {place.name} finds the name of {other.name}")
    return wrong


def markdown(deployment: Deployment, table: Sequence[Row]) -> str:
    """What is open and why, then how many attempts there were, as two Markdown tables."""
    opened = {
        (row.client, *_shown(row.target), reason(deployment, row.client, row.target) or "**nothing**")
        for row in table
        if row.answer == "open"
    }
    return "\n".join(
        [
            "| client | reaches | port | because of |",
            "|---|---|---|---|",
            *(f"| {' | '.join(cells)} |" for cells in sorted(opened)),
            "",
            f"| client | {' | '.join(KINDS.values())} |",
            f"|---{'|---' * len(KINDS)}|",
            *(f"| {' | '.join(cells)} |" for cells in _counts(table)),
            "",
        ]
    )


def _shown(target: Target) -> tuple[str, str]:
    """Server and port without what differs from run to run."""
    if target.server == "machine":
        return f"{'its own bridge' if target.kind == 'bridge' else 'other addresses'} of the machine", "any"
    if target.kind == "published":
        return "gateway, on the machine", "published"
    return target.server + (f", in {target.network}" if target.network else ""), str(target.port)


def _counts(table: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """For each client and kind of target: how many attempts were answered, and how many there were."""
    tried = Counter((row.client, row.target.kind) for row in table)
    heard = Counter((row.client, row.target.kind) for row in table if answered(row))
    for client in sorted({row.client for row in table}):
        cells = [f"{heard[client, kind]} of {tried[client, kind]}" if tried[client, kind] else "" for kind in KINDS]
        yield client, *cells


def main() -> None:
    arguments = argparse.ArgumentParser(description="Who can reach whom in a real stack that is up, and why.")
    arguments.add_argument("--system", default="", help="a folder of systems/; the top-level project without")
    arguments.add_argument("--stack", default="dev")
    given = arguments.parse_args()
    deployment = open_stack(given.stack, given.system).deployment(lock_of_machine())
    engine = docker.from_env()
    with decoys() as around:
        table = scan(engine, deployment, around)
    if not any(row.target.kind == "container" for row in table):
        sys.exit(f"nothing of {deployment.project}/{deployment.stack} runs on this engine")
    if not nobody_answers(table):
        sys.exit("this machine's router answers for addresses that nobody has; run this as root, which stops that")
    wrong = [*faults(deployment, table), *name_faults(engine, deployment)]
    print(markdown(deployment, table))
    if not around.outside:
        print("Not tried, as that takes root: the metadata service and servers outside.\n")
    print("\n".join(wrong) or "Nothing is open or closed that must not be.")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
