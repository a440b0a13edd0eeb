"""One stack: the other components, composed."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from groundwork.deployment import Deployment
from groundwork.settings import Settings
from groundwork.stack_file import NAMESPACE, SECRET_PREFIX

from .credentials import Credentials, CredentialsArgs
from .docker_stack import DockerStack, DockerStackArgs


@dataclass(frozen=True, kw_only=True)
class EnvironmentArgs:
    settings: Settings
    deployment: Deployment


class Environment(pulumi.ComponentResource):
    """Everything that one environment of one system consists of."""

    containers: pulumi.Output[list[dict[str, str]]]
    credentials: pulumi.Output[dict[str, str]]
    """Generated secrets by `owner.name`, for the people who operate the stack; secret."""

    def __init__(self, name: str, args: EnvironmentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("groundwork:index:Environment", name, None, opts)
        deployment = args.deployment
        credentials = Credentials(
            f"{name}-credentials",
            CredentialsArgs(secrets=deployment.secrets),
            opts=pulumi.ResourceOptions(parent=self),
        )
        stack = DockerStack(
            f"{name}-docker",
            DockerStackArgs(deployment=deployment, credentials=credentials),
            opts=pulumi.ResourceOptions(parent=self, providers=[self._engine(name, args.settings)]),
        )
        self.containers = stack.containers
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

    def _engine(self, name: str, settings: Settings) -> docker.Provider:
        registry = settings.registry
        login = []
        if registry and registry.username:
            login = [
                docker.ProviderRegistryAuthArgs(
                    address=registry.prefix.split("/")[0],
                    username=registry.username,
                    password=pulumi.Config(NAMESPACE).require_secret(f"{SECRET_PREFIX}registry_password"),
                )
            ]
        return docker.Provider(
            f"{name}-engine",
            registry_auth=login or None,
            opts=pulumi.ResourceOptions(parent=self),
        )
