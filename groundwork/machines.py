"""The machines that containers run on: what a stack file may say, and what follows from it.

A machine has one role, a name from its place in the role's list, and a fixed private address: one more at the end of a
list is one more machine, and moves no other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal, get_args

from pydantic import Field, StringConstraints, field_validator, model_validator

from .addressing import machine_address
from .cloud import Aws, ZoneName
from .faults import nearest
from .model import Address, AddressRange, Model, Port, Whole
from .sizes import instance_type

RoleName = Literal["app", "data", "cache", "monitoring", "all"]
ROLES: tuple[RoleName, ...] = get_args(RoleName)
APP_ROLES: tuple[RoleName, ...] = ("app", "all")
"""Roles that run apps, the gateway and release jobs."""
SYSTEM_MIB = 512
"""Of a machine's memory, for its own system: the rest is for containers."""
PUBLIC_KEY = r"^(ssh-ed25519|ecdsa-sha2-nistp256|ssh-rsa) [A-Za-z0-9+/]+={0,3}( \S+)?$"
PublicKey = Annotated[
    str,
    StringConstraints(pattern=PUBLIC_KEY),
    Field(examples=["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDp1bnQgZ3JvdW5kd29yayBrZXkgZm9yIGRvY3MgMTIzNDU2"]),
]
HostName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$"),
    Field(examples=["app-1.example.com"]),
]
Device = Annotated[str, StringConstraints(pattern=r"^/dev/[A-Za-z0-9_/.:-]+$"), Field(examples=["/dev/sdb"])]
MachineName = Annotated[
    str, StringConstraints(pattern=r"^(app|data|cache|monitoring|all)-[1-9][0-9]*$"), Field(examples=["data-1"])
]
Jump = Annotated[
    str,
    StringConstraints(pattern=r"^([a-z_][a-z0-9_-]*@)?[A-Za-z0-9.-]+(:[0-9]+)?$"),
    Field(examples=["me@jump.example.com"]),
]


@dataclass(frozen=True, kw_only=True)
class Opening:
    """A container's port that a machine opens, and who reaches it: nobody else does. In a plan `sources` are names of
    machines, `balancer` or `world`; for a machine's own firewall they are networks."""

    port: int
    sources: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One machine of a stack. `address` is the private one, by which the other machines reach it; `memory_mib` is what
    its containers may take; `zone` is of AWS, `host` of a machine that exists."""

    name: str
    role: RoleName
    address: IPv4Address
    memory_mib: int
    zone: str | None = None
    host: ExistingHost | None = None


class NoMachines(Model):
    """The Docker engine that `DOCKER_HOST` or the Docker context names, and nothing else."""

    kind: Literal["none"] = "none"
    """Where machines come from."""


class ExistingHost(Model):
    """One host with Debian or Ubuntu, which `ops harden` prepares."""

    address: HostName
    """Name or address by which ssh reaches it."""
    private_address: Address
    """The address by which the stack's other machines reach it."""
    host_key: PublicKey
    """What `ssh-keyscan -t ed25519` prints behind the name; any other key is refused."""
    port: Port = 22
    """Where its ssh listens."""
    jump: Jump | None = None
    """The host through which ssh goes."""


class ExistingRole(Model):
    """Hosts of one role."""

    memory_mib: Annotated[Whole, Field(ge=256, le=4_194_304)]
    """Memory that the containers of one of them may take, in MiB."""
    hosts: Annotated[tuple[ExistingHost, ...], Field(min_length=1, max_length=11)]
    """The first is `<role>-1`, and so on. Add new ones at the end."""
    data_disk: Device | None = None
    """A disk for containers and their data, made a file system only where it has none."""


class AwsRole(Model):
    """Machines of one role."""

    vcpus: Annotated[Whole, Field(ge=1, le=192)]
    """Virtual processors; docs/machines.md has the instance types that sizes stand for."""
    memory_gib: Annotated[Whole, Field(ge=1, le=1536)]
    """Memory in GiB."""
    zones: Annotated[tuple[ZoneName, ...], Field(min_length=1, max_length=11)]
    """One machine for each entry, the first `<role>-1` in the first zone. Add new ones at the end."""
    data_disk_gib: Annotated[Whole, Field(ge=8, le=65_536)] = 40
    """Encrypted disk for containers and their data, in GiB: it outlives its machine, and can only grow."""
    public: bool = False
    """A public address of its own, for 80 and 443: without a load balancer."""

    @model_validator(mode="after")
    def _is_sold(self) -> AwsRole:
        instance_type(self.vcpus, self.memory_gib, self.zones[0][:-1])
        return self

    @property
    def instance_type(self) -> str:
        """The type of EC2 that has this size in the zones' region."""
        return instance_type(self.vcpus, self.memory_gib, self.zones[0][:-1])


