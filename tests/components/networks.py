"""Recorded runs of a network: four roles in two zones behind a balancer, unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pulumi

from components.network import Network, NetworkArgs
from groundwork.machines import AwsMachines, Opening
from groundwork.paths import outward_of
from tests.recorder import Recording, record
from tests.sample import configured, planned

A, B, C = (f"ap-southeast-1{letter}" for letter in "abc")
SIZE = {"vcpus": 2, "memory_gib": 4}
ROLES: dict[str, Any] = {
    "app": SIZE | {"zones": [A, B]},
    "data": SIZE | {"zones": [A]},
    "cache": SIZE | {"zones": [A]},
    "monitoring": SIZE | {"zones": [B]},
}
OPENINGS = {
    "app-1": (Opening(port=8080, sources=("balancer",)), Opening(port=8081, sources=("app-2",))),
    "app-2": (Opening(port=8080, sources=("balancer",)), Opening(port=8081, sources=("app-1",))),
    "data-1": (Opening(port=15432, sources=("app-1", "app-2")),),
    "cache-1": (Opening(port=16379, sources=("app-1", "app-2")),),
}
PUBLIC_OPENINGS = {"all-1": (Opening(port=80, sources=("world",)), Opening(port=443, sources=("world",)))}
TAGS = {"project": "shop", "stack": "test"}
DEPLOYER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGdyb3VuZHdvcmsgZ3JvdW5kd29yayBncm91bmR3b3Jr ops"


def stack_on_aws(**values: Any) -> dict[str, Any]:
    """A stack file of four roles in two zones, below `groundwork:`."""
    return {
        "aws": {"account": "123456789012", "region": "ap-southeast-1", "network": {"zones": [A, B]}},
        "machines": {"kind": "aws", "deployers": [DEPLOYER], "roles": ROLES},
        **values,
    }


def network_args(
    *,
    network: Mapping[str, Any] | None = None,
    roles: Mapping[str, Any] | None = None,
    openings: Mapping[str, tuple[Opening, ...]] = OPENINGS,
    values: Mapping[str, Any] | None = None,
    **changed: Any,
) -> NetworkArgs:
    """As a stack file with these settings gives them; `changed` replaces arguments themselves."""
    machines = {"kind": "aws", "administrators": ["203.0.113.0/24"], "deployers": [DEPLOYER], "roles": roles or ROLES}
    aws = {"account": "123456789012", "region": "ap-southeast-1", "network": {"zones": [A, B], **(network or {})}}
    settings = configured({"machines": machines, "aws": aws, **(values or {})}).settings
    assert settings.aws and settings.aws.network and isinstance(settings.machines, AwsMachines)
    args = NetworkArgs(
        settings=settings.aws.network,
        account=settings.aws.account,
        region=settings.aws.region,
        machines=settings.stack_machines,
        openings=openings,
        outward=outward_of(settings, planned().shares),
        administrators=settings.machines.administrators,
        balancer=True,
        public_roles=frozenset(role for role, one in settings.machines.roles.items() if one.public),
        tags=TAGS,
    )
    return replace(args, **changed)


def recorded_network(**arguments: Any) -> Recording:
    def program() -> None:
        network = Network("shop-network", network_args(**arguments))
        pulumi.export("subnets", {f"{tier}-{zone}": subnet for (tier, zone), subnet in network.subnets.items()})
        pulumi.export("groups", dict(network.security_groups))
        pulumi.export("balancer", network.balancer_security_group)
        pulumi.export("nat", dict(network.nat_addresses))
        pulumi.export("vpc", network.vpc_id)

    return record(program)


def recorded_public_network(**arguments: Any) -> Recording:
    """One machine for everything, with a public address and no balancer."""
    role = SIZE | {"zones": [A], "public": True}
    given = {"network": {"nat": "none"}, "roles": {"all": role}, "openings": PUBLIC_OPENINGS, "balancer": False}
    return recorded_network(**(given | arguments))
