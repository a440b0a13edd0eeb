"""A stack on a Docker engine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from groundwork.deployment import Deployment
from groundwork.workload import Workload
from ops.place import Line, Replica, Row, Tunnel, Wanted
from tools.engine.checkout import UserError
from tools.engine.recover import TUNNEL_LABEL

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container


@dataclass(frozen=True, kw_only=True)
class OnDocker:
    """Its containers, by the labels of the stack."""

    engine: docker.DockerClient
    project: str
    stack: str
    environment: Mapping[str, str]

    @property
    def prefix(self) -> str:
        return f"{self.project}-{self.stack}-"

    @property
    def labels(self) -> list[str]:
        return [f"groundwork.project={self.project}", f"groundwork.stack={self.stack}"]

    def containers(self, *labels: str) -> list[Container]:
        """Those of the stack, stopped ones too, but for people's tunnels."""
        found = self.engine.containers.list(all=True, filters={"label": [*self.labels, *labels]})
        return [container for container in found if TUNNEL_LABEL not in container.labels]

    def rows(self, expected: Sequence[Mapping[str, str]]) -> list[Row]:
        from ops.on_docker.status import rows_of

        return rows_of(self.containers(), expected)

    def lines(self, workload: str, wanted: Wanted) -> Iterator[Line]:
        from ops.on_docker.logs import lines_in

        own = [f"groundwork.workload={workload}"] if workload else []
        # Containers that only carry files are never started.
        started = [container for container in self.containers(*own) if container.status != "created"]
        return lines_in(self.engine, started, [*self.labels, *own], wanted)

    def replicas(self, workload: str) -> list[Replica]:
        return [
            replica_of(container)
            for container in self.containers(f"groundwork.workload={workload}")
            if container.status == "running" and not beside(container)
        ]

    def inside(self, replica: Replica, words: Sequence[str], *, terminal: bool) -> tuple[list[str], Mapping[str, Any]]:
        program = shutil.which("docker", path=self.environment.get("PATH"))
        if program is None:
            raise UserError("`docker` is not on PATH: a shell in a container needs it (Debian's package docker-cli).")
        flags = ["--interactive", *(["--tty"] if terminal else [])]
        return [program, "exec", *flags, replica.name, *words], self.environment

    def tunnel(
        self, deployment: Deployment, workload: Workload, remote: int, local: int
    ) -> AbstractContextManager[Tunnel]:
        from ops.on_docker.tunnel import tunnel_to

        return tunnel_to(self.engine, deployment, workload, remote, local)


def engine_of(project: str, stack: str, environment: Mapping[str, str]) -> OnDocker:
    """The stack's Docker engine; UserError where none answers."""
    import docker
    from docker.errors import DockerException

    try:
        engine = docker.from_env(environment=dict(environment), use_ssh_client=True)
    except DockerException as error:
        raise UserError(f"The Docker engine of {project}/{stack} does not answer: {error}") from None
    return OnDocker(engine=engine, project=project, stack=stack, environment=environment)


def replica_of(container: Container) -> Replica:
    state = container.attrs["State"]
    health = state.get("Health", {}).get("Status", "healthy")
    return Replica(
        name=str(container.name), release=container.labels.get("groundwork.release", ""),
        ready=health == "healthy", started=state["StartedAt"],
    )  # fmt: skip


def beside(container: Container) -> bool:
    """Whether it only helps the workload whose name it carries: it shares another container's network."""
    return str(container.attrs["HostConfig"].get("NetworkMode", "")).startswith("container:")
