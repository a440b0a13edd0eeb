"""What one Docker engine is asked for: networks, volumes, files and containers of its share of a Deployment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_docker as docker

from groundwork.deployment import Deployment, Network, Share
from groundwork.images import repository_of
from groundwork.scripts import JOB_PROBE, reload_script, scripts_of
from groundwork.workload import ENGINE, FILES, MACHINE, File, Image, MachinePath, Probes, Reload, Workload, digest_of

from .container_log import Way, last_lines
from .credentials import Credentials

REPLACED = ["#initerror", "healthcheck", "init", "mounts", "tmpfs", "cpu_period", "cpu_quota"]
"""A failed health wait is tried again and stays red; and what the plugin would call updated without changing it,
changes by replacement (its Update passes on memory, restart and block i/o limits only)."""
LOG_ROTATION = {"max-size": "10m", "max-file": "5"}
LOG_LABELS = {"labels": "groundwork.project,groundwork.stack,groundwork.workload", "tag": "{{.Name}}"}
"""Beside each line of a log: whose it is, for the shipper, which is told nothing by the engine itself."""
MACHINE_PATHS: Mapping[MachinePath, str] = {"root": "/", "container_logs": "/var/lib/docker/containers"}
"""Where a machine has them; the engine's own default for logs."""
CPU_PERIOD = 100_000
"""Microseconds; the engine's own default."""
CREATE_SECONDS = 15
"""To make a container and probe it once, on top of the time that its workload asks for."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """How a machine's engine is reached: the provider does, and with the options of ssh who asks it for a log."""

    provider: docker.Provider
    ssh_options: pulumi.Input[Sequence[str]]


