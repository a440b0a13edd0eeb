"""The simulated providers give the engine the same answers as the real plugins, where those are installed.

A plugin is taken from PATH, from $PULUMI_HOME, from the checkout's own home or from ~/.pulumi. It answers
Check, Diff, GetSchema and previews without a Docker engine, so nothing is created. The kubernetes plugin answers
before an API server alone: tests/cluster/test_sim_matches_plugin.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import provider_pb2

from sim.inputs import property_names, required_names
from sim.types import TYPES
from sim.values import UNKNOWN, Json, Properties
from tests.provider_client import Diffed, ProviderClient, real_and_simulated

ROOT = Path(__file__).parents[2]
CONTAINER = "docker:index/container:Container"
NETWORK = "docker:index/network:Network"
VOLUME = "docker:index/volume:Volume"
IMAGE = "docker:index/remoteImage:RemoteImage"
PASSWORD = "random:index/randomPassword:RandomPassword"

MOUNT: Properties = {"type": "volume", "source": "data", "target": "/data"}

BASE: dict[str, Properties] = {
    CONTAINER: {
        "image": "example@sha256:1",
        "name": "web",
        "envs": ["A=1", "B=2"],
        "capabilities": {"drops": ["ALL"], "adds": ["CHOWN"]},
        "healthcheck": {"tests": ["CMD", "true"], "interval": "5s"},
        "hostname": "web",
        "labels": [{"label": "a", "value": "1"}],
        "logOpts": {"max-size": "10m"},
        "mounts": [MOUNT],
        "networksAdvanced": [{"name": "front", "aliases": ["x", "y"]}, {"name": "back"}],
        "ports": [{"internal": 80, "external": 8080}],
        "tmpfs": {"/tmp": "size=1m"},
        "uploads": [{"file": "/etc/x", "content": "x"}],
        "memory": 64,
        "dns": ["192.0.2.53"],
        "ulimits": [{"name": "nofile", "soft": 1, "hard": 2}],
        "user": "10001",
    },
    NETWORK: {
        "name": "front",
        "internal": True,
        "ipamConfigs": [{"subnet": "10.1.0.0/28"}],
        "labels": [{"label": "a", "value": "1"}],
    },
    VOLUME: {"name": "data", "labels": [{"label": "a", "value": "1"}], "driverOpts": {"type": "nfs"}},
    IMAGE: {"name": "example:1", "keepLocally": True, "triggers": {"a": "1"}},
    PASSWORD: {"length": 20, "keepers": {"generation": "1"}, "special": False, "minUpper": 2},
}

SCALARS: dict[str, Json] = {"string": "x", "boolean": True, "integer": 7, "number": 7}

# Where not every text or number is valid.
VALID: dict[str, Json] = {
    "rate": 1000,
    "volumes": [{"containerPath": "/x", "volumeName": "data"}],
    "networksAdvanced": [{"name": "front"}],
    "capabilities": {"adds": ["CHOWN"]},
    "cgroupnsMode": "host",
    "cpuSet": "0",
    "cpus": "1.5",
    "deviceRequests": [{"count": 1}],
    "ports": [{"internal": 80, "external": 8080}],
    "mounts": [MOUNT],
    "gpus": "all",
    "healthcheck": {"tests": ["CMD", "true"]},
    "hosts": [{"host": "a", "ip": "192.0.2.7"}],
    "ipamConfigs": [{"subnet": "10.1.0.0/28"}],
    "ipcMode": "host",
    "logDriver": "syslog",
    "restart": "always",
    "ulimits": [{"name": "nofile", "soft": 1, "hard": 2}],
    "uploads": [{"file": "/x", "content": "x"}],
}

# Each change is laid over BASE; None takes a property away.
CHANGES: list[tuple[str, Properties]] = [
    *((token, {}) for token in BASE),
    (CONTAINER, {"name": "web2"}),
    (CONTAINER, {"image": UNKNOWN}),
    (CONTAINER, {"envs": ["B=2", "A=1"]}),
    (CONTAINER, {"envs": ["A=1", "B=3"]}),
    (CONTAINER, {"envs": None}),
    (CONTAINER, {"command": ["serve"]}),
    (CONTAINER, {"hostname": None}),
    (CONTAINER, {"capabilities": {"drops": ["ALL"]}}),
    (CONTAINER, {"capabilities": None}),
    (CONTAINER, {"healthcheck": {"tests": ["CMD", "false"], "interval": "5s"}}),
    (CONTAINER, {"healthcheck": None}),
    (CONTAINER, {"init": True}),
    (CONTAINER, {"labels": [{"label": "a", "value": "2"}]}),
    (CONTAINER, {"labels": [{"label": "b", "value": "2"}, {"label": "a", "value": "1"}]}),
    (CONTAINER, {"logOpts": {"max-size": "20m"}}),
    (CONTAINER, {"mounts": [{**MOUNT, "target": "/other"}]}),
    (CONTAINER, {"mounts": [{**MOUNT, "source": UNKNOWN}]}),
    (CONTAINER, {"mounts": [{**MOUNT, "readOnly": True}]}),
    (CONTAINER, {"mounts": [MOUNT, {**MOUNT, "target": "/other"}]}),
    (CONTAINER, {"mounts": None}),
    (CONTAINER, {"networksAdvanced": [{"name": "back"}, {"name": "front", "aliases": ["y", "x"]}]}),
    (CONTAINER, {"networksAdvanced": [{"name": "front", "aliases": ["x", "y"]}]}),
    (CONTAINER, {"networksAdvanced": [{"name": "front", "aliases": ["z"]}, {"name": "back"}]}),
    (CONTAINER, {"ports": [{"internal": 80, "external": 8081}]}),
    (CONTAINER, {"ports": [{"internal": 80, "external": 8080}, {"internal": 81, "external": 8081}]}),
    (CONTAINER, {"tmpfs": {"/tmp": "size=2m", "/run": "size=1m"}}),
    (CONTAINER, {"tmpfs": None}),
    (CONTAINER, {"uploads": [{"file": "/etc/x", "content": "y"}]}),
    (CONTAINER, {"ulimits": [{"name": "nofile", "soft": 1, "hard": 3}]}),
    (CONTAINER, {"memory": 65}),
    (CONTAINER, {"memory": None}),
    (CONTAINER, {"restart": "always"}),
    (CONTAINER, {"readOnly": True}),
    (CONTAINER, {"wait": True, "waitTimeout": 90}),
    (CONTAINER, {"user": UNKNOWN}),
    (CONTAINER, {"user": None}),
    (CONTAINER, {"destroyGraceSeconds": 30}),
    (NETWORK, {"name": "front2"}),
    (NETWORK, {"internal": False}),
    (NETWORK, {"internal": None}),
    (NETWORK, {"ipamConfigs": [{"subnet": "10.1.0.16/28"}]}),
    (NETWORK, {"ipamConfigs": None}),
    (NETWORK, {"options": {"com.docker.network.bridge.inhibit_ipv4": "true"}}),
    (NETWORK, {"labels": None}),
    (VOLUME, {"name": UNKNOWN}),
    (VOLUME, {"labels": [{"label": "a", "value": "2"}]}),
    (VOLUME, {"driverOpts": {"type": "tmpfs"}}),
    (IMAGE, {"name": "example:2"}),
    (IMAGE, {"keepLocally": False}),
    (IMAGE, {"keepLocally": None}),
    (IMAGE, {"triggers": {"a": "2"}}),
    (PASSWORD, {"length": 21}),
    (PASSWORD, {"keepers": {"generation": "2"}}),
    (PASSWORD, {"keepers": None}),
    (PASSWORD, {"special": True}),
    (PASSWORD, {"special": None}),
    (PASSWORD, {"minUpper": 3}),
    (PASSWORD, {"overrideSpecial": "!"}),
]


def plugin_path(package: str) -> Path | None:
    name = f"pulumi-resource-{package}"
    if on_path := shutil.which(name):
        return Path(on_path)
    homes = [os.environ.get("PULUMI_HOME"), str(ROOT / ".groundwork/home"), str(Path.home() / ".pulumi")]
    found = [
        path for home in homes if home for path in Path(home).glob(f"plugins/resource-{package}-v*/{name}")
    ]
    return found[0] if found else None


@pytest.fixture(scope="module", params=("docker", "random"))
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[str, ProviderClient, ProviderClient]]:
    """A package, its real plugin and its simulation."""
    package: str = request.param
    path = plugin_path(package)
    if path is None:
        pytest.skip(
            f"pulumi-resource-{package} is neither on PATH nor in a Pulumi home: nothing to compare with"
        )
    with real_and_simulated(path, package) as (real, simulated):
        real.stub.Configure(provider_pb2.ConfigureRequest(acceptSecrets=True, acceptResources=True))
        yield package, real, simulated


def of_package(package: str) -> list[str]:
    return [token for token in TYPES if token.startswith(f"{package}:")]


def test_names_and_versions(pair: tuple[str, ProviderClient, ProviderClient]) -> None:
    package, real, simulated = pair
    assert (
        real.stub.GetPluginInfo(Empty()).version.split(".")[:2]
        == (simulated.stub.GetPluginInfo(Empty()).version.split(".")[:2])
    )
    schema = json.loads(real.stub.GetSchema(provider_pb2.GetSchemaRequest()).schema)["resources"]
    for token in of_package(package):
        row, described = TYPES[token], schema[token]
        inputs, outputs = described["inputProperties"], described["properties"]
        assert property_names(row.args) == set(inputs), token
        assert required_names(row.args) == set(described.get("requiredInputs", ())), token
        assert row.computed == outputs.keys() - inputs.keys(), token
        assert row.secret == {name for name, it in outputs.items() if it.get("secret")}, token


def test_schema_flags_of_docker(pair: tuple[str, ProviderClient, ProviderClient]) -> None:
    """pulumi-random's schema has neither flag: its plan modifiers are code, which Diff shows below."""
    package, real, _ = pair
    if package != "docker":
        pytest.skip("the schema of this package does not say what replaces")
    schema = json.loads(real.stub.GetSchema(provider_pb2.GetSchemaRequest()).schema)["resources"]
    for token in of_package(package):
        row, inputs = TYPES[token], schema[token]["inputProperties"]
        assert row.replace_on == {name for name, it in inputs.items() if it.get("willReplaceOnChanges")}, (
            token
        )
        filled_in = set(schema[token]["required"]) & inputs.keys() - required_names(row.args)
        assert row.computed_inputs | ({row.autoname.property} if row.autoname else set()) == filled_in, token


