"""A stack that is up: its outputs from Pulumi's state, and the place where its containers run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from groundwork.faults import nearest
from groundwork.targets import KubernetesTarget
from ops.checkout import ROOT, Stack, open_stack
from ops.place import Place
from tools.engine.checkout import Checkout, Mode, UserError

TIMEOUT_SECONDS = 60
MODES: tuple[Mode, ...] = ("real", "simulated")


@dataclass(frozen=True, kw_only=True)
class Running:
    """`outputs` as docs/outputs.md promises them, secrets hidden; with `environment` Pulumi finds them."""

    stack: Stack
    system: str
    outputs: Mapping[str, Any]
    environment: Mapping[str, str]

    @property
    def simulated(self) -> bool:
        return bool(self.outputs["simulated"])

    @property
    def urls(self) -> dict[str, str]:
        return dict(self.outputs["urls"])

    @property
    def machines(self) -> dict[str, dict[str, Any]]:
        """The stack's own, by name: none where it runs on the engine that `DOCKER_HOST` names, or on a cluster."""
        return dict(self.outputs.get("machines", {}))

    @property
    def prefix(self) -> str:
        """The beginning of every container's name on a Docker engine; without its hyphen, the stack's name."""
        return f"{self.stack.project.name}-{self.stack.name}-"

    def place(self) -> Place:
        """The engine, machines or cluster that run the stack. UserError where they can't be reached, or are none."""
        if self.simulated:
            raise UserError(f"{self.stack.label} is SIMULATED: nothing was started, so there is nothing to look into.")
        target = self.stack.configuration.settings.target
        # Each imports what only its own target needs.
        if isinstance(target, KubernetesTarget):
            from ops.on_kubernetes import cluster_of

            return cluster_of(target, self.prefix.rstrip("-"), self.environment)
        if self.machines:
            from ops.on_docker.machines import OnMachines

            return OnMachines(
                machines=self.machines, project=self.stack.project.name, stack=self.stack.name,
                environment=self.environment,
            )  # fmt: skip
        from ops.on_docker import engine_of

        return engine_of(self.stack.project.name, self.stack.name, self.environment)

    def no_workload(self, name: str, known: Iterable[str]) -> UserError:
        """What to say of a workload that the stack does not have."""
        return UserError(f"There is no workload `{name}` in {self.stack.label}; {nearest(name, known)}")

    def words(self) -> str:
        """The variables of a `make` target that mean this stack, each behind a space."""
        return variables_of(self.stack.name, self.system)

    def command(self, *words: str) -> str:
        """A command of ours for this stack, as a person would type it in the checkout."""
        python = sys.executable.removeprefix(f"{ROOT}/")
        options = ["--stack", self.stack.name] if self.stack.name != "dev" else []
        options += ["--system", self.system] if self.system else []
        return " ".join([python, "-m", "ops", *words, *options])


def open_running(stack: str, system: str) -> Running:
    """The stack's outputs from wherever it is up. Raises UserError where it is not."""
    opened = open_stack(stack, system)
    if os.environ.get("PULUMI_BACKEND_URL"):
        # The driver's environment, or that of a person with a back end and a CLI of their own.
        environments = [dict(os.environ)]
    else:
        environments = [known for mode in MODES if (known := checkout_environment(opened, system, mode))]
    for environment in environments:
        outputs = outputs_in(opened, environment)
        if "containers" in outputs:
            return Running(stack=opened, system=system, outputs=outputs, environment=environment)
    raise UserError(f"{opened.label} is not up here: `{make_up(stack, system)}` brings it up.")


def variables_of(stack: str, system: str) -> str:
    """The variables of a `make` target that mean this stack, each behind a space."""
    return (f" STACK={stack}" if stack != "dev" else "") + (f" SYSTEM={system}" if system else "")


def make_up(stack: str, system: str) -> str:
    """The command that brings the stack up."""
    return f"make up{variables_of(stack, system)}"


def checkout_environment(stack: Stack, system: str, mode: Mode) -> dict[str, str] | None:
    """The environment in which the checkout's engine sees the state of that mode; None where it has none."""
    from tools.engine import drive, install, recover

    checkout = Checkout(ROOT)
    if not recover.Backend(checkout.state(mode), stack.project.name, stack.name).checkpoint.exists():
        return None
    engine = install.find(checkout)
    if engine is None:
        raise UserError("The Pulumi CLI is not here any more: `make up` gets it again.")
    session = drive.open_session(
        checkout, engine, system=system, stack=stack.name, requested="", environment=dict(os.environ), reading=mode
    )
    return dict(session.environment)


def outputs_in(stack: Stack, environment: Mapping[str, str]) -> dict[str, Any]:
    """The outputs that Pulumi finds with this environment: none where the stack was taken down."""
    # With an environment of its own, a process is still looked up on the PATH of this one.
    program = shutil.which("pulumi", path=environment.get("PATH"))
    if program is None:
        raise UserError("There is no `pulumi` on PATH; `make env` prints exports that add one.")
    folder = ["--cwd", str(stack.project.folder)]
    done = subprocess.run(
        [program, "stack", "output", "--json", "--stack", stack.name, *folder],
        env=dict(environment), capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        raise UserError(f"The outputs of {stack.label} can't be read:\n{done.stderr.strip()}")
    outputs: dict[str, Any] = json.loads(done.stdout)
    return outputs
