"""Instances of EC2 with their disks, addresses, keys and rights: children of the component Machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws
import pulumi_tls as tls

from groundwork import ssh
from groundwork.instances import (
    BASE_IMAGES,
    DATA_DEVICE,
    INSTANCE_TRUST,
    ROOT_DISK_GIB,
    session_policy,
    user_data,
)
from groundwork.machines import AwsMachines, AwsRole, Machine, RoleName, tier_of

if TYPE_CHECKING:
    from .machines import MachinesArgs, Reached


class Instances:
    """One image and one IAM role for each role of machines, shared; the rest belongs to one machine."""

    def __init__(
        self, parent: pulumi.Resource, name: str, args: MachinesArgs, settings: AwsMachines
    ) -> None:
        self._parent = parent
        self._name = name
        self._args = args
        self._settings = settings
        wanted = BASE_IMAGES[settings.image]
        self._image = aws.ec2.get_ami_output(
            owners=[wanted.owner],
            most_recent=True,
            filters=[
                aws.ec2.GetAmiFilterArgs(name="name", values=[wanted.name]),
                aws.ec2.GetAmiFilterArgs(name="architecture", values=["x86_64"]),
                aws.ec2.GetAmiFilterArgs(name="virtualization-type", values=["hvm"]),
                aws.ec2.GetAmiFilterArgs(name="root-device-type", values=["ebs"]),
            ],
            opts=pulumi.InvokeOptions(parent=parent),
        ).id
        self._profiles: dict[RoleName, aws.iam.InstanceProfile] = {}
        self._rights: dict[RoleName, aws.iam.RolePolicy] = {}
        self.iam_roles: Mapping[RoleName, pulumi.Output[str]] = {
            role: self._may(role) for role in dict.fromkeys(machine.role for machine in args.machines)
        }

    def _options(
        self,
        *,
        after: Sequence[pulumi.Resource] = (),
        protect: bool = False,
        delete_before_replace: bool = False,
        ignored: Sequence[str] = (),
    ) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self._parent,
            depends_on=list(after),
            protect=protect or None,
            delete_before_replace=delete_before_replace or None,
            ignore_changes=list(ignored) or None,
        )

    def _tags(self, suffix: str) -> dict[str, str]:
        return {**self._args.tags, "Name": f"{self._name}-{suffix}"}

    def _may(self, role: RoleName) -> pulumi.Output[str]:
        """An IAM role and its profile: machines of one role may do the same."""
        name = f"{self._name}-{role}"
        made = aws.iam.Role(
            f"{name}-machine",
            assume_role_policy=json.dumps(INSTANCE_TRUST),
            tags=self._tags(role),
            opts=self._options(),
        )
        self._rights[role] = aws.iam.RolePolicy(
            f"{name}-sessions",
            role=made.id,
            policy=json.dumps(session_policy(self._args.region)),
            opts=self._options(),
        )
        self._profiles[role] = aws.iam.InstanceProfile(
            f"{name}-profile", role=made.id, tags=self._tags(role), opts=self._options()
        )
        return made.arn

    def make(self, machine: Machine) -> Reached:
        from .machines import Reached

        role = self._settings.roles[machine.role]
        key = tls.PrivateKey(f"{self._name}-{machine.name}-host-key", algorithm="ED25519", opts=self._options())
        instance = self._instance(machine, role, key)
        attachment = self._data_disk(machine, role, instance)
        address, association = self._address(machine, instance) if role.public else (None, None)
        # Without administrators nobody may ssh from outside, and the way by a session is open all the same.
        direct = address is not None and self._settings.administrators
        proxy = "" if direct else ssh.through_session(self._args.region)
        state = pulumi.Output.concat(instance.id, f" {role.instance_type} with {role.data_disk_gib} GiB")
        return Reached(
            url=(address.public_ip if address and direct else instance.id).apply(ssh.url),
            options=key.public_key_openssh.apply(lambda public: ssh.options(public, proxy)),
            address=address.public_ip if address else pulumi.Output.from_input(str(machine.address)),
            state=state,
            after=tuple(one for one in (attachment, association) if one is not None),
            instance=instance.id,
        )

    def _instance(self, machine: Machine, role: AwsRole, key: tls.PrivateKey) -> aws.ec2.Instance:
        renewed = machine.name in self._settings.unprotected
        document = self._args.documents[machine.name]
        return aws.ec2.Instance(
            f"{self._name}-{machine.name}",
            ami=self._image,
            instance_type=role.instance_type,
            subnet_id=self._args.subnets[tier_of(machine.role, role), str(machine.zone)],
            private_ip=str(machine.address),
            # A fixed address that comes afterwards reads back as a change of this one, which would replace the machine:
            # https://github.com/hashicorp/terraform-provider-aws/issues/37318. Public subnets give none by themselves.
            associate_public_ip_address=None if role.public else False,
            vpc_security_group_ids=[self._args.security_groups[machine.role]],
            iam_instance_profile=self._profiles[machine.role].id,
            user_data_base64=pulumi.Output.all(key.private_key_openssh, key.public_key_openssh).apply(
                lambda keys: user_data(document(keys[0], keys[1]))
            ),
            # With one hop no container reaches it: it would be given the machine's rights, and the host key.
            metadata_options=aws.ec2.InstanceMetadataOptionsArgs(
                http_endpoint="enabled",
                http_tokens="required",
                http_put_response_hop_limit=1,
                instance_metadata_tags="disabled",
            ),
            root_block_device=aws.ec2.InstanceRootBlockDeviceArgs(
                encrypted=True,
                volume_type="gp3",
                volume_size=ROOT_DISK_GIB,
                delete_on_termination=True,
                tags=self._tags(machine.name),
            ),
            ebs_optimized=True,
            monitoring=True,
            disable_api_termination=self._settings.protect,
            # What the line above refuses to everybody else, the plugin may do once this stands in the state.
            force_destroy=renewed,
            instance_initiated_shutdown_behavior="stop",
            tags={**self._tags(machine.name), "machine-role": machine.role},
            opts=self._options(
                after=[self._rights[machine.role]],
                protect=self._settings.protect and not renewed,
                # Two machines can't have the same address.
                delete_before_replace=True,
                # A newer image, or another script for the first boot, is no reason to take a machine away. The script
                # itself is run again in place; docs/machines.md says how a machine is renewed.
                ignored=["ami", "user_data_base64"],
            ),
        )

    def _data_disk(self, machine: Machine, role: AwsRole, instance: aws.ec2.Instance) -> aws.ec2.VolumeAttachment:
        volume = aws.ebs.Volume(
            f"{self._name}-{machine.name}-data",
            availability_zone=str(machine.zone),
            size=role.data_disk_gib,
            type="gp3",
            encrypted=True,
            tags=self._tags(f"{machine.name}-data"),
            opts=pulumi.ResourceOptions.merge(
                # Also of a machine that is renewed: the disk stays.
                self._options(protect=self._settings.protect),
                # Whoever unprotects it and takes the machine away still has the data, until they delete it in AWS.
                pulumi.ResourceOptions(retain_on_delete=self._settings.protect or None),
            ),
        )
        return aws.ec2.VolumeAttachment(
            f"{self._name}-{machine.name}-data-attachment",
            device_name=DATA_DEVICE,
            volume_id=volume.id,
            instance_id=instance.id,
            # Databases end in order, and the file system is clean.
            stop_instance_before_detaching=True,
            # A disk is attached once, under one name.
            opts=self._options(delete_before_replace=True),
        )

    def _address(
        self, machine: Machine, instance: aws.ec2.Instance
    ) -> tuple[aws.ec2.Eip, aws.ec2.EipAssociation]:
        name = f"{self._name}-{machine.name}-address"
        address = aws.ec2.Eip(
            name,
            domain="vpc",
            tags=self._tags(machine.name),
            # Names in the DNS lead to it, and AWS gives no address twice.
            opts=self._options(protect=self._settings.protect),
        )
        association = aws.ec2.EipAssociation(
            f"{name}-association",
            allocation_id=address.allocation_id,
            instance_id=instance.id,
            opts=self._options(delete_before_replace=True),
        )
        return address, association
