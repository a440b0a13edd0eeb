"""The simulated providers, asked as the engine asks them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import provider_pb2, status_pb2

import sim
from sim.inputs import property_names
from sim.types import PACKAGES, TYPES
from sim.values import UNKNOWN, Properties, is_secret, objects, plain, read, secret
from tests.provider_client import ProviderClient, connected

ROOT = Path(__file__).parents[2]
CONTAINER = "docker:index/container:Container"
NETWORK = "docker:index/network:Network"
VOLUME = "docker:index/volume:Volume"
PASSWORD = "random:index/randomPassword:RandomPassword"

WEB: Properties = {"image": "example@sha256:1", "name": "web", "networksAdvanced": [{"name": "front"}]}

Serve = Callable[[str], dict[str, ProviderClient]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """faults ─► a client of every package."""
    with ExitStack() as stack:

        def serving(faults: str) -> dict[str, ProviderClient]:
            parts = dict(part.split(":") for part in stack.enter_context(sim.serve(faults)).split(","))
            return {
                package: stack.enter_context(connected(f"127.0.0.1:{port}"))
                for package, port in parts.items()
            }

        yield serving


@pytest.fixture
def docker(serve: Serve) -> ProviderClient:
    return serve("")["docker"]


@pytest.fixture
def random(serve: Serve) -> ProviderClient:
    return serve("")["random"]


def created(
    client: ProviderClient, token: str, given: Properties, name: str = "thing"
) -> tuple[str, Properties]:
    inputs, failures = client.check(token, given)
    assert not failures
    return client.create(token, inputs, name)


def error_of(call: Callable[[], Any]) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return str(caught.value.details())


def test_the_table_names_only_known_properties() -> None:
    for token, row in TYPES.items():
        names = property_names(row.args)
        nested = row.replace_on | row.in_place_within | row.sets | row.needed | {*row.defaults, *row.immutable}
        tops = {path.split(".")[0] for path in nested} | row.computed_inputs | row.removal_ignored | row.refused
        assert tops | row.secret - row.computed <= names, token
        assert not row.computed & names, token


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"image": "x", "memori": 5}, ("memori", "did you mean memory?")),
        (
            {"image": "x", "ports": [{"internal": 80, "extrenal": 8}]},
            ("ports[0].extrenal", "did you mean external?"),
        ),
        (
            {"image": "x", "mounts": [secret({"type": "volume"})]},
            ("mounts[0].target", "required and missing"),
        ),
        ({"name": "x"}, ("image", "required and missing")),
    ],
)
def test_a_wrong_property_is_refused(
    docker: ProviderClient, given: Properties, expected: tuple[str, str]
) -> None:
    [(path, reason)] = docker.check(CONTAINER, given)[1]
    assert path == expected[0]
    assert reason.startswith(path) and expected[1] in reason


def test_an_unknown_type_names_the_table(docker: ProviderClient) -> None:
    [(_, reason)] = docker.check("docker:index/service:Service", {})[1]
    assert reason == "docker:index/service:Service is not simulated; add it to the table in sim/types/"


def test_free_maps_take_any_key(docker: ProviderClient) -> None:
    given: Properties = {"image": "x", "logOpts": {"max-size": "1m"}, "tmpfs": {"/tmp": "size=1m"}}
    assert docker.check(CONTAINER, given)[1] == []


def test_an_autoname_stays(docker: ProviderClient) -> None:
    first, _ = docker.check(NETWORK, {}, name="front")
    assert re.fullmatch(r"front-[0-9a-f]{7}", str(first["name"]))
    again, _ = docker.check(NETWORK, {}, {**first, "name": "front-0000000"}, name="front")
    assert again["name"] == "front-0000000"
    named, _ = docker.check(NETWORK, {"name": "mine"}, first, name="front")
    assert named["name"] == "mine"


@pytest.mark.parametrize(
    ("change", "path", "kind"),
    [
        ({"image": "other"}, "image", "UPDATE_REPLACE"),
        ({"image": UNKNOWN}, "image", "UPDATE_REPLACE"),
        ({"user": "1"}, "user", "ADD_REPLACE"),
        ({"networksAdvanced": None}, "networksAdvanced", "DELETE_REPLACE"),
        ({"networksAdvanced": [{"name": "front"}, {"name": "z"}]}, "networksAdvanced[1]", "ADD_REPLACE"),
        ({"networksAdvanced": [{"name": UNKNOWN}]}, "networksAdvanced[0].name", "UPDATE_REPLACE"),
        ({"memory": 5}, "memory", "ADD"),
        ({"restart": "always"}, "restart", "UPDATE"),
        ({"tmpfs": {"/tmp": "x"}}, "tmpfs", "ADD"),
        ({"healthcheck": {"tests": ["CMD", "x"]}}, "healthcheck", "ADD"),
        ({"envs": [secret("A=1")]}, "envs", "ADD_REPLACE"),
    ],
)
def test_a_change_is_an_update_or_a_replacement(
    docker: ProviderClient, change: Properties, path: str, kind: str
) -> None:
    identity, state = created(docker, CONTAINER, WEB)
    state.pop("envs")  # the simulated engine's empty list
    inputs, _ = docker.check(CONTAINER, {**WEB, **change})
    diffed = docker.diff(CONTAINER, state, inputs, identity=identity)
    assert diffed.kinds == {path: kind}
    assert diffed.deletes_first == kind.endswith("_REPLACE")


def test_the_same_inputs_are_no_change_even_in_another_order(docker: ProviderClient) -> None:
    given: Properties = {
        **WEB,
        "envs": [secret("A=1"), "B=2"],
        "networksAdvanced": [{"name": "a", "aliases": ["x", "y"]}, {"name": "b"}],
    }
    turned: Properties = {
        **WEB,
        "envs": ["B=2", "A=1"],
        "networksAdvanced": [{"name": "b"}, {"name": "a", "aliases": ["y", "x"]}],
    }
    identity, state = created(docker, CONTAINER, given)
    for other in (given, turned):
        inputs, _ = docker.check(CONTAINER, other)
        assert not docker.diff(CONTAINER, state, inputs, identity=identity).changed


def test_only_a_chosen_name_makes_a_network_go_before_its_replacement_comes(docker: ProviderClient) -> None:
    for given, first in (({"name": "mine"}, True), ({}, False)):
        inputs, _ = docker.check(NETWORK, dict(given))
        identity, state = docker.create(NETWORK, inputs)
        inputs, _ = docker.check(NETWORK, {**given, "internal": True}, inputs)
        assert docker.diff(NETWORK, state, inputs, identity=identity).deletes_first is first


def test_a_preview_knows_what_is_given_and_nothing_more(
    docker: ProviderClient, random: ProviderClient
) -> None:
    identity, outputs = docker.create(CONTAINER, docker.check(CONTAINER, WEB)[0], preview=True)
    assert identity == ""
    assert outputs["name"] == "web"
    assert {outputs[name] for name in ("networkDatas", "hostname", "exitCode")} == {UNKNOWN}
    _, outputs = random.create(PASSWORD, random.check(PASSWORD, {"length": 9})[0], preview=True)
    assert outputs["result"] == secret(UNKNOWN)


def test_what_is_created_is_visibly_simulated(docker: ProviderClient) -> None:
    identity, outputs = created(docker, CONTAINER, WEB)
    assert identity.startswith("simulated-")
    [network] = objects(outputs, "networkDatas")
    assert network["networkName"] == "front"
    assert str(network["ipAddress"]).startswith("192.0.2.")
    assert created(docker, VOLUME, {"name": "data"})[1]["mountpoint"] == "/simulated/data"


def test_secret_inputs_stay_secret(docker: ProviderClient) -> None:
    envs = ["A=1", secret("PASSWORD=x")]
    identity, outputs = created(docker, CONTAINER, {**WEB, "envs": list(envs), "user": secret("1")})
    assert outputs["envs"] == envs
    assert outputs["user"] == secret("1")
    updated = docker.update(CONTAINER, identity, outputs, {**WEB, "envs": list(envs), "user": secret("2")})
    assert updated["user"] == secret("2")


def test_a_password_obeys_its_rules_and_is_secret(random: ProviderClient) -> None:
    given: Properties = {"length": 12, "special": False, "lower": False, "upper": False, "minNumeric": 3}
    _, first = created(random, PASSWORD, given)
    _, second = created(random, PASSWORD, given)
    assert is_secret(first["result"]) and is_secret(first["bcryptHash"])
    assert re.fullmatch(r"\d{12}", str(plain(first["result"])))
    assert first["result"] != second["result"]
    _, special = created(random, PASSWORD, {"length": 8, "minSpecial": 8, "overrideSpecial": "+"})
    assert plain(special["result"]) == "++++++++"


def test_an_impossible_password_is_refused(random: ProviderClient) -> None:
    inputs, _ = random.check(PASSWORD, {"length": 3, "minUpper": 4})
    assert "length is 3" in error_of(lambda: random.create(PASSWORD, inputs))


def test_two_live_containers_cannot_have_one_name(docker: ProviderClient) -> None:
    identity, state = created(docker, CONTAINER, WEB)
    inputs, _ = docker.check(CONTAINER, WEB)
    assert 'the container name "web" is already in use' in error_of(lambda: docker.create(CONTAINER, inputs))
    docker.delete(CONTAINER, identity)
    identity, _ = docker.create(CONTAINER, inputs)
    docker.delete(CONTAINER, identity)
    docker.diff(CONTAINER, state, inputs, identity="from an earlier run")
    assert "from an earlier run" in error_of(lambda: docker.create(CONTAINER, inputs))


def test_subnets_of_live_networks_cannot_overlap(docker: ProviderClient) -> None:
    created(docker, NETWORK, {"name": "a", "ipamConfigs": [{"subnet": "10.1.0.0/28"}]})
    created(docker, NETWORK, {"name": "b", "ipamConfigs": [{"subnet": "10.1.0.16/28"}]})
    created(docker, NETWORK, {"name": "c"})
    created(docker, NETWORK, {"name": "d"})
    inputs, _ = docker.check(NETWORK, {"name": "e", "ipamConfigs": [{"subnet": "10.1.0.0/24"}]})
    assert "Pool overlaps" in error_of(lambda: docker.create(NETWORK, inputs))


def test_waiting_without_a_healthcheck_leaves_a_live_container(docker: ProviderClient) -> None:
    inputs, _ = docker.check(CONTAINER, {**WEB, "wait": True})
    with pytest.raises(grpc.RpcError) as caught:
        docker.create(CONTAINER, inputs)
    detail = init_failure(caught.value)
    assert detail.id.startswith("simulated-")
    assert "no healthcheck is defined" in detail.reasons[0]
    created(docker, CONTAINER, {**WEB, "name": "never started", "wait": True, "start": False})


def init_failure(error: grpc.RpcError) -> provider_pb2.ErrorResourceInitFailed:
    """The details that make the engine keep a resource whose initialization failed."""
    assert error.code() is grpc.StatusCode.UNKNOWN
    metadata: Any = error.trailing_metadata()
    [packed] = [value for name, value in metadata if name == "grpc-status-details-bin"]
    status = status_pb2.Status.FromString(packed)
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    return detail


def test_the_nth_operation_fails_over_all_packages(serve: Serve) -> None:
    clients = serve("fail:create:2, fail:delete:1")
    docker, random = clients["docker"], clients["random"]
    docker.create(CONTAINER, docker.check(CONTAINER, WEB)[0], preview=True)
    identity, _ = created(docker, CONTAINER, WEB)
    inputs, _ = random.check(PASSWORD, {"length": 9})
    assert "create number 2" in error_of(lambda: random.create(PASSWORD, inputs, "pw"))
    random.create(PASSWORD, inputs, "pw")
    assert "delete number 1" in error_of(lambda: docker.delete(CONTAINER, identity))


def test_a_failed_initialization_carries_the_live_resource(serve: Serve) -> None:
    docker = serve(f"init:create:{CONTAINER}/api-")["docker"]
    created(docker, CONTAINER, WEB, "web-1")
    inputs, _ = docker.check(CONTAINER, {**WEB, "name": "api"})
    with pytest.raises(grpc.RpcError) as caught:
        docker.create(CONTAINER, inputs, "api-1")
    detail = init_failure(caught.value)
    assert read(detail.properties)["name"] == "api"
    assert "api-1 never got ready" in detail.reasons[0]


@pytest.mark.parametrize("text", ["fail", "fail:create", "fail:create:0", "burn:create:1", "init:delete:1"])
def test_a_fault_that_cannot_be_read_is_refused(text: str) -> None:
    with (
        pytest.raises(ValueError, match=f"cannot read '{text}'; write KIND:OPERATION:WHICH"),
        sim.serve(text),
    ):
        pass


def test_the_engine_is_told_the_version_that_the_sdk_wants(docker: ProviderClient) -> None:
    assert docker.stub.GetPluginInfo(Empty()).version == sim.server.sdk_version("docker")


def test_a_process_of_its_own_dies_when_ordered_and_ends_when_interrupted() -> None:
    command = [sys.executable, "-m", "sim"]

    def start(faults: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "GROUNDWORK_SIM_FAULTS": faults}
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)

    with start("die:create:1") as process:
        assert process.stdout is not None
        ports = dict(part.split(":") for part in process.stdout.readline().strip().split(","))
        with connected(f"127.0.0.1:{ports['docker']}") as client, pytest.raises(grpc.RpcError):
            created(client, NETWORK, {"name": "x"})
        assert process.wait(timeout=10) == 70
    with start("") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"{min(PACKAGES)}:")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0
