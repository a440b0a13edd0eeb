"""Which machine runs what, what that opens, and that growth moves nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as some

from groundwork.addressing import MACHINE_PORTS, closed_range, open_range, ports
from groundwork.catalog.redis import Redis
from groundwork.deployment import Deployment, Endpoint, Share
from groundwork.machines import Opening
from groundwork.nginx import PEER
from groundwork.targets import DockerTarget
from groundwork.views.draw import mermaid
from ops.plan_table import page
from tests.machines import FOUR_ROLES, existing, mindpal, on_machines
from tests.sample import API, SHOP, WEB, changed, locked, planned

from .test_wrong_combinations import refused_plan

SNAPSHOTS = Path(__file__).parent / "snapshots"
SINGLE = changed(API, name="clock", singleton=True, release_command=(), replicas=None)


def share(deployment: Deployment, name: str) -> Share:
    return next(one for one in deployment.shares if one.machine and one.machine.name == name)


def running(deployment: Deployment) -> dict[str, dict[str, int]]:
    """How many of which workload, by machine."""
    return {
        one.machine.name: {workload.name: workload.replicas for workload in one.workloads}
        for one in deployment.shares
        if one.machine
    }


def port_of(deployment: Deployment, service: str) -> int:
    (published,) = deployment.workload(service).published
    return published.port


def routes(deployment: Deployment, machine: str) -> str:
    (gateway,) = [workload for workload in share(deployment, machine).workloads if workload.role == "gateway"]
    assert gateway.reload
    (text,) = [file.content for file in gateway.reload.files if file.name == "routes.conf"]
    return str(text)


def test_mindpal_on_four_roles_is_as_it_was_reviewed() -> None:
    assert page(mindpal(), "mindpal.svg") == (SNAPSHOTS / "mindpal-machines.md").read_text(), (
        "write the new text into tests/unit/snapshots/mindpal-machines.md when it is what you want"
    )


def test_roles_of_services_and_apps_decide() -> None:
    assert running(on_machines()) == {
        "app-1": {"api-release": 1, "web": 1, "api": 1, "gateway": 1},
        "app-2": {"web": 1, "api": 1, "gateway": 1},
        "data-1": {"postgres": 1, "postgres-accounts": 1},
        "cache-1": {"redis": 1, "redis-accounts": 1},
        "monitoring-1": {},
    }


def test_one_machine_for_all_is_as_one_engine() -> None:
    alone, engine = on_machines(counts={"all": 1}), planned()
    (only,) = alone.shares
    assert [workload.name for workload in only.workloads] == [workload.name for workload in engine.workloads]
    assert alone.workload("api") == engine.workload("api") and alone.workload("postgres") == engine.workload("postgres")
    members = {network.name: (network.members, network.internal, network.masquerade) for network in only.networks}
    assert members == {
        network.name: (network.members, network.internal, network.masquerade) for network in engine.networks
    }


def test_without_machines_there_is_one_share_of_everything() -> None:
    (only,) = planned().shares
    assert only.machine is None and only.workloads == planned().workloads
    assert planned().openings == {} and planned().machines == ()


@pytest.mark.parametrize(
    ("replicas", "spread"), [(1, [1, 0]), (2, [1, 1]), (3, [2, 1]), (4, [2, 2])]
)
def test_replicas_take_the_app_machines_in_turn(replicas: int, spread: list[int]) -> None:
    told = running(on_machines(apps={"api": {"replicas": replicas}}))
    assert [told[name].get("api", 0) for name in ("app-1", "app-2")] == spread


def test_what_runs_once_runs_on_the_first_app_machine() -> None:
    told = running(on_machines(changed(SHOP, apps=(*SHOP.apps, SINGLE))))
    assert [name for name, names in told.items() if "clock" in names] == ["app-1"]


def test_a_service_of_another_machine_is_found_at_its_door() -> None:
    deployment = on_machines()
    door = port_of(deployment, "postgres")
    assert door in MACHINE_PORTS
    api = deployment.workload("api")
    assert api.env["REDIS_HOST"] == "10.9.0.31"
    assert "10.9.0.21" in str([file.content for file in api.files if file.name.endswith("DATABASE_URL")])
    assert [(one.address, one.target) for one in deployment.workload("postgres").published] == [("10.9.0.21", 5432)]
    # Its own jobs stay beside it and go the short way.
    job = deployment.workload("postgres-accounts")
    assert job == planned().workload("postgres-accounts")


def test_a_client_of_other_machines_has_a_network_of_its_own_that_leads_there_alone() -> None:
    deployment = on_machines()
    networks = {network.name: network for network in share(deployment, "app-2").networks}
    assert networks.keys() == {"api-machines", "edge", "public"}
    away = networks["api-machines"]
    assert away.members == {"api"} and not away.internal and away.masquerade
    assert {(str(one.address), one.port) for one in away.leads_to} == {
        ("10.9.0.21", port_of(deployment, "postgres")),
        ("10.9.0.31", port_of(deployment, "redis")),
    }


def test_who_opens_a_door_can_answer_there_and_go_nowhere() -> None:
    networks = {network.name: network for network in share(on_machines(), "data-1").networks}
    assert networks.keys() == {"postgres", "postgres-machines"}
    door = networks["postgres-machines"]
    assert door.members == {"postgres"} and not door.leads_to
    assert not door.internal and not door.masquerade
    assert networks["postgres"].members == {"postgres", "postgres-accounts"} and networks["postgres"].internal


def test_an_app_with_a_way_out_needs_no_second_one() -> None:
    system = changed(SHOP, apps=(WEB, changed(API, egress=("mail.example.com:587",))))
    networks = {network.name: network for network in share(on_machines(system), "app-1").networks}
    assert "api-machines" not in networks and networks["api-egress"].leads_to


def test_networks_that_lead_to_machines_alone_have_a_range_of_their_own() -> None:
    system = changed(SHOP, apps=(WEB, changed(API, egress=("mail.example.com:587",)), changed(API, name="other")))
    whole = DockerTarget().subnets
    for network in on_machines(system).networks:
        closed = not network.internal and not network.name.endswith("-egress")
        half = closed_range(whole) if closed else open_range(whole)
        assert network.subnet.subnet_of(half), network.name
    assert not closed_range(whole).overlaps(open_range(whole))


def test_ports_are_open_to_those_who_use_them_and_to_nobody_else() -> None:
    deployment = on_machines()
    postgres, redis = port_of(deployment, "postgres"), port_of(deployment, "redis")
    (peer,) = [one.port for one in share(deployment, "app-1").workloads[-1].published if one.target == PEER]
    assert dict(deployment.openings) == {
        "app-1": (Opening(port=8080, sources=("balancer",)), Opening(port=peer, sources=("app-2",))),
        "app-2": (Opening(port=8080, sources=("balancer",)), Opening(port=peer, sources=("app-1",))),
        "data-1": (Opening(port=postgres, sources=("app-1", "app-2")),),
        "cache-1": (Opening(port=redis, sources=("app-1", "app-2")),),
        "monitoring-1": (),
    }


def test_a_service_that_nobody_uses_yet_is_open_to_nobody_and_its_first_client_restarts_it_not() -> None:
    unused = changed(SHOP, services=(*SHOP.services, Redis(name="queue")))
    used = changed(unused, apps=(WEB, changed(API, uses=("postgres", "redis", "queue"))))
    before, after = on_machines(unused), on_machines(used)
    assert before.workload("queue").release == after.workload("queue").release
    old, new = (share(deployment, "cache-1").networks_of("queue") for deployment in (before, after))
    assert [(network.name, network.subnet) for network in old] == [(network.name, network.subnet) for network in new]
    assert port_of(before, "queue") not in {one.port for one in before.openings["cache-1"]}
    assert port_of(after, "queue") in {one.port for one in after.openings["cache-1"]}


def test_a_published_entry_is_open_to_the_world_and_behind_a_load_balancer_to_that_alone() -> None:
    def sources(**values: Any) -> set[str]:
        opened = on_machines(counts={"all": 1}, **values).openings["all-1"]
        return {source for one in opened if one.port == 8080 for source in one.sources}

    assert sources() == {"balancer"}
    assert sources(entry={"address": "0.0.0.0"}) == {"world"}


def test_gateways_listen_at_private_addresses_where_nothing_else_is_said() -> None:
    assert {str(port.address) for port in on_machines().front_doors("gateway")} == {"10.9.0.11", "10.9.0.12"}
    everywhere = on_machines(entry={"address": "0.0.0.0"})
    assert {str(port.address) for port in everywhere.front_doors("gateway")} == {"0.0.0.0"}


def test_a_gateway_sends_to_its_own_replicas_and_to_other_gateways_when_none_is_left() -> None:
    deployment = on_machines()
    text = routes(deployment, "app-1")
    upstream = text[text.index("upstream api {") :].partition("}")[0]
    peer = next(one for one in deployment.openings["app-2"] if one.sources == ("app-1",)).port
    alias = deployment.workload("api").alias
    servers = [line.strip() for line in upstream.splitlines() if line.strip().startswith("server ")]
    assert servers == [
        f"server {alias}:8000 resolve;",
        "server api:8000 resolve backup;",
        f"server 10.9.0.12:{peer} max_fails=0 backup;",
    ]


def test_what_comes_from_another_gateway_goes_to_no_third_one() -> None:
    text = routes(on_machines(counts=FOUR_ROLES | {"app": 3}), "app-1")
    for name in ("here.api", "here.web"):
        upstream = text[text.index(f"upstream {name} {{") :].partition("}")[0]
        assert "10.9.0." not in upstream
    door = text[text.index("listen 8092;") :].partition("\nserver {")[0]
    assert "proxy_pass http://here.api;" in door and "proxy_pass http://api;" not in door
    assert "10.9.0.12 1;" in text and "10.9.0.13 1;" in text and "10.9.0.11 1;" not in text


def test_a_gateway_without_an_app_of_its_own_sends_to_those_that_have_it() -> None:
    deployment = on_machines(apps={"api": {"replicas": 1}})
    first, second = routes(deployment, "app-1"), routes(deployment, "app-2")
    peer = next(one for one in deployment.openings["app-2"] if one.sources == ("app-1",)).port
    upstream = second[second.index("upstream api {") :].partition("}")[0]
    assert [line.strip() for line in upstream.splitlines() if line.strip().startswith("server ")] == [
        f"server 10.9.0.11:{peer} max_fails=0;"
    ]
    assert "10.9.0.12" not in first[first.index("upstream api {") :].partition("}")[0]
    assert "return 503;" in second[second.index("listen 8092;") :].partition("\nserver {")[0]


def test_a_further_app_machine_restarts_nothing() -> None:
    before, after = on_machines(counts=FOUR_ROLES | {"app": 1}), on_machines(counts=FOUR_ROLES)
    for name in ("app-1", "data-1", "cache-1"):
        old, new = share(before, name), share(after, name)
        assert [(one.name, one.release) for one in old.workloads] == [(one.name, one.release) for one in new.workloads]
        assert [(one.name, one.subnet, one.members) for one in old.networks] == [
            (one.name, one.subnet, one.members) for one in new.networks
        ]


NAMES = some.sets(some.from_regex(r"[a-z][a-z0-9-]{0,12}", fullmatch=True), min_size=1, max_size=12)


@given(NAMES, some.from_regex(r"[a-z][a-z0-9-]{0,12}", fullmatch=True))
def test_a_new_service_moves_no_port(names: set[str], new: str) -> None:
    """Unless its hash meets another's, which happens to one pair in ten thousand."""
    alone = {name: ports("shop/test", [name])[name] for name in {*names, new}}
    assume(len(set(alone.values())) == len(alone))
    assert ports("shop/test", names) == {name: alone[name] for name in names}
    assert {name: port for name, port in ports("shop/test", {*names, new}).items() if name != new} == ports(
        "shop/test", names - {new}
    )


