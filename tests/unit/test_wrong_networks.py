"""What does not fit about machines and the network of AWS: each rule by hand, with the whole message a person reads."""

from __future__ import annotations

from typing import Any

import pytest

from groundwork.cloud_misfits import cloud_misfits
from tests.sample import SHOP, WEB, changed, configured

from .test_wrong_combinations import refused_plan

A, B, C = (f"ap-southeast-1{letter}" for letter in "abc")
DEPLOYER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGdyb3VuZHdvcmsgZ3JvdW5kd29yayBncm91bmR3b3Jr ops"
NAMES = {"entry": {"server_names": ["shop.example.com"]}}
BARE = changed(SHOP, apps=(WEB,), services=(), routes=SHOP.routes[:1], generated_secrets=())
"""Without services, which would ask for roles of their own."""
EDGE = {"edge": {"hosted_zone": "example.com"}}


def role(*zones: str, **values: Any) -> dict[str, Any]:
    return {"vcpus": 2, "memory_gib": 8, "zones": list(zones or (A,)), **values}


def machines(**roles: Any) -> dict[str, Any]:
    return {"machines": {"kind": "aws", "deployers": [DEPLOYER], "roles": roles}}


def network(**values: Any) -> dict[str, Any]:
    return {"aws": {"account": "123456789012", "region": "ap-southeast-1", "network": {"zones": [A, B], **values}}}


def host(address: str) -> dict[str, Any]:
    return {"address": "app-1.example.com", "private_address": address, "host_key": DEPLOYER.removesuffix(" ops")}


PUBLIC = machines(all=role(public=True))
BEHIND = machines(app=role(A, B), data=role()) | EDGE | NAMES

RIGHT: dict[str, dict[str, Any]] = {
    "one public machine": PUBLIC | network(),
    "one public machine without NAT": PUBLIC | network(nat="none", zones=[A]),
    "a public role before private ones": machines(app=role(A, B, public=True), data=role()) | network(),
    "private roles behind a balancer": BEHIND | network(),
    "private roles behind a balancer of somebody else's": machines(app=role(), data=role())
    | network()
    | {"entry": {"trusted_proxies": ["10.9.0.0/24"]}},
    "nothing of AWS": {},
    "a range beside the containers'": PUBLIC | network(range="10.208.0.0/16"),
    "hosts beside the containers": {
        "machines": {"kind": "existing", "roles": {"all": {"memory_mib": 4096, "hosts": [host("10.0.0.5")]}}}
    },
}


@pytest.mark.parametrize("case", RIGHT)
def test_what_fits_is_accepted(case: str) -> None:
    assert list(cloud_misfits(configured(RIGHT[case]).settings)) == []


