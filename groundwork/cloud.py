"""What a stack file may say about AWS: account, network, entry, backup buckets, and who may preview."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from .addressing import LARGEST_PREFIX, is_private
from .model import AddressRange, Model, Whole

Region = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$"), Field(examples=["ap-southeast-1"])]
ZoneName = Annotated[
    str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9][a-h]$"), Field(examples=["ap-southeast-1a"])
]
AccountId = Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$"), Field(examples=["123456789012"])]
TagKey = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9 .:/=+@_-]*$", max_length=128), Field(examples=["CostCenter"])
]
TagValue = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9 .:/=+@_-]*$", max_length=256)]
DnsZone = Annotated[
    str,
    StringConstraints(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$", max_length=253),
    Field(examples=["example.com"]),
]


class AwsNetwork(Model):
    """The network that the stack's machines have for themselves."""

    range: AddressRange = IPv4Network("10.20.0.0/16")
    """Its addresses, from /16 to /19. Machines have fixed ones in it, so it can't change later."""
    zones: Annotated[tuple[ZoneName, ...], Field(min_length=1, max_length=8)]
    """Availability zones with subnets; more may follow later, and move nothing."""
    nat: Literal["none", "one", "one_per_zone"] = "one"
    """The way out of machines without a public address. Each NAT gateway costs by the hour and by the gigabyte; with
    `one` the other zones have no way out while its zone is down."""
    endpoints: tuple[Literal["ssm", "ecr", "logs"], ...] = ()
    """Services of AWS that are reached without NAT, each at a price by the hour and zone. S3 always is, at none."""
    flow_log_days: Literal[3, 7, 14, 30, 60, 90, 180, 365] = 30
    """How long it is kept who spoke to whom, in days."""

    @field_validator("range")
    @classmethod
    def _has_room(cls, range_: IPv4Network) -> IPv4Network:
        if not 16 <= range_.prefixlen <= LARGEST_PREFIX or not is_private(range_):
            raise ValueError(f"should be a private range from /16 to /{LARGEST_PREFIX}, such as 10.20.0.0/16")
        return range_

    @model_validator(mode="after")
    def _said_once(self) -> AwsNetwork:
        if len(set(self.zones)) < len(self.zones):
            raise ValueError("zones names one twice; keep it once")
        if len({zone[:-1] for zone in self.zones}) > 1:
            raise ValueError("zones are of several regions; keep those of one")
        if len(set(self.endpoints)) < len(self.endpoints):
            raise ValueError("endpoints names one twice; keep it once")
        return self


class Aws(Model):
    """The account and region in which a stack's machines, entry and buckets are."""

    account: AccountId
    """Its number. Credentials of another account are refused, so that no stack goes to another's."""
    region: Region
    """Where everything is that can't be elsewhere."""
    network: AwsNetwork | None = None
    """Needed by machines of the kind `aws`."""
    tags: dict[TagKey, TagValue] = Field(default_factory=dict)
    """On everything, beside the project, stack and system that are always there."""

    @model_validator(mode="after")
    def _zones_in_region(self) -> Aws:
        for zone in self.network.zones if self.network else ():
            if zone[:-1] != self.region:
                raise ValueError(f"zone {zone} is not in region {self.region}; name zones of that region")
        return self


class Edge(Model):
    """A load balancer of AWS with certificate and firewall, in front of the gateways of machines of the kind `aws`."""

    hosted_zone: DnsZone
    """The public zone of Route 53 that holds `entry.server_names`."""
    managed_rules: tuple[
        Literal["common", "known_bad_inputs", "sql_injection", "ip_reputation", "anonymous_ip"], ...
    ] = (
        "common",
        "known_bad_inputs",
        "ip_reputation",
    )
    """Groups of rules that AWS keeps, in the web application firewall."""
    count_only: bool = False
    """Counts what those rules would refuse, and lets it pass: to try them."""
    requests_per_five_minutes: Annotated[Whole, Field(ge=10, le=2_000_000_000)] = 10_000
    """Of one client address, before the firewall refuses more."""
    idle_seconds: Annotated[Whole, Field(ge=60, le=4000)] = 3600
    """How long a connection may be silent: as long as a WebSocket behind the gateway."""
    access_log_days: Annotated[Whole, Field(ge=1, le=3650)] = 90
    """How long access logs are kept, in days."""


class LocalBackups(Model):
    """A directory of the machine: against mistakes, and not against the loss of the machine."""

    kind: Literal["local"]
    """Where backups go."""
    directory: Annotated[str, StringConstraints(pattern=r"^/.+"), Field(examples=["/var/backups/groundwork"])] = (
        "/var/backups/groundwork"
    )
    """On the machine of the service that is backed up."""


class CompatibleBackups(Model):
    """Buckets of another provider, which exist."""

    kind: Literal["s3_compatible"]
    """Where backups go."""
    endpoint: Annotated[str, StringConstraints(pattern=r"^https://[a-z0-9.-]+(:[0-9]+)?$")] = Field(
        examples=["https://oss-cn-hangzhou.aliyuncs.com"]
    )
    """The address of its S3 interface."""
    region: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$")] = "us-east-1"
    """The region that requests are signed for."""
    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$"), Field(examples=["backups"])]
    """Its name. The keys are the secrets `secret_backup_access_key` and `secret_backup_secret_key`."""
    path_style: bool = False
    """The bucket's name comes in the path, and not in the host name."""


class AwsBackups(Model):
    """Buckets that the stack makes, and never deletes."""

    kind: Literal["aws"]
    """Where backups go."""
    lock: Literal["governance", "compliance"] = "governance"
    """With `compliance` nobody at all deletes a backup before its days are over, the account's owner included."""
    lock_days: Annotated[Whole, Field(ge=1, le=3650)] = 30
    """How long a backup can't be deleted, in days (B1: 30)."""
    keep_days: Annotated[Whole, Field(ge=1, le=3650)] = 35
    """How long an old version is kept after something newer took its place, in days; at least `lock_days`."""
    replica_region: Region | None = None
    """A second region, which holds a copy with the same lock (B3)."""

    @model_validator(mode="after")
    def _lock_ends_first(self) -> AwsBackups:
        if self.keep_days < self.lock_days:
            raise ValueError(
                f"keep_days is {self.keep_days} and lock_days is {self.lock_days}, and what is locked can't be "
                "deleted; give keep_days at least as many"
            )
        return self


Backups = Annotated[LocalBackups | CompatibleBackups | AwsBackups, Field(discriminator="kind")]


class Previews(Model):
    """Lets a repository of GitHub read what a stack has, to show what a pull request changes. Once an account."""

    repository: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z0-9_.-]+(@[0-9]+)?/[A-Za-z0-9_.-]+(@[0-9]+)?$"),
        Field(examples=["team/portal", "team@123456/portal@456789"]),
    ]
    """As it stands in its tokens: `owner/name`, or with the numbers that GitHub gives to repositories made or renamed
    since July 2026. Pull requests from forks are never trusted."""
    environment: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")] = "preview"
    """The environment of that repository whose jobs take the role."""
    state_bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] = Field(
        examples=["team-pulumi-state"]
    )
    """The bucket with the states of the stacks, which a preview reads."""
    secrets_key: (
        Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$")] | None
    ) = None
    """The key of KMS with which the states' secrets are encrypted."""
