"""What AWS is asked for: subnets and their ways, groups, endpoints, the flow log; and what growth leaves alone."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from typing import Any

import pytest

from groundwork.addressing import TIERS, machine_block, machine_subnet
from groundwork.machines import Opening
from groundwork.paths import Outward
from tests.recorder import Recording, Registration

from .networks import (
    OPENINGS,
    PUBLIC_OPENINGS,
    ROLES,
    SIZE,
    TAGS,
    A,
    B,
    C,
    network_args,
    recorded_network,
    recorded_public_network,
)

RANGE = IPv4Network("10.20.0.0/16")
WITHOUT_TAGS = ("Route", "RouteTableAssociation", "RolePolicy", "SubnetCidrReservation")
"""What AWS gives no tags, or what is no thing of its own."""


@pytest.fixture(scope="module")
def usual() -> Recording:
    """Two zones, one NAT gateway, no endpoint but S3's."""
    return recorded_network()


@pytest.fixture(scope="module")
def public() -> Recording:
    return recorded_public_network()


@pytest.fixture(scope="module", params=["usual", "public", "network"])
def run(request: pytest.FixtureRequest) -> Recording:
    found: Recording = request.getfixturevalue(request.param)
    return found


def of(run: Recording, index: str) -> list[Registration]:
    return [one for one in run.registrations if one.type.startswith("aws:") and one.type.endswith(f":{index}")]


def short(one: Registration) -> str:
    return one.name.removeprefix("shop-network-")


def made(run: Recording) -> dict[tuple[str, str], Any]:
    """Everything of AWS, by type and name, as it is asked for."""
    found = {
        (one.type.rsplit(":", 1)[1], short(one)): one.plain for one in run.registrations if one.type.startswith("aws:")
    }
    assert len(found) > 20
    return found


def subnet_of(run: Recording, tier: str, zone: str) -> Registration:
    (found,) = [one for one in of(run, "Subnet") if short(one) == f"{tier}-{zone}"]
    return found


def default_route(run: Recording, tier: str, zone: str) -> dict[str, Any] | None:
    """What leads out of a subnet, found the way AWS finds it: association, table, route."""
    subnet = subnet_of(run, tier, zone)
    (joined,) = [one for one in of(run, "RouteTableAssociation") if one.plain["subnetId"] == f"{subnet.name}-id"]
    routes = [one.plain for one in of(run, "Route") if one.plain["routeTableId"] == joined.plain["routeTableId"]]
    assert all(route["destinationCidrBlock"] == "0.0.0.0/0" for route in routes) and len(routes) <= 1
    return routes[0] if routes else None


def rules(run: Recording, index: str) -> dict[str, dict[str, Any]]:
    return {short(one): one.plain for one in of(run, index)}


def test_names_are_resolved_as_endpoints_need_it(run: Recording) -> None:
    (vpc,) = of(run, "Vpc")
    assert vpc.plain["enableDnsSupport"] is True and vpc.plain["enableDnsHostnames"] is True
    assert vpc.plain["cidrBlock"] == str(RANGE)


def test_each_zone_has_a_subnet_of_each_tier_as_the_address_plan_says(usual: Recording) -> None:
    assert {short(one) for one in of(usual, "Subnet")} == {f"{tier}-{zone}" for tier in TIERS for zone in (A, B)}
    for tier in TIERS:
        for zone in (A, B):
            said = subnet_of(usual, tier, zone).plain
            assert said["cidrBlock"] == str(machine_subnet(RANGE, tier, zone))
            assert said["availabilityZone"] == zone and said["vpcId"] == "shop-network-vpc-id"


def test_no_machine_gets_a_public_address_by_itself(run: Recording) -> None:
    assert of(run, "Subnet")
    assert {one.plain["mapPublicIpOnLaunch"] for one in of(run, "Subnet")} == {False}


def test_aws_gives_addresses_of_machines_to_nobody_else(usual: Recording) -> None:
    kept = {short(one): one.plain for one in of(usual, "SubnetCidrReservation")}
    assert kept.keys() == {f"{tier}-{zone}-machines" for tier in TIERS for zone in (A, B)}
    for tier in TIERS:
        for zone in (A, B):
            said = kept[f"{tier}-{zone}-machines"]
            assert said["reservationType"] == "explicit"
            assert said["cidrBlock"] == str(machine_block(RANGE, tier, zone))
            assert said["subnetId"] == f"shop-network-{tier}-{zone}-id"
    for machine in network_args().machines:
        blocks = [
            IPv4Network(said["cidrBlock"]) for name, said in kept.items() if machine.zone and machine.zone in name
        ]
        assert sum(machine.address in block for block in blocks) == 1, machine


