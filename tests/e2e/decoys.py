"""What listens around a stack while its isolation is tried, so that silence means closed and not absent."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

NAMESPACE = "gw-isolation"
"""A network namespace beside the machine: its neighbour on a wire, with the metadata service of a cloud."""
MACHINE, FAR, NEAR, METADATA = "203.0.113.1", "203.0.113.2", "203.0.113.3", "169.254.169.254"
"""The machine's address on that wire (TEST-NET-3); a server that, like most, knows no way back to a container's
own address; one that sends every answer back through the machine; and the metadata service."""
PORT = 80
LISTEN = """
import socket
server = socket.create_server(("0.0.0.0", 80), backlog=256)
print("listens", flush=True)
while True:
    server.accept()[0].close()
"""


@dataclass(frozen=True)
class Decoys:
    """`host_port`: listened to on every address of the machine. `outside`: whether the namespace stands."""

    host_port: int
    outside: bool

    def enter(self) -> list[str]:
        """What to put before a command so that it runs outside."""
        return ["nsenter", f"--net=/var/run/netns/{NAMESPACE}"]

    @contextlib.contextmanager
    def no_way_on(self, networks: Iterable[IPv4Network]) -> Iterator[None]:
        """The machine answers for networks in which it has no address itself. Otherwise it would send what is meant
        for them to its own router, and some of those accept every connection, whatever the address."""
        added = [network for network in networks if self.outside and _unreachable("add", network)]
        try:
            yield
        finally:
            for network in added:
                _unreachable("delete", network)

    @contextlib.contextmanager
    def way_in(self, networks: Iterable[IPv4Network]) -> Iterator[None]:
        """Everybody outside sends what is meant for these networks to the machine."""
        arguments = [[str(network), "via", MACHINE] for network in networks]
        for route in arguments:
            ip("-n", NAMESPACE, "route", "add", *route)
        try:
            yield
        finally:
            for route in arguments:
                ip("-n", NAMESPACE, "route", "delete", *route)


@contextlib.contextmanager
def decoys() -> Iterator[Decoys]:
    """A listener on the machine, and as root the namespace outside with its own. Gone afterwards."""
    with contextlib.ExitStack() as stack:
        host = stack.enter_context(socket.create_server(("0.0.0.0", 0), backlog=256))
        outside = os.geteuid() == 0 and bool(shutil.which("ip"))
        if outside:
            stack.enter_context(_outside())
        yield Decoys(host.getsockname()[1], outside)


@contextlib.contextmanager
def _outside() -> Iterator[None]:
    _remove()
    ip("netns", "add", NAMESPACE)
    listener = None
    try:
        ip("link", "add", NAMESPACE, "type", "veth", "peer", "name", "wire", "netns", NAMESPACE)
        ip("address", "add", f"{MACHINE}/29", "dev", NAMESPACE)
        ip("link", "set", NAMESPACE, "up")
        for address, device in ((f"{FAR}/29", "wire"), (f"{NEAR}/29", "wire"), (f"{METADATA}/32", "lo")):
            ip("-n", NAMESPACE, "address", "add", address, "dev", device)
        for device in ("lo", "wire"):
            ip("-n", NAMESPACE, "link", "set", device, "up")
        ip("-n", NAMESPACE, "rule", "add", "from", NEAR, "table", "100")
        ip("-n", NAMESPACE, "route", "add", "default", "via", MACHINE, "table", "100")
        ip("route", "add", f"{METADATA}/32", "via", FAR)
        listener = subprocess.Popen(
            ["nsenter", f"--net=/var/run/netns/{NAMESPACE}", sys.executable, "-c", LISTEN],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert listener.stdout and listener.stdout.readline().strip() == "listens"
        yield
    finally:
        if listener:
            listener.kill()
            listener.wait()
        _remove()


def _remove() -> None:
    """The wire, and with it the route, may outlive a killed run."""
    subprocess.run(["ip", "link", "delete", NAMESPACE], capture_output=True)
    subprocess.run(["ip", "netns", "delete", NAMESPACE], capture_output=True)


def _unreachable(verb: str, network: IPv4Network) -> bool:
    """False where the machine has an address in that network, and so a route that must stay."""
    return subprocess.run(["ip", "route", verb, "unreachable", str(network)], capture_output=True).returncode == 0


def ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
