"""The simulated kubernetes provider, asked as the engine asks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest

import sim
from sim.values import UNKNOWN, Properties, is_secret, plain, secret
from tests.provider_client import ProviderClient, connected

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
SECRET = "kubernetes:core/v1:Secret"
NAMESPACE = "kubernetes:core/v1:Namespace"
CLAIM = "kubernetes:core/v1:PersistentVolumeClaim"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"
JOB = "kubernetes:batch/v1:Job"
SERVICE = "kubernetes:core/v1:Service"
GATEWAY = "kubernetes:gateway.networking.k8s.io/v1:Gateway"
PRIORITY = "kubernetes:scheduling.k8s.io/v1:PriorityClass"

Connect = Callable[[], ProviderClient]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Another connection to one and the same provider."""
    with ExitStack() as stack:
        ports = dict(part.split(":") for part in stack.enter_context(sim.serve("")).split(","))

        def connecting() -> ProviderClient:
            return stack.enter_context(connected(f"127.0.0.1:{ports['kubernetes']}"))

        yield connecting


@pytest.fixture
def cluster(connect: Connect) -> ProviderClient:
    return connect()


def body(token: str, name: str = "web", namespace: str | None = "default", **fields: Any) -> Properties:
    group, version_and_kind = token.removeprefix("kubernetes:").split("/")
    version, kind = version_and_kind.split(":")
    api_version = version if group == "core" else f"{group}/{version}"
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def labelled(value: str) -> Properties:
    return {"matchLabels": {"app": value}}


def template(image: str = "example:1", label: str = "web") -> Properties:
    return {"metadata": {"labels": {"app": label}}, "spec": {"containers": [{"name": "web", "image": image}]}}


def deployment(**spec: Any) -> Properties:
    return body(DEPLOYMENT, spec={"selector": labelled("web"), "template": template(), **spec})


def stateful_set(**spec: Any) -> Properties:
    return body(STATEFUL_SET, spec={"serviceName": "web", "selector": labelled("web"), "template": template(), **spec})


def job(**spec: Any) -> Properties:
    return body(JOB, spec={"template": template(), **spec})


def claim(size: str = "10Gi", **spec: Any) -> Properties:
    requests: Properties = {"resources": {"requests": {"storage": size}}}
    return body(CLAIM, spec={"accessModes": ["ReadWriteOnce"], **requests, **spec})


def created(client: ProviderClient, token: str, given: Properties) -> tuple[str, Properties]:
    inputs, failures = client.check(token, given)
    assert not failures
    return client.create(token, inputs)


def error_of(call: Callable[[], Any]) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return str(caught.value.details())


def test_an_object_is_known_by_its_namespace_and_name(cluster: ProviderClient) -> None:
    assert created(cluster, DEPLOYMENT, deployment())[0] == "default/web"
    assert created(cluster, NAMESPACE, body(NAMESPACE, "shop", None))[0] == "shop"


def test_without_a_namespace_it_is_the_default_one(cluster: ProviderClient) -> None:
    assert created(cluster, CONFIG_MAP, body(CONFIG_MAP, namespace=None))[0] == "default/web"


@pytest.mark.parametrize(
    ("token", "given", "path", "hint"),
    [
        (DEPLOYMENT, deployment(replicsa=2), "spec.replicsa", "did you mean replicas?"),
        (
            DEPLOYMENT,
            deployment(template={"spec": {"containers": [{"name": "web", "imgae": "x"}]}}),
            "spec.template.spec.containers[0].imgae",
            "did you mean image?",
        ),
        (DEPLOYMENT, deployment(template={"spec": {"containers": [{}]}}), "spec.template.spec.containers[0].name", ""),
        (CONFIG_MAP, {**body(CONFIG_MAP), "spec": {}}, "spec", "known are"),
        (CONFIG_MAP, {**body(CONFIG_MAP), "metadata": {}}, "metadata.name", "the simulation asks for it"),
        (PRIORITY, body(PRIORITY, "high", None), "value", "required and missing"),
        (GATEWAY, {**body(GATEWAY, spec={}), "rules": {}}, "rules", "known are"),
    ],
)
def test_a_wrong_field_is_refused(cluster: ProviderClient, token: str, given: Properties, path: str, hint: str) -> None:
    [(found, reason)] = cluster.check(token, given)[1]
    assert found == path
    assert hint in reason


def test_free_maps_take_any_key(cluster: ProviderClient) -> None:
    metadata: Properties = {"name": "web", "labels": {"app.kubernetes.io/name": "web"}}
    given: Properties = {**body(CONFIG_MAP), "metadata": metadata, "data": {"nginx.conf": "x"}}
    assert cluster.check(CONFIG_MAP, given)[1] == []