def test_what_is_put_into_a_subnet_finds_its_addresses_kept_and_its_ways_open(run: Recording) -> None:
    """NAT gateways and endpoints are in subnets, and machines are put there by their identifiers."""
    inside = of(run, "NatGateway") + [one for one in of(run, "VpcEndpoint") if one.plain.get("subnetIds")]
    for one in inside:
        subnets = one.plain.get("subnetIds") or [one.plain["subnetId"]]
        for subnet in subnets:
            assert f"{subnet.removesuffix('-id')}-machines" in run.before(one), one.name
    every_rule = {one.name for one in of(run, "SecurityGroupIngressRule") + of(run, "SecurityGroupEgressRule")}
    assert every_rule
    for one in of(run, "SubnetCidrReservation"):
        subnet = one.name.removesuffix("-machines")
        before = run.before(one)
        assert every_rule <= before, one.name
        (joined,) = [other for other in of(run, "RouteTableAssociation") if other.name == subnet]
        assert joined.urn in one.dependencies, one.name
        ways = {other.urn for other in of(run, "Route") if other.plain["routeTableId"] == joined.plain["routeTableId"]}
        assert ways <= one.dependencies, one.name
    assert run.outputs["subnets"] == {short(one): f"{one.name}-id" for one in of(run, "Subnet")}


def test_the_public_tier_leads_to_the_internet(run: Recording) -> None:
    (internet,) = of(run, "InternetGateway")
    zones = {one.plain["availabilityZone"] for one in of(run, "Subnet")}
    for zone in zones:
        route = default_route(run, "public", zone)
        assert route and route["gatewayId"] == f"{internet.name}-id"


@pytest.mark.parametrize("tier", ["private", "data"])
def test_one_nat_gateway_is_in_the_first_zone_and_serves_all(usual: Recording, tier: str) -> None:
    (nat,) = of(usual, "NatGateway")
    assert nat.plain["subnetId"] == f"shop-network-public-{A}-id"
    assert nat.plain["allocationId"] == f"shop-network-nat-{A}-id"
    for zone in (A, B):
        assert default_route(usual, tier, zone) == {
            "routeTableId": f"shop-network-{tier}-{zone}-id",
            "destinationCidrBlock": "0.0.0.0/0",
            "natGatewayId": f"{nat.name}-id",
        }
    assert usual.outputs["nat"] == {A: f"address-of-shop-network-nat-{A}"}


@pytest.mark.parametrize("tier", ["private", "data"])
def test_a_nat_gateway_per_zone_serves_its_own(network: Recording, tier: str) -> None:
    assert {short(one): one.plain["subnetId"] for one in of(network, "NatGateway")} == {
        f"nat-{zone}": f"shop-network-public-{zone}-id" for zone in (A, B)
    }
    for zone in (A, B):
        route = default_route(network, tier, zone)
        assert route and route["natGatewayId"] == f"shop-network-nat-{zone}-id"
    assert network.outputs["nat"].keys() == {A, B}


@pytest.mark.parametrize("tier", ["private", "data"])
def test_without_nat_nothing_leads_out_of_the_inner_tiers(public: Recording, tier: str) -> None:
    assert not of(public, "NatGateway") and not of(public, "Eip")
    assert default_route(public, tier, A) is None
    assert public.outputs["nat"] == {}


def test_a_nat_gateway_comes_behind_the_internet_gateway(usual: Recording) -> None:
    (nat,) = of(usual, "NatGateway")
    assert {"shop-network-internet", "shop-network-public-internet"} <= usual.before(nat)


def test_the_default_group_lets_nothing_through(run: Recording) -> None:
    (default,) = of(run, "DefaultSecurityGroup")
    assert default.plain["ingress"] == [] and default.plain["egress"] == []
    assert default.plain["vpcId"] == "shop-network-vpc-id"


def test_each_role_has_a_group_and_none_has_rules_inside_itself(usual: Recording, public: Recording) -> None:
    assert usual.outputs["groups"] == {role: f"shop-network-{role}-id" for role in ROLES}
    assert usual.outputs["balancer"] == "shop-network-balancer-id"
    assert public.outputs["groups"] == {"all": "shop-network-all-id"} and "balancer" not in public.outputs
    for one in of(usual, "SecurityGroup"):
        assert "ingress" not in one.plain and "egress" not in one.plain