@given(NAMES, some.sets(some.integers(1, 65535), max_size=5))
def test_ports_differ_and_meet_none_that_is_taken(names: set[str], taken: set[int]) -> None:
    given_out = ports("shop/test", names, avoid=taken)
    assert len(set(given_out.values())) == len(names)
    assert set(given_out.values()) <= set(MACHINE_PORTS) - taken


def test_a_port_is_that_of_its_stack() -> None:
    assert ports("shop/test", ["postgres"]) != ports("shop/prod", ["postgres"])


def test_the_drawing_has_a_frame_for_machines_of_each_kind() -> None:
    text = mermaid(mindpal())
    for frame in ('["app-1 · app-2"]', '["data-1"]', '["cache-1"]'):
        assert text.count(frame) == 1
    assert "monitoring" not in text


def test_leads_to_is_told_by_address_and_port() -> None:
    networks = [network for network in mindpal().networks if network.name == "beat-machines"]
    assert [network.leads_to for network in networks] == [
        (Endpoint(address=networks[0].leads_to[0].address, port=port_of(mindpal(), "rabbitmq")),)
    ]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown role": (
        {"machines": {"kind": "existing", "roles": {"database": existing(data=1)["roles"]["data"]}}},
        "  1. groundwork:machines.roles.database: `database` can't be a name here\n"
        "    did you mean `data`?",
    ),
    "a service whose role no machine has": (
        {"machines": existing(app=2, cache=1)},
        "  1. groundwork:machines.roles: postgres runs on the role data, and no machine has it\n"
        "    add groundwork:machines.roles.data, or use `all`",
    ),
    "apps without a machine": (
        {"machines": existing(data=1, cache=1)},
        "  1. groundwork:machines.roles: the apps and their gateway run on the role app, and no machine has it\n"
        "    add groundwork:machines.roles.app, or use `all`",
    ),
    "a service on two machines": (
        {"machines": existing(app=1, data=2, cache=1)},
        "  1. groundwork:machines: roles.data has 2 machines\n    a service runs once, so keep one",
    ),
    "more containers than memory": (
        {"machines": existing(512, app=1, data=1, cache=1)},
        "  1. groundwork:machines.roles.app.memory_mib: app-1 gives 512 MiB, its containers need 792 MiB while a "
        "release is under way\n    give at least 792, or lower memory_mib or replicas; the largest is api with "
        "1 x 200 MiB\n"
        "  2. groundwork:machines.roles.data.memory_mib: data-1 gives 512 MiB, its containers need 544 MiB while a "
        "release is under way\n    give at least 544, or lower memory_mib or replicas; the largest is postgres with "
        "1 x 512 MiB",
    ),
    "machines under a cluster": (
        {"machines": existing(all=1), "target": {"kind": "kubernetes", "context": "test"}},
        "  1. groundwork:machines.kind: `existing` machines run Docker engines, and the target is a cluster\n"
        "    take groundwork:machines out, or give a target of the kind docker",
    ),
    "the memory of one engine besides": (
        {"machines": existing(all=1), "target": {"memory_mib": 4096}},
        "  1. groundwork:target.memory_mib: is the memory of one engine, and each of these machines has its own\n"
        "    take it out; groundwork:machines.roles says it",
    ),
    "one address for two gateways": (
        {"machines": existing(app=2, data=1, cache=1), "entry": {"address": "10.9.0.11"}},
        "  1. groundwork:entry.address: 10.9.0.11 is one address, and each gateway needs its own machine's\n"
        "    take it out, or write 0.0.0.0: a private address, or all of a machine's",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused_in_one_message(case: str) -> None:
    values, message = WRONG[case]
    said = refused_plan(values, SHOP)
    assert said == message


def test_an_image_that_only_this_engine_has_reaches_no_machine() -> None:
    values = {"machines": existing(all=1)}
    said = refused_plan(values, SHOP, locked("example/web:1", "5", "local"))
    assert said == (
        "  1. image of web: only this machine's engine has `example/web:1`\n"
        "    push it to a registry that the machines reach, and name it there"
    )
