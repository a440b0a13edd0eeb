"""Several machines on this one: each a network namespace with a Docker engine and an ssh server of its own, joined by a
bridge that is in a namespace too, so that no firewall of this machine is between them. Also a registry that they reach.

Needs root. What it starts it ends by process id; nothing listens outside of loopback and those namespaces.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import docker.errors

from tests.engine.stack import ROOT

SERVERS = ROOT / ".groundwork/servers/root"
DATA = ROOT / ".groundwork/fleet"
NETWORK = "10.199.7"
"""The /24 of the machines; this machine is its first address."""
SWITCH = "gw-switch"
GID = 10900
START_SECONDS = 60
PASSWD = """\
root:*:0:0:root:/root:/bin/sh
sshd:*:10901:65534::/run/sshd:/usr/sbin/nologin
groundwork:*:10900:10900::/:/bin/sh
"""
SSHD = """\
ListenAddress {address}:22
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin no
PidFile none
SetEnv DOCKER_HOST=unix://{socket} PATH={folder}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# The plugin opens a connection for each thing it asks, and asks many at once.
MaxStartups 200
"""


READY = """\
#!/bin/sh
# What a hardened machine has at this name asks for more; these are not hardened.
docker version > /dev/null && echo ready
"""


class NoFleet(Exception):
    """Why there can be no machines here."""


def said(*command: str | Path, **options: Any) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60, **options)
    if done.returncode:
        raise NoFleet(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.stdout.strip()}")
    return str(done.stdout).strip()


def waited(what: str, check: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            raise NoFleet(f"{what} did not come up in {seconds:g} s")
        time.sleep(0.2)


def answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


@dataclass
class Node:
    """One machine. `folder` is where its user may look, `data` holds images and volumes."""

    name: str
    address: str
    folder: Path
    host_key: str = ""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def space(self) -> str:
        return f"gw-{self.name}"

    @property
    def docker_socket(self) -> Path:
        return self.folder / "docker.sock"

    @property
    def client(self) -> docker.DockerClient:
        """Its engine, past ssh and past its network."""
        return docker.DockerClient(base_url=f"unix://{self.docker_socket}", timeout=120)

    def inside(self, *command: str | Path) -> list[str]:
        """The command in the machine's network; `ip netns exec` would hide the control groups from an engine."""
        return ["nsenter", f"--net=/run/netns/{self.space}", *map(str, command)]

    def link(self, state: str) -> None:
        """`down` takes the machine off the network, as a cable does."""
        said("nsenter", f"--net=/run/netns/{SWITCH}", "ip", "link", "set", f"to-{self.name}"[:15], state)