def test_a_rule_of_a_group_says_group_port_and_peer(usual: Recording) -> None:
    coming, going = rules(usual, "SecurityGroupIngressRule"), rules(usual, "SecurityGroupEgressRule")
    port = {"ipProtocol": "tcp", "fromPort": 15432, "toPort": 15432}
    assert without_tags(coming["data-in-15432-app"]) == port | {
        "securityGroupId": "shop-network-data-id",
        "referencedSecurityGroupId": "shop-network-app-id",
    }
    assert without_tags(going["app-out-15432-data"]) == port | {
        "securityGroupId": "shop-network-app-id",
        "referencedSecurityGroupId": "shop-network-data-id",
    }
    assert without_tags(coming["balancer-in-443-anywhere"]) == {
        "ipProtocol": "tcp",
        "fromPort": 443,
        "toPort": 443,
        "securityGroupId": "shop-network-balancer-id",
        "cidrIpv4": "0.0.0.0/0",
    }


def without_tags(said: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in said.items() if key != "tags"}


def test_machines_behind_a_balancer_open_what_the_plan_opens_and_no_more(usual: Recording) -> None:
    assert rules(usual, "SecurityGroupIngressRule").keys() == {
        "app-in-8080-balancer",
        "app-in-8081-app",
        "balancer-in-443-anywhere",
        "balancer-in-80-anywhere",
        "cache-in-16379-app",
        "data-in-15432-app",
    }


def test_a_balancer_of_somebody_elses_is_let_in_by_its_networks() -> None:
    run = recorded_network(balancer=False, proxies=(IPv4Network("10.9.0.0/24"),))
    coming = rules(run, "SecurityGroupIngressRule")
    assert coming["app-in-8080-10.9.0.0-24"]["cidrIpv4"] == "10.9.0.0/24"
    assert not [name for name in coming if "balancer" in name]


def test_a_public_machine_opens_http_to_all_and_ssh_to_administrators(public: Recording) -> None:
    coming = rules(public, "SecurityGroupIngressRule")
    assert {name: said["cidrIpv4"] for name, said in coming.items()} == {
        "all-in-80-anywhere": "0.0.0.0/0",
        "all-in-443-anywhere": "0.0.0.0/0",
        "all-in-22-203.0.113.0-24": "203.0.113.0/24",
    }


def test_machines_go_out_for_packages_and_for_what_somebody_asks() -> None:
    more = {"app": frozenset({Outward(port=587)}), "data": frozenset({Outward(port=123, protocol="udp")})}
    going = rules(recorded_network(outward=more), "SecurityGroupEgressRule")
    outside = {name: said["ipProtocol"] for name, said in going.items() if said.get("cidrIpv4") == "0.0.0.0/0"}
    assert outside == {"app-out-587-anywhere": "tcp", "data-out-udp-123-anywhere": "udp"}


def test_s3_is_reached_from_every_subnet_without_nat(run: Recording) -> None:
    (s3,) = [one for one in of(run, "VpcEndpoint") if one.plain["vpcEndpointType"] == "Gateway"]
    assert s3.plain["serviceName"] == "com.amazonaws.ap-southeast-1.s3"
    assert set(s3.plain["routeTableIds"]) == {f"{one.name}-id" for one in of(run, "RouteTable")}
    reads, own = json.loads(s3.plain["policy"])["Statement"]
    assert reads["Action"] == "s3:GetObject" and "Condition" not in reads
    assert own["Condition"] == {"StringEquals": {"aws:ResourceAccount": "123456789012"}}


def test_chosen_services_answer_under_their_own_names_in_every_zone(network: Recording) -> None:
    found = {short(one): one.plain for one in of(network, "VpcEndpoint") if one.plain["vpcEndpointType"] == "Interface"}
    services = ("ssm", "ssmmessages", "ec2messages", "ecr.api", "ecr.dkr", "logs")
    assert {said["serviceName"] for said in found.values()} == {
        f"com.amazonaws.ap-southeast-1.{one}" for one in services
    }
    for said in found.values():
        assert said["privateDnsEnabled"] is True
        assert said["subnetIds"] == [f"shop-network-private-{zone}-id" for zone in (A, B)]
        assert said["securityGroupIds"] == ["shop-network-endpoints-id"]
        (statement,) = json.loads(said["policy"])["Statement"]
        assert statement["Condition"] == {"StringEquals": {"aws:PrincipalAccount": "123456789012"}}
    coming = rules(network, "SecurityGroupIngressRule")
    assert {name for name in coming if name.startswith("endpoints-")} == {f"endpoints-in-443-{role}" for role in ROLES}
    assert not [name for name in rules(network, "SecurityGroupEgressRule") if name.startswith("endpoints-")]


def test_nobody_pays_for_endpoints_that_nobody_chose(usual: Recording) -> None:
    assert [short(one) for one in of(usual, "VpcEndpoint")] == ["s3"]
    assert "endpoints" not in {short(one) for one in of(usual, "SecurityGroup")}