def test_checked_inputs(pair: tuple[str, ProviderClient, ProviderClient]) -> None:
    package, real, simulated = pair
    for token in of_package(package):
        for given in (BASE[token], {name: BASE[token][name] for name in required_names(TYPES[token].args)}):
            expected, failures = real.check(token, given)
            assert not failures
            actual, _ = simulated.check(token, given)
            if TYPES[token].autoname and "name" not in given:
                assert all(
                    re.fullmatch("thing-[0-9a-f]{7}", str(it.pop("name"))) for it in (expected, actual)
                )
            if package == "docker":  # the real random plugin keeps its defaults out of the inputs
                assert _without_notes(actual) == _without_notes(expected), token
                assert actual["__defaults"] == expected["__defaults"], token


def test_refused_inputs(pair: tuple[str, ProviderClient, ProviderClient]) -> None:
    package, real, simulated = pair
    for token in of_package(package):
        missing = [{**BASE[token], name: None} for name in required_names(TYPES[token].args)]
        for given in ({**BASE[token], "nmae": "x"}, *missing):
            assert simulated.check(token, given)[1], (token, given)
            if (
                package == "docker"
            ):  # the real random plugin lets an unknown property pass; the simulation does not
                assert real.check(token, given)[1], (token, given)


def test_diffs(pair: tuple[str, ProviderClient, ProviderClient]) -> None:
    package, real, simulated = pair
    old = {token: real.check(token, BASE[token])[0] for token in of_package(package)}
    states = {token: _states(token, old[token], real, simulated) for token in old}
    for token, change in CHANGES:
        if token not in old:
            continue
        new, _ = real.check(token, {**BASE[token], **change}, old[token])
        real_state, simulated_state = states[token]
        expected, actual = real.diff(token, real_state, new), simulated.diff(token, simulated_state, new)
        assert actual.changed == expected.changed, (token, change, expected, actual)
        assert actual.replaces == expected.replaces, (token, change, expected, actual)
        if expected.kinds:  # the real random plugin gives no detailed diff
            assert _changed(actual) == _changed(expected), (token, change, expected, actual)
        assert actual.deletes_first == expected.deletes_first, (token, change, expected, actual)


