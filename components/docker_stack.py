"""A Deployment on one Docker engine, or on one of each machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_docker as docker

from groundwork.deployment import Deployment
from groundwork.workload import Workload

from .credentials import Credentials
from .docker_engine import Access, Engine


@dataclass(frozen=True, kw_only=True)
class DockerStackArgs:
    """`engines` are those of the machines by name; without machines the caller's options have the provider."""

    deployment: Deployment
    credentials: Credentials
    engines: Mapping[str, Access] = field(default_factory=dict)


class DockerStack(pulumi.ComponentResource):
    """Networks, volumes, files and containers of one stack; the providers come from the caller."""

    containers: pulumi.Output[list[dict[str, str]]]
    """Name, workload, role and release of each container, and its machine where there are some."""

    def __init__(self, name: str, args: DockerStackArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("groundwork:docker:Stack", name, None, opts)
        engines = [
            Engine(
                f"{name}-{share.machine.name}" if share.machine else name,
                args.deployment,
                share,
                args.credentials,
                parent=self,
                access=args.engines[share.machine.name] if share.machine else None,
            )
            for share in args.deployment.shares
        ]
        ready: dict[str, list[pulumi.Resource]] = {}
        running: list[tuple[Engine, Workload, docker.Container]] = []
        # One order over all machines: the accounts of one are made before the apps of another start.
        for workload in in_order(args.deployment.workloads):
            before = [resource for name in workload.after for resource in ready[name]]
            ready[workload.name] = []
            for engine in engines:
                here = engine.runs(workload.name)
                if here is None:
                    continue
                # What stops before it starts does so on one machine after the other: one gateway is always there. Who
                # only watches its own machine waits for no other.
                alone = here.strategy == "recreate" and here.role != "monitoring"
                others = ready[workload.name] if alone else []
                containers, told = engine.run(here, before, behind=others)
                running += [(engine, here, container) for container in containers]
                ready[workload.name] = [*ready[workload.name], *told]
        self.containers = pulumi.Output.all(*(told_of(*one) for one in running))
        self.register_outputs({"containers": self.containers})


def told_of(engine: Engine, workload: Workload, container: docker.Container) -> pulumi.Output[dict[str, str]]:
    said = {"workload": workload.name, "role": workload.role, "release": workload.release}
    machine = {"machine": engine.machine} if engine.machine else {}
    return container.name.apply(lambda physical: {"name": physical, **said, **machine})


def in_order(workloads: Sequence[Workload]) -> list[Workload]:
    """Each workload behind those it starts after."""
    done: dict[str, Workload] = {}
    waiting = list(workloads)
    while waiting:
        free = [workload for workload in waiting if done.keys() >= set(workload.after)]
        if not free:
            raise ValueError(f"these wait for each other: {', '.join(sorted(workload.name for workload in waiting))}")
        done |= {workload.name: workload for workload in free}
        waiting = [workload for workload in waiting if workload.name not in done]
    return list(done.values())