def test_the_flow_log_has_all_traffic_for_as_long_as_the_stack_says() -> None:
    run = recorded_network(network={"flow_log_days": 90})
    (flow,), (log,), (role,), (policy,) = (of(run, index) for index in ("FlowLog", "LogGroup", "Role", "RolePolicy"))
    assert flow.plain["trafficType"] == "ALL" and flow.plain["vpcId"] == "shop-network-vpc-id"
    assert log.plain["retentionInDays"] == 90
    assert flow.plain["logDestination"] == f"arn:aws:cloudwatch:::{log.name}"
    assert flow.plain["iamRoleArn"] == f"arn:aws:iam::123456789012:role/{role.name}"
    assert flow.options.deleteBeforeReplace, "AWS refuses a second one beside it"
    assert policy.urn in flow.dependencies


def test_the_flow_logs_role_writes_to_its_log_group_and_is_of_this_account(usual: Recording) -> None:
    (role,), (policy,) = of(usual, "Role"), of(usual, "RolePolicy")
    (trust,) = json.loads(role.plain["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    (statement,) = json.loads(policy.plain["policy"])["Statement"]
    assert all("*" not in action for action in statement["Action"])
    log = "arn:aws:cloudwatch:::shop-network-flow-log"
    assert statement["Resource"] == [log, f"{log}:*"]


def test_everything_that_can_have_tags_says_whose_it_is(run: Recording) -> None:
    tagged = [one for one in run.registrations if one.type.startswith("aws:") and not one.type.endswith(WITHOUT_TAGS)]
    assert len({one.type for one in tagged}) >= 10
    for one in tagged:
        assert one.plain["tags"].items() >= TAGS.items(), one.urn
        assert one.plain["tags"]["Name"].startswith("shop-network-"), one.urn


def changes(before: Recording, after: Recording) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """What is made, and what is asked for otherwise; nothing may go."""
    old, new = made(before), made(after)
    assert not old.keys() - new.keys()
    return new.keys() - old.keys(), {key for key in old if old[key] != new[key]}


def test_a_third_zone_adds_what_is_its_own_and_leads_s3_there(usual: Recording) -> None:
    new, other = changes(usual, recorded_network(network={"zones": [A, B, C]}))
    assert new == {
        *((index, f"{tier}-{C}") for tier in TIERS for index in ("Subnet", "RouteTableAssociation")),
        *(("SubnetCidrReservation", f"{tier}-{C}-machines") for tier in TIERS),
        *(("RouteTable", f"{tier}-{C}") for tier in ("private", "data")),
        *(("Route", f"{tier}-{C}-nat") for tier in ("private", "data")),
    }
    assert other == {("VpcEndpoint", "s3")}


def test_a_nat_gateway_for_each_zone_leaves_the_first_and_its_address_alone(usual: Recording) -> None:
    new, other = changes(usual, recorded_network(network={"nat": "one_per_zone"}))
    assert new == {("NatGateway", f"nat-{B}"), ("Eip", f"nat-{B}")}
    assert other == {("Route", f"{tier}-{B}-nat") for tier in ("private", "data")}


def test_a_third_app_machine_and_a_new_tag_add_no_resource(usual: Recording) -> None:
    roles = ROLES | {"app": SIZE | {"zones": [A, B, A]}}
    openings = OPENINGS | {"app-3": (Opening(port=8080, sources=("balancer",)),)}
    assert changes(usual, recorded_network(roles=roles, openings=openings)) == (set(), set())
    new, other = changes(usual, recorded_network(tags=TAGS | {"CostCenter": "42"}))
    assert not new and {index for index, _ in other}.isdisjoint(WITHOUT_TAGS)


def test_a_new_service_adds_the_two_ends_of_its_path(usual: Recording) -> None:
    opened = OPENINGS | {"data-1": (*OPENINGS["data-1"], Opening(port=15672, sources=("app-1",)))}
    assert changes(usual, recorded_network(openings=opened)) == (
        {("SecurityGroupIngressRule", "data-in-15672-app"), ("SecurityGroupEgressRule", "app-out-15672-data")},
        set(),
    )


def test_endpoints_chosen_later_leave_all_else_alone(usual: Recording) -> None:
    new, other = changes(usual, recorded_network(network={"endpoints": ["ssm"]}))
    assert {name for index, name in new if index == "VpcEndpoint"} == {"ssm", "ssmmessages", "ec2messages"}
    assert other == set()


def test_an_opening_to_the_world_on_a_private_role_is_refused() -> None:
    private = {"all": SIZE | {"zones": [A]}}
    with pytest.raises(ValueError, match="its role all has no public address"):
        recorded_network(roles=private, openings=PUBLIC_OPENINGS, balancer=False)
