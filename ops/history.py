"""What was up before: the updates of a stack, with the images that each of them left running."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ops.running import Running
from tools.engine.checkout import UserError

SHOWN = 10
FILES = "file://"
TIMEOUT_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Update:
    """One `up`. Of one that failed nobody knows what it left running: then there are no images.

    Images are digests by workload, references their names without it.
    """

    number: int
    time: datetime
    result: str
    images: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    releases: Mapping[str, str] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        return self.result == "succeeded"


def updates_of(running: Running) -> list[Update]:
    """The newest updates, the newest first. UserError where the back end gives no earlier states away."""
    backend = running.environment.get("PULUMI_BACKEND_URL", "")
    if backend.startswith(FILES):
        folder = Path(backend.removeprefix(FILES)).expanduser() / ".pulumi/history" / running.stack.project.name
        return list(from_files(folder / running.stack.name))
    return list(from_service(running))


def from_files(folder: Path) -> Iterator[Update]:
    """Pulumi's file back end keeps each update with the state that it left, and shows nobody the state."""
    records = sorted(folder.glob("*.history.json"), key=lambda file: file.name)
    numbered = [(number, file, json.loads(file.read_text())) for number, file in enumerate(records, 1)]
    updates = [entry for entry in numbered if entry[2]["kind"] == "update"]
    for number, file, record in reversed(updates[-SHOWN:]):
        state = file.with_name(file.name.replace(".history.", ".checkpoint."))
        deployment = json.loads(state.read_text())["checkpoint"]["latest"] if state.exists() else {}
        time = datetime.fromtimestamp(record["startTime"], tz=UTC)
        yield update(number, time, record["result"], deployment)


def from_service(running: Running) -> Iterator[Update]:
    """Pulumi Cloud gives every earlier state by its version."""
    records = json.loads(pulumi(running, "stack", "history", "--json", "--page-size", str(3 * SHOWN)))
    for record in [one for one in records if one["kind"] == "update"][:SHOWN]:
        number, exported = int(record["version"]), {}
        if record["result"] == "succeeded":
            exported = json.loads(pulumi(running, "stack", "export", "--version", str(number)))["deployment"]
        yield update(number, datetime.fromisoformat(record["startTime"]), record["result"], exported)


def update(number: int, time: datetime, result: str, deployment: Mapping[str, Any] | None) -> Update:
    found = outputs_of(deployment or {}) if result == "succeeded" else {}
    known = {name: dict(found.get(name) or {}) for name in ("images", "references", "releases")}
    return Update(number=number, time=time, result=result, **known)


def outputs_of(deployment: Mapping[str, Any]) -> Mapping[str, Any]:
    for resource in deployment.get("resources") or ():
        if resource["type"] == "pulumi:pulumi:Stack":
            outputs: dict[str, Any] = resource.get("outputs") or {}
            return outputs
    return {}


def pulumi(running: Running, *arguments: str) -> str:
    program = shutil.which("pulumi", path=running.environment.get("PATH"))
    if program is None:
        raise UserError("There is no `pulumi` on PATH; `make env` prints exports that add one.")
    place = ["--stack", running.stack.name, "--cwd", str(running.stack.project.folder)]
    done = subprocess.run(
        [program, *arguments, *place],
        env=dict(running.environment), capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        raise UserError(
            f"The earlier states of {running.stack.label} can't be read: {done.stderr.strip()}\n"
            "Name the image itself: ops rollback APP --to NAME@sha256:…"
        )
    return done.stdout
