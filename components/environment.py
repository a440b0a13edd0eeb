"""One stack: the other components, composed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pulumi

from groundwork.deployment import Deployment
from groundwork.kubeconfig import kubeconfig_of
from groundwork.kubernetes import manifests
from groundwork.kubernetes.running import controller_name, controller_of
from groundwork.settings import Settings
from groundwork.stack_file import NAMESPACE, SECRET_PREFIX
from groundwork.targets import KubernetesTarget

from .credentials import Credentials, CredentialsArgs

if TYPE_CHECKING:
    from .infrastructure import Infrastructure


@dataclass(frozen=True, kw_only=True)
class EnvironmentArgs:
    """`simulated` runs need no kubeconfig; `fingerprints` are those of the stack's configured secrets."""

    settings: Settings
    deployment: Deployment
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    simulated: bool = False


class Environment(pulumi.ComponentResource):
    """Everything that one environment of one system consists of."""

    containers: pulumi.Output[list[dict[str, str]]]
    """Those of a Docker engine; a cluster names its pods itself, so there it is what makes them."""
    credentials: pulumi.Output[dict[str, str]]
    """Generated secrets by `owner.name`, for the people who operate the stack; secret."""
    machines: pulumi.Input[dict[str, dict[str, Any]]]
    """Role, private address, host and ssh options of each machine."""
    backups: pulumi.Input[dict[str, Any]]
    """Where backups go, and who may read them back."""

    def __init__(self, name: str, args: EnvironmentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        target, deployment = args.settings.target, args.deployment
        if isinstance(target, KubernetesTarget) and not args.simulated:
            # A wrong context is an error before anything is made.
            kubeconfig_of(target, os.environ)
        super().__init__("groundwork:index:Environment", name, None, opts)
        credentials = Credentials(
            f"{name}-credentials",
            CredentialsArgs(secrets=deployment.secrets),
            opts=pulumi.ResourceOptions(parent=self),
        )
        infrastructure = self._stand(name, args)
        if isinstance(target, KubernetesTarget):
            self._run_on_cluster(name, args, target, credentials)
            self.containers = pulumi.Output.from_input(makers_of(deployment))
        else:
            self.containers = self._run_on_docker(name, args, credentials, infrastructure)
        self.credentials = pulumi.Output.secret(
            pulumi.Output.all(
                **{
                    f"{ref.owner}.{ref.name}": credentials.value(ref)
                    for ref, key in deployment.secrets.items()
                    if key is None
                }
            )
        )
        self.machines = infrastructure.machines if infrastructure else {}
        self.backups = infrastructure.backups if infrastructure else {}
        self.register_outputs({"containers": self.containers, "credentials": self.credentials})

    def _stand(self, name: str, args: EnvironmentArgs) -> Infrastructure | None:
        """What the stack stands on, where that is more than one engine or cluster that exists."""
        settings = args.settings
        if not (settings.stack_machines or settings.backups or settings.previews):
            return None
        from .infrastructure import Infrastructure, InfrastructureArgs

        return Infrastructure(
            f"{name}-infrastructure",
            InfrastructureArgs(settings=settings, deployment=args.deployment, fingerprints=args.fingerprints),
            opts=pulumi.ResourceOptions(parent=self),
        )

    # Each target's SDK takes a while to import, and a stack has one target.

    def _run_on_docker(
        self, name: str, args: EnvironmentArgs, credentials: Credentials, infrastructure: Infrastructure | None
    ) -> pulumi.Output[list[dict[str, str]]]:
        import pulumi_docker as docker

        from .docker_engine import Access
        from .docker_stack import DockerStack, DockerStackArgs

        registry = args.settings.registry
        login = []
        if registry and registry.username:
            login = [
                docker.ProviderRegistryAuthArgs(
                    address=registry.host,
                    username=registry.username,
                    password=pulumi.Config(NAMESPACE).require_secret(f"{SECRET_PREFIX}registry_password"),
                )
            ]
        below = pulumi.ResourceOptions(parent=self)
        engines: dict[str, Access] = {}
        if infrastructure and infrastructure.hosts:
            for machine, host in infrastructure.hosts.items():
                options = infrastructure.ssh_options[machine]
                provider = docker.Provider(
                    f"{name}-engine-{machine}", host=host, ssh_opts=options, registry_auth=login or None, opts=below
                )
                engines[machine] = Access(provider=provider, ssh_options=options)
        else:
            below.providers = [docker.Provider(f"{name}-engine", registry_auth=login or None, opts=below)]
        stack = DockerStack(
            f"{name}-docker",
            DockerStackArgs(deployment=args.deployment, credentials=credentials, engines=engines),
            opts=below,
        )
        return stack.containers

    def _run_on_cluster(
        self, name: str, args: EnvironmentArgs, target: KubernetesTarget, credentials: Credentials
    ) -> None:
        import pulumi_kubernetes as kubernetes

        from .kubernetes_stack import KubernetesStack, KubernetesStackArgs

        cluster = kubernetes.Provider(
            f"{name}-cluster",
            # Where nobody names one, the plugin finds the same file as we: its path is another one on another machine,
            # and the plugin must read what the state says.
            kubeconfig=target.kubeconfig,
            context=target.context,
            # The namespace is the stack's alone: what is there and in no state is data that was kept, or what a killed
            # engine could not note any more.
            upsert_existing_objects=True,
            # Also where settings have changed since: another stack's fields would be a conflict.
            enable_patch_force=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        KubernetesStack(
            f"{name}-kubernetes",
            KubernetesStackArgs(
                manifests=manifests(args.deployment, args.settings),
                keep_data=args.deployment.keep_data,
                credentials=credentials,
            ),
            opts=pulumi.ResourceOptions(parent=self, providers=[cluster]),
        )


def makers_of(deployment: Deployment) -> list[dict[str, str]]:
    """The object of a cluster that makes the pods of each workload, as `Kind/name`."""
    return [
        {
            "name": f"{controller_of(workload)}/{controller_name(workload)}",
            "workload": workload.name,
            "role": workload.role,
            "release": workload.release,
        }
        for workload in deployment.workloads
    ]
