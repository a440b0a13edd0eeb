"""A stack on a real Docker engine, with a state of its own."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import Any

import docker
import yaml

from tests.engine.stack import Run, Stack

UP_SECONDS = 600


@dataclass(frozen=True)
class RealStack(Stack):
    """Runs with the plugins that are installed instead of simulated ones."""

    def variables(self, debug_providers: str = "") -> dict[str, str]:
        variables = super().variables() | {"GROUNDWORK_PROVIDERS": "real"} | dict(self.environment)
        del variables["PULUMI_DEBUG_PROVIDERS"]
        return variables

    def _run(self, command: str, faults: str, *arguments: str) -> Run:
        return self._logged(command, *arguments, variables=self.variables())

    @property
    def project_name(self) -> str:
        return str(yaml.safe_load((self.project / "Pulumi.yaml").read_text())["name"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings()['groundwork:entry']['http_port']}"

    def settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = yaml.safe_load(self.config.read_text())["config"]
        return settings

    def change(self, **changes: Any) -> None:
        """Sets keys of the namespace `groundwork:`, whole values at a time; None takes a key away."""
        settings = self.settings() | {f"groundwork:{key}": value for key, value in changes.items()}
        self.configure(yaml.safe_dump({"config": {key: value for key, value in settings.items() if value is not None}}))

    def labels(self, *more: str) -> dict[str, Any]:
        """The filter by which the engine finds what belongs to this stack."""
        return {"label": [f"groundwork.project={self.project_name}", f"groundwork.stack={self.name}", *more]}

    def containers(self, engine: docker.DockerClient, workload: str | None = None) -> list[Any]:
        """All containers of the stack, or of one workload, running or not."""
        of_workload = [f"groundwork.workload={workload}"] if workload else []
        found: list[Any] = engine.containers.list(all=True, filters=self.labels(*of_workload))
        return found

    def remove_leftovers(self, engine: docker.DockerClient) -> None:
        """Removes what carries this stack's labels, so that a killed test run stands in nobody's way."""
        for container in self.containers(engine):
            container.remove(force=True, v=True)
        for network in engine.networks.list(filters=self.labels()):
            network.remove()
        for volume in engine.volumes.list(filters=self.labels()):
            volume.remove(force=True)

    def plain(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Any pulumi command, its output as text."""
        return subprocess.run(
            self.command(*arguments), env=self.variables(), capture_output=True, text=True, timeout=UP_SECONDS
        )
