"""`make up` in a copy of the checkout, killed at a chosen line of its output, and what is there afterwards."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import docker
import docker.errors
import yaml

from tests.e2e.healing import descendants

ROOT = Path(__file__).parents[2]
NOT_COPIED = (".git", ".groundwork", ".venv", ".*_cache", ".hypothesis", "__pycache__")
RUN_SECONDS = 420
ANONYMOUS = re.compile(r"[0-9a-f]{64}")
KINDS = {kind: f"docker:index/{kind}:{kind.title()}" for kind in ("container", "network", "volume")}
"""The engine's resource type by kind."""
Victim = Literal["engine", "everything"]
"""The pulumi process alone, or with it make, the driver, the plugins and the program."""


@dataclass(frozen=True)
class Moment:
    """`seconds` after the first line of the output that has `pattern`, `victim` is killed."""

    pattern: str
    seconds: float
    victim: Victim


@dataclass(frozen=True)
class Ended:
    """How a command ended; `output` is all it wrote, `killed` whether the moment came."""

    code: int
    output: str
    killed: bool = False


@dataclass(frozen=True)
class Clone:
    """A copy of the checkout as a project of its own, at the top level, stack `dev`."""

    root: Path
    pulumi: Path
    name: str

    @classmethod
    def make(cls, root: Path, pulumi: Path, name: str, http_port: int) -> Clone:
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*NOT_COPIED), symlinks=True)
        (root / ".venv").symlink_to(sys.prefix)
        project = root / "Pulumi.yaml"
        project.write_text(project.read_text().replace("name: groundwork\n", f"name: {name}\n"))
        clone = cls(root, pulumi, name)
        clone.change(entry={"http_port": http_port, "requests_per_second": 1000, "burst": 1000})
        return clone

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._settings()['groundwork:entry']['http_port']}"

    def change(self, **changes: Any) -> None:
        """Sets keys of the namespace `groundwork:`, whole values at a time."""
        settings = self._settings() | {f"groundwork:{key}": value for key, value in changes.items()}
        (self.root / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": settings}))

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = yaml.safe_load((self.root / "Pulumi.dev.yaml").read_text())["config"]
        return settings

    def make_target(self, target: str, moment: Moment | None = None) -> Ended:
        """`make TARGET PROVIDERS=real` to its end, or to its killed one."""
        command = ["make", target, "PROVIDERS=real"]
        with subprocess.Popen(
            command, cwd=self.root, env=self._environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout
            watchdog = threading.Timer(RUN_SECONDS, process.kill)
            watchdog.start()
            lines, killer = [], None
            for line in process.stdout:
                lines.append(line)
                if moment and killer is None and re.search(moment.pattern, line):
                    killer = threading.Timer(moment.seconds, kill, (process.pid, moment.victim))
                    killer.start()
            watchdog.cancel()
            if killer:
                killer.join()
        return Ended(process.returncode, "".join(lines), killer is not None)

    def exported(self) -> dict[str, Any]:
        """What `pulumi stack export` says of the stack."""
        done = subprocess.run(
            [sys.executable, "-m", "tools.engine", "pulumi", "--providers", "real", "--", "stack", "export"],
            cwd=self.root,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        deployment: dict[str, Any] = json.loads(done.stdout)["deployment"]
        return deployment

    @property
    def marks(self) -> dict[str, str]:
        """The labels of everything that belongs to the stack."""
        return {"groundwork.project": self.name, "groundwork.stack": "dev"}

    def labels(self) -> dict[str, str | list[str] | bool]:
        """The same as a filter."""
        return {"label": [f"{name}={value}" for name, value in self.marks.items()]}

    def _environment(self) -> dict[str, str]:
        ours = ("PULUMI_", "GROUNDWORK_", "MAKE")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        return kept | {"PATH": f"{self.pulumi.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}


def kill(make: int, victim: Victim) -> None:
    """SIGKILL to the pulumi process below `make`, and to all the others at once if so ordered."""
    below = list(descendants(make))
    engines = [one for one in below if one.name.split()[0].rpartition("/")[2] == "pulumi"]
    pids = [one.pid for one in (engines if victim == "engine" else below)]
    # First who starts others and reports their end.
    for pid in ([] if victim == "engine" else [make]) + pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def in_state(deployment: dict[str, Any], kind: str) -> set[str]:
    return {entry["id"] for entry in deployment.get("resources", []) if entry["type"] == KINDS[kind]}


def labelled(engine: docker.DockerClient, clone: Clone, kind: str) -> set[str]:
    """Ids of the containers, running or not, of the networks or of the volumes that carry the stack's labels."""
    if kind == "container":
        return {entry["Id"] for entry in engine.api.containers(all=True, filters=clone.labels())}
    if kind == "network":
        return {entry["Id"] for entry in engine.api.networks(filters=clone.labels())}
    return {entry["Name"] for entry in engine.api.volumes(filters=clone.labels())["Volumes"] or []}


def processes_of(clone: Clone) -> list[str]:
    """Names of the living processes that belong to the clone, by their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str(clone.root).encode() in (folder / "environ").read_bytes():
                found.append((folder / "comm").read_text().strip())
        except OSError:
            continue  # gone by now
    return found


@dataclass
class Anonymous:
    """Names of the anonymous volumes that containers of a stack were given while it was watched."""

    seen: set[str] = field(default_factory=set)

    @contextmanager
    def watched(self, engine: docker.DockerClient, clone: Clone) -> Iterator[Anonymous]:
        events = engine.events(decode=True, filters={"type": "container", "event": "create", **clone.labels()})

        def note() -> None:
            for event in events:
                try:
                    mounts = engine.api.inspect_container(event["Actor"]["ID"])["Mounts"]
                except docker.errors.NotFound:
                    continue
                self.seen |= {mount["Name"] for mount in mounts if ANONYMOUS.fullmatch(mount.get("Name", ""))}

        thread = threading.Thread(target=note, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            events.close()
            thread.join(5)

    def left(self, engine: docker.DockerClient) -> set[str]:
        """Those that no container has and that still exist."""
        volumes = engine.api.volumes(filters={"dangling": True})["Volumes"] or []
        return self.seen & {volume["Name"] for volume in volumes}


@contextmanager
def load_on(url: str, report: Path) -> Iterator[None]:
    """20 requests a second and a WebSocket until the block ends; the report is in `report`."""
    command = [sys.executable, str(ROOT / "tests/e2e/load.py"), "--url", url, "--rate", "20", "--upload-mib", "0"]
    command += ["--seconds", "1800", "--json", str(report)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as load:
        time.sleep(2)
        try:
            yield
        finally:
            load.send_signal(signal.SIGINT)
            load.wait(60)