class Fleet:
    """Machines by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: dict[str, Node] = {}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.agent: Mapping[str, str] = {}

    def program(self, name: str) -> Path:
        return SERVERS / "usr" / ("bin" if name == "docker-registry" else "sbin") / name

    def start(self, command: Sequence[str], log: str) -> subprocess.Popen[bytes]:
        libraries = ":".join(map(str, (SERVERS / "usr/lib").glob("*-linux-gnu")))
        with (self.folder / f"{log}.log").open("wb") as output:
            return subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "LD_LIBRARY_PATH": libraries} if str(SERVERS) in " ".join(command) else None,
                start_new_session=True,
            )

    def wire(self) -> None:
        """The bridge, and this machine at its first address."""
        said("ip", "netns", "add", SWITCH)
        inside = ("nsenter", f"--net=/run/netns/{SWITCH}", "ip")
        said(*inside, "link", "add", "bridge", "type", "bridge")
        said(*inside, "link", "set", "bridge", "up")
        self._plug("here", None, f"{NETWORK}.1")

    def _plug(self, name: str, space: str | None, address: str) -> None:
        end = f"to-{name}"[:15]
        said("ip", "link", "add", f"gw-{name}"[:15], "type", "veth", "peer", "name", end, "netns", SWITCH)
        inside = ("nsenter", f"--net=/run/netns/{SWITCH}", "ip", "link", "set", end)
        said(*inside, "master", "bridge")
        said(*inside, "up")
        at: tuple[str, ...] = ("ip",)
        if space:
            said("ip", "link", "set", f"gw-{name}"[:15], "netns", space)
            at = ("nsenter", f"--net=/run/netns/{space}", "ip")
            said(*at, "link", "set", "lo", "up")
        said(*at, "address", "add", f"{address}/24", "dev", f"gw-{name}"[:15])
        said(*at, "link", "set", f"gw-{name}"[:15], "up")

    def keys(self) -> None:
        """The key of who deploys, in an agent: the program itself names no file."""
        said("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / "deployer")
        words = said("ssh-agent", "-s").replace(";", " ").split()
        self.agent = dict(word.split("=") for word in words if word.startswith("SSH_") and "=" in word)
        said("ssh-add", "-q", self.folder / "deployer", env={**os.environ, **self.agent})

    def add(self, name: str, last: int, registry: str) -> Node:
        """A machine with engine and ssh server, both answering."""
        folder = self.folder / name
        folder.mkdir(mode=0o755)
        node = self.nodes[name] = Node(name=name, address=f"{NETWORK}.{last}", folder=folder)
        said("ip", "netns", "add", node.space)
        self._plug(name, node.space, node.address)
        said("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder / "host_key")
        node.host_key = (folder / "host_key.pub").read_text().strip()
        shutil.copy(self.folder / "deployer.pub", folder / "authorized_keys")
        (folder / "authorized_keys").chmod(0o644)
        (folder / "passwd").write_text(PASSWD)
        (folder / "bin").mkdir()
        (folder / "bin/groundwork-ready").write_text(READY)
        (folder / "bin/groundwork-ready").chmod(0o755)
        settings = SSHD.format(address=node.address, folder=folder, socket=node.docker_socket)
        (folder / "sshd_config").write_text(settings)
        engine: list[str | Path] = ["dockerd", "--host", f"unix://{node.docker_socket}", "--data-root", DATA / name]
        engine += ["--exec-root", folder / "exec", "--pidfile", folder / "docker.pid", "--group", str(GID)]
        engine += ["--insecure-registry", registry, "--userland-proxy=false"]
        # Its mounts are shared with its containers, as systemd has them on a machine.
        own = ("unshare", "--mount", "--propagation", "shared")
        node.processes.append(self.start(node.inside(*own, *engine), f"{name}-dockerd"))
        # In a mount namespace of its own it has the users that a machine has.
        shell = f"mount --bind {folder}/passwd /etc/passwd && mkdir -p /run/sshd && exec {self.program('sshd')} -D -e"
        command = node.inside("unshare", "--mount", "sh", "-c", f"{shell} -f {folder}/sshd_config")
        node.processes.append(self.start(command, f"{name}-sshd"))
        waited(f"the engine of {name}", lambda: self._ping(node))
        waited(f"the ssh server of {name}", lambda: answers(node.address, 22))
        return node

    def _ping(self, node: Node) -> bool:
        if node.processes[0].poll() is not None:
            raise NoFleet((self.folder / f"{node.name}-dockerd.log").read_text()[-600:])
        try:
            return bool(node.client.ping())
        except (docker.errors.DockerException, OSError):
            return False

    def end(self) -> None:
        for node in self.nodes.values():
            try:
                for container in node.client.containers.list(all=True):
                    container.remove(force=True, v=True)
            except (docker.errors.DockerException, OSError) as error:
                print(f"{node.name}: {error}")
        for process in [one for node in self.nodes.values() for one in node.processes] + self.processes:
            stopped(process)
        if self.agent:
            os.kill(int(self.agent["SSH_AGENT_PID"]), signal.SIGTERM)
        for space in (*(node.space for node in self.nodes.values()), SWITCH):
            subprocess.run(["ip", "netns", "delete", space], capture_output=True)
        subprocess.run(["ip", "link", "delete", "gw-here"], capture_output=True)
        shutil.rmtree(DATA, ignore_errors=True)


def stopped(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(30)


def possible() -> None:
    """NoFleet says what is missing."""
    if os.geteuid():
        raise NoFleet("network namespaces need root")
    for program in ("dockerd", "containerd", "ip", "nsenter", "unshare", "ssh", "ssh-keygen", "ssh-agent", "iptables"):
        if not shutil.which(program):
            raise NoFleet(f"no {program} on PATH")
    done = subprocess.run([ROOT / "tests/e2e/install_servers.sh"], capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise NoFleet(f"OpenSSH, HAProxy and the registry can't be had: {done.stderr.strip()[-300:]}")


@contextmanager
def fleet(folder: Path, machines: Mapping[str, int]) -> Iterator[Fleet]:
    """Machines with these last numbers of their addresses; NoFleet where that can't be."""
    possible()
    made = Fleet(folder)
    made.end()
    try:
        made.wire()
        made.keys()
        for name, last in machines.items():
            made.add(name, last, f"{NETWORK}.1:5000")
        yield made
    finally:
        made.end()
