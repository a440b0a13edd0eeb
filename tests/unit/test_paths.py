"""What security groups let through: both ends of each opening, the ways out that somebody asked for, and no more."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundwork.machines import Machine, Opening, RoleName
from groundwork.paths import ANYWHERE, PACKAGES, Outward, Ways, outward_of, roles_of, rules_of
from tests.sample import API, SHOP, changed, configured, planned

OFFICE = IPv4Network("203.0.113.0/24")


def machine(name: str) -> Machine:
    role: Any = name.partition("-")[0]
    return Machine(name=name, role=role, address=IPv4Address("10.20.0.1"), memory_mib=1024)


NAMES = ("app-1", "app-2", "data-1", "cache-1", "monitoring-1")
WAYS = Ways(
    machines=tuple(map(machine, NAMES)),
    openings={
        "app-1": (Opening(port=8080, sources=("balancer",)), Opening(port=8081, sources=("app-2",))),
        "data-1": (Opening(port=15432, sources=("app-1", "app-2")),),
    },
    outward={role: PACKAGES for role in get_args(RoleName)},
    administrators=(OFFICE,),
    balancer=True,
)
PUBLIC = Ways(
    machines=(machine("all-1"),),
    openings={"all-1": (Opening(port=443, sources=("world",)),)},
    outward={"all": PACKAGES},
    administrators=(OFFICE,),
    public_roles=frozenset({"all"}),
)


def keys(ways: Ways, *, packages: bool = False) -> set[str]:
    """Without the way to packages, which all roles have."""
    found = {rule.key for rule in rules_of(ways)}
    always = {f"{role}-out-{port}-anywhere" for role in roles_of(ways.machines) for port in (80, 443)}
    assert always <= found
    return found if packages else found - always


def test_an_opening_opens_both_ends_of_its_path_and_no_other() -> None:
    assert keys(replace(WAYS, machines=WAYS.machines[:4])) == {
        "balancer-in-80-anywhere",
        "balancer-in-443-anywhere",
        "balancer-out-8080-app",
        "app-in-8080-balancer",
        "app-in-8081-app",
        "app-out-8081-app",
        "app-out-15432-data",
        "data-in-15432-app",
    }


def test_a_balancer_that_the_stack_does_not_make_is_known_by_its_networks() -> None:
    own = replace(WAYS, balancer=False, proxies=(IPv4Network("10.9.0.0/24"), IPv4Network("10.9.1.7/32")))
    assert {key for key in keys(own) if "-8080-" in key} == {"app-in-8080-10.9.0.0-24", "app-in-8080-10.9.1.7-32"}
    both = replace(own, balancer=True)
    assert {key for key in keys(both) if "app-in-8080-" in key} == {"app-in-8080-balancer"}


def test_a_machine_that_nothing_is_open_to_reaches_none() -> None:
    assert keys(WAYS) == keys(replace(WAYS, machines=(*WAYS.machines, machine("monitoring-2"))))


def test_ssh_is_open_from_administrators_to_public_roles_only() -> None:
    assert keys(PUBLIC) == {"all-in-443-anywhere", "all-in-22-203.0.113.0-24"}
    assert not [rule for rule in rules_of(WAYS) if rule.port == 22]
    assert "all-in-22-203.0.113.0-24" not in keys(replace(PUBLIC, administrators=()))


def test_what_a_machine_opens_to_itself_needs_no_rule() -> None:
    own = replace(PUBLIC, openings={"all-1": (Opening(port=9000, sources=("all-1",)),)})
    assert keys(own) == {"all-in-22-203.0.113.0-24"}


def test_endpoints_answer_every_role_and_nobody_else() -> None:
    added = keys(replace(WAYS, endpoints=True)) - keys(WAYS)
    assert added == {f"endpoints-in-443-{role}" for role in roles_of(WAYS.machines)}


WRONG: dict[str, tuple[Ways, str]] = {
    "a private role": (
        replace(PUBLIC, public_roles=frozenset()),
        "all-1 opens 443 to the world, and its role all has no public address",
    ),
    "no balancer": (replace(WAYS, balancer=False), "app-1 opens 8080 to a balancer, and there is none"),
    "an unknown source": (
        replace(PUBLIC, openings={"all-1": (Opening(port=1, sources=("app-9",)),)}),
        "all-1 opens 1 to app-9, which is no machine of the stack",
    ),
    "an unknown machine": (
        replace(PUBLIC, openings={"app-9": ()}),
        "openings of app-9, which is no machine of the stack",
    ),
    "ssh as a container's": (
        replace(PUBLIC, openings={"all-1": (Opening(port=22, sources=("world",)),)}),
        "all-1 opens 22 for a container; ssh is the machine's own",
    ),
    "administrators everywhere": (
        replace(PUBLIC, administrators=(ANYWHERE,)),
        "0.0.0.0/0 is no network of administrators",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_opening_that_can_not_be_is_an_error(case: str) -> None:
    ways, message = WRONG[case]
    with pytest.raises(ValueError, match=f"^{message}$"):
        rules_of(ways)


SOURCES = st.lists(st.sampled_from((*NAMES, "balancer")), max_size=4).map(tuple)
OPENED = st.dictionaries(
    st.sampled_from(NAMES),
    st.lists(st.builds(Opening, port=st.integers(10_000, 65_535), sources=SOURCES), max_size=4).map(tuple),
    max_size=5,
)


@given(OPENED)
def test_every_way_between_groups_has_both_ends_and_an_opening(openings: dict[str, tuple[Opening, ...]]) -> None:
    rules = rules_of(replace(WAYS, openings=openings))
    between = {rule for rule in rules if not isinstance(rule.peer, IPv4Network)}
    ends = {(rule.direction, rule.group, rule.port, rule.peer) for rule in between}
    assert ends == {("in" if way == "out" else "out", peer, port, group) for way, group, port, peer in ends}
    opened = {
        (name.partition("-")[0], opening.port, source.partition("-")[0])
        for name, some in openings.items()
        for opening in some
        for source in opening.sources
        if source != name
    }
    assert {(rule.group, rule.port, rule.peer) for rule in between if rule.direction == "in"} == opened


@given(OPENED, OPENED)
def test_another_opening_moves_no_rule(
    openings: dict[str, tuple[Opening, ...]], more: dict[str, tuple[Opening, ...]]
) -> None:
    before = {rule.key: rule for rule in rules_of(replace(WAYS, openings=openings))}
    both = {name: (*openings.get(name, ()), *more.get(name, ())) for name in openings | more}
    after = {rule.key: rule for rule in rules_of(replace(WAYS, openings=both))}
    assert len(before) == len(rules_of(replace(WAYS, openings=openings)))
    assert before.items() <= after.items()


@given(OPENED)
def test_no_rule_lets_the_world_in_but_at_the_balancer(openings: dict[str, tuple[Opening, ...]]) -> None:
    world = {rule.key for rule in rules_of(replace(WAYS, openings=openings)) if rule.direction == "in"}
    assert {key for key in world if key.endswith("-anywhere")} == {
        "balancer-in-80-anywhere",
        "balancer-in-443-anywhere",
    }


MACHINES = {
    "kind": "existing",
    "roles": {
        role: {
            "memory_mib": 4096,
            "hosts": [
                {
                    "address": f"{role}.example.com",
                    "private_address": f"10.0.0.{number}",
                    "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGdyb3VuZHdvcmsgZ3JvdW5kd29yayBncm91bmR3b3Jr",
                }
            ],
        }
        for number, role in enumerate(("app", "data", "cache"), 1)
    },
}


def outward(values: dict[str, Any], *egress: str) -> dict[RoleName, frozenset[Outward]]:
    apps = (*SHOP.apps[:1], changed(API, egress=egress))
    machines = MACHINES | values.pop("machines", {})
    settings = configured({**values, "machines": machines}).settings
    system = changed(SHOP, apps=apps)
    return outward_of(settings, planned({"machines": machines}, system).shares)


def test_where_nobody_asks_for_more_only_packages_are_reached() -> None:
    assert outward({}) == dict.fromkeys(("app", "data", "cache"), PACKAGES)


def test_what_an_app_reaches_outside_is_open_where_apps_run() -> None:
    found = outward({}, "mail.example.com:587", "192.0.2.0/24:5432", "192.0.2.7:443", "api.example.com:443")
    assert found["data"] == found["cache"] == PACKAGES
    assert found["app"] - PACKAGES == {
        Outward(port=587),
        Outward(port=5432, network=IPv4Network("192.0.2.0/24")),
        Outward(port=443, network=IPv4Network("192.0.2.7/32")),
    }


@pytest.mark.parametrize(
    ("values", "added"),
    [
        ({"registry": {"prefix": "harbor.example.com:8443/hub"}}, Outward(port=8443)),
        ({"machines": {"time_servers": ["time.example.com"]}}, Outward(port=123, protocol="udp")),
        (
            {"backups": {"kind": "s3_compatible", "endpoint": "https://s3.example.com:9000", "bucket": "backups"}},
            Outward(port=9000),
        ),
    ],
    ids=["registry", "time", "backups"],
)
def test_what_every_machine_needs_is_open_on_every_role(values: dict[str, Any], added: Outward) -> None:
    assert outward(dict(values)) == dict.fromkeys(("app", "data", "cache"), PACKAGES | {added})


def test_a_usual_port_is_no_rule_of_its_own() -> None:
    assert outward({"registry": {"prefix": "harbor.example.com/hub"}}) == outward({})


def test_two_protocols_at_one_port_are_two_rules() -> None:
    both = frozenset({Outward(port=123), Outward(port=123, protocol="udp")})
    found = rules_of(replace(PUBLIC, outward={"all": both}, openings={}, administrators=()))
    assert [rule.key for rule in found] == ["all-out-123-anywhere", "all-out-udp-123-anywhere"]
