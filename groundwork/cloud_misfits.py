"""What does not fit about what is beyond containers: machines, the network of AWS, the entry, backups, previews."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from .cloud import AwsBackups, AwsNetwork, Edge, LocalBackups
from .faults import Fault
from .machines import APP_ROLES, AwsMachines, ExistingMachines
from .settings import Settings
from .targets import DockerTarget, KubernetesTarget

DOCKER_BRIDGE = IPv4Network("172.17.0.0/16")
"""The engine's own network, which every machine has and nobody uses."""
ZONES_OF_A_BALANCER = 2
"""AWS makes an application load balancer in two zones at least."""


def cloud_misfits(settings: Settings) -> Iterator[Fault]:
    machines, network = settings.machines, settings.aws.network if settings.aws else None
    if isinstance(machines, AwsMachines):
        if network is None:
            what = "is missing; machines of the kind aws are in it"
            yield Fault("groundwork:aws.network", what, "give groundwork:aws with account, region and network.zones")
        else:
            yield from _zone_misfits(machines, network)
            yield from _way_out_misfits(machines, network)
        yield from _entry_misfits(machines, settings)
    if isinstance(settings.target, DockerTarget):
        yield from _range_misfits(settings, settings.target)
    if settings.edge:
        yield from _edge_misfits(settings, settings.edge, network)
    yield from _backup_misfits(settings)


def _zone_misfits(machines: AwsMachines, network: AwsNetwork) -> Iterator[Fault]:
    for role, one in machines.roles.items():
        for place, zone in enumerate(one.zones):
            if zone not in network.zones:
                where = f"groundwork:machines.roles.{role}.zones.{place}"
                instead = "add it at the end of groundwork:aws.network.zones, or use " + " or ".join(network.zones)
                yield Fault(where, f"the network has nothing in zone {zone}", instead)


def _way_out_misfits(machines: AwsMachines, network: AwsNetwork) -> Iterator[Fault]:
    """Without a way out a machine can't even install its engine: of packages AWS has no endpoint."""
    private = [role for role, one in machines.roles.items() if not one.public]
    if network.nat == "none" and private:
        what = f"with `none` these roles get no packages and no images: {', '.join(private)}"
        instead = "say `one`, or `one_per_zone`"
        if {*private} <= {*APP_ROLES}:
            instead += f", or give {' and '.join(f'roles.{role}.public: true' for role in private)}"
        yield Fault("groundwork:aws.network.nat", what, instead)


def _entry_misfits(machines: AwsMachines, settings: Settings) -> Iterator[Fault]:
    for role, one in machines.roles.items():
        in_front = one.public or settings.edge or settings.entry.trusted_proxies
        if role in APP_ROLES and not in_front:
            what = "nobody outside reaches the gateway, whose machine has no public address and no load balancer"
            instead = "give groundwork:edge, or say `true`, or give entry.trusted_proxies, where your own balancer is"
            yield Fault(f"groundwork:machines.roles.{role}.public", what, instead)


def _range_misfits(settings: Settings, target: DockerTarget) -> Iterator[Fault]:
    """A machine would look among its own containers for another machine."""
    if isinstance(settings.machines, AwsMachines) and settings.aws and settings.aws.network:
        range_, where = settings.aws.network.range, "groundwork:aws.network.range"
        if range_.overlaps(target.subnets):
            what = f"{range_} meets the container networks of target.subnets, {target.subnets}"
            instead = "give one of them another range; the defaults, 10.20.0.0/16 and 10.212.0.0/14, don't meet"
            yield Fault(where, what, instead)
        if range_.overlaps(DOCKER_BRIDGE):
            what = f"{range_} meets {DOCKER_BRIDGE}, which each Docker engine has for itself"
            yield Fault(where, what, "take another range, such as 10.20.0.0/16")
    if isinstance(settings.machines, ExistingMachines):
        for role, one in settings.machines.roles.items():
            for place, host in enumerate(one.hosts):
                if host.private_address in target.subnets:
                    where = f"groundwork:machines.roles.{role}.hosts.{place}.private_address"
                    what = f"{host.private_address} is among the container networks of target.subnets, {target.subnets}"
                    yield Fault(where, what, "give groundwork:target.subnets a range that no machine is in")


def _edge_misfits(settings: Settings, edge: Edge, network: AwsNetwork | None) -> Iterator[Fault]:
    if not isinstance(settings.machines, AwsMachines):
        instead = "take it out, or give groundwork:machines of the kind aws"
        yield Fault("groundwork:edge", "stands in front of machines of the kind aws, and there are none", instead)
        return
    if network and len(network.zones) < ZONES_OF_A_BALANCER:
        what = f"the load balancer of groundwork:edge needs {ZONES_OF_A_BALANCER} zones"
        yield Fault("groundwork:aws.network.zones", what, "add another at the end; machines need not be in it")
    if not settings.entry.server_names:
        what = "is missing; the certificate of groundwork:edge is for these names"
        yield Fault("groundwork:entry.server_names", what, "name the hosts that users open")
    for name in settings.entry.server_names:
        if name != edge.hosted_zone and not name.endswith(f".{edge.hosted_zone}"):
            what = f"`{name}` is not in groundwork:edge.hosted_zone, {edge.hosted_zone}"
            yield Fault("groundwork:entry.server_names", what, f"give a name below {edge.hosted_zone}, or another zone")


def _backup_misfits(settings: Settings) -> Iterator[Fault]:
    """Backups and previews that need an account of AWS, or a machine, where there is none."""
    backups, aws = settings.backups, settings.aws
    if isinstance(backups, AwsBackups):
        if not aws:
            instead = "give it, with account and region"
            yield Fault("groundwork:aws", "is missing; groundwork:backups of the kind aws needs it", instead)
        elif backups.replica_region == aws.region:
            what = f"`{aws.region}` is the region that a copy should outlive"
            yield Fault("groundwork:backups.replica_region", what, "name another one")
    if isinstance(backups, LocalBackups) and isinstance(settings.target, KubernetesTarget):
        what = "`local` is a directory of a machine, and a cluster's machines come and go"
        yield Fault("groundwork:backups.kind", what, "give s3_compatible or aws")
    if settings.previews and not aws:
        instead = "give it, with account and region"
        yield Fault("groundwork:aws", "is missing; groundwork:previews needs it", instead)
