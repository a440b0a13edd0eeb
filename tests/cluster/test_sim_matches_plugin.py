"""The simulated kubernetes provider gives the engine the same answers as the real plugin before a real API server.

Where the plugin is missing, these tests are skipped. Objects stay in the namespace `default` of the tests' own cluster.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import grpc
import pytest
import yaml
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import provider_pb2

from sim.inputs import property_names, required_names
from sim.types.kubernetes import TYPES
from sim.values import Json, Properties, is_secret, plain
from tests.provider_client import ProviderClient, real_and_simulated

PLUGIN = "pulumi-resource-kubernetes"
AT_ONCE: Properties = {"pulumi.com/skipAwait": "true"}
GATEWAY_API = "gateway.networking.k8s.io"
LABELS: Properties = {"app": "sim"}
SELECTOR: Properties = {"matchLabels": LABELS}
POD: Properties = {
    "metadata": {"labels": LABELS},
    "spec": {
        "containers": [{"name": "web", "image": "example:1", "env": [{"name": "A", "value": "1"}]}],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    },
}
ONCE: Properties = {"metadata": {"labels": LABELS}, "spec": {**plain(POD["spec"]), "restartPolicy": "Never"}}  # type: ignore[dict-item]

SPECS: Mapping[str, Properties] = {
    "apps/v1:Deployment": {"spec": {"replicas": 1, "selector": SELECTOR, "template": POD}},
    "apps/v1:StatefulSet": {
        "spec": {
            "replicas": 1,
            "serviceName": "sim",
            "podManagementPolicy": "Parallel",
            "revisionHistoryLimit": 3,
            "selector": SELECTOR,
            "template": POD,
        }
    },
    "autoscaling/v2:HorizontalPodAutoscaler": {
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "sim"},
            "minReplicas": 1,
            "maxReplicas": 2,
        }
    },
    "batch/v1:CronJob": {"spec": {"schedule": "0 1 * * *", "jobTemplate": {"spec": {"template": ONCE}}}},
    "batch/v1:Job": {"spec": {"backoffLimit": 3, "template": ONCE}},
    "core/v1:ConfigMap": {"data": {"a.conf": "1", "b": "2"}},
    "core/v1:LimitRange": {"spec": {"limits": [{"type": "Container", "max": {"memory": "1Gi"}}]}},
    "core/v1:Namespace": {},
    "core/v1:PersistentVolumeClaim": {
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "10Gi"}},
            "storageClassName": "slow",
            "volumeName": "none",
        }
    },
    "core/v1:ResourceQuota": {"spec": {"hard": {"pods": "4"}}},
    "core/v1:Secret": {"type": "Opaque", "stringData": {"password": "x"}},
    "core/v1:Service": {
        "spec": {"type": "ClusterIP", "selector": LABELS, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
    },
    "core/v1:ServiceAccount": {"automountServiceAccountToken": False},
    f"{GATEWAY_API}/v1:Gateway": {
        "spec": {"gatewayClassName": "a", "listeners": [{"name": "http", "protocol": "HTTP", "port": 80}]}
    },
    f"{GATEWAY_API}/v1:HTTPRoute": {"spec": {"hostnames": ["example.com"]}},
    "networking.k8s.io/v1:Ingress": {
        "spec": {"ingressClassName": "a", "defaultBackend": {"service": {"name": "sim", "port": {"number": 80}}}}
    },
    "networking.k8s.io/v1:NetworkPolicy": {"spec": {"podSelector": SELECTOR, "policyTypes": ["Ingress"]}},
    "policy/v1:PodDisruptionBudget": {"spec": {"maxUnavailable": 1, "selector": SELECTOR}},
    "scheduling.k8s.io/v1:PriorityClass": {"value": 1000, "description": "x", "preemptionPolicy": "Never"},
}
GLOBAL = ("Namespace", "PriorityClass")

# A dotted path below the object, and its new value; None takes it away.
CHANGES: list[tuple[str, str, Json]] = [
    *((kind, "metadata.labels.app", "other") for kind in SPECS),
    *((kind, "metadata.annotations.note", "x") for kind in SPECS),
    *((kind, "metadata.name", "other") for kind in SPECS),
    *((kind, "metadata.namespace", "kube-public") for kind in SPECS if not kind.endswith(GLOBAL)),
    ("apps/v1:Deployment", "spec.replicas", 2),
    ("apps/v1:Deployment", "spec.replicas", None),
    ("apps/v1:Deployment", "spec.selector.matchLabels", {"app": "sim", "b": "c"}),
    ("apps/v1:Deployment", "spec.template.spec.containers.0.image", "example:2"),
    ("apps/v1:Deployment", "spec.template.spec.containers.0.env", None),
    ("apps/v1:Deployment", "spec.template.spec.containers.0.env", [{"name": "A", "value": "2"}]),
    ("apps/v1:Deployment", "spec.template.spec.volumes", None),
    ("apps/v1:Deployment", "spec.strategy", {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2}}),
    ("apps/v1:StatefulSet", "spec.replicas", 2),
    ("apps/v1:StatefulSet", "spec.serviceName", "other"),
    ("apps/v1:StatefulSet", "spec.podManagementPolicy", "OrderedReady"),
    ("apps/v1:StatefulSet", "spec.revisionHistoryLimit", 4),
    ("apps/v1:StatefulSet", "spec.selector.matchLabels", {"app": "sim", "b": "c"}),
    ("apps/v1:StatefulSet", "spec.template.spec.containers.0.image", "example:2"),
    ("apps/v1:StatefulSet", "spec.updateStrategy", {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}),
    ("apps/v1:StatefulSet", "spec.minReadySeconds", 5),
    ("autoscaling/v2:HorizontalPodAutoscaler", "spec.maxReplicas", 3),
    ("autoscaling/v2:HorizontalPodAutoscaler", "spec.scaleTargetRef.name", "other"),
    ("batch/v1:CronJob", "spec.schedule", "0 2 * * *"),
    ("batch/v1:CronJob", "spec.jobTemplate.spec.template.spec.containers.0.image", "example:2"),
    ("batch/v1:Job", "spec.backoffLimit", 4),
    ("batch/v1:Job", "spec.activeDeadlineSeconds", 60),
    ("batch/v1:Job", "spec.parallelism", 2),
    ("batch/v1:Job", "spec.completions", 2),
    ("batch/v1:Job", "spec.completionMode", "Indexed"),
    ("batch/v1:Job", "spec.template.spec.containers.0.image", "example:2"),
    ("core/v1:ConfigMap", "data.b", "3"),
    ("core/v1:ConfigMap", "data", {"b": "2"}),
    ("core/v1:ConfigMap", "data", None),
    ("core/v1:ConfigMap", "immutable", True),
    ("core/v1:LimitRange", "spec.limits.0.max.memory", "2Gi"),
    ("core/v1:PersistentVolumeClaim", "spec.accessModes", ["ReadWriteMany"]),
    ("core/v1:PersistentVolumeClaim", "spec.storageClassName", "fast"),
    ("core/v1:PersistentVolumeClaim", "spec.volumeName", "disk"),
    ("core/v1:PersistentVolumeClaim", "spec.volumeMode", "Block"),
    ("core/v1:PersistentVolumeClaim", "spec.resources.requests.storage", "5Gi"),
    ("core/v1:ResourceQuota", "spec.hard.pods", "5"),
    ("core/v1:ResourceQuota", "spec.scopes", ["BestEffort"]),
    ("core/v1:Secret", "stringData.password", "y"),
    ("core/v1:Secret", "type", "example.com/other"),
    ("core/v1:Secret", "immutable", True),
    ("core/v1:Service", "spec.type", "NodePort"),
    ("core/v1:Service", "spec.clusterIP", "None"),
    ("core/v1:Service", "spec.ports.0.port", 81),
    ("core/v1:Service", "spec.selector.app", "other"),
    ("core/v1:ServiceAccount", "automountServiceAccountToken", True),
    (f"{GATEWAY_API}/v1:Gateway", "spec.gatewayClassName", "b"),
    (f"{GATEWAY_API}/v1:Gateway", "spec.listeners.0.port", 81),
    (f"{GATEWAY_API}/v1:HTTPRoute", "spec.hostnames", ["example.org"]),
    ("networking.k8s.io/v1:Ingress", "spec.ingressClassName", "b"),
    ("networking.k8s.io/v1:Ingress", "spec.defaultBackend.service.name", "other"),
    ("networking.k8s.io/v1:NetworkPolicy", "spec.podSelector.matchLabels.app", "other"),
    ("networking.k8s.io/v1:NetworkPolicy", "spec.policyTypes", ["Ingress", "Egress"]),
    ("policy/v1:PodDisruptionBudget", "spec.maxUnavailable", 2),
    ("policy/v1:PodDisruptionBudget", "spec.selector.matchLabels.app", "other"),
    ("scheduling.k8s.io/v1:PriorityClass", "value", 1001),
    ("scheduling.k8s.io/v1:PriorityClass", "preemptionPolicy", "PreemptLowerPriority"),
    ("scheduling.k8s.io/v1:PriorityClass", "description", "y"),
]
SIZE = "spec.resources.requests.storage"
"""The simulation takes every claim for bound; those here are not, so they can't grow, and the words are others."""


