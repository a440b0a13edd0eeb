"""Who can reach whom: TCP connects out of the network namespace of every running container."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any, Literal

import docker

from tests.e2e.decoys import FAR, METADATA, NEAR, PORT, Decoys

PYTHON_IMAGE = "groundwork/probe:local"
"""Any image with Python would do; this one is there wherever a system of this checkout was built."""

Answer = Literal["open", "refused", "silent"]
"""`refused` is an answer too: the way is open, and nothing listens at its end."""
Kind = Literal["container", "stranger", "nobody", "bridge", "machine", "published", "metadata", "outside", "neighbour"]
"""`stranger`: a container of somebody else. `nobody`: an address of the stack that no container has. `outside`,
`neighbour`: servers beside the machine, see decoys."""

LISTENERS = """
import json
rows = [line.split() for name in ("tcp", "tcp6") for line in open(f"/proc/self/net/{name}").readlines()[1:]]
local = [row[1].rsplit(":", 1) for row in rows if row[3] == "0A"]
# Addresses are little-endian words: those that end in 7F are the loopback's, and so is ::1.
reached = {int(port, 16) for address, port in local if address[-2:] != "7F" and address != "0" * 24 + "01000000"}
print(json.dumps(sorted(reached)))
"""
ADDRESSES = """
import json
lines = [line.split() for line in open("/proc/self/net/if_inet6")]
print(json.dumps([line[5] for line in lines if line[5] != "lo"]))
"""
CONNECT = """
import asyncio, json, sys
async def attempt(address, port):
    try:
        writer = (await asyncio.wait_for(asyncio.open_connection(address, port), 2.5))[1]
    except ConnectionRefusedError:
        return "refused"
    except (OSError, asyncio.TimeoutError):
        return "silent"
    writer.close()
    return "open"
async def main():
    print(json.dumps(await asyncio.gather(*(attempt(*target) for target in json.loads(sys.argv[1])))))
asyncio.run(main())
"""
RESOLVE = """
import json, socket, struct, sys
def known(name):
    question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\\0"
    query = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    query.settimeout(5)
    header, kind = struct.pack(">6H", 7, 256, 1, 0, 0, 0), struct.pack(">2H", 1, 1)
    query.sendto(header + question + kind, ("127.0.0.11", 53))
    try:
        return struct.unpack(">H", query.recv(512)[6:8])[0] > 0
    except TimeoutError:
        return False
print(json.dumps([known(name) for name in json.loads(sys.argv[1])]))
"""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A running container: its id and name (without the stack's prefix), `workload` as the plan calls it, addresses
    by network (as the plan calls it), and the ports on which it listens to others."""

    id: str
    name: str
    workload: str
    addresses: dict[str, str] = field(hash=False)
    listeners: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Target:
    """`server` is a workload, or what the kind says; `network` the plan's name of the one the address is in."""

    kind: Kind
    server: str
    address: str
    port: int
    network: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One attempt. `container` says which of the client's replicas it came from."""

    client: str
    container: str
    target: Target
    answer: Answer


def places(engine: docker.DockerClient, prefix: str, labels: Sequence[str]) -> list[Place]:
    """Every running container with these labels that has a network namespace of its own.

    A switch shares its gateway's; a file loader never runs.
    """
    containers = engine.containers.list(filters={"label": list(labels)})
    own = [it for it in containers if not it.attrs["HostConfig"]["NetworkMode"].startswith("container:")]
    return sorted((place_of(engine, container, prefix) for container in own), key=lambda place: place.name)


def place_of(engine: docker.DockerClient, container: Any, prefix: str) -> Place:
    networks = container.attrs["NetworkSettings"]["Networks"]
    return Place(
        id=container.id,
        name=container.name.removeprefix(f"{prefix}-"),
        workload=container.labels.get("groundwork.workload", container.name),
        addresses={name.removeprefix(f"{prefix}-"): str(it["IPAddress"]) for name, it in networks.items()},
        listeners=tuple(run_inside(engine, container.id, LISTENERS)),
    )


