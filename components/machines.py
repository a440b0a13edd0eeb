"""The machines of a stack: hosts that exist, or instances of EC2, behind one interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_command as command

from groundwork import ready, ssh
from groundwork.addressing import Tier
from groundwork.machines import AwsMachines, ExistingMachines, Machine, RoleName

Document = Callable[[str, str], str]
"""A machine's cloud-init document, from its host key: the private part in OpenSSH's form, and the public one."""
NAME = "GROUNDWORK_MACHINE"


@dataclass(frozen=True, kw_only=True)
class MachinesArgs:
    """By name of machine: `probes` are lines for the shell there that end with 0 when it is ready, `scripts` harden,
    `documents` are of new instances. Hosts that exist need `probes` only."""

    settings: ExistingMachines | AwsMachines
    machines: tuple[Machine, ...]
    probes: Mapping[str, str]
    scripts: Mapping[str, str] = field(default_factory=dict)
    documents: Mapping[str, Document] = field(default_factory=dict)
    region: str = ""
    subnets: Mapping[tuple[Tier, str], pulumi.Input[str]] = field(default_factory=dict)
    security_groups: Mapping[RoleName, pulumi.Input[str]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Reached:
    """One machine as it is reached: `url` for Docker's clients, options for ssh. `state` is whatever must be as it is
    before the machine is asked; a change of it asks again."""

    url: pulumi.Output[str]
    options: pulumi.Output[list[str]]
    address: pulumi.Output[str]
    state: pulumi.Output[str]
    after: tuple[pulumi.Resource, ...] = ()
    instance: pulumi.Output[str] | None = None


class Machines(pulumi.ComponentResource):
    """Everything by name of machine. AWS's provider comes from the caller."""

    hosts: Mapping[str, pulumi.Output[str]]
    """`ssh://groundwork@…`. Known once the machine has been ready: before, a preview has no engine to ask."""
    ssh_options: Mapping[str, pulumi.Output[list[str]]]
    """They hold the machine to its key."""
    addresses: Mapping[str, pulumi.Output[str]]
    """The public address where there is one, or how a host that exists is reached, or the private address."""
    instances: Mapping[str, pulumi.Output[str]]
    """Ids of EC2, for target groups: of hosts that exist there are none."""
    iam_roles: Mapping[RoleName, pulumi.Output[str]]
    """ARNs of the roles that instances have, for who lets them do more: by role of machine."""
    described: pulumi.Output[dict[str, dict[str, Any]]]
    """The stack's output `machines`: role, private address, host and ssh options of each."""

    def __init__(self, name: str, args: MachinesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("groundwork:index:Machines", name, None, opts)
        self._name = name
        self._args = args
        self.iam_roles = {}
        if isinstance(args.settings, AwsMachines):
            # Its SDK takes a while to import, and hosts that exist need none of it.
            from .instances import Instances

            instances = Instances(self, name, args, args.settings)
            self.iam_roles = instances.iam_roles
            reached = {machine.name: instances.make(machine) for machine in args.machines}
        else:
            reached = {machine.name: existing(machine) for machine in args.machines}
        self.ssh_options = {machine: one.options for machine, one in reached.items()}
        self.addresses = {machine: one.address for machine, one in reached.items()}
        self.instances = {machine: one.instance for machine, one in reached.items() if one.instance is not None}
        self.hosts = {machine: self._ready(machine, one) for machine, one in reached.items()}
        self.described = pulumi.Output.all(
            **{
                machine.name: pulumi.Output.all(
                    role=machine.role,
                    address=str(machine.address),
                    host=self.hosts[machine.name],
                    ssh_options=self.ssh_options[machine.name],
                )
                for machine in args.machines
            }
        )
        self.register_outputs({"hosts": self.hosts, "addresses": self.addresses, "instances": self.instances})

    def _ready(self, machine: str, one: Reached) -> pulumi.Output[str]:
        """The machine's url, once it was ready."""
        probe = self._args.probes[machine]
        # Nothing is changed on hosts that the stack did not make: people do, with `ops harden`.
        made = isinstance(self._args.settings, AwsMachines)
        shell = ready.set_up if made else ready.probed
        waited = command.local.Command(
            f"{self._name}-{machine}-ready",
            create=pulumi.Output.all(one.url, one.options).apply(lambda way: shell(machine, way[0], way[1], probe)),
            # A new script or state is an update in place. Triggers would replace it, and in that preview nobody would
            # know the engine and what runs there.
            stdin=self._args.scripts[machine] if made else None,
            environment={NAME: one.state},
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(one.after)),
        )
        return pulumi.Output.all(one.url, waited.id).apply(lambda known: str(known[0]))


def existing(machine: Machine) -> Reached:
    host = machine.host
    assert host, f"{machine.name} exists and has no host"
    options = ssh.options(host.host_key, ssh.through_jump(host.jump) if host.jump else "")
    return Reached(
        url=pulumi.Output.from_input(ssh.url(host.address, host.port)),
        options=pulumi.Output.from_input(options),
        address=pulumi.Output.from_input(host.address),
        state=pulumi.Output.from_input(machine.name),
    )