class HasKubeconfig(Protocol):
    kubeconfig: Path


@dataclass(frozen=True)
class Pair:
    """The real plugin and the simulation."""

    real: ProviderClient
    simulated: ProviderClient


@pytest.fixture(scope="module")
def pair(cluster: HasKubeconfig) -> Iterator[Pair]:
    """As components/ configures it."""
    with both(cluster, upsertExistingObjects="true") as pair:
        yield pair


@contextmanager
def both(cluster: HasKubeconfig, **settings: str) -> Iterator[Pair]:
    path = shutil.which(PLUGIN)
    if path is None:
        pytest.skip(f"{PLUGIN} is not on PATH: nothing to compare with")
    settings |= {"kubeconfig": str(cluster.kubeconfig), "context": contexts(cluster)[0]}
    with real_and_simulated(path, "kubernetes") as (real, simulated):
        for one in (real, simulated):
            one.configure(**settings)
        yield Pair(real, simulated)


def contexts(cluster: HasKubeconfig) -> list[str]:
    return [one["name"] for one in yaml.safe_load(cluster.kubeconfig.read_text())["contexts"]]


def token(kind: str) -> str:
    return f"kubernetes:{kind}"


def given(kind: str, name: str = "sim") -> Properties:
    group, _, last = kind.partition("/")
    version, _, word = last.partition(":")
    metadata: Properties = {"name": name, "labels": dict(LABELS), "annotations": dict(AT_ONCE)}
    if word not in GLOBAL:
        metadata["namespace"] = "default"
    api_version = version if group == "core" else f"{group}/{version}"
    return {"apiVersion": api_version, "kind": word, "metadata": metadata, **deepcopy(SPECS[kind])}


