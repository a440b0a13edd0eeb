"""Container networks by hash, and subnets and machines of AWS: inside the range, apart, unmoved by newcomers."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundwork import addressing
from groundwork.addressing import (
    LARGEST_PREFIX,
    PREFIX_LENGTH,
    TIERS,
    ZONE_LETTERS,
    is_private,
    machine_address,
    machine_block,
    machine_subnet,
    subnets,
)
from groundwork.machines import ROLES
from tests.sample import ROOT

SNAPSHOTS = Path(__file__).parent / "snapshots"
RANGES = st.sampled_from(["10.212.0.0/14", "192.168.0.0/20", "172.16.0.0/12"]).map(IPv4Network)
NAMES = st.sets(st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True), min_size=1, max_size=30)


@given(RANGES, NAMES)
def test_each_name_has_a_network_inside_the_range_and_apart_from_all_others(
    range_: IPv4Network, names: set[str]
) -> None:
    given_ = subnets(range_, "shop/dev", names)
    assert given_.keys() == names
    assert len(set(given_.values())) == len(names)
    for subnet in given_.values():
        assert subnet.prefixlen == PREFIX_LENGTH and subnet.subnet_of(range_)


@given(RANGES, NAMES, st.randoms())
def test_the_order_of_names_does_not_matter(range_: IPv4Network, names: set[str], random: object) -> None:
    shuffled = list(names)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert subnets(range_, "shop/dev", shuffled) == subnets(range_, "shop/dev", names)


@given(NAMES, st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True))
def test_a_newcomer_moves_at_most_whom_it_hits(names: set[str], newcomer: str) -> None:
    range_ = IPv4Network("10.212.0.0/14")
    before, after = subnets(range_, "shop/dev", names), subnets(range_, "shop/dev", names | {newcomer})
    moved = {name for name in names if before[name] != after[name]}
    assert not moved or after[newcomer] in before.values()


def test_a_full_range_still_gives_each_name_its_own() -> None:
    range_ = IPv4Network("10.0.0.0/24")
    names = {f"n{number}" for number in range(16)}
    assert set(subnets(range_, "shop/dev", names).values()) == set(range_.subnets(new_prefix=PREFIX_LENGTH))


@given(NAMES)
def test_two_stacks_hash_apart(names: set[str]) -> None:
    range_ = IPv4Network("10.0.0.0/8")
    first, second = subnets(range_, "shop/dev", names), subnets(range_, "shop/prod", names)
    assert len(set(first.values()) & set(second.values())) <= 1


AWS_RANGES = st.builds(
    lambda prefix, place: IPv4Network((int(IPv4Address("10.0.0.0")) + (place << (32 - prefix)), prefix)),
    st.integers(16, LARGEST_PREFIX),
    st.integers(0, 255),
)
TIER_NAMES, ZONES = st.sampled_from(TIERS), st.sampled_from([f"ap-southeast-1{letter}" for letter in ZONE_LETTERS])
MOST = 11
"""Machines of a role, as a stack file may name them."""


def all_subnets(range_: IPv4Network) -> list[IPv4Network]:
    return [machine_subnet(range_, tier, f"eu-central-1{letter}") for tier in TIERS for letter in ZONE_LETTERS]


@given(AWS_RANGES)
def test_no_two_subnets_overlap_and_all_are_in_the_range(range_: IPv4Network) -> None:
    planned = all_subnets(range_)
    assert all(subnet.subnet_of(range_) for subnet in planned)
    assert not any(one.overlaps(other) for one, other in combinations(planned, 2))


@given(AWS_RANGES)
def test_a_tier_that_nobody_thought_of_moves_none_of_the_others(range_: IPv4Network) -> None:
    before = all_subnets(range_)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(addressing, "TIERS", (*TIERS, "fourth"))
        new = [
            machine_subnet(range_, "fourth", f"eu-central-1{letter}")  # type: ignore[arg-type]
            for letter in ZONE_LETTERS
        ]
        assert all_subnets(range_) == before
    assert all(subnet.subnet_of(range_) for subnet in new)
    assert not any(one.overlaps(other) for one, other in combinations([*before, *new], 2))


@given(AWS_RANGES, TIER_NAMES, ZONES)
def test_machines_have_addresses_of_their_own_in_their_part_of_the_subnet(
    range_: IPv4Network, tier: addressing.Tier, zone: str
) -> None:
    subnet, block = machine_subnet(range_, tier, zone), machine_block(range_, tier, zone)
    addresses = [
        machine_address(range_, tier, zone, kind, number) for kind in range(len(ROLES)) for number in range(1, MOST + 1)
    ]
    assert len(set(addresses)) == len(ROLES) * MOST
    assert block.subnet_of(subnet)
    assert all(address in block for address in addresses)
    kept_by_aws = {*list(subnet)[:4], subnet.broadcast_address}
    assert not kept_by_aws & set(block)


@given(AWS_RANGES, TIER_NAMES, ZONES)
def test_aws_itself_has_as_many_addresses_of_a_subnet_as_a_balancer_with_all_else_takes(
    range_: IPv4Network, tier: addressing.Tier, zone: str
) -> None:
    free = machine_subnet(range_, tier, zone).num_addresses - machine_block(range_, tier, zone).num_addresses - 5
    assert free >= 100 + 8 + 6 + 1, "an ALB grows to 100 nodes and asks for 8 more; endpoints, NAT gateway"


def test_there_is_one_turn_for_each_role() -> None:
    assert len(ROLES) == addressing.KINDS


@pytest.mark.parametrize("prefix", [16, LARGEST_PREFIX])
def test_the_plan_of_a_network_is_as_reviewed(prefix: int) -> None:
    """Machines run at these addresses: whoever changes a line of the snapshot moves them."""
    range_ = IPv4Network(f"10.20.0.0/{prefix}")
    lines = [f"{range_}"]
    for tier in TIERS:
        for letter in ZONE_LETTERS:
            zone = f"ap-southeast-1{letter}"
            first, last = (machine_address(range_, tier, zone, kind, n) for kind, n in ((0, 1), (len(ROLES) - 1, MOST)))
            subnet, block = machine_subnet(range_, tier, zone), machine_block(range_, tier, zone)
            lines.append(f"{tier:8}{letter}  {subnet!s:16}  machines {block!s:16}  {first} to {last}")
    assert "\n".join(lines) + "\n" == (SNAPSHOTS / f"network-{prefix}.txt").read_text()


def test_the_addresses_in_the_documentation_are_those_of_the_plan() -> None:
    range_, page = IPv4Network("10.20.0.0/16"), " ".join((ROOT / "docs/network.md").read_text().split())
    app = machine_address(range_, "private", "ap-southeast-1a", ROLES.index("app"), 1)
    second = machine_address(range_, "private", "ap-southeast-1b", ROLES.index("app"), 2)
    data = machine_address(range_, "data", "ap-southeast-1a", ROLES.index("data"), 1)
    assert f"the first app machine in zone a is {app}, the second in zone b is {second}, and the data" in page
    assert f"machine in zone a is {data}." in page


def test_only_ranges_for_inside_are_private() -> None:
    inside = ("10.0.0.0/16", "172.31.0.0/16", "192.168.0.0/16")
    outside = ("8.8.0.0/16", "127.0.0.0/16", "169.254.0.0/16")
    assert all(is_private(IPv4Network(range_)) for range_ in inside)
    assert not any(is_private(IPv4Network(range_)) for range_ in outside)
