"""How machines are reached, against a real ssh server: by the pinned key, and by nothing else."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from groundwork.ssh import command, options, through_jump, through_session, url
from tests.sshd import Server, listening, new_key

from .conftest import free_port

OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDp1bnQgZ3JvdW5kd29yayBrZXkgZm9yIGRvY3MgMTIzNDU2 somebody"


@dataclass(frozen=True)
class Client:
    """A person with a key in an agent and a home of their own, whose known hosts are somebody's lie."""

    home: Path
    environment: dict[str, str]

    def run(self, machine: str, ssh_options: list[str], *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.at_home(), *command(machine, ssh_options, *words)],
            env=self.environment, capture_output=True, text=True, timeout=30,
        )  # fmt: skip

    def at_home(self) -> list[str]:
        """ssh asks the user database for its home, and not the environment."""
        if os.geteuid():
            return []
        users = self.home / "passwd"
        users.write_text(f"root:x:0:0::{self.home}:/bin/sh\n")
        return ["unshare", "--mount", "sh", "-c", f'mount --bind "{users}" /etc/passwd && exec "$@"', "sh"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With keys of three kinds, of which a client would choose by itself."""
    kinds = ("ed25519", "ecdsa", "rsa")
    with listening(tmp_path_factory.mktemp("sshd"), free_port(), host_kinds=kinds) as one:
        yield one


@pytest.fixture(scope="module")
def client(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    home = tmp_path_factory.mktemp("home")
    (home / ".ssh").mkdir(mode=0o700)
    (home / "bin").mkdir()
    (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {OTHER}\n")
    environment = {**os.environ, "SSH_AUTH_SOCK": str(home / "agent"), "PATH": f"{home}/bin:{os.environ['PATH']}"}
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", home / "agent"], stdout=subprocess.DEVNULL)
    try:
        while not (home / "agent").exists():
            assert agent.poll() is None
        subprocess.run(["ssh-add", "-q", server.folder / "client"], env=environment, check=True)
        yield Client(home, environment)
    finally:
        agent.terminate()
        agent.wait(timeout=10)


def at(server: Server, host: str = "127.0.0.1") -> str:
    return url(host, server.port).replace("groundwork@", f"{server.user}@")


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_the_pinned_key_is_taken_whatever_is_noted_here_and_whichever_others_the_server_has(
    client: Client, server: Server, kind: str
) -> None:
    done = client.run(at(server), options(server.host_key(kind)), "echo", "$USER")
    assert (done.returncode, done.stdout) == (0, f"{server.user}\n"), done.stderr
    assert done.stderr == ""


def test_another_key_is_refused_without_a_question_and_before_anything_is_said(client: Client, server: Server) -> None:
    before = server.log().count("Accepted publickey")
    done = client.run(at(server), options(OTHER), "true")
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr
    assert server.log().count("Accepted publickey") == before


def test_nothing_is_noted_here(client: Client, server: Server) -> None:
    known = client.home / ".ssh" / "known_hosts"
    before = known.read_text()
    assert client.run(at(server), options(server.host_key()), "true").returncode == 0
    assert known.read_text() == before


def test_the_way_by_a_jump_host_ends_at_the_pinned_key(client: Client, server: Server, tmp_path: Path) -> None:
    with listening(tmp_path / "jump", free_port()) as jump:
        (jump.folder / "authorized_keys").write_text((server.folder / "client.pub").read_text())
        way = through_jump(f"{jump.user}@127.0.0.1:{jump.port}")
        done = client.run(at(server), options(server.host_key(), way), "echo", "in")
        assert (done.returncode, done.stdout) == (0, "in\n"), done.stderr
        assert "Accepted publickey" in jump.log()
        refused = client.run(at(server), options(OTHER, way), "true")
        assert refused.returncode == 255
        assert "Host key verification failed" in refused.stderr


def test_a_jump_host_that_shows_another_key_than_before_is_refused(
    client: Client, server: Server, tmp_path: Path
) -> None:
    folder, port = tmp_path / "jump", free_port()
    for changed in (False, True):
        if changed:
            for file in folder.glob("host_ed25519*"):
                file.unlink()
            new_key(folder / "host_ed25519")
        with listening(folder, port) as jump:
            (folder / "authorized_keys").write_text((server.folder / "client.pub").read_text())
            way = through_jump(f"{jump.user}@127.0.0.1:{port}")
            done = client.run(at(server), options(server.host_key(), way), "true")
        assert done.returncode == (255 if changed else 0), done.stderr


STAND_IN = """\
#!/bin/sh
# Instead of the CLI of AWS and its plugin: the same words, and a way to the port.
echo "$@" > "$0.said"
exec python3 -c '
import os, socket, sys, threading
link = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def send():
    while data := os.read(0, 65536):
        link.sendall(data)
    link.shutdown(socket.SHUT_WR)
threading.Thread(target=send, daemon=True).start()
while data := link.recv(65536):
    os.write(1, data)
' "${10##*=}"
"""


def test_the_way_by_a_session_is_what_aws_documents_and_ends_at_the_pinned_key(client: Client, server: Server) -> None:
    stand_in = client.home / "bin" / "aws"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    way = through_session("eu-central-1")
    instance = "i-0123456789abcdef0"
    done = client.run(at(server, instance), options(server.host_key(), way), "echo", "in")
    assert (done.returncode, done.stdout) == (0, "in\n"), done.stderr
    assert (client.home / "bin" / "aws.said").read_text() == (
        f"ssm start-session --region eu-central-1 --target {instance} "
        f"--document-name AWS-StartSSHSession --parameters portNumber={server.port}\n"
    )
    assert client.run(at(server, instance), options(OTHER, way), "true").returncode == 255
