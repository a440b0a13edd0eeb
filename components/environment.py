"""One stack: the other components, composed."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pulumi

from groundwork.deployment import Deployment
from groundwork.kubeconfig import kubeconfig_of
from groundwork.kubernetes import manifests
from groundwork.kubernetes.running import controller_name, controller_of
from groundwork.settings import Settings
from groundwork.stack_file import NAMESPACE, SECRET_PREFIX
from groundwork.targets import KubernetesTarget

from .credentials import Credentials, CredentialsArgs


@dataclass(frozen=True, kw_only=True)
class EnvironmentArgs:
    """`simulated` runs need no kubeconfig."""

    settings: Settings
    deployment: Deployment
    simulated: bool = False


class Environment(pulumi.ComponentResource):
    """Everything that one environment of one system consists of."""

    containers: pulumi.Output[list[dict[str, str]]]
    """Those of a Docker engine; a cluster names its pods itself, so there it is what makes them."""
    credentials: pulumi.Output[dict[str, str]]
    """Generated secrets by `owner.name`, for the people who operate the stack; secret."""

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
        if isinstance(target, KubernetesTarget):
            self._run_on_cluster(name, args, target, credentials)
            self.containers = pulumi.Output.from_input(makers_of(deployment))
        else:
            self.containers = self._run_on_docker(name, args, credentials)
        self.credentials = pulumi.Output.secret(
            pulumi.Output.all(
                **{
                    f"{ref.owner}.{ref.name}": credentials.value(ref)
                    for ref, key in deployment.secrets.items()
                    if key is None
                }
            )
        )
        self.register_outputs({"containers": self.containers, "credentials": self.credentials})

    # Each target's SDK takes a while to import, and a stack has one target.

    def _run_on_docker(
        self, name: str, args: EnvironmentArgs, credentials: Credentials
    ) -> pulumi.Output[list[dict[str, str]]]:
        import pulumi_docker as docker

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
        engine = docker.Provider(
            f"{name}-engine", registry_auth=login or None, opts=pulumi.ResourceOptions(parent=self)
        )
        stack = DockerStack(
            f"{name}-docker",
            DockerStackArgs(deployment=args.deployment, credentials=credentials),
            opts=pulumi.ResourceOptions(parent=self, providers=[engine]),
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