MEETS = (
    "  1. groundwork:aws.network.range: {} meets the container networks of target.subnets, {}\n"
    "    give one of them another range; the defaults, 10.20.0.0/16 and 10.212.0.0/14, don't meet"
)
RANGE_MESSAGE = "it should be a private range from /16 to /19, such as 10.20.0.0/16"
WRONG_NETWORKS: dict[str, tuple[dict[str, Any], str]] = {
    "machines without an account": (
        PUBLIC,
        "  1. groundwork:aws.network: is missing; machines of the kind aws are in it\n"
        "    give groundwork:aws with account, region and network.zones",
    ),
    "machines without a network": (
        PUBLIC | {"aws": {"account": "123456789012", "region": "ap-southeast-1"}},
        "  1. groundwork:aws.network: is missing; machines of the kind aws are in it\n"
        "    give groundwork:aws with account, region and network.zones",
    ),
    "a machine in a zone without subnets": (
        machines(app=role(A, C, public=True)) | network(),
        f"  1. groundwork:machines.roles.app.zones.1: the network has nothing in zone {C}\n"
        f"    add it at the end of groundwork:aws.network.zones, or use {A} or {B}",
    ),
    "private data without a way out": (
        machines(app=role(public=True), data=role(), cache=role()) | network(nat="none"),
        "  1. groundwork:aws.network.nat: with `none` these roles get no packages and no images: data, cache\n"
        "    say `one`, or `one_per_zone`",
    ),
    "a private app without a way out": (
        machines(all=role()) | network(nat="none") | EDGE | NAMES,
        "  1. groundwork:aws.network.nat: with `none` these roles get no packages and no images: all\n"
        "    say `one`, or `one_per_zone`, or give roles.all.public: true",
    ),
    "a gateway that nobody reaches": (
        machines(app=role(), data=role()) | network(),
        "  1. groundwork:machines.roles.app.public: nobody outside reaches the gateway, whose machine has no public "
        "address and no load balancer\n    give groundwork:edge, or say `true`, or give entry.trusted_proxies, where "
        "your own balancer is",
    ),
    "a balancer in one zone": (
        BEHIND | machines(app=role()) | network(zones=[A]),
        "  1. groundwork:aws.network.zones: the load balancer of groundwork:edge needs 2 zones\n"
        "    add another at the end; machines need not be in it",
    ),
    "a balancer without a name": (
        machines(app=role(A, B)) | network() | EDGE,
        "  1. groundwork:entry.server_names: is missing; the certificate of groundwork:edge is for these names\n"
        "    name the hosts that users open",
    ),
    "a balancer before one engine": (
        EDGE | NAMES,
        "  1. groundwork:edge: stands in front of machines of the kind aws, and there are none\n"
        "    take it out, or give groundwork:machines of the kind aws",
    ),
    "a balancer before a cluster": (
        EDGE | NAMES | {"target": {"kind": "kubernetes", "context": "test"}},
        "  1. groundwork:edge: stands in front of machines of the kind aws, and there are none\n"
        "    take it out, or give groundwork:machines of the kind aws",
    ),
    "a range among the containers'": (
        PUBLIC | network(range="10.212.0.0/16"),
        MEETS.format("10.212.0.0/16", "10.212.0.0/14"),
    ),
    "a range that is in the containers' own choice": (
        PUBLIC | network() | {"target": {"subnets": "10.16.0.0/12"}},
        MEETS.format("10.20.0.0/16", "10.16.0.0/12"),
    ),
    "containers inside the range": (
        PUBLIC | network() | {"target": {"subnets": "10.20.128.0/20"}},
        MEETS.format("10.20.0.0/16", "10.20.128.0/20"),
    ),
    "a range that each Docker engine has": (
        PUBLIC | network(range="172.17.128.0/19"),
        "  1. groundwork:aws.network.range: 172.17.128.0/19 meets 172.17.0.0/16, which each Docker engine has for "
        "itself\n    take another range, such as 10.20.0.0/16",
    ),
    "a host among the containers": (
        {"machines": {"kind": "existing", "roles": {"all": {"memory_mib": 4096, "hosts": [host("10.213.0.5")]}}}},
        "  1. groundwork:machines.roles.all.hosts.0.private_address: 10.213.0.5 is among the container networks of "
        "target.subnets, 10.212.0.0/14\n    give groundwork:target.subnets a range that no machine is in",
    ),
    "too small a range": (
        PUBLIC | network(range="10.20.0.0/20"),
        f"  1. groundwork:aws.network.range: `10.20.0.0/20` can't be used\n    {RANGE_MESSAGE}",
    ),
    "a public range": (
        PUBLIC | network(range="8.8.0.0/16"),
        f"  1. groundwork:aws.network.range: `8.8.0.0/16` can't be used\n    {RANGE_MESSAGE}",
    ),
    "a zone twice": (
        PUBLIC | network(zones=[A, A]),
        "  1. groundwork:aws.network: zones names one twice\n    keep it once",
    ),
    "an endpoint twice": (
        PUBLIC | network(endpoints=["ssm", "ssm"]),
        "  1. groundwork:aws.network: endpoints names one twice\n    keep it once",
    ),
    "zones of two regions": (
        PUBLIC | network(zones=[A, "ap-southeast-2a"]),
        "  1. groundwork:aws.network: zones are of several regions\n    keep those of one",
    ),
    "a zone of another region": (
        PUBLIC | network(zones=["ap-southeast-2a"]),
        "  1. groundwork:aws: zone ap-southeast-2a is not in region ap-southeast-1\n    name zones of that region",
    ),
    "ssh open to the world": (
        {"machines": PUBLIC["machines"] | {"administrators": ["0.0.0.0/0"]}} | network(),
        '  1. groundwork:machines.administrators: `["0.0.0.0/0"]` can\'t be used\n'
        "    it would open ssh to 0.0.0.0/0, which is no network of administrators; name theirs",
    ),
    "a role that there is not": (
        machines(databse=role()) | network(),
        "  1. groundwork:machines.roles.databse: `databse` can't be a name here\n    did you mean `data`?",
    ),
    "two faults at once": (
        machines(app=role(C), data=role()) | network(nat="none") | EDGE | NAMES,
        f"  1. groundwork:machines.roles.app.zones.0: the network has nothing in zone {C}\n"
        f"    add it at the end of groundwork:aws.network.zones, or use {A} or {B}\n"
        "  2. groundwork:aws.network.nat: with `none` these roles get no packages and no images: app, data\n"
        "    say `one`, or `one_per_zone`",
    ),
}


@pytest.mark.parametrize("case", WRONG_NETWORKS)
def test_the_message_says_where_what_and_what_instead(case: str) -> None:
    values, message = WRONG_NETWORKS[case]
    assert refused_plan(values, BARE) == message