def test_every_input_given_and_taken_away(pair: tuple[str, ProviderClient, ProviderClient]) -> None:
    package, real, simulated = pair
    schema = json.loads(real.stub.GetSchema(provider_pb2.GetSchemaRequest()).schema)
    for token in of_package(package):
        described = schema["resources"][token]["inputProperties"]
        least = {name: _sample(schema, described[name], name) for name in required_names(TYPES[token].args)}
        if TYPES[token].autoname:
            least["name"] = "thing"
        for name in (
            described.keys() - least.keys() - TYPES[token].refused - {"wait"}
        ):  # wait takes a healthcheck
            most = {**least, name: _sample(schema, described[name], name)}
            for before, after in ((least, most), (most, least), (most, most)):
                old, new = _checked(real, token, before), _checked(real, token, after)
                real_state, simulated_state = _states(token, old, real, simulated)
                expected, actual = (
                    real.diff(token, real_state, new),
                    simulated.diff(token, simulated_state, new),
                )
                simulated.delete(token, "id")  # the simulation takes what Diff asks about for live
                assert (actual.changed, actual.replaces, actual.deletes_first) == (
                    expected.changed,
                    expected.replaces,
                    expected.deletes_first,
                ), (token, name, before, after)


def _checked(real: ProviderClient, token: str, given: Properties) -> Properties:
    inputs, failures = real.check(token, given)
    assert not failures, (token, given, failures)
    return inputs