def run_inside(engine: docker.DockerClient, container: str, program: str, given: object = None) -> Any:
    """The JSON that a Python program prints in a container's network namespace.

    As root it is this very Python that runs there; otherwise the one of a container that shares the namespace.
    """
    arguments = ["-I", "-S", "-c", program, json.dumps(given)]
    if os.geteuid() == 0:
        pid = engine.api.inspect_container(container)["State"]["Pid"]
        return run(["nsenter", "-t", str(pid), "-n", sys.executable, *arguments])
    shared = f"container:{container}"
    command = ["python3", *arguments]
    output = engine.containers.run(PYTHON_IMAGE, command, entrypoint="", network_mode=shared, remove=True)
    return json.loads(output)


def run(command: Sequence[str]) -> Any:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command[:4]}: {done.stderr}"
    return json.loads(done.stdout)


def attempts(engine: docker.DockerClient, clients: Sequence[Place], targets: Sequence[Target]) -> list[Row]:
    """Tries every target from every client but its own addresses, two clients at a time."""

    def from_one(client: Place) -> list[Row]:
        tried = [target for target in targets if target.address not in client.addresses.values()]
        given = [(target.address, target.port) for target in tried]
        return rows(client.workload, client.name, tried, run_inside(engine, client.id, CONNECT, given))

    with ThreadPoolExecutor(2) as pool:
        return [row for found in pool.map(from_one, clients) for row in found]


def attempts_here(client: str, enter: Sequence[str], targets: Sequence[Target]) -> list[Row]:
    """The same from the machine itself, or from a namespace that `enter` leads into."""
    given = json.dumps([(target.address, target.port) for target in targets])
    return rows(client, client, targets, run([*enter, sys.executable, "-I", "-S", "-c", CONNECT, given]))


def rows(client: str, container: str, targets: Sequence[Target], answers: Sequence[Answer]) -> list[Row]:
    return [
        Row(client=client, container=container, target=target, answer=answer)
        for target, answer in zip(targets, answers, strict=True)
    ]


def container_targets(found: Sequence[Place], ports: Iterable[int], kind: Kind = "container") -> list[Target]:
    """Every address of every container, at each of the ports."""
    wanted = sorted(ports)
    return [
        Target(kind=kind, server=place.workload, address=address, port=port, network=network)
        for place in found
        for network, address in place.addresses.items()
        if address
        for port in wanted
    ]


def machine_targets(
    engine: docker.DockerClient, labels: Sequence[str], ports: Iterable[int], taken: Iterable[str]
) -> list[Target]:
    """Every address of the machine, and the first one of each of the stack's networks, which would be the bridge's
    if no container has `taken` it, at each of the ports and at all that the machine listens on."""
    here = json.loads(subprocess.run(["ip", "-json", "-4", "address"], capture_output=True, check=True).stdout)
    own = {part["local"] for link in here for part in link["addr_info"] if part["scope"] != "host"}
    networks = engine.networks.list(filters={"label": list(labels)})
    configs = [config for network in networks for config in network.attrs["IPAM"]["Config"]]
    bridges = {str(config.get("Gateway") or IPv4Network(config["Subnet"])[1]) for config in configs} - set(taken)
    wanted = sorted({*ports, *run([sys.executable, "-c", LISTENERS])})
    return [
        Target(kind="bridge" if address in bridges else "machine", server="machine", address=address, port=port)
        for address in sorted(own | bridges)
        for port in wanted
    ]


def outside_targets(around: Decoys) -> list[Target]:
    """The decoys of the namespace outside; none where it does not stand."""
    if not around.outside:
        return []
    kinds: list[tuple[Kind, str]] = [("metadata", METADATA), ("outside", FAR), ("neighbour", NEAR)]
    return [Target(kind=kind, server=kind, address=address, port=PORT) for kind, address in kinds]