class Engine:
    """One engine of a stack; its resources are children of `parent`, with logical names that begin with `name`."""

    def __init__(
        self,
        name: str,
        deployment: Deployment,
        share: Share,
        credentials: Credentials,
        *,
        parent: pulumi.Resource,
        access: Access | None,
    ) -> None:
        self._name = name
        self._deployment = deployment
        self._share = share
        self._credentials = credentials
        self._parent = parent
        self._provider = access.provider if access else None
        self._ways: list[Way] = []
        if access:
            way = pulumi.Output.all(access.provider.host, access.ssh_options)
            way.apply(lambda said: self._ways.append((str(said[0]), list(said[1]))))
        log = last_lines(self.machine, lambda: self._ways[-1] if self._ways else None)
        self._hooks = pulumi.ResourceHookBinding(on_error=[log])
        self._images: dict[Image, pulumi.Input[str]] = {}
        self._networks = {network.name: self._network(network) for network in share.networks}
        self._volumes: dict[str, docker.Volume] = {}

    @property
    def machine(self) -> str | None:
        return self._share.machine.name if self._share.machine else None

    def runs(self, name: str) -> Workload | None:
        """The workload as it runs here, if it does."""
        return next((workload for workload in self._share.workloads if workload.name == name), None)

    def run(
        self, workload: Workload, before: Sequence[pulumi.Resource], behind: Sequence[pulumi.Resource]
    ) -> tuple[list[docker.Container], list[docker.Container]]:
        """Its containers, and those of them that say when it is ready. They start after all of `before`, unless it is
        one whose configuration alone waits for that, and `behind` the same workload of other machines."""
        names = [workload.name]
        if workload.strategy == "surge":
            names = [f"{workload.alias}-{replica}" for replica in range(workload.replicas)]
        after = [*behind] if workload.reload else [*before, *behind]
        volumes = [
            docker.ContainerVolumeArgs(
                # What the gateway has of its own is no data.
                volume_name=self._volume(
                    volume.name, keep=self._deployment.keep_data and (workload.role != "gateway" or volume.read_only)
                ).name,
                container_path=volume.path,
                read_only=volume.read_only or None,
            )
            for volume in workload.volumes
        ]
        files, loader = self._files(workload, workload.name, (*workload.files, *scripts_of(workload)))
        volumes, after = [files, *volumes], [loader, *after]
        containers = [self._container(name, workload, volumes, after) for name in names]
        if workload.reload:
            switch = self._switch(workload, workload.reload, containers[0], before)
            return [*containers, switch], [switch]
        return containers, containers

    def _options(
        self,
        *,
        after: Sequence[pulumi.Resource] = (),
        replaced: bool = False,
        keep: bool = False,
        ignored: Sequence[str] = (),
    ) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self._parent,
            provider=self._provider,
            depends_on=list(after),
            # One name and one address at a time: what is replaced under its own name must go first.
            delete_before_replace=True,
            replace_on_changes=REPLACED if replaced else None,
            hooks=self._hooks if replaced else None,
            # Data is never deleted with the stack that made it, unless its settings say so.
            retain_on_delete=keep,
            ignore_changes=list(ignored),
        )

    def _labels(self, of: Workload | None = None) -> list[tuple[str, str]]:
        labels = {"groundwork.project": self._deployment.project, "groundwork.stack": self._deployment.stack}
        if of is not None:
            labels |= {"groundwork.workload": of.name, "groundwork.role": of.role, "groundwork.release": of.release}
        return list(labels.items())

    def _network(self, network: Network) -> docker.Network:
        # An internal bridge without an address of its own is no way to the machine; a published port needs an
        # outward network, which need not lead further.
        outward = {} if network.masquerade else {"com.docker.network.bridge.enable_ip_masquerade": "false"}
        return docker.Network(
            f"{self._name}-{network.name}",
            name=f"{self._deployment.prefix}-{network.name}",
            internal=network.internal,
            ipam_configs=[docker.NetworkIpamConfigArgs(subnet=str(network.subnet))],
            options={"com.docker.network.bridge.inhibit_ipv4": "true"} if network.internal else outward,
            labels=[docker.NetworkLabelArgs(label=label, value=value) for label, value in self._labels()],
            opts=self._options(),
        )

    def _image(self, image: Image) -> pulumi.Input[str]:
        """The engine's name for an image that can't change; one from a registry is pulled once."""
        if image.origin in ("local", "sources"):
            return image.digest
        if image not in self._images:
            repository = repository_of(image.reference)
            slug = re.sub("[^a-z0-9]+", "-", repository)
            self._images[image] = docker.RemoteImage(
                f"{self._name}-{slug}-{image.digest[7:15]}",
                name=f"{repository}@{image.digest}",
                keep_locally=True,
                opts=self._options(),
            ).repo_digest
        return self._images[image]

    def _volume(self, name: str, *, keep: bool) -> docker.Volume:
        if name not in self._volumes:
            self._volumes[name] = docker.Volume(
                f"{self._name}-{name}",
                name=f"{self._deployment.prefix}-{name}",
                labels=[docker.VolumeLabelArgs(label=label, value=value) for label, value in self._labels()],
                opts=self._options(keep=keep),
            )
        return self._volumes[name]

    def _files(
        self, owner: Workload, purpose: str, files: tuple[File, ...]
    ) -> tuple[docker.ContainerVolumeArgs, pulumi.Resource]:
        """A volume with these files, and the container that fills it and never runs: a read-only root takes no upload.

        Whoever mounts it starts after the filling, and names none of its outputs: whatever becomes of the loader,
        the engine has no reason to remove a release that serves.
        """
        name = f"{purpose}-files-{digest_of(files)}"
        volume = self._volume(name, keep=False)
        loader = docker.Container(
            f"{self._name}-{name}-loader",
            name=f"{self._deployment.prefix}-{name}",
            image=self._image(owner.image),
            command=["true"],
            start=False,
            must_run=False,
            network_mode="none",
            volumes=[docker.ContainerVolumeArgs(volume_name=volume.name, container_path=FILES)],
            uploads=[
                docker.ContainerUploadArgs(
                    file=file.path, content=self._credentials.text(file.content), permissions=file.mode
                )
                for file in files
            ],
            labels=[docker.ContainerLabelArgs(label=label, value=value) for label, value in self._labels()],
            # Any image will do to carry files in: a new one is no reason to carry them again.
            opts=self._options(replaced=True, ignored=["image"]),
        )
        return docker.ContainerVolumeArgs(volume_name=volume.name, container_path=FILES, read_only=True), loader

    def _container(
        self,
        name: str,
        workload: Workload,
        volumes: Sequence[docker.ContainerVolumeArgs],
        after: Sequence[pulumi.Resource],
    ) -> docker.Container:
        job = workload.role == "job"
        command = ("/bin/sh", f"{FILES}/job.sh", *workload.command) if job else workload.command
        env = {**workload.env, "RELEASE": workload.release}
        if workload.per_machine:
            env[MACHINE] = self.machine or ENGINE
        return docker.Container(
            f"{self._name}-{name}",
            **self._hardening(name, workload),
            entrypoints=list(command[:1]) or None,
            command=list(command[1:]) or None,
            envs=[pulumi.Output.concat(key, "=", self._credentials.text(value)) for key, value in sorted(env.items())],
            volumes=list(volumes),
            mounts=[
                docker.ContainerMountArgs(
                    type="bind",
                    source=MACHINE_PATHS[machine_path],
                    target=path,
                    read_only=True,
                    # What the machine mounts later is seen too; the root of a laptop's engine may not be shared.
                    bind_options=docker.ContainerMountBindOptionsArgs(propagation="rslave") if self.machine else None,
                )
                for machine_path, path in workload.machine_paths.items()
            ]
            or None,
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(
                    name=self._networks[network.name].name,
                    aliases=sorted({workload.name, workload.alias}) if is_reached(workload, network) else None,
                )
                for network in self._share.networks_of(workload.name)
            ],
            ports=[
                docker.ContainerPortArgs(internal=port.target, external=port.port, ip=port.address)
                for port in workload.published
            ],
            healthcheck=engine_check(workload),
            # Nobody would ever say that it is well.
            wait=workload.engine_check != (),
            wait_timeout=workload.timeout_seconds + CREATE_SECONDS,
            must_run=not job,
            restart="no" if job else "unless-stopped",
            opts=self._options(after=after, replaced=True),
        )

    def _switch(
        self, workload: Workload, reload: Reload, running: docker.Container, after: Sequence[pulumi.Resource]
    ) -> docker.Container:
        """Exchanges the configuration of a running container, from inside its namespaces and as the same user."""
        script = File(name="reload.sh", content=reload_script(reload))
        name = f"{workload.name}-switch"
        files, loader = self._files(workload, name, (script, *reload.files, *workload.files))
        live = [volume for volume in workload.volumes if volume.path == reload.directory]
        inside = pulumi.Output.concat("container:", running.id)
        return docker.Container(
            f"{self._name}-{name}",
            **self._hardening(name, workload),
            entrypoints=["/bin/sh", f"{FILES}/reload.sh"],
            volumes=[
                files,
                *(
                    docker.ContainerVolumeArgs(volume_name=self._volumes[volume.name].name, container_path=volume.path)
                    for volume in live
                ),
            ],
            network_mode=inside,
            pid_mode=inside,
            healthcheck=healthcheck(None),
            wait=True,
            wait_timeout=reload.settle_seconds + 2 * CREATE_SECONDS,
            must_run=False,
            restart="no",
            opts=self._options(after=[running, loader, *after], replaced=True),
        )

    def _hardening(self, name: str, workload: Workload) -> dict[str, Any]:
        """What holds for everything that runs: limits, no privileges, nothing writable but /tmp, rotated logs."""
        return {
            "name": f"{self._deployment.prefix}-{name}",
            "image": self._image(workload.image),
            "user": workload.user,
            "init": workload.reload is None or name == workload.name,
            "read_only": True,
            "tmpfs": {path: f"size={size}m,mode=1777,noexec,nosuid,nodev" for path, size in workload.tmpfs.items()},
            "shm_size": workload.shm_mib,
            "memory": workload.resources.memory_mib,
            "memory_swap": workload.resources.memory_mib,
            # Not `cpus`: the plugin reads 1 back as 1.0, 10 as "10." and 0.05 as 0.1, and would replace the container.
            "cpu_period": CPU_PERIOD,
            "cpu_quota": round(workload.resources.cpus * CPU_PERIOD),
            "capabilities": docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            "security_opts": ["no-new-privileges:true"],
            "destroy_grace_seconds": workload.grace_seconds,
            "log_driver": "json-file",
            "log_opts": LOG_ROTATION | (LOG_LABELS if workload.monitored else {}),
            "labels": [docker.ContainerLabelArgs(label=label, value=value) for label, value in self._labels(workload)],
        }


def is_reached(workload: Workload, network: Network) -> bool:
    """Whether others look for the workload in that network, or it for them."""
    return network.name == workload.name or (network.name == "edge" and workload.role == "app")


def engine_check(workload: Workload) -> docker.ContainerHealthcheckArgs | None:
    """What the engine asks the container; nothing where there is neither a shell nor a program for it."""
    if workload.engine_check is None or not workload.probes:
        return healthcheck(workload.probes)
    return healthcheck(workload.probes, workload.engine_check) if workload.engine_check else None


def healthcheck(
    probes: Probes | None, command: Sequence[str] = ("/bin/sh", f"{FILES}/probe.sh")
) -> docker.ContainerHealthcheckArgs:
    """The engine's one probe: a job's mark, or the script that reports readiness and acts on liveness."""
    if probes is None:
        return docker.ContainerHealthcheckArgs(
            tests=["CMD-SHELL", JOB_PROBE], interval="1s", timeout="5s", retries=3, start_period="0s"
        )
    return docker.ContainerHealthcheckArgs(
        tests=["CMD", *command],
        interval=f"{probes.period_seconds}s",
        timeout=f"{3 * probes.timeout_seconds}s",
        start_period="0s",
        retries=3,
    )
