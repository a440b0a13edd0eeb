"""The judges that are in no wheel: fetched once per checkout. One that is missing is a failure, never a silent skip."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring import programs
from tests.sample import ROOT
from tools.engine.checkout import Checkout
from tools.engine.install import go_toolchain

HERE = ROOT / "tests" / "judges"
MADE = ROOT / ".groundwork" / "judges"
GATEWAY_API, GATEWAY_API_SUM = "v1.4.1", "h1:NPxFutNkKNa8UfLd2CMlEuhIPMQgDQ6DXNKG9sHbJU8="
NO_REGISTRY = re.compile("NewConnectionError|Failed to establish|NameResolutionError|ConnectTimeout|ProxyError")
NO_NPM = re.compile("ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ECONNRESET")
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
    """The root below which nginx, databases, brokers, busybox, wget and openssl lie, in their current versions."""
    with alone("install"):
        done = subprocess.run([ROOT / "tests/judges/install.sh"], capture_output=True, text=True, timeout=300)
    if done.returncode == UNREACHABLE and not os.environ.get("CI"):
        pytest.skip(f"NOT JUDGED: the packages can't be reached from here. {done.stderr.strip()}")
    assert done.returncode == 0, done.stdout + done.stderr
    return MADE / "root"


@pytest.fixture(scope="session")
def monitoring() -> Path:
    """The folder of promtool, amtool and the servers they belong to, in Debian's current versions."""
    with alone("monitoring"):
        done = programs.install()
    if done.returncode == UNREACHABLE and not os.environ.get("CI"):
        pytest.skip(f"NOT JUDGED: the packages can't be reached from here. {done.stderr.strip()}")
    assert done.returncode == 0, done.stdout + done.stderr
    return programs.FOLDER


@pytest.fixture(scope="session")
def promtool(monitoring: Path) -> Path:
    return monitoring / "promtool"


@pytest.fixture(scope="session")
def actionlint() -> Path:
    return built("github.com/rhysd/actionlint/cmd/actionlint")


@pytest.fixture(scope="session")
def kube_score() -> Path:
    return built("github.com/zegl/kube-score/cmd/kube-score")


def built(package: str) -> Path:
    """A program from the Go module registry, made as the engine is; once for each version."""
    program = MADE / package.rsplit("/", 1)[1]
    with alone(program.name):
        wanted = (HERE / "go.sum").read_bytes()
        mark = program.with_suffix(".sum")
        if not program.exists() or not mark.exists() or mark.read_bytes() != wanted:
            done = run_go("build", "-o", str(program), package)
            assert done.returncode == 0, done.stderr
            mark.write_bytes(wanted)
    return program


def run_go(*arguments: str, module: Path = HERE, toolchain: str = "local") -> subprocess.CompletedProcess[str]:
    """`toolchain="auto"` lets Go get the newer one that a module asks for."""
    go, environment = go_toolchain(Checkout(ROOT), print)
    environment["GOTOOLCHAIN"] = toolchain
    return subprocess.run([go, *arguments], cwd=module, env=environment, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="session")
def gateway_api() -> Path:
    """The definitions of the Gateway API, of which a cluster's controller brings one version."""
    with alone("gateway-api"):
        found = json.loads(run_go("mod", "download", "-json", f"sigs.k8s.io/gateway-api@{GATEWAY_API}").stdout)
    assert found.get("Sum") == GATEWAY_API_SUM, found
    return Path(found["Dir"]) / "config" / "crd" / "standard"


@pytest.fixture(scope="session")
def checkov() -> Path:
    """In a virtual environment of its own, since it pins what others pin otherwise."""
    pins = ROOT / "requirements" / "checkov.txt"
    wanted = f"{sys.version}\n{pins.read_text()}"
    folder = MADE / "checkov"
    mark = folder / "pins"
    with alone("checkov"):
        if not mark.exists() or mark.read_text() != wanted:
            print("judges: checkov from PyPI into .groundwork/judges (once, about a minute)", file=sys.stderr)
            venv.create(folder, clear=True, with_pip=True)
            command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
            done = subprocess.run([*command, "-r", str(pins)], capture_output=True, text=True, timeout=600)
            if NO_REGISTRY.search(done.stderr) and not os.environ.get("CI"):
                pytest.skip(f"NOT JUDGED: checkov's packages can't be reached from here. {done.stderr[-300:]}")
            assert done.returncode == 0, done.stderr
            mark.write_text(wanted)
    return folder / "bin" / "checkov"


def by_npm(name: str) -> tuple[str, Path]:
    """Node, and the folder with the packages that the lock of `tests/judges/<name>` names."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not (node and npm) and not os.environ.get("CI"):
        pytest.skip(f"NOT JUDGED: {name} needs node and npm")
    assert node and npm, f"{name} is judged by a program for node, and there is no node or npm"
    folder = MADE / name
    wanted = (HERE / name / "package-lock.json").read_text()
    mark = folder / "pins"
    with alone(name):
        if not mark.exists() or mark.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for file in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name / file, folder)
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
            if done.returncode and NO_NPM.search(done.stderr) and not os.environ.get("CI"):
                pytest.skip(f"NOT JUDGED: npm's registry can't be reached from here. {done.stderr[-300:]}")
            assert done.returncode == 0, done.stderr
            mark.write_text(wanted)
    return node, folder


Simulation = dict[str, Any]


@pytest.fixture(scope="session")
def decided() -> Callable[[Sequence[Simulation]], list[str]]:
    """What IAM's rules make of requests, by @cloud-copilot/iam-simulate from npm: `Allowed`, `ImplicitlyDenied` (nobody
    allows it) or `ExplicitlyDenied`. Its licence is the AGPL: it runs here as a program of its own, and ships nowhere.
    """
    node, folder = by_npm("iam")

    def decide(simulations: Sequence[Simulation]) -> list[str]:
        command = [node, str(HERE / "iam" / "simulate.mjs"), str(folder)]
        text = json.dumps(simulations)
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        answers: list[str] = json.loads(done.stdout)
        assert [answer for answer in answers if not isinstance(answer, str)] == []
        return answers

    return decide


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