@pytest.mark.parametrize(
    ("token", "old", "new", "path", "kind"),
    [
        (DEPLOYMENT, deployment(), deployment(template=template("x:2")), "spec.template.spec.containers[0].image", ""),
        (DEPLOYMENT, deployment(), deployment(replicas=2), "spec.replicas", "ADD"),
        (
            DEPLOYMENT,
            deployment(),
            deployment(selector=labelled("api")),
            "spec.selector.matchLabels.app",
            "UPDATE_REPLACE",
        ),
        (
            STATEFUL_SET,
            stateful_set(revisionHistoryLimit=3),
            stateful_set(revisionHistoryLimit=4),
            "spec.revisionHistoryLimit",
            "UPDATE_REPLACE",
        ),
        (
            JOB,
            job(),
            job(template=template("x:2")),
            "spec.template.spec.containers[0].image",
            "UPDATE_REPLACE",
        ),
        (CLAIM, claim(), claim("20Gi"), "spec.resources.requests.storage", ""),
        (CLAIM, claim(), claim(storageClassName="fast"), "spec.storageClassName", "ADD_REPLACE"),
        (CONFIG_MAP, body(CONFIG_MAP, data={"a.b": "1"}), body(CONFIG_MAP, data={"a.b": "2"}), 'data["a.b"]', "R"),
        (SERVICE, body(SERVICE, spec={"type": "ClusterIP"}), body(SERVICE, spec={"type": "NodePort"}), "spec.type", ""),
        (CONFIG_MAP, body(CONFIG_MAP), body(CONFIG_MAP, namespace=UNKNOWN), "metadata.namespace", "UPDATE_REPLACE"),
    ],
)
def test_a_change_is_an_update_or_a_replacement(
    cluster: ProviderClient, token: str, old: Properties, new: Properties, path: str, kind: str
) -> None:
    identity, state = created(cluster, token, old)
    diffed = cluster.diff(token, state, cluster.check(token, new)[0], identity=identity)
    assert diffed.kinds == {path: {"": "UPDATE", "R": "UPDATE_REPLACE"}.get(kind, kind)}


def test_the_old_object_goes_first_where_the_new_one_has_its_name(cluster: ProviderClient) -> None:
    identity, state = created(cluster, CONFIG_MAP, body(CONFIG_MAP, data={"a": "1"}))
    for name, first in (("web", True), ("other", False)):
        inputs, _ = cluster.check(CONFIG_MAP, body(CONFIG_MAP, name, data={"a": "2"}))
        assert cluster.diff(CONFIG_MAP, state, inputs, identity=identity).deletes_first is first


def test_a_secret_of_which_something_is_unknown_looks_replaced_in_a_preview(cluster: ProviderClient) -> None:
    identity, state = created(cluster, SECRET, body(SECRET, stringData={"password": "x"}))
    inputs, _ = cluster.check(SECRET, body(SECRET, stringData={"password": UNKNOWN}))
    assert plain(inputs["stringData"]) == {"password": UNKNOWN}
    kinds = cluster.diff(SECRET, state, inputs, identity=identity).kinds
    assert kinds == {"data": "DELETE_REPLACE", "stringData": "ADD_REPLACE"}


def test_what_a_secret_holds_is_secret(cluster: ProviderClient) -> None:
    inputs, _ = cluster.check(SECRET, body(SECRET, stringData={"password": "x"}))
    assert is_secret(inputs["data"]) and plain(inputs["data"]) == {"password": "eA=="}
    _, state = cluster.create(SECRET, inputs)
    assert state["data"] == inputs["data"] and "stringData" not in state
    nested = cluster.check(SECRET, body(SECRET, stringData={"password": secret("x")}))[0]
    assert not cluster.diff(SECRET, state, nested, identity="default/web").changed


