"""A network of AWS for one stack: subnets by tier and zone, ways out, endpoints, security groups, a flow log.

Whatever a zone has is named after the zone, so that another one replaces nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
import pulumi_aws as aws

from groundwork.addressing import TIERS, Tier, machine_block, machine_subnet
from groundwork.cloud import AwsNetwork
from groundwork.machines import Machine, Opening, RoleName
from groundwork.network_policies import (
    FLOW_LOG_SECONDS,
    flow_log_policy,
    flow_log_trust,
    interface_policy,
    interfaces,
    s3_policy,
    service_name,
)
from groundwork.paths import ANYWHERE, Group, Outward, Rule, Ways, roles_of, rules_of


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """`openings` are those of the plan, by machine; `outward` is what `paths.outward_of` says; `balancer` asks for a
    group for one, and without it a plan's balancer is in `proxies` (`entry.trusted_proxies`). `tags` come on everything
    that can have some."""

    settings: AwsNetwork
    account: str
    region: str
    machines: tuple[Machine, ...]
    openings: Mapping[str, tuple[Opening, ...]]
    outward: Mapping[RoleName, frozenset[Outward]]
    administrators: tuple[IPv4Network, ...]
    balancer: bool
    public_roles: frozenset[RoleName]
    tags: Mapping[str, str]
    proxies: tuple[IPv4Network, ...] = ()


class Network(pulumi.ComponentResource):
    """The provider comes from the caller."""

    vpc_id: pulumi.Output[str]
    subnets: Mapping[tuple[Tier, str], pulumi.Output[str]]
    """By tier and zone. Known when all their ways are open: what is put there can install its packages at once."""
    security_groups: Mapping[RoleName, pulumi.Output[str]]
    balancer_security_group: pulumi.Output[str] | None
    nat_addresses: Mapping[str, pulumi.Output[str]]
    """By zone: the addresses from which machines without a public one are seen outside."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("groundwork:aws:Network", name, None, opts)
        self._name = name
        self._args = args
        self._vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=str(args.settings.range),
            # Endpoints of AWS's services are found under the services' public names.
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=self._tags("vpc"),
            opts=self._options(),
        )
        self.vpc_id = self._vpc.id
        # Whoever names no group gets this one: it lets nothing through.
        aws.ec2.DefaultSecurityGroup(
            f"{name}-default",
            vpc_id=self.vpc_id,
            ingress=[],
            egress=[],
            tags=self._tags("default-closed"),
            opts=self._options(),
        )
        self._write_flow_log()
        ways = Ways(
            machines=args.machines,
            openings=args.openings,
            outward=args.outward,
            administrators=args.administrators,
            public_roles=args.public_roles,
            balancer=args.balancer,
            proxies=args.proxies,
            endpoints=bool(args.settings.endpoints),
        )
        self._groups = self._make_groups(ways)
        self._rules = [self._rule(rule) for rule in rules_of(ways)]
        self._tables: list[aws.ec2.RouteTable] = []
        self._make_subnets()
        self._make_endpoints()
        self.security_groups = {role: self._groups[role].id for role in roles_of(args.machines)}
        self.balancer_security_group = self._groups["balancer"].id if args.balancer else None
        self.register_outputs(
            {
                "vpc_id": self.vpc_id,
                "subnets": {f"{tier}-{zone}": subnet for (tier, zone), subnet in self.subnets.items()},
                "security_groups": dict(self.security_groups),
                "nat_addresses": dict(self.nat_addresses),
            }
        )

    def _options(
        self, *, after: Sequence[pulumi.Resource] = (), delete_before_replace: bool = False
    ) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self, depends_on=list(after), delete_before_replace=delete_before_replace or None
        )

    def _tags(self, suffix: str) -> dict[str, str]:
        return {**self._args.tags, "Name": f"{self._name}-{suffix}"}

    def _make_subnets(self) -> None:
        """Public subnets first: NAT gateways, through which the others go out, are in them."""
        settings = self._args.settings
        internet = aws.ec2.InternetGateway(
            f"{self._name}-internet", vpc_id=self.vpc_id, tags=self._tags("internet"), opts=self._options()
        )
        public = self._table("public")
        way_out = aws.ec2.Route(
            f"{self._name}-public-internet",
            route_table_id=public.id,
            destination_cidr_block=str(ANYWHERE),
            gateway_id=internet.id,
            opts=self._options(),
        )
        subnets: dict[tuple[Tier, str], pulumi.Output[str]] = {}
        for zone in settings.zones:
            subnets["public", zone] = self._subnet("public", zone, public, [way_out])
        with_nat = {"none": (), "one": settings.zones[:1], "one_per_zone": settings.zones}[settings.nat]
        addresses = {zone: self._nat_address(zone) for zone in with_nat}
        gateways = {zone: self._nat(zone, addresses[zone], subnets["public", zone]) for zone in with_nat}
        for tier in TIERS[1:]:
            for zone in settings.zones:
                table = self._table(f"{tier}-{zone}")
                routes = []
                if gateways:
                    routes = [
                        aws.ec2.Route(
                            f"{self._name}-{tier}-{zone}-nat",
                            route_table_id=table.id,
                            destination_cidr_block=str(ANYWHERE),
                            nat_gateway_id=gateways.get(zone, gateways[settings.zones[0]]).id,
                            opts=self._options(),
                        )
                    ]
                subnets[tier, zone] = self._subnet(tier, zone, table, routes)
        self.subnets = subnets
        self.nat_addresses = {zone: address.public_ip for zone, address in addresses.items()}

    def _table(self, suffix: str) -> aws.ec2.RouteTable:
        table = aws.ec2.RouteTable(
            f"{self._name}-{suffix}", vpc_id=self.vpc_id, tags=self._tags(suffix), opts=self._options()
        )
        self._tables.append(table)
        return table

    def _subnet(
        self, tier: Tier, zone: str, table: aws.ec2.RouteTable, routes: Sequence[aws.ec2.Route]
    ) -> pulumi.Output[str]:
        range_, name = self._args.settings.range, f"{self._name}-{tier}-{zone}"
        subnet = aws.ec2.Subnet(
            name,
            vpc_id=self.vpc_id,
            availability_zone=zone,
            cidr_block=str(machine_subnet(range_, tier, zone)),
            # Public addresses are given by name, and kept.
            map_public_ip_on_launch=False,
            tags=self._tags(f"{tier}-{zone}"),
            opts=self._options(),
        )
        joined = aws.ec2.RouteTableAssociation(name, subnet_id=subnet.id, route_table_id=table.id, opts=self._options())
        # AWS gives no address of this part to what names none, and nothing comes into the subnet before.
        machines = aws.ec2.SubnetCidrReservation(
            f"{name}-machines",
            subnet_id=subnet.id,
            cidr_block=str(machine_block(range_, tier, zone)),
            reservation_type="explicit",
            opts=self._options(after=[joined, *routes, *self._rules]),
        )
        return machines.subnet_id

    def _nat_address(self, zone: str) -> aws.ec2.Eip:
        name = f"nat-{zone}"
        return aws.ec2.Eip(f"{self._name}-{name}", domain="vpc", tags=self._tags(name), opts=self._options())

    def _nat(self, zone: str, address: aws.ec2.Eip, subnet: pulumi.Output[str]) -> aws.ec2.NatGateway:
        name = f"nat-{zone}"
        return aws.ec2.NatGateway(
            f"{self._name}-{name}",
            allocation_id=address.id,
            subnet_id=subnet,
            tags=self._tags(name),
            opts=self._options(),
        )

    def _make_endpoints(self) -> None:
        """S3 costs nothing; the others have addresses in the private subnets, and answer under their usual names."""
        args = self._args
        aws.ec2.VpcEndpoint(
            f"{self._name}-s3",
            vpc_id=self.vpc_id,
            service_name=service_name(args.region, "s3"),
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in self._tables],
            policy=json.dumps(s3_policy(args.account)),
            tags=self._tags("s3"),
            opts=self._options(),
        )
        for service in interfaces(args.settings.endpoints):
            suffix = service.replace(".", "-")
            aws.ec2.VpcEndpoint(
                f"{self._name}-{suffix}",
                vpc_id=self.vpc_id,
                service_name=service_name(args.region, service),
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=[self.subnets["private", zone] for zone in args.settings.zones],
                security_group_ids=[self._groups["endpoints"].id],
                policy=json.dumps(interface_policy(args.account)),
                tags=self._tags(suffix),
                opts=self._options(),
            )

    def _make_groups(self, ways: Ways) -> dict[Group, aws.ec2.SecurityGroup]:
        groups: list[Group] = [*roles_of(ways.machines)]
        groups += ["balancer"] if ways.balancer else []
        groups += ["endpoints"] if ways.endpoints else []
        return {
            group: aws.ec2.SecurityGroup(
                f"{self._name}-{group}",
                vpc_id=self.vpc_id,
                # It can't change without another group in its place.
                description=f"groundwork {group}",
                tags=self._tags(group),
                opts=self._options(),
            )
            for group in groups
        }

    def _rule(self, rule: Rule) -> pulumi.Resource:
        either = aws.vpc.SecurityGroupIngressRule if rule.direction == "in" else aws.vpc.SecurityGroupEgressRule
        network, group = (rule.peer, None) if isinstance(rule.peer, IPv4Network) else (None, self._groups[rule.peer])
        return either(
            f"{self._name}-{rule.key}",
            security_group_id=self._groups[rule.group].id,
            ip_protocol=rule.protocol,
            from_port=rule.port,
            to_port=rule.port,
            cidr_ipv4=str(network) if network else None,
            referenced_security_group_id=group.id if group else None,
            tags=self._tags(rule.key),
            opts=self._options(),
        )

    def _write_flow_log(self) -> None:
        """Who spoke to whom. CloudWatch encrypts it with a key of its own; a key of ours would cost more than it adds,
        for whoever may read the log may use the key as well."""
        name = f"{self._name}-flow-log"
        log = aws.cloudwatch.LogGroup(
            name,
            retention_in_days=self._args.settings.flow_log_days,
            tags=self._tags("flow-log"),
            opts=self._options(),
        )
        role = aws.iam.Role(
            name,
            assume_role_policy=json.dumps(flow_log_trust(self._args.account)),
            tags=self._tags("flow-log"),
            opts=self._options(),
        )
        writes = aws.iam.RolePolicy(
            name,
            role=role.id,
            policy=log.arn.apply(lambda arn: json.dumps(flow_log_policy(arn))),
            opts=self._options(),
        )
        aws.ec2.FlowLog(
            name,
            vpc_id=self.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=log.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=FLOW_LOG_SECONDS,
            tags=self._tags("flow-log"),
            # AWS refuses a second flow log of one network to one place.
            opts=self._options(after=[writes], delete_before_replace=True),
        )
