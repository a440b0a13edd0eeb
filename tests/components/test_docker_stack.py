"""What the engine of one machine is asked for: hardening, health, order, releases, secrets."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.machines import HOST_KEY
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


def switch(run: Recording, machine: str = "") -> Registration:
    return run.named(f"shop-docker-{machine and machine + '-'}gateway-switch")


def test_whatever_runs_has_no_privilege_and_writes_nowhere(run: Recording) -> None:
    assert len(started(run)) >= 8
    for one in started(run):
        said = one.plain
        assert said["readOnly"] is True, one.name
        assert said["capabilities"] == {"drops": ["ALL"]}, one.name
        assert said["securityOpts"] == ["no-new-privileges:true"], one.name
        user, group = said["user"].split(":")
        # Log files are root's; without capabilities it is not much more than their owner.
        assert (int(user) > 0 and int(group) > 0) or label(one, "workload") == "shipper", one.name
        assert not said.get("privileged") and not said.get("devices"), one.name
        for options in said["tmpfs"].values():
            assert {"noexec", "nosuid", "nodev"} <= set(options.split(",")), one.name


def test_who_sees_its_machine_sees_it_read_only() -> None:
    run = recorded({"monitoring": {}})
    seen = {label(one, "workload"): one.plain["mounts"] for one in started(run) if one.plain.get("mounts")}
    assert seen == {
        name: [{"type": "bind", "source": source, "target": target, "readOnly": True}]
        for name, source, target in (
            ("node-exporter", "/", "/machine"),
            ("shipper", "/var/lib/docker/containers", "/machine/logs"),
        )
    }


def test_what_is_monitored_says_in_its_log_whose_it_is() -> None:
    for one in started(recorded({"monitoring": {}})):
        assert one.plain["logOpts"] == {
            "max-size": "10m",
            "max-file": "5",
            "labels": "groundwork.project,groundwork.stack,groundwork.workload",
            "tag": "{{.Name}}",
        }
        for name in one.plain["logOpts"]["labels"].split(","):
            assert label(one, name.removeprefix("groundwork.")), one.name


def test_an_image_without_a_shell_is_asked_by_a_program_of_its_own_or_not_at_all() -> None:
    run = recorded({"monitoring": {}})
    of = {label(one, "workload"): one.plain for one in started(run)}
    assert of["loki"]["healthcheck"]["tests"][:3] == ["CMD", "/usr/bin/loki", "-health"] and of["loki"]["wait"] is True
    assert "healthcheck" not in of["shipper"] and of["shipper"]["wait"] is False and of["shipper"]["mustRun"] is True
    for name in ("loki", "shipper"):
        carried = [one for one in loaders(run) if one.name.startswith(f"shop-{name}-files") or f"-{name}-" in one.name]
        assert carried and not [up for one in carried for up in one.plain["uploads"] if up["file"].endswith(".sh")]


def test_what_runs_on_each_machine_is_told_its_name() -> None:
    for one in started(recorded({"monitoring": {}})):
        told = [env for env in one.plain.get("envs", []) if env.startswith("MACHINE=")]
        assert told == (["MACHINE=engine"] if label(one, "workload") in ("node-exporter", "shipper") else []), one.name


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
        # Nothing in the shipper's image could say that it is well: its alerts do.
        if label(one, "workload") != "shipper":
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
        once = label(one, "role") == "job" or one.name.endswith("-switch")
        assert one.plain["restart"] == ("no" if once else "unless-stopped"), one.name
        assert one.plain["mustRun"] is not once, one.name


def test_what_carries_files_never_runs_and_is_in_no_network(run: Recording) -> None:
    assert loaders(run)
    for one in loaders(run):
        said = one.plain
        assert said["mustRun"] is False and said["networkMode"] == "none", one.name
        (volume,) = said["volumes"]
        mounting = [
            other
            for other in started(run)
            if volume["volumeName"] in str(other.plain.get("volumes")) and other.provider == one.provider
        ]
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


def machine_of(run: Recording, one: Registration) -> str:
    """The machine whose engine a resource is made on, by its provider."""
    return run.by_urn(one.provider.rpartition("::")[0]).name.removeprefix("shop-engine-")


def test_each_machine_has_an_engine_that_is_reached_by_ssh_with_its_own_key(placed: Recording) -> None:
    engines = {one.name: one.plain for one in placed.of_type("pulumi:providers:docker")}
    assert engines.keys() == {
        f"shop-engine-{name}" for name in ("app-1", "app-2", "data-1", "cache-1", "monitoring-1")
    }
    said = engines["shop-engine-app-2"]
    assert said["host"] == "ssh://groundwork@app-2.example.com"
    assert HOST_KEY.split()[1] in str(said["sshOpts"]) and "StrictHostKeyChecking=yes" in str(said["sshOpts"])


def test_every_machine_runs_its_share_and_nothing_else(placed: Recording) -> None:
    found = Counter((machine_of(placed, one), label(one, "workload")) for one in started(placed))
    assert found == {
        ("app-1", "api-release"): 1,
        ("app-1", "api"): 1,
        ("app-2", "api"): 1,
        ("app-1", "web"): 1,
        ("app-2", "web"): 1,
        ("app-1", "worker"): 1,
        ("app-2", "worker"): 1,
        # One of each is its switch.
        ("app-1", "gateway"): 2,
        ("app-2", "gateway"): 2,
        ("data-1", "postgres"): 1,
        ("data-1", "postgres-accounts"): 1,
        ("data-1", "postgres-retire"): 1,
        ("cache-1", "redis"): 1,
        ("cache-1", "redis-accounts"): 1,
        ("cache-1", "redis-retire"): 1,
    }


def test_what_a_container_uses_is_on_its_own_engine(placed: Recording) -> None:
    made = {
        (machine_of(placed, one), one.plain["name"])
        for one in placed.registrations
        if one.type.endswith((":Network", ":Volume"))
    }
    for one in started(placed):
        machine, said = machine_of(placed, one), one.plain
        for network in said.get("networksAdvanced", ()):
            assert (machine, network["name"]) in made, one.name
        for volume in said.get("volumes", ()):
            assert (machine, volume["volumeName"]) in made, one.name
        assert one.name.startswith(f"shop-docker-{machine}-")


def test_images_are_pulled_by_the_engines_that_run_them(placed: Recording) -> None:
    images = placed.of_type(":RemoteImage")
    pulled = Counter((machine_of(placed, one), one.plain["name"].partition("@")[0]) for one in images)
    assert set(pulled.values()) == {1}
    assert {machine for machine, image in pulled if image.endswith("postgres")} == {"data-1"}
    assert {machine for machine, image in pulled if image.endswith("example/web")} == {"app-1", "app-2"}


def test_the_order_goes_over_all_machines(placed: Recording) -> None:
    for app in of(placed, "api"):
        waited = placed.before(app)
        assert {"shop-docker-data-1-postgres-accounts", "shop-docker-app-1-api-release"} <= waited
    (retire,) = of(placed, "postgres-retire")
    assert {switch(placed, "app-1").name, switch(placed, "app-2").name} <= placed.before(retire)


def test_one_gateway_after_the_other_is_replaced(placed: Recording) -> None:
    first, second = sorted(of(placed, "gateway"), key=lambda one: one.name)
    assert switch(placed, "app-1").name in placed.before(second)
    assert second.name not in placed.before(first) | placed.before(switch(placed, "app-1"))


def test_releases_of_apps_start_on_all_machines_at_once(placed: Recording) -> None:
    first, second = of(placed, "api")
    assert first.name not in placed.before(second) and second.name not in placed.before(first)


def test_a_door_is_published_at_its_machines_private_address(placed: Recording) -> None:
    (postgres,) = of(placed, "postgres")
    (port,) = postgres.plain["ports"]
    assert (port["ip"], port["internal"]) == ("10.9.0.21", 5432)
    on_data = [one for one in placed.of_type(":Network") if machine_of(placed, one) == "data-1"]
    networks = {one.plain["name"]: one.plain for one in on_data}
    # It answers there, and goes nowhere.
    closed = {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    assert networks["shop-test-postgres-machines"]["options"] == closed
    away = {
        str(one.plain.get("options"))
        for one in placed.of_type(":Network")
        if one.plain["name"] == "shop-test-worker-machines"
    }
    assert away == {"{}"}


def test_containers_are_told_with_their_machine(placed: Recording, plain: Recording) -> None:
    (stack,) = placed.of_type("groundwork:docker:Stack")
    assert stack.outputs
    told = stack.outputs["containers"]
    told = told.value if isinstance(told, Secret) else told
    assert {(one["machine"], one["workload"]) for one in told} >= {("app-1", "gateway"), ("data-1", "postgres")}
    (alone,) = plain.of_type("groundwork:docker:Stack")
    assert alone.outputs and not any("machine" in one for one in alone.outputs["containers"])


def test_programs_of_monitoring_run_on_all_machines_at_once(watched: Recording) -> None:
    assert Counter(machine_of(watched, one) for one in of(watched, "prometheus-agent")) == {
        "app-1": 1,
        "app-2": 1,
        "data-1": 1,
        "cache-1": 1,
    }
    for name in ("prometheus-agent", "node-exporter", "blackbox"):
        found = of(watched, name)
        assert len(found) >= 2
        for one in found:
            # One machine that does not answer keeps no other from being measured.
            assert {other.name for other in found} & watched.before(one) <= {one.name}


def test_prometheus_is_reached_by_the_agents_at_its_machines_private_address(watched: Recording) -> None:
    (server,) = of(watched, "prometheus")
    (port,) = server.plain["ports"]
    assert (machine_of(watched, server), port["ip"], port["internal"]) == ("monitoring-1", "10.9.0.41", 9090)
    for one in of(watched, "prometheus-agent"):
        networks = {network["name"] for network in one.plain["networksAdvanced"]}
        assert "shop-test-prometheus-agent-machines" in networks, one.name


def test_a_machine_is_seen_as_it_is_when_something_is_mounted_later(watched: Recording) -> None:
    for one in of(watched, "node-exporter"):
        (mount,) = one.plain["mounts"]
        assert (mount["source"], mount["readOnly"], mount["bindOptions"]) == ("/", True, {"propagation": "rslave"})


ACME_VALUES = {"entry": {"server_names": ["shop.example.com"], "acme": {"email": "ops@example.net"}}}


def test_the_gateway_only_reads_the_certificate_and_what_gets_it_keeps_it() -> None:
    run = recorded(ACME_VALUES)
    ways = {
        label(one, "workload"): (volume["containerPath"], volume.get("readOnly"))
        for one in started(run)
        for volume in one.plain["volumes"]
        if volume["volumeName"] == "shop-test-certificates-data"
    }
    assert ways == {"gateway": ("/var/lib/certificates", True), "certificates": ("/var/tmp", None)}
    assert run.named("shop-docker-certificates-data").options.retainOnDelete
    assert not run.named("shop-docker-gateway-live").options.retainOnDelete


def test_the_client_starts_when_the_gateway_leads_to_it_and_is_found_by_name() -> None:
    run = recorded(ACME_VALUES)
    (client,) = of(run, "certificates")
    assert switch(run).name in run.before(client)
    networks = {item["name"]: item.get("aliases") for item in client.plain["networksAdvanced"]}
    assert networks == {"shop-test-certificates": ["certificates"], "shop-test-certificates-egress": None}