class _Placed(Model):
    """What holds of machines wherever they come from."""

    administrators: tuple[AddressRange, ...] = ()
    """Networks from which ssh is open; without any it is closed to all outside."""
    time_servers: tuple[HostName, ...] = ()
    """Instead of those of the operating system, or of AWS."""
    swap_mib: Annotated[Whole, Field(ge=0, le=65_536)] = 1024
    """Swap file of each machine, in MiB."""
    reboot_at: Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] | None = None
    """When a machine may restart for a security update that asks for it (local time, such as 04:30); else never."""

    @field_validator("administrators")
    @classmethod
    def _not_the_world(cls, administrators: tuple[IPv4Network, ...]) -> tuple[IPv4Network, ...]:
        for network in administrators:
            if network.prefixlen < 8:
                raise ValueError(f"would open ssh to {network}, which is no network of administrators; name theirs")
        return administrators


class ExistingMachines(_Placed):
    """Servers that are there already, reached by ssh as the user `groundwork`."""

    kind: Literal["existing"]
    """Where machines come from."""
    roles: dict[RoleName, ExistingRole]
    """`app`, `data`, `cache` and `monitoring`, or one machine as `all`."""

    @model_validator(mode="after")
    def _sound(self) -> ExistingMachines:
        all_alone({role: len(one.hosts) for role, one in self.roles.items()})
        addresses = [host.private_address for role in self.roles.values() for host in role.hosts]
        for address in addresses:
            if addresses.count(address) > 1:
                raise ValueError(f"two hosts have the private_address {address}; give each its own")
        return self

    def machines(self) -> Iterator[Machine]:
        for role, one in self.roles.items():
            for number, host in enumerate(one.hosts, 1):
                yield Machine(
                    name=f"{role}-{number}",
                    role=role,
                    address=host.private_address,
                    memory_mib=one.memory_mib,
                    host=host,
                )


class AwsMachines(_Placed):
    """Instances of EC2 in the network of `groundwork:aws.network`."""

    kind: Literal["aws"]
    """Where machines come from."""
    image: Literal["ubuntu-24.04", "debian-12"] = "ubuntu-24.04"
    """Operating system of new machines, in its newest image; those that run keep theirs."""
    deployers: Annotated[tuple[PublicKey, ...], Field(min_length=1)]
    """Public keys of the people and pipelines that deploy, as the user `groundwork`."""
    protect: bool = True
    """Machines and their data can't be deleted by a mistake, not even by `down`."""
    unprotected: tuple[MachineName, ...] = ()
    """Machines that may be deleted all the same, to be renewed. Their disks and addresses stay protected."""
    roles: dict[RoleName, AwsRole]
    """`app`, `data`, `cache` and `monitoring`, or one machine as `all`."""

    @model_validator(mode="after")
    def _sound(self) -> AwsMachines:
        all_alone({role: len(one.zones) for role, one in self.roles.items()})
        for role, one in self.roles.items():
            if one.public and role not in APP_ROLES:
                raise ValueError(f"roles.{role}.public would give it a public address; only app and all may have one")
        names = {f"{role}-{number}" for role, one in self.roles.items() for number in range(1, len(one.zones) + 1)}
        for name in self.unprotected:
            if name not in names:
                raise ValueError(f"unprotected names `{name}`, and there is no such machine; {nearest(name, names)}")
        private = [role for role, one in self.roles.items() if not (one.public and self.administrators)]
        if self.image == "debian-12" and private:
            # AWS's list "AMIs with SSM Agent preinstalled" has Ubuntu and no Debian.
            raise ValueError(
                f"image is debian-12, which takes no sessions of Systems Manager, and nothing else reaches "
                f"{', '.join(private)}; say ubuntu-24.04, or give administrators and make the role public"
            )
        return self

    def machines(self, network: IPv4Network) -> Iterator[Machine]:
        for role, one in self.roles.items():
            for number, zone in enumerate(one.zones, 1):
                yield Machine(
                    name=f"{role}-{number}",
                    role=role,
                    zone=zone,
                    address=machine_address(network, tier_of(role, one), zone, ROLES.index(role), number),
                    memory_mib=one.memory_gib * 1024 - SYSTEM_MIB,
                )


Machines = Annotated[NoMachines | ExistingMachines | AwsMachines, Field(discriminator="kind")]


def tier_of(role: RoleName, settings: AwsRole) -> Literal["public", "private", "data"]:
    """The subnets in which machines of a role are."""
    if settings.public:
        return "public"
    return "data" if role in ("data", "cache") else "private"


def all_alone(counts: dict[RoleName, int]) -> None:
    """ValueError unless `all` is one machine and no other role is beside it."""
    if not counts:
        raise ValueError("roles names none; give `all`, or `app` and what its services need")
    if "all" in counts and (len(counts) > 1 or counts["all"] > 1):
        raise ValueError("roles has `all` and more; `all` is one machine for everything, so keep it alone")
    for role in ("data", "cache"):
        if counts.get(role, 1) > 1:
            raise ValueError(f"roles.{role} has {counts[role]} machines; a service runs once, so keep one")


def machines_of(machines: NoMachines | ExistingMachines | AwsMachines, aws: Aws | None) -> tuple[Machine, ...]:
    """Every machine of a stack, with its fixed address; none where `DOCKER_HOST` says what to take."""
    if isinstance(machines, ExistingMachines):
        return tuple(machines.machines())
    if isinstance(machines, AwsMachines) and aws and aws.network:
        return tuple(machines.machines(aws.network.range))
    return ()
