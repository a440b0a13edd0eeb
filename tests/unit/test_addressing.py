"""Subnets by hash: inside the range, apart, and unmoved by newcomers."""

from __future__ import annotations

from ipaddress import IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from groundwork.addressing import PREFIX_LENGTH, subnets

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
