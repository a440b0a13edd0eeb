"""What a stack's containers stand on, and what is in front of them: network, machines, entry, backup buckets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pulumi

from groundwork.cloud import Aws, AwsBackups
from groundwork.cloud import Edge as EdgeSettings
from groundwork.deployment import Deployment
from groundwork.hardening import Hardening, document, hardenings, ready_command, script
from groundwork.machines import APP_ROLES, AwsMachines, ExistingMachines
from groundwork.paths import outward_of
from groundwork.settings import Settings
from groundwork.tags import tags_of

from .machines import Machines, MachinesArgs

if TYPE_CHECKING:
    import pulumi_aws as aws

    from .network import Network


@dataclass(frozen=True, kw_only=True)
class InfrastructureArgs:
    """`fingerprints` are those of the stack's configured secrets."""

    settings: Settings
    deployment: Deployment
    fingerprints: Mapping[str, str]


class Infrastructure(pulumi.ComponentResource):
    """Made as far as the settings ask for it. AWS's SDK is imported by stacks that have something there."""

    hosts: Mapping[str, pulumi.Output[str]]
    """By machine: `ssh://…` of its Docker engine, known once the machine is ready."""
    ssh_options: Mapping[str, pulumi.Output[list[str]]]
    machines: pulumi.Input[dict[str, dict[str, Any]]]
    """The stack's output of that name: role, private address, host and ssh options of each."""
    backups: pulumi.Input[dict[str, Any]]
    """The stack's output of that name: where backups go, and who reads them back."""

    def __init__(self, name: str, args: InfrastructureArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("groundwork:index:Infrastructure", name, None, opts)
        self._name, self._settings, self._deployment = name, args.settings, args.deployment
        self._fingerprints = args.fingerprints
        self._tags = tags_of(args.deployment)
        self._tags |= args.settings.aws.tags if args.settings.aws else {}
        self.hosts, self.ssh_options, self.machines, self.backups = {}, {}, {}, {}
        cloud = self._cloud("aws", args.settings.aws, args.settings.aws.region) if args.settings.aws else None
        self._options = pulumi.ResourceOptions(parent=self, providers=[cloud] if cloud else None)
        machines = self._make_machines()
        if args.settings.backups:
            self._make_buckets(machines)
        if args.settings.previews:
            self._make_preview_role()
        self.register_outputs({"machines": self.machines, "backups": self.backups})

    def _cloud(self, purpose: str, account: Aws, region: str) -> aws.Provider:
        import pulumi_aws as aws

        return aws.Provider(
            f"{self._name}-{purpose}",
            region=region,
            allowed_account_ids=[account.account],
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _make_machines(self) -> Machines | None:
        settings, deployment = self._settings, self._deployment
        if not isinstance(settings.machines, AwsMachines | ExistingMachines):
            return None
        states = hardenings(settings, deployment.openings, prefix=deployment.prefix)
        args = MachinesArgs(
            settings=settings.machines,
            machines=settings.stack_machines,
            probes={name: ready_command(state) for name, state in states.items()},
            tags=self._tags,
        )
        network = None
        if isinstance(settings.machines, AwsMachines) and settings.aws:
            network = self._make_network(settings.machines, settings.aws)
            args = replace(
                args,
                scripts={name: script(state) for name, state in states.items()},
                documents={name: partial(document_of, state) for name, state in states.items()},
                region=settings.aws.region,
                subnets=network.subnets,
                security_groups=network.security_groups,
            )
        machines = Machines(f"{self._name}-machines", args, opts=self._options)
        self.hosts, self.ssh_options = machines.hosts, machines.ssh_options
        self.machines = machines.described
        if network and settings.edge and settings.aws:
            self._make_edge(settings.edge, settings.aws, network, machines)
        return machines

    def _make_network(self, machines: AwsMachines, account: Aws) -> Network:
        from .network import Network, NetworkArgs

        assert account.network, "misfits refuse machines of AWS without a network"
        return Network(
            f"{self._name}-network",
            NetworkArgs(
                settings=account.network,
                account=account.account,
                region=account.region,
                machines=self._settings.stack_machines,
                openings=self._deployment.openings,
                outward=outward_of(self._settings, self._deployment.shares),
                administrators=machines.administrators,
                balancer=self._settings.edge is not None,
                proxies=self._settings.entry.trusted_proxies,
                public_roles=frozenset(role for role, one in machines.roles.items() if one.public),
                tags=self._tags,
            ),
            opts=self._options,
        )

    def _make_edge(self, edge: EdgeSettings, account: Aws, network: Network, machines: Machines) -> None:
        from .edge import Edge, EdgeArgs

        assert isinstance(self._settings.machines, AwsMachines) and network.balancer_security_group
        gateways = [machine.name for machine in self._settings.stack_machines if machine.role in APP_ROLES]
        Edge(
            f"{self._name}-edge",
            EdgeArgs(
                settings=edge,
                entry=self._settings.entry,
                vpc_id=network.vpc_id,
                subnets={zone: subnet for (tier, zone), subnet in network.subnets.items() if tier == "public"},
                security_group=network.balancer_security_group,
                targets={name: machines.instances[name] for name in gateways},
                port=self._settings.entry.http_port,
                account=account.account,
                region=account.region,
                protect=self._settings.machines.protect,
                tags=self._tags,
            ),
            opts=self._options,
        )

    def _make_buckets(self, machines: Machines | None) -> None:
        from .backup_buckets import BackupBuckets, BackupBucketsArgs

        account, backups = self._settings.aws, self._settings.backups
        assert backups
        replica = None
        if isinstance(backups, AwsBackups) and backups.replica_region and account:
            replica = self._cloud("aws-replica", account, backups.replica_region)
        buckets = BackupBuckets(
            f"{self._name}-backups",
            BackupBucketsArgs(
                settings=backups,
                account=account.account if account else "",
                region=account.region if account else "",
                prefix=self._deployment.prefix,
                tags=self._tags,
                fingerprints=self._fingerprints,
                writers=self._writers(machines),
                replica_provider=replica,
            ),
            opts=self._options,
        )
        self.backups = {"repository": asdict(buckets.repository), "restore_role": buckets.restore}

    def _writers(self, machines: Machines | None) -> list[pulumi.Output[str]]:
        """The IAM roles of machines that have something to back up."""
        homes = {
            share.machine.role
            for share in self._deployment.shares
            if share.machine and any(workload.role == "service" for workload in share.workloads)
        }
        return [arn for role, arn in machines.iam_roles.items() if role in homes] if machines else []

    def _make_preview_role(self) -> None:
        from .preview_role import PreviewRole, PreviewRoleArgs

        account, previews = self._settings.aws, self._settings.previews
        assert account and previews, "misfits refuse previews without an account"
        PreviewRole(
            f"{self._name}-previews",
            PreviewRoleArgs(settings=previews, account=account.account, region=account.region, tags=self._tags),
            opts=self._options,
        )


def document_of(state: Hardening, private: str, public: str) -> str:
    """The cloud-init document of a machine, once its host key is known."""
    return document(state, host_key_private=private, host_key_public=public)
