"""The judges that are in no wheel: fetched once per checkout. One that is missing is a failure, never a silent skip."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sample import ROOT
from tools.engine.checkout import Checkout
from tools.engine.install import go_toolchain

MADE = ROOT / ".groundwork" / "judges"
UNREACHABLE = 75


@contextmanager
def alone(name: str) -> Iterator[None]:
    """One of several test processes at a time."""
    MADE.mkdir(parents=True, exist_ok=True)
    with (MADE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def judges() -> Path:
    """The root below which nginx, PostgreSQL, Redis, busybox, wget and openssl lie, in their current versions."""
    with alone("install"):
        done = subprocess.run([ROOT / "tests/judges/install.sh"], capture_output=True, text=True, timeout=300)
    if done.returncode == UNREACHABLE and not os.environ.get("CI"):
        pytest.skip(f"NOT JUDGED: the packages can't be reached from here. {done.stderr.strip()}")
    assert done.returncode == 0, done.stdout + done.stderr
    return MADE / "root"


@pytest.fixture(scope="session")
def actionlint() -> Path:
    """Built from the Go module registry, as the engine is."""
    folder, program = ROOT / "tests" / "judges", MADE / "actionlint"
    with alone("actionlint"):
        wanted = (folder / "go.sum").read_bytes()
        mark = MADE / "actionlint.sum"
        if not program.exists() or not mark.exists() or mark.read_bytes() != wanted:
            go, environment = go_toolchain(Checkout(ROOT), print)
            command = [go, "build", "-o", str(program), "github.com/rhysd/actionlint/cmd/actionlint"]
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr
            mark.write_bytes(wanted)
    return program


def in_venv(name: str) -> str:
    """A judge whose wheel carries its program."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found, f"{name} is missing: make test installs requirements/dev.txt"
    return found


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def unprivileged() -> list[str]:
    """The beginning of a command for a server that refuses to run as root. It may still read the checkout."""
    if os.geteuid():
        return []
    keep = "+dac_read_search"
    return [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        f"--inh-caps={keep}",
        f"--ambient-caps={keep}",
    ]


def certificate(judges: Path, folder: Path) -> tuple[str, str]:
    """A self-signed certificate and its key, in PEM."""
    command = [str(judges / "usr/bin/openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=shop.example.com", "-keyout", "tls.key", "-out", "tls.crt"]
    (folder / "openssl.cnf").write_text("[req]\ndistinguished_name = name\n[name]\n")
    subprocess.run(command, cwd=folder, env={"OPENSSL_CONF": "openssl.cnf"}, check=True, capture_output=True)
    return (folder / "tls.crt").read_text(), (folder / "tls.key").read_text()
