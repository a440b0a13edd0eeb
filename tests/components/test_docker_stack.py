"""What the engine of one machine is asked for: hardening, health, order, releases, secrets."""

from __future__ import annotations

import pytest

from tests.recorder import Recording, Registration, Secret
from tests.sample import SHOP, changed, locked

from .conftest import FULL_SYSTEM, FULL_VALUES, SMTP, recorded


def started(run: Recording) -> list[Registration]:
    """Every container that runs; those that only carry files into a volume never do."""
    return [one for one in run.of_type(":Container") if one.plain.get("start") is not False]


def loaders(run: Recording) -> list[Registration]:
    return [one for one in run.of_type(":Container") if one.plain.get("start") is False]


def label(one: Registration, name: str) -> str:
    return str(next(item["value"] for item in one.plain["labels"] if item["label"] == f"groundwork.{name}"))


def of(run: Recording, workload: str) -> list[Registration]:
    """The containers of a workload, without the gateway's switch."""
    found = [one for one in started(run) if label(one, "workload") == workload]
    return [one for one in found if not one.name.endswith("-switch")]


def switch(run: Recording) -> Registration:
    return run.named("shop-docker-gateway-switch")


def test_whatever_runs_has_no_privilege_and_writes_nowhere(run: Recording) -> None:
    assert len(started(run)) >= 8
    for one in started(run):
        said = one.plain
        assert said["readOnly"] is True, one.name
        assert said["capabilities"] == {"drops": ["ALL"]}, one.name
        assert said["securityOpts"] == ["no-new-privileges:true"], one.name
        user, group = said["user"].split(":")
        assert int(user) > 0 and int(group) > 0, one.name
        assert not said.get("privileged") and not said.get("devices"), one.name
        for options in said["tmpfs"].values():
            assert {"noexec", "nosuid", "nodev"} <= set(options.split(",")), one.name


def test_whatever_runs_has_limits(run: Recording) -> None:
    for one in started(run):
        said = one.plain
        assert said["memory"] >= 16 and said["memorySwap"] == said["memory"], one.name
        assert said["cpuQuota"] >= 0.05 * said["cpuPeriod"] > 0, one.name
        assert said["logDriver"] == "json-file", one.name
        assert said["logOpts"].keys() >= {"max-size", "max-file"}, one.name


def test_whatever_runs_is_waited_for(run: Recording) -> None:
    for one in started(run):
        said = one.plain
        assert said["wait"] is True and said["waitTimeout"] > 0, one.name
        assert said["healthcheck"]["tests"], one.name


def test_a_failed_health_wait_stays_red_and_shows_the_log(run: Recording) -> None:
    for one in run.of_type(":Container"):
        assert set(one.options.replaceOnChanges) >= {"#initerror", "healthcheck", "init", "tmpfs"}, one.name
        assert one.options.deleteBeforeReplace, one.name
        assert list(one.options.hooks.on_error), one.name


def test_what_takes_traffic_drains_before_it_goes(run: Recording) -> None:
    for one in started(run):
        if label(one, "role") in ("app", "gateway", "service"):
            assert one.plain["destroyGraceSeconds"] > 0, one.name


def test_the_engine_restarts_what_should_run_and_never_a_job(run: Recording) -> None:
    for one in started(run):
        once = label(one, "role") == "job" or one is switch(run)
        assert one.plain["restart"] == ("no" if once else "unless-stopped"), one.name
        assert one.plain["mustRun"] is not once, one.name


def test_what_carries_files_never_runs_and_is_in_no_network(run: Recording) -> None:
    assert loaders(run)
    for one in loaders(run):
        said = one.plain
        assert said["mustRun"] is False and said["networkMode"] == "none", one.name
        (volume,) = said["volumes"]
        mounting = [other for other in started(run) if volume["volumeName"] in str(other.plain.get("volumes"))]
        assert mounting, one.name
        for other in mounting:
            (mount,) = [item for item in other.plain["volumes"] if item["volumeName"] == volume["volumeName"]]
            assert mount["readOnly"] is True, other.name
            assert one.name in run.before(other), other.name


def test_files_are_readable_and_nothing_more(run: Recording) -> None:
    uploads = [upload for one in loaders(run) for upload in one.plain["uploads"]]
    assert uploads
    assert {upload["permissions"] for upload in uploads} == {"0444"}
    assert all(upload["file"].startswith("/etc/groundwork/") for upload in uploads)


def test_a_file_with_a_secret_in_it_is_a_secret(full: Recording) -> None:
    for one in loaders(full):
        uploads = one.inputs["uploads"]
        for upload in uploads.value if isinstance(uploads, Secret) else uploads:
            if "/secrets/" in opened(upload["file"]) or opened(upload["file"]).endswith("tls.key"):
                assert isinstance(uploads, Secret) or isinstance(upload["content"], Secret), one.name


def opened(value: object) -> str:
    return str(value.value if isinstance(value, Secret) else value)


def test_an_environment_with_a_secret_in_it_is_a_secret(full: Recording) -> None:
    (worker,) = of(full, "worker")
    assert f"SMTP_PASSWORD={SMTP}" in worker.plain["envs"]
    assert isinstance(worker.inputs["envs"], Secret) or any(isinstance(one, Secret) for one in worker.inputs["envs"])


def test_an_app_that_reads_files_has_no_secret_in_its_environment(full: Recording) -> None:
    for one in of(full, "api"):
        assert "DATABASE_URL_FILE=/etc/groundwork/secrets/DATABASE_URL" in one.plain["envs"]
        assert not any("password-of" in env for env in one.plain["envs"])