def _sample(schema: dict[str, Any], described: dict[str, Any], name: str) -> Json:
    """A value that the schema, and the real plugin's validation, allow."""
    if name in VALID:
        return VALID[name]
    if "$ref" in described:
        properties = schema["types"][described["$ref"].removeprefix("#/types/").replace("%2F", "/")][
            "properties"
        ]
        return {key: _sample(schema, it, key) for key, it in properties.items() if it.get("type") in SCALARS}
    if described["type"] == "array":
        return [_sample(schema, described["items"], "")]
    samples: dict[str, Json] = {
        "object": {"k": "v"},
        "string": "x",
        "boolean": True,
        "integer": 7,
        "number": 7,
    }
    return samples[described["type"]]


def test_previews(pair: tuple[str, ProviderClient, ProviderClient]) -> None:
    """What is unknown in the preview of a new resource is the same."""
    package, real, simulated = pair
    for token in of_package(package):
        given, _ = real.check(token, BASE[token])
        expected, actual = (client.create(token, given, preview=True)[1] for client in (real, simulated))
        # number is the deprecated twin of numeric, and all that the simulation does not know early
        assert _unknown(actual) - {"number"} == _unknown(expected) - {"id"}, token


def _unknown(values: Properties) -> set[str]:
    return {name for name, value in values.items() if UNKNOWN in json.dumps(value)}


def _changed(diffed: Diffed) -> set[tuple[str, bool]]:
    """The top-level properties that changed, and whether that replaces."""
    return {(re.split(r"[.\[]", path)[0], kind.endswith("_REPLACE")) for path, kind in diffed.kinds.items()}


def _states(
    token: str, inputs: Properties, real: ProviderClient, simulated: ProviderClient
) -> tuple[Properties, Properties]:
    """What the real plugin and the simulation would have in the state.

    The real one must create nothing: its planned state is completed with simulated values for the unknown.
    """
    planned = real.create(token, inputs, preview=True)[1]
    identity, outputs = simulated.create(token, inputs)
    simulated.delete(token, identity)
    known = {name: value for name, value in planned.items() if UNKNOWN not in json.dumps(value)}
    return {**outputs, **known, "id": identity}, outputs


def _without_notes(value: Json) -> Json:
    """Without `__defaults`, which the simulation notes at the top only."""
    if isinstance(value, list):
        return [_without_notes(item) for item in value]
    if isinstance(value, dict):
        return {name: _without_notes(item) for name, item in value.items() if name != "__defaults"}
    return value
