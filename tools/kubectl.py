"""kubectl on one namespace of one cluster: what looking at a stack, its shells and its tunnels are made of.

One program for all of it, and not the Python client: exec and port-forward are kubectl's own, it signs in as its user
does everywhere else (exec plugins, OIDC), and the client's package takes 126 MB of every checkout.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.engine.checkout import UserError

TIMEOUT_SECONDS = 30
INSTALL = "https://kubernetes.io/docs/tasks/tools/"


@dataclass(frozen=True, kw_only=True)
class Kubectl:
    """`context` and `namespace` are always said: neither the current ones nor their defaults are ever meant."""

    program: str
    kubeconfig: Path
    context: str
    namespace: str
    environment: Mapping[str, str]

    def command(self, *arguments: str) -> list[str]:
        place = [f"--kubeconfig={self.kubeconfig}", f"--context={self.context}", f"--namespace={self.namespace}"]
        return [self.program, *place, *arguments]

    def text(self, *arguments: str) -> str:
        """What it writes. UserError with its words where it fails."""
        done = self.run(*arguments)
        if done.returncode:
            raise UserError(f"kubectl {' '.join(arguments)}: {said(done)}")
        return done.stdout

    def data(self, *arguments: str) -> dict[str, Any]:
        """Its answer as JSON."""
        found: dict[str, Any] = json.loads(self.text(*arguments, "--output=json"))
        return found

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                self.command(f"--request-timeout={TIMEOUT_SECONDS}s", *arguments),
                env=dict(self.environment), stdin=subprocess.DEVNULL, capture_output=True,
                # A log may hold anything.
                encoding="utf-8", errors="replace", timeout=2 * TIMEOUT_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise UserError(f"The cluster of context {self.context} does not answer.") from None


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The last words of a kubectl that failed: those before repeat them."""
    return (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]


def find(environment: Mapping[str, str]) -> str | None:
    return shutil.which("kubectl", path=environment.get("PATH"))


def found(environment: Mapping[str, str]) -> str:
    """Where kubectl is; UserError where it is not."""
    program = find(environment)
    if program is None:
        raise UserError(f"`kubectl` is not on PATH: on a cluster this command needs it ({INSTALL}).")
    return program