@pytest.mark.parametrize(
    ("token", "old", "new", "message"),
    [
        (
            STATEFUL_SET,
            stateful_set(podManagementPolicy="Parallel"),
            stateful_set(podManagementPolicy="OrderedReady"),
            'StatefulSet.apps "web" is invalid: spec: Forbidden: updates to statefulset spec for fields other than',
        ),
        (
            PRIORITY,
            body(PRIORITY, "high", None, value=1),
            body(PRIORITY, "high", None, value=2),
            'PriorityClass.scheduling.k8s.io "high" is invalid: value: Forbidden: may not be changed in an update.',
        ),
        (
            CONFIG_MAP,
            body(CONFIG_MAP, immutable=True, data={"a": "1"}),
            body(CONFIG_MAP, immutable=True, data={"a": "2"}),
            'ConfigMap "web" is invalid: data: Forbidden: field is immutable when `immutable` is set',
        ),
        (
            CONFIG_MAP,
            body(CONFIG_MAP, immutable=True),
            body(CONFIG_MAP),
            'ConfigMap "web" is invalid: immutable: Forbidden',
        ),
        (SECRET, body(SECRET, type="Opaque"), body(SECRET, type="x"), 'Secret "web" is invalid: type: Invalid value'),
        (CLAIM, claim(), claim(volumeMode="Block"), "spec is immutable after creation except resources.requests"),
        (CLAIM, claim("10Gi"), claim("1000Mi"), "field can not be less than status.capacity"),
    ],
)
def test_what_an_api_server_does_not_change_fails_in_the_preview_as_well(
    cluster: ProviderClient, token: str, old: Properties, new: Properties, message: str
) -> None:
    identity, state = created(cluster, token, old)
    inputs, _ = cluster.check(token, new)
    for preview in (True, False):
        assert message in error_of(lambda: cluster.update(token, identity, state, inputs, preview=preview))  # noqa: B023


@pytest.mark.parametrize(
    ("token", "old", "new"),
    [
        (CONFIG_MAP, body(CONFIG_MAP, data={"a": "1"}), body(CONFIG_MAP, data={"a": "2"})),
        (STATEFUL_SET, stateful_set(replicas=1), stateful_set(replicas=2)),
        (CLAIM, claim("512Mi"), claim("1Gi")),
        (JOB, job(parallelism=1), job(parallelism=2)),
    ],
)
def test_what_can_change_is_changed(cluster: ProviderClient, token: str, old: Properties, new: Properties) -> None:
    identity, state = created(cluster, token, old)
    inputs, _ = cluster.check(token, new)
    updated = cluster.update(token, identity, state, inputs)
    assert not cluster.diff(token, updated, inputs, identity=identity).changed


def test_a_namespace_must_be_there_and_takes_along_what_is_in_it(cluster: ProviderClient) -> None:
    inside = body(CONFIG_MAP, namespace="shop")
    assert 'configmaps "web": namespaces "shop" not found' in error_of(lambda: created(cluster, CONFIG_MAP, inside))
    identity, _ = created(cluster, NAMESPACE, body(NAMESPACE, "shop", None))
    created(cluster, CONFIG_MAP, inside)
    cluster.delete(NAMESPACE, identity)
    cluster.delete(CONFIG_MAP, "shop/web")
    created(cluster, NAMESPACE, body(NAMESPACE, "shop", None))
    created(cluster, CONFIG_MAP, inside)


def test_only_a_provider_that_is_told_so_takes_over_what_exists(connect: Connect) -> None:
    plain_one, adopting, forcing = connect(), connect(), connect()
    plain_one.configure(context="shop")
    adopting.configure(context="shop", upsertExistingObjects="true")
    forcing.configure(context="shop", upsertExistingObjects="true", enablePatchForce="true")
    created(adopting, CLAIM, claim())
    already = 'persistentvolumeclaims "web" already exists'
    assert already in error_of(lambda: created(plain_one, CLAIM, claim()))
    assert created(adopting, CLAIM, claim())[0] == "default/web"
    conflict = error_of(lambda: created(adopting, CLAIM, claim("20Gi")))
    assert "server-side apply field conflict" in conflict and ".spec.resources.requests.storage" in conflict
    assert created(forcing, CLAIM, claim("20Gi"))[0] == "default/web"
    refused = error_of(lambda: created(forcing, CLAIM, claim("20Gi", storageClassName="fast")))
    assert "spec is immutable after creation" in refused


def test_another_context_is_another_cluster(connect: Connect) -> None:
    here, there = connect(), connect()
    here.configure(context="here")
    there.configure(context="there")
    for one in (here, there):
        created(one, CONFIG_MAP, body(CONFIG_MAP))
    assert here.diff_config({"context": "here"}, {"context": "there"}) == ["context"]
    assert here.diff_config({"context": "here"}, {"context": "here", "upsertExistingObjects": "true"}) == []


@pytest.mark.parametrize(
    ("kind", "resource"),
    [
        ("networking.k8s.io/v1:NetworkPolicy", "networkpolicies.networking.k8s.io"),
        ("networking.k8s.io/v1:Ingress", "ingresses.networking.k8s.io"),
        ("core/v1:ServiceAccount", "serviceaccounts"),
    ],
)
def test_messages_name_resources_as_an_api_server_does(cluster: ProviderClient, kind: str, resource: str) -> None:
    token = f"kubernetes:{kind}"
    created(cluster, token, body(token))
    assert error_of(lambda: created(cluster, token, body(token))) == f'{resource} "web" already exists'
