"""Where things lie in a checkout, and what a person's `SYSTEM=` and `STACK=` name. Standard library only."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Mode = Literal["real", "simulated"]


class UserError(Exception):
    """A person's mistake or a missing prerequisite: the message says what to do, and is all that is shown."""


@dataclass(frozen=True)
class Missing:
    """One thing that real providers lack: what, and what a person does about it."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}"


@dataclass(frozen=True)
class Checkout:
    """The directories of one clone. Everything that is made lies in `.venv` and `.groundwork`."""

    root: Path

    @property
    def python(self) -> Path:
        return self.root / ".venv" / "bin" / "python"

    @property
    def tools(self) -> Path:
        return self.root / "tools" / "engine"

    @property
    def made(self) -> Path:
        return self.root / ".groundwork"

    @property
    def policy(self) -> Path:
        """The pack of rules that every `preview` and `up` is held to."""
        return self.root / "policy"

    @property
    def home(self) -> Path:
        """PULUMI_HOME: plugins and logs."""
        return self.made / "home"

    def state(self, mode: Mode) -> Path:
        """The file back end of a mode. Simulated runs share no state with real ones."""
        return self.made / "state" / mode

    def project(self, system: str) -> Project:
        """The Pulumi project of `SYSTEM=`: the top level for "", else `systems/<system>`."""
        if not system:
            return Project.read(self.root)
        if system not in self.systems():
            known = ", ".join(self.systems()) or "none yet"
            raise UserError(
                f"SYSTEM={system}: there is no systems/{system}/Pulumi.yaml."
                f"{_nearest(system, self.systems())} Systems: {known}. "
                "Without SYSTEM= the top-level stack is meant."
            )
        return Project.read(self.root / "systems" / system)

    def systems(self) -> list[str]:
        return sorted(file.parent.name for file in self.root.glob("systems/*/Pulumi.yaml"))


@dataclass(frozen=True)
class Project:
    """A folder with a Pulumi.yaml and the name that it gives the project."""

    folder: Path
    name: str

    @classmethod
    def read(cls, folder: Path) -> Project:
        file = folder / "Pulumi.yaml"
        # The name alone does not take a YAML parser, which is not there before .venv is.
        text = file.read_text() if file.is_file() else ""
        found = re.search(r"^name:\s*[\"']?([\w.-]+)", text, re.MULTILINE)
        if not found:
            raise UserError(f"{file}: not a Pulumi project (a file with a line `name: …` is needed)")
        return cls(folder, found.group(1))

    def stacks(self) -> list[str]:
        files = self.folder.glob("Pulumi.*.yaml")
        return sorted(file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in files)

    def stack_file(self, stack: str) -> Path:
        if stack not in self.stacks():
            known = ", ".join(self.stacks()) or "none yet"
            raise UserError(
                f"STACK={stack}: there is no {self.folder / f'Pulumi.{stack}.yaml'}."
                f"{_nearest(stack, self.stacks())} Stacks of {self.name}: {known}."
            )
        return self.folder / f"Pulumi.{stack}.yaml"


def _nearest(wrong: str, known: list[str]) -> str:
    match = difflib.get_close_matches(wrong, known, n=1)
    return f" Did you mean {match[0]}?" if match else ""