def test_the_release_is_in_the_name_of_each_replica_of_an_app(full: Recording) -> None:
    replicas = of(full, "api")
    release = label(replicas[0], "release")
    assert {one.name for one in replicas} == {f"shop-docker-api-{release}-{number}" for number in (0, 1)}
    assert {one.plain["name"] for one in replicas} == {f"shop-test-api-{release}-{number}" for number in (0, 1)}


def test_an_app_is_found_by_its_name_and_by_its_release(full: Recording) -> None:
    for one in of(full, "api"):
        edge = next(item for item in one.plain["networksAdvanced"] if item["name"] == "shop-test-edge")
        assert edge["aliases"] == ["api", f"api-{label(one, 'release')}"]
        others = [item for item in one.plain["networksAdvanced"] if item["name"] != edge["name"]]
        assert others and not any(item.get("aliases") for item in others)


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        ("postgres-accounts", "postgres"),
        ("redis-accounts", "redis"),
        ("api-release", "postgres-accounts"),
        ("api-release", "redis-accounts"),
        ("api", "api-release"),
        ("worker", "redis-accounts"),
    ],
)
def test_the_order_of_a_start(full: Recording, later: str, earlier: str) -> None:
    for after in of(full, later):
        assert {before.name for before in of(full, earlier)} <= full.before(after)


def test_traffic_is_switched_after_the_apps_and_the_gateway(full: Recording) -> None:
    waited = full.before(switch(full))
    assert {one.name for name in ("api", "web", "gateway") for one in of(full, name)} <= waited


def test_old_users_go_after_the_switch(full: Recording) -> None:
    for name in ("postgres-retire", "redis-retire"):
        (retire,) = of(full, name)
        assert switch(full).name in full.before(retire)


def test_the_gateway_waits_for_no_app_so_that_it_starts_when_one_is_absent(full: Recording) -> None:
    (gateway,) = of(full, "gateway")
    assert not {one.name for name in ("api", "web", "worker") for one in of(full, name)} & full.before(gateway)


def test_the_switch_works_inside_the_gateway_as_the_same_user(full: Recording) -> None:
    (gateway,) = of(full, "gateway")
    said = switch(full).plain
    assert said["networkMode"] == said["pidMode"] == f"container:{gateway.name}-id"
    assert said["user"] == gateway.plain["user"]
    assert not said.get("networksAdvanced") and not said.get("ports")


def test_every_network_but_the_outward_ones_has_no_way_to_the_machine(full: Recording) -> None:
    networks = {one.plain["name"]: one.plain for one in full.of_type(":Network")}
    outward = {name for name, said in networks.items() if not said["internal"]}
    assert outward == {"shop-test-public", "shop-test-api-egress"}
    for name in networks.keys() - outward:
        assert networks[name]["options"] == {"com.docker.network.bridge.inhibit_ipv4": "true"}
    assert networks["shop-test-public"]["options"] == {"com.docker.network.bridge.enable_ip_masquerade": "false"}


def test_a_container_is_in_the_networks_that_its_connections_need_and_in_no_other(full: Recording) -> None:
    joined = {
        label(one, "workload"): {item["name"].removeprefix("shop-test-") for item in one.plain["networksAdvanced"]}
        for one in started(full)
        if one.plain.get("networksAdvanced")
    }
    assert joined == {
        "postgres": {"postgres"},
        "redis": {"redis"},
        "postgres-accounts": {"postgres"},
        "redis-accounts": {"redis"},
        "postgres-retire": {"postgres"},
        "redis-retire": {"redis"},
        "api-release": {"postgres", "redis"},
        "api": {"postgres", "redis", "edge", "api-egress"},
        "worker": {"redis"},
        "web": {"edge"},
        "gateway": {"edge", "public"},
    }


def test_the_engine_logs_in_to_the_registry_with_a_secret(full: Recording) -> None:
    (engine,) = full.of_type("pulumi:providers:docker")
    login = engine.inputs["registryAuth"]
    assert isinstance(login, Secret), "registryAuth holds the password"
    assert "harbor.example.com" in opened(login)


def test_images_of_a_registry_are_pulled_by_digest_once(plain: Recording) -> None:
    pulled = plain.of_type(":RemoteImage")
    names = [one.plain["name"] for one in pulled]
    assert len(names) == len(set(names)) > 0
    assert all("@sha256:" in name for name in names)
    assert all(one.plain["keepLocally"] is True for one in pulled)


def test_a_locally_built_image_is_named_by_its_id() -> None:
    system = changed(SHOP, apps=(changed(SHOP.apps[0], image="build:web"), SHOP.apps[1]))
    (web,) = of(recorded({}, system, locked("build:web", "5", "local")), "web")
    assert web.plain["image"] == f"sha256:{'5' * 64}"


def test_a_new_release_is_beside_the_old_one_and_everything_else_stays() -> None:
    """The whole difference, by logical name, between two runs with another image of one app."""
    before = {one.name for one in recorded(FULL_VALUES, FULL_SYSTEM).registrations}
    after = {
        one.name
        for one in recorded(FULL_VALUES | {"apps": {"web": {"image": "example/web:2"}}}, FULL_SYSTEM).registrations
    }
    stems = {name.rsplit("-files-", 1)[0].rsplit("-", 2)[0] for name in before ^ after}
    assert stems <= {
        "shop-docker-web",
        "shop-docker-harbor-example-com-hub-example-web",
        "shop-docker-gateway-switch",
    } | {"shop-docker", "shop-docker-gateway", "shop-docker-harbor-example-com-hub-example"}
    assert {name for name in before if "postgres" in name} == {name for name in after if "postgres" in name}
    assert "shop-docker-gateway" in before & after