def changed(values: Properties, path: str, new: Json) -> Properties:
    copy = deepcopy(values)
    *above, last = path.split(".")
    place: Any = copy
    for name in above:
        place = place[int(name)] if isinstance(place, list) else place[name]
    if new is None:
        del place[last]
    else:
        place[last] = new
    return copy


def checked(client: ProviderClient, kind: str, values: Properties) -> Properties:
    inputs, failures = client.check(token(kind), values)
    assert not failures, failures
    return inputs


def refusal(client: ProviderClient, kind: str, identity: str, state: Properties, inputs: Properties) -> str | None:
    """What a preview of an update says, where it fails."""
    try:
        client.update(token(kind), identity, state, inputs, preview=True)
    except grpc.RpcError as error:
        return str(error.details())
    return None


@pytest.fixture(scope="module")
def made(pair: Pair) -> dict[str, tuple[Properties, Properties]]:
    """One object of each kind, by its kind: what the plugin and the simulation keep of it."""
    found = {}
    for kind in SPECS:
        states = []
        for client in (pair.real, pair.simulated):
            inputs = checked(client, kind, given(kind))
            if kind.startswith(GATEWAY_API) and client is pair.real:  # the cluster needs no definition of it
                states.append({**inputs, "__inputs": inputs})
                continue
            identity, state = client.create(token(kind), inputs)
            assert identity == identity_of(kind)
            states.append(state)
        found[kind] = (states[0], states[1])
    return found


def identity_of(kind: str, name: str = "sim") -> str:
    return name if kind.endswith(GLOBAL) else f"default/{name}"


def test_every_row_is_compared() -> None:
    assert {token(kind) for kind in SPECS} == set(TYPES)


def test_names_and_version(pair: Pair) -> None:
    assert pair.real.stub.GetPluginInfo(Empty()).version == pair.simulated.stub.GetPluginInfo(Empty()).version
    schema = json.loads(pair.real.stub.GetSchema(provider_pb2.GetSchemaRequest()).schema)["resources"]
    for name, row in TYPES.items():
        if GATEWAY_API not in name:
            assert property_names(row.args) == set(schema[name]["inputProperties"]), name
            assert required_names(row.args) == set(schema[name].get("requiredInputs", ())), name


@pytest.mark.parametrize("kind", SPECS)
def test_checked_inputs(pair: Pair, kind: str) -> None:
    metadata: Properties = {"name": "sim"}
    for values in (given(kind), {**given(kind), "metadata": metadata}):
        expected, actual = checked(pair.real, kind, values), checked(pair.simulated, kind, values)
        actual.pop("__defaults")
        assert actual == expected


