"""A real ssh server on 127.0.0.1, with keys and a configuration of its own: the system's is never touched.

OpenSSH's server is the machine's, or comes from the mirror into .groundwork. As root it runs in a mount namespace in
which there are the user that its separation of privileges wants, and the user `groundwork`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from groundwork.ssh import USER
from tests.sample import ROOT

MADE = ROOT / ".groundwork" / "judges" / "sshd"
PACKAGES = ("openssh-server", "libwrap0")
START_SECONDS = 10
CONFIGURATION = """\
ListenAddress 127.0.0.1:{port}
{host_keys}
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
# The folders above it are a test's, and open to it.
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitUserEnvironment no
LogLevel VERBOSE
{more}
"""


@dataclass(frozen=True)
class Server:
    """One that listens. `folder` holds its keys, and the client's as `client`."""

    folder: Path
    port: int
    user: str

    def host_key(self, kind: str = "ed25519") -> str:
        return (self.folder / f"host_{kind}.pub").read_text().strip()

    def log(self) -> str:
        return (self.folder / "log").read_text()


def server_program() -> tuple[Path, dict[str, str]]:
    """OpenSSH's server, and the environment in which it finds its libraries."""
    found = shutil.which("sshd", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if found:
        return Path(found), {}
    libraries = {"LD_LIBRARY_PATH": ":".join(map(str, (MADE / "usr/lib").glob("*-linux-gnu")))}
    program = MADE / "usr/sbin/sshd"
    if not program.exists():
        MADE.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["apt-get", "download", *PACKAGES], cwd=MADE, capture_output=True, text=True, timeout=120)
        if done.returncode and not os.environ.get("CI"):
            pytest.skip(f"NOT JUDGED: no sshd here, and its package can't be reached. {done.stderr[-300:]}")
        assert done.returncode == 0, done.stderr
        for package in MADE.glob("*.deb"):
            subprocess.run(["dpkg-deb", "--extract", package, MADE], check=True)
            package.unlink()
        libraries = {"LD_LIBRARY_PATH": ":".join(map(str, (MADE / "usr/lib").glob("*-linux-gnu")))}
    return program, libraries


def new_key(path: Path, kind: str = "ed25519") -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", path.name, "-f", path], check=True)


@contextmanager
def listening(
    folder: Path, port: int, *, host_kinds: tuple[str, ...] = ("ed25519",), more: str = ""
) -> Iterator[Server]:
    """The server, until the block ends. `more` are lines of its configuration."""
    program, libraries = server_program()
    folder.mkdir(parents=True, exist_ok=True)
    for name, kind in (("client", "ed25519"), *((f"host_{kind}", kind) for kind in host_kinds)):
        if not (folder / name).exists():
            new_key(folder / name, kind)
    shutil.copy(folder / "client.pub", folder / "authorized_keys")
    host_keys = "\n".join(f"HostKey {folder}/host_{kind}" for kind in host_kinds)
    text = CONFIGURATION.format(port=port, host_keys=host_keys, folder=folder, more=more)
    (folder / "sshd_config").write_text(text)
    user = USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    started = subprocess.Popen(
        [*in_own_namespace(folder), program, "-D", "-e", "-f", folder / "sshd_config"],
        env={**os.environ, **libraries}, stdout=subprocess.DEVNULL, stderr=(folder / "log").open("ab"),
        start_new_session=True,
    )  # fmt: skip
    try:
        wait_for(port, started, folder / "log")
        yield Server(folder, port, user)
    finally:
        # Its own session, with whatever it has open.
        os.killpg(started.pid, signal.SIGTERM)
        started.wait(timeout=10)


def in_own_namespace(folder: Path) -> list[str]:
    """The beginning of root's command; nothing for others, whose server lets in only themselves."""
    if os.geteuid():
        return []
    home = folder / "home"
    home.mkdir(exist_ok=True)
    ours = ("sshd:", f"{USER}:")
    lines = [line for line in Path("/etc/passwd").read_text().splitlines() if not line.startswith(ours)]
    lines += ["sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin", f"{USER}:x:0:0::{home}:/bin/sh"]
    (folder / "passwd").write_text("\n".join(lines) + "\n")
    script = f'mount --bind "{folder}/passwd" /etc/passwd; mount -t tmpfs none /run; mkdir -m 0755 /run/sshd; exec "$@"'
    return ["unshare", "--mount", "sh", "-euc", script, "sh"]


def wait_for(port: int, started: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and started.poll() is None:
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"sshd does not listen:\n{log.read_text()}")
