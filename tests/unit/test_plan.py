"""What a plan contains, and what a change of one thing changes."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from groundwork.catalog.postgres import Postgres
from groundwork.catalog.redis import Redis
from groundwork.deployment import Connection, Deployment
from groundwork.system import App, Route, System
from groundwork.workload import SecretRef, Template
from tests.sample import API, CERTIFICATE, SHOP, WEB, changed, locked, planned


def replaced(system: System, app: App) -> System:
    return changed(system, apps=tuple(app if one.name == app.name else one for one in system.apps))


def differing(before: Deployment, after: Deployment) -> set[str]:
    """Names of workloads that are new, gone, or would get other containers."""
    old = {workload.name: (workload.release, before.networks_of(workload.name)) for workload in before.workloads}
    new = {workload.name: (workload.release, after.networks_of(workload.name)) for workload in after.workloads}
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


def reloaded(before: Deployment, after: Deployment) -> bool:
    first, second = before.workload("gateway").reload, after.workload("gateway").reload
    assert first and second
    return first.version != second.version


def test_a_plan_is_pure_and_frozen() -> None:
    assert planned() == planned()
    with pytest.raises(FrozenInstanceError):
        planned().stack = "other"  # type: ignore[misc]


def test_using_a_service_opens_exactly_that_path() -> None:
    assert set(planned().connections) == {
        Connection(client="api", server="postgres", port=5432),
        Connection(client="api", server="redis", port=6379),
        Connection(client="api-release", server="postgres", port=5432),
        Connection(client="api-release", server="redis", port=6379),
        Connection(client="postgres-accounts", server="postgres", port=5432),
        Connection(client="redis-accounts", server="redis", port=6379),
        Connection(client="gateway", server="web", port=8080),
        Connection(client="gateway", server="api", port=8000),
    }


def test_each_service_has_a_closed_network_of_its_own() -> None:
    members = {network.name: (set(network.members), network.internal) for network in planned().networks}
    assert members == {
        "postgres": ({"postgres", "postgres-accounts", "api", "api-release"}, True),
        "redis": ({"redis", "redis-accounts", "api", "api-release"}, True),
        "edge": ({"gateway", "web", "api"}, True),
        "public": ({"gateway"}, False),
    }


def test_only_an_app_that_says_so_has_a_way_out() -> None:
    system = replaced(SHOP, changed(API, egress=("mail.example.com:587",)))
    outward = {network.name: network.members for network in planned(system=system).networks if not network.internal}
    assert outward == {"public": {"gateway"}, "api-egress": {"api"}}


def test_using_a_service_gives_its_settings_and_credentials_as_a_file() -> None:
    api = planned().workload("api")
    assert api.env["DATABASE_URL_FILE"] == "/etc/groundwork/secrets/DATABASE_URL"
    (file,) = [file for file in api.files if file.path == api.env["DATABASE_URL_FILE"]]
    password = SecretRef(owner="postgres", name="password", generation="1")
    assert file.content == Template(("postgresql://", "shop_1", ":", password, "@", "postgres", "/", "shop"))
    assert api.env["REDIS_HOST"] == "redis"
    assert "DATABASE_URL" not in api.env


def test_a_setting_without_a_secret_stays_in_the_environment() -> None:
    api = planned({"apps": {"api": {"settings": {"LOG_LEVEL": "debug"}}}}).workload("api")
    assert api.env["LOG_LEVEL"] == "debug"
    assert not any("LOG_LEVEL" in file.name for file in api.files)


def test_secrets_go_into_the_environment_only_where_the_app_asks_for_it() -> None:
    api = planned(system=replaced(SHOP, changed(API, secret_settings="environment"))).workload("api")
    assert isinstance(api.env["DATABASE_URL"], Template)
    assert "DATABASE_URL_FILE" not in api.env


def test_no_app_is_given_an_administrators_password() -> None:
    deployment = planned()
    for name in ("api", "api-release", "web", "gateway"):
        assert not [ref for ref in deployment.workload(name).secrets if ref.name == "admin_password"]


def test_the_order_of_a_start() -> None:
    deployment = planned({"services": {"redis": {"credentials": 2}}})
    after = {workload.name: set(workload.after) for workload in deployment.workloads}
    assert after == {
        "postgres": set(),
        "redis": set(),
        "postgres-accounts": {"postgres"},
        "redis-accounts": {"redis"},
        "api-release": {"postgres-accounts", "redis-accounts"},
        "api": {"api-release"},
        "web": set(),
        "gateway": {"api", "web"},
        "redis-retire": {"gateway"},
    }


def test_the_release_job_has_the_apps_new_image_and_settings() -> None:
    deployment = planned({"apps": {"api": {"image": "example/api:2"}}})
    job, app = deployment.workload("api-release"), deployment.workload("api")
    assert job.image == app.image and job.env == app.env and job.user == app.user
    assert job.command == ("migrate",)


SAME_RELEASE: dict[str, dict[str, Any]] = {
    "replicas": {"apps": {"api": {"replicas": 3}}},
    "another app": {"apps": {"web": {"image": "example/web:2"}}},
    "the entry": {"entry": {"http_port": 80, "max_body_mib": 10}},
    "keeping data": {"keep_data": False},
    "the service's memory": {"services": {"postgres": {"memory_mib": 1024}}},
    "the same image said again": {"apps": {"api": {"image": "example/api:1"}}},
}
OTHER_RELEASE: dict[str, dict[str, Any]] = {
    "image": {"apps": {"api": {"image": "example/api:2"}}},
    "a setting": {"apps": {"api": {"settings": {"LOG_LEVEL": "debug"}}}},
    "memory": {"apps": {"api": {"memory_mib": 300}}},
    "processors": {"apps": {"api": {"cpus": 0.5}}},
    "a generation of credentials": {"services": {"postgres": {"credentials": 2}}},
    "a configured secret": {"secret_jwt_key": "chosen"},
    "time zone": {"time_zone": "Asia/Shanghai"},
}


@pytest.mark.parametrize("case", SAME_RELEASE)
def test_the_release_stays_when_something_else_changes(case: str) -> None:
    assert planned(SAME_RELEASE[case]).workload("api").release == planned().workload("api").release


@pytest.mark.parametrize("case", OTHER_RELEASE)
def test_the_release_changes_with_what_the_app_is(case: str) -> None:
    assert planned(OTHER_RELEASE[case]).workload("api").release != planned().workload("api").release


def test_the_release_changes_with_the_digest_behind_an_unchanged_tag() -> None:
    first, second = (planned(lock=locked("example/api:1", digit)) for digit in "12")
    assert first.workload("api").release != second.workload("api").release
    assert first.workload("web").release == second.workload("web").release


@pytest.mark.parametrize("probe", [{"ready_path": "/ok"}, {"live_path": "/up"}, {"startup_seconds": 90}])
def test_the_release_changes_with_its_probes(probe: dict[str, Any]) -> None:
    other = planned(system=replaced(SHOP, changed(API, **probe)))
    assert other.workload("api").release != planned().workload("api").release


def test_the_release_changes_with_the_value_of_a_configured_secret() -> None:
    first, second = planned({"secret_jwt_key": "one"}), planned({"secret_jwt_key": "two"})
    assert first.workload("api").release != second.workload("api").release
    assert first.workload("web").release == second.workload("web").release


def test_more_replicas_restart_nothing() -> None:
    assert differing(planned(), planned({"apps": {"api": {"replicas": 2}}})) == set()


def test_a_new_route_changes_no_container_but_is_switched_to() -> None:
    system = changed(SHOP, routes=(*SHOP.routes, Route(path="/files/", app="api")))
    before, after = planned(), planned(system=system)
    assert differing(before, after) == set()
    assert reloaded(before, after)


def test_a_new_app_behind_a_new_route_changes_only_itself() -> None:
    admin = App(name="admin", image="example/admin:1", port=9000)
    system = changed(SHOP, apps=(*SHOP.apps, admin), routes=(*SHOP.routes, Route(path="/admin/", app="admin")))
    before, after = planned(), planned(system=system)
    assert {network.name: network.subnet for network in before.networks} == {
        network.name: network.subnet for network in after.networks
    }
    assert {name for name in differing_releases(before, after)} == {"admin"}
    assert reloaded(before, after)


def differing_releases(before: Deployment, after: Deployment) -> set[str]:
    old = {workload.name: workload.release for workload in before.workloads}
    new = {workload.name: workload.release for workload in after.workloads}
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


def joined(deployment: Deployment, name: str) -> set[str]:
    return {network.name for network in deployment.networks_of(name)}


def test_a_new_client_of_a_service_changes_only_itself() -> None:
    worker = App(name="worker", image="example/worker:1", port=9000, uses=("postgres",))
    before, after = planned(), planned(system=changed(SHOP, apps=(*SHOP.apps, worker)))
    assert differing_releases(before, after) == {"worker"}
    for workload in before.workloads:
        assert joined(before, workload.name) == joined(after, workload.name)
    assert not reloaded(before, after)


def test_a_new_service_moves_no_network_of_another() -> None:
    before = planned()
    after = planned(system=changed(SHOP, services=(*SHOP.services, Redis(name="queue"))))
    old, new = ({network.name: network.subnet for network in one.networks} for one in (before, after))
    assert old.items() <= new.items()
    assert differing_releases(before, after) == {"queue", "queue-accounts"}


@pytest.mark.parametrize(
    "values",
    [
        {"entry": {"max_body_mib": 10}},
        {"entry": {"requests_per_second": 5}},
        {"entry": {"trusted_proxies": ["10.0.0.0/24"]}},
        {"entry": {"server_names": ["shop.example.com"]}},
        {"apps": {"web": {"image": "example/web:2"}}},
    ],
)
def test_what_only_the_routes_say_is_switched_to_without_a_new_gateway(values: dict[str, Any]) -> None:
    before, after = planned(), planned(values)
    assert reloaded(before, after)
    assert before.workload("gateway").release == after.workload("gateway").release


def test_the_gateways_own_image_is_a_new_gateway() -> None:
    before, after = planned(), planned({"gateway": {"image": "nginx:1.31"}})
    assert differing_releases(before, after) == {"gateway"}
    assert not reloaded(before, after)


def test_a_renewed_certificate_and_key_are_switched_to_without_a_new_gateway() -> None:
    first = planned({"entry": {"certificate": CERTIFICATE}, "secret_tls_key": "one"})
    second = planned({"entry": {"certificate": CERTIFICATE}, "secret_tls_key": "two"})
    assert reloaded(first, second)
    assert differing_releases(first, second) == set()


def test_memory_counts_a_release_beside_its_predecessor() -> None:
    deployment = planned({"apps": {"api": {"replicas": 2}}})
    services = 512 + 128 + 32 + 32
    assert deployment.memory_mib == services + 2 * (2 * 200) + 200 + 2 * 32 + 2 * 64


def test_the_memory_of_the_machine_may_be_used_up_and_not_exceeded() -> None:
    need = planned().memory_mib
    assert planned({"target": {"memory_mib": need}}).memory_mib == need


def test_two_stacks_share_no_name_and_no_address() -> None:
    first, second = planned(stack="dev"), planned(stack="prod")
    assert first.prefix != second.prefix
    assert not {network.subnet for network in first.networks} & {network.subnet for network in second.networks}
    assert not any(one.subnet.overlaps(two.subnet) for one in first.networks for two in second.networks)


def test_the_same_stack_of_another_project_is_another() -> None:
    first, second = planned(project="shop"), planned(project="store")
    assert first.prefix != second.prefix
    assert not any(one.subnet.overlaps(two.subnet) for one in first.networks for two in second.networks)


def test_only_the_gateway_is_published_at_the_address_of_the_entry() -> None:
    deployment = planned({"entry": {"address": "0.0.0.0", "http_port": 80}})
    assert {workload.name for workload in deployment.workloads if workload.published} == {"gateway"}
    (port,) = deployment.workload("gateway").published
    assert (port.address, port.port, port.target) == ("0.0.0.0", 80, 8080)


URLS: list[tuple[dict[str, Any], str]] = [
    ({}, "http://127.0.0.1:8080/"),
    ({"address": "0.0.0.0", "http_port": 80}, "http://127.0.0.1/"),
    ({"address": "10.0.1.5", "http_port": 80}, "http://10.0.1.5/"),
    ({"server_names": ["shop.example.com", "www.example.com"]}, "http://shop.example.com:8080/"),
    (
        {"server_names": ["shop.example.com"], "certificate": CERTIFICATE, "https_port": 443},
        "https://shop.example.com/",
    ),
    ({"certificate": CERTIFICATE}, "https://127.0.0.1:8443/"),
]


@pytest.mark.parametrize(("entry", "url"), URLS)
def test_the_url_is_what_a_user_opens(entry: dict[str, Any], url: str) -> None:
    secrets = {"secret_tls_key": "k"} if "certificate" in entry else {}
    assert planned({"entry": entry, **secrets}).urls == {"system": url, "health": f"{url}health"}


def test_every_secret_that_something_is_given_has_a_source() -> None:
    deployment = planned({"secret_jwt_key": "chosen"})
    sources = {f"{ref.owner}.{ref.name}": key for ref, key in deployment.secrets.items()}
    assert sources == {
        "postgres.admin_password": None,
        "postgres.password": None,
        "redis.admin_password": None,
        "redis.password": None,
        "system.jwt_key": "secret_jwt_key",
    }
    used = {ref for workload in deployment.workloads for ref in workload.secrets}
    assert used == set(deployment.secrets)


def test_a_mirror_stands_in_front_of_every_image_that_names_no_registry() -> None:
    values = {"registry": {"prefix": "harbor.example.com/hub"}, "apps": {"api": {"image": "other.example.com/api:1"}}}
    deployment = planned(values)
    references = {workload.name: workload.image.reference for workload in deployment.workloads}
    assert references["gateway"] == "harbor.example.com/hub/library/nginx:1.30"
    assert references["web"] == "harbor.example.com/hub/example/web:1"
    assert references["api"] == "other.example.com/api:1"


def test_two_databases_of_one_kind_are_two() -> None:
    system = changed(SHOP, services=(*SHOP.services, Postgres(name="reports", database="reports")))
    deployment = planned(system=system)
    assert deployment.workload("reports").volumes[0].name != deployment.workload("postgres").volumes[0].name
    assert {ref.owner for ref in deployment.secrets} >= {"postgres", "reports"}


def test_an_app_that_nobody_routes_to_is_reached_by_nobody() -> None:
    system = changed(SHOP, routes=(Route(path="/", app=WEB.name),))
    assert not [one for one in planned(system=system).connections if one.server == "api"]