@pytest.mark.parametrize(("kind", "path", "new"), CHANGES)
def test_changes(pair: Pair, made: dict[str, tuple[Properties, Properties]], kind: str, path: str, new: Json) -> None:
    """Replacements are the plugin's, and what fails is the API server's: also where the plugin would have replaced."""
    real_state, simulated_state = made[kind]
    identity = identity_of(kind)
    inputs = checked(pair.real, kind, changed(given(kind), path, new))
    expected = pair.real.diff(token(kind), real_state, inputs, identity=identity)
    actual = pair.simulated.diff(token(kind), simulated_state, inputs, identity=identity)
    assert (actual.changed, actual.deletes_first) == (expected.changed, expected.deletes_first)
    assert actual.kinds == expected.kinds
    if kind.startswith(GATEWAY_API) or path in ("metadata.name", "metadata.namespace"):
        return  # no definition of it, and another object
    wanted = refusal(pair.real, kind, identity, real_state, inputs)
    said = refusal(pair.simulated, kind, identity, simulated_state, inputs)
    assert (said is None) == (wanted is None), wanted or said
    if said and wanted and path != SIZE:
        assert said.partition(": ")[0] in wanted
        assert said.rpartition(": ")[2] in wanted


@pytest.mark.parametrize("kind", [kind for kind in SPECS if kind.endswith((":ConfigMap", ":Secret"))])
def test_what_is_frozen(pair: Pair, kind: str) -> None:
    data = "data.b" if kind.endswith("ConfigMap") else "stringData.password"
    frozen = changed(given(kind, "frozen"), "immutable", True)
    states = [client.create(token(kind), checked(client, kind, frozen))[1] for client in (pair.real, pair.simulated)]
    for path, new in ((data, "3"), ("immutable", None), ("metadata.labels.app", "other")):
        inputs = checked(pair.real, kind, changed(frozen, path, new))
        messages = [
            refusal(client, kind, "default/frozen", state, inputs)
            for client, state in zip((pair.real, pair.simulated), states, strict=True)
        ]
        assert (messages[0] is None) == (messages[1] is None) == path.startswith("metadata"), (path, messages)


def test_a_secrets_content_is_secret_in_inputs_and_state(
    pair: Pair, made: dict[str, tuple[Properties, Properties]]
) -> None:
    for client, state in zip((pair.real, pair.simulated), made["core/v1:Secret"], strict=True):
        inputs = checked(client, "core/v1:Secret", given("core/v1:Secret"))
        assert is_secret(inputs["data"]) and is_secret(state["data"])
        assert not {"stringData"} & (inputs.keys() | state.keys())


def test_what_exists_is_refused(cluster: HasKubeconfig) -> None:
    kind = "core/v1:ConfigMap"
    with both(cluster) as strict:
        for client in (strict.real, strict.simulated):
            inputs = checked(client, kind, given(kind, "taken"))
            client.create(token(kind), inputs)
            with pytest.raises(grpc.RpcError) as caught:
                client.create(token(kind), inputs)
            assert 'configmaps "taken" already exists' in str(caught.value.details())


def test_what_exists_is_taken_over_by_who_may(pair: Pair) -> None:
    kind = "core/v1:ConfigMap"
    for client in (pair.real, pair.simulated):
        for _ in range(2):
            assert client.create(token(kind), checked(client, kind, given(kind, "adopted")))[0] == "default/adopted"


def test_what_exists_otherwise_is_taken_over_by_force_alone(pair: Pair, cluster: HasKubeconfig) -> None:
    kind = "core/v1:ConfigMap"
    other = changed(given(kind, "forced"), "data.b", "3")
    for client in (pair.real, pair.simulated):
        client.create(token(kind), checked(client, kind, given(kind, "forced")))
        with pytest.raises(grpc.RpcError) as caught:
            client.create(token(kind), checked(client, kind, other))
        assert "server-side apply field conflict detected" in str(caught.value.details())
    with both(cluster, upsertExistingObjects="true", enablePatchForce="true") as forced:
        for client in (forced.real, forced.simulated):
            for values in (given(kind, "forced"), other):
                assert client.create(token(kind), checked(client, kind, values))[0] == "default/forced"


def test_another_context_moves_all_only_where_the_cluster_is_another(pair: Pair, cluster: HasKubeconfig) -> None:
    """The plugin reads the kubeconfig; the simulation takes every context for another cluster."""
    known = yaml.safe_load(cluster.kubeconfig.read_text())
    away = {"name": "away", "cluster": {"server": "https://192.0.2.1"}}
    context = {"name": "away", "context": {"cluster": "away", "user": known["users"][0]["name"]}}
    both = known | {"clusters": [*known["clusters"], away], "contexts": [*known["contexts"], context]}
    old: Properties = {"kubeconfig": yaml.safe_dump(both), "context": contexts(cluster)[0]}
    for client in (pair.real, pair.simulated):
        assert client.diff_config(old, {**old, "context": "away"}) == ["context"]
        assert client.diff_config(old, {**old, "upsertExistingObjects": "true"}) == []
