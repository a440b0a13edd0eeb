"""A whole stack on AWS: what the plan opens is what security groups open, and machines stand where the plan says."""

from __future__ import annotations

from groundwork.addressing import Tier, machine_subnet
from tests.recorder import Recording
from tests.sample import configured, planned

from .conftest import CLOUD, recorded
from .networks import A, stack_on_aws

PREFIX = "shop-infrastructure-network-"


def ingress(run: Recording) -> set[str]:
    return {one.name.removeprefix(PREFIX) for one in run.of_type(":SecurityGroupIngressRule")}


def test_groups_open_what_the_plan_opens(cloud: Recording) -> None:
    wanted = {
        f"{name.partition('-')[0]}-in-{opening.port}-{source.partition('-')[0]}"
        for name, openings in planned(stack_on_aws(**CLOUD)).openings.items()
        for opening in openings
        for source in opening.sources
    }
    assert len(wanted) >= 4
    others = {key for key in ingress(cloud) if key not in wanted}
    assert wanted <= ingress(cloud) and others == {"balancer-in-80-anywhere", "balancer-in-443-anywhere"}


def test_a_balancer_of_somebody_elses_reaches_the_gateways_from_its_networks() -> None:
    run = recorded(stack_on_aws(entry={"trusted_proxies": ["10.9.0.0/24"], "address": "0.0.0.0"}))
    assert "app-in-8080-10.9.0.0-24" in ingress(run)
    assert not [key for key in ingress(run) if key.endswith("-anywhere")]


def test_each_machine_is_in_its_subnet_with_its_address_and_its_roles_group(cloud: Recording) -> None:
    settings = configured(stack_on_aws(**CLOUD)).settings
    assert settings.aws and settings.aws.network
    subnets = {f"{one.name}-id": one.plain for one in cloud.of_type("ec2/subnet:Subnet")}
    instances = {one.plain["privateIp"]: one.plain for one in cloud.of_type("ec2/instance:Instance")}
    assert instances.keys() == {str(machine.address) for machine in settings.stack_machines}
    for machine in settings.stack_machines:
        said = instances[str(machine.address)]
        tier: Tier = "data" if machine.role in ("data", "cache") else "private"
        assert machine.zone
        assert subnets[said["subnetId"]]["cidrBlock"] == str(
            machine_subnet(settings.aws.network.range, tier, machine.zone)
        )
        assert said["vpcSecurityGroupIds"] == [f"{PREFIX}{machine.role}-id"]


def test_a_machine_comes_when_its_ways_are_open(cloud: Recording) -> None:
    rules = {one.name for one in cloud.of_type(":SecurityGroupIngressRule") + cloud.of_type(":SecurityGroupEgressRule")}
    assert rules
    for one in cloud.of_type("ec2/instance:Instance"):
        assert rules <= cloud.before(one), one.name
        assert f"{PREFIX}nat-{A}" in cloud.before(one), one.name
