"""One stack on the real Pulumi engine with simulated providers, with a state and a home of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COLOUR = re.compile(r"<\{%.*?%\}>")  # the engine's own mark-up
RUN_SECONDS = 300  # for one pulumi command; a whole system takes some ten


@dataclass(frozen=True)
class Step:
    """What the engine did, or would do, to one resource. `op` is its own word: create, update, replace, …"""

    op: str
    token: str
    name: str


@dataclass(frozen=True)
class Violation:
    """What a policy pack reported of one resource."""

    rule: str
    resource: str
    pack: str
    mandatory: bool


@dataclass(frozen=True)
class Run:
    """How one pulumi command ended. `output` is everything it wrote, `messages` what the engine reported."""

    code: int
    steps: tuple[Step, ...]
    messages: str
    output: str
    violations: tuple[Violation, ...] = ()

    @property
    def changes(self) -> Counter[str]:
        """How many resources by op, without those that stay as they are."""
        return Counter(step.op for step in self.steps if step.op != "same")

    def names(self, op: str) -> set[str]:
        """The logical names that an op befell."""
        return {step.name for step in self.steps if step.op == op}


@dataclass(frozen=True)
class Stack:
    """A project folder and a stack file, run with everything else in `work`, an empty directory."""

    pulumi: Path
    project: Path
    stack_file: Path
    work: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    providers: str = ""
    """Simulated providers that outlive a command and remember what outlives a stack; without, each has new ones."""

    @property
    def name(self) -> str:
        return self.stack_file.name.removeprefix("Pulumi.").removesuffix(".yaml")

    @property
    def config(self) -> Path:
        """The engine writes its salt into the stack file: it gets a copy."""
        return self.work / "config" / self.stack_file.name

    def init(self) -> Stack:
        """Make the stack. Its configuration is copied now; `configure` changes it."""
        for folder in ("home", "state", "config"):
            (self.work / folder).mkdir()
        shutil.copy(self.project / "Pulumi.yaml", self.config.parent)
        shutil.copy(self.stack_file, self.config)
        self._checked("stack", "init", self.name, cwd=self.config.parent)
        return self

    def configure(self, text: str) -> None:
        """Replace the configuration by the text of a stack file; the salt stays."""
        salt = [line for line in self.config.read_text().splitlines() if line.startswith("encryptionsalt:")]
        self.config.write_text("\n".join([*salt, text]))

    def up(self, faults: str = "", *arguments: str) -> Run:
        return self._run("up", faults, "--yes", "--skip-preview", *arguments)

    def preview(self, *arguments: str) -> Run:
        return self._run("preview", "", *arguments)

    def destroy(self, faults: str = "", *arguments: str) -> Run:
        return self._run("destroy", faults, "--yes", "--skip-preview", *arguments)

    def resources(self) -> list[dict[str, Any]]:
        """The resources of the state, as `pulumi stack export` has them."""
        exported: list[dict[str, Any]] = self.export()["deployment"].get("resources", [])
        return exported

    def export(self) -> dict[str, Any]:
        exported: dict[str, Any] = json.loads(self._checked("stack", "export", *self._selection()))
        return exported

    def import_(self, exported: Mapping[str, Any]) -> None:
        """Replace the state by what `export` gave, or a change of it."""
        file = self.work / "state.json"
        file.write_text(json.dumps(exported))
        self._checked("stack", "import", "--file", str(file), *self._selection())

    def outputs(self, *, show_secrets: bool = False) -> dict[str, Any]:
        flags = ["--show-secrets"] if show_secrets else []
        outputs: dict[str, Any] = json.loads(self._checked("stack", "output", "--json", *flags, *self._selection()))
        return outputs

    def command(self, *arguments: str) -> list[str]:
        """Any pulumi command on this stack, to be run with `variables`."""
        return [str(self.pulumi), *arguments, *self._selection(), "--config-file", str(self.config)]

    def variables(self, debug_providers: str = "") -> dict[str, str]:
        path = [str(self.pulumi.parent), str(ROOT / "tools/engine"), os.environ.get("PATH", os.defpath)]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "GROUNDWORK_"))}
        return {
            **kept,
            "PATH": os.pathsep.join(path),
            "GROUNDWORK_PROVIDERS": "simulated",
            "GROUNDWORK_PYTHON": sys.executable,
            "PULUMI_BACKEND_URL": f"file://{self.work / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_DEBUG_COMMANDS": "true",  # makes --event-log known, as the Automation API does
            "PULUMI_DEBUG_PROVIDERS": debug_providers,
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_HOME": str(self.work / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            **self.environment,
        }

    def _selection(self) -> list[str]:
        return ["--stack", self.name, "--cwd", str(self.project), "--non-interactive"]

    def _run(self, command: str, faults: str, *arguments: str) -> Run:
        with nullcontext(self.providers) if self.providers else simulated_providers(faults) as debug_providers:
            return self._logged(command, *arguments, variables=self.variables(debug_providers))

    def _logged(self, command: str, *arguments: str, variables: Mapping[str, str]) -> Run:
        events = self.work / "events.jsonl"
        events.unlink(missing_ok=True)
        done = subprocess.run(
            self.command(command, "--event-log", str(events), *arguments),
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=RUN_SECONDS,
        )
        logged = [json.loads(line) for line in events.read_text().splitlines()] if events.exists() else []
        return Run(done.returncode, tuple(_steps(logged)), _messages(logged), done.stdout, tuple(_violations(logged)))

    def _checked(self, *arguments: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            [str(self.pulumi), *arguments],
            cwd=cwd,
            env=self.variables(),
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
        )
        assert done.returncode == 0, f"pulumi {' '.join(arguments)}: {done.stderr or done.stdout}"
        return done.stdout


@contextmanager
def simulated_providers(faults: str = "") -> Iterator[str]:
    """`python -m sim` in a process of its own, so that an ordered death takes nothing else along."""
    environment = {**os.environ, "GROUNDWORK_SIM_FAULTS": faults}
    command = [sys.executable, "-m", "sim"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def _steps(events: list[dict[str, Any]]) -> Iterator[Step]:
    for event in events:
        if "resourcePreEvent" in event:
            metadata = event["resourcePreEvent"]["metadata"]
            if metadata["type"] != "pulumi:pulumi:Stack" and not metadata["type"].startswith("pulumi:providers:"):
                yield Step(metadata["op"], metadata["type"], metadata["urn"].split("::", 3)[3])


def _violations(events: list[dict[str, Any]]) -> Iterator[Violation]:
    for event in events:
        if found := event.get("policyEvent"):
            pack = f"{found['policyPackName']}@{found['policyPackVersion']}"
            urn = found.get("resourceUrn", "")
            yield Violation(found["policyName"], urn.split("::")[-1], pack, found["enforcementLevel"] == "mandatory")


def _messages(events: list[dict[str, Any]]) -> str:
    reported = [event["diagnosticEvent"] for event in events if "diagnosticEvent" in event]
    texts = [COLOUR.sub("", it["message"]).strip() for it in reported if it["severity"] != "debug"]
    return "\n".join(text for text in texts if text)
