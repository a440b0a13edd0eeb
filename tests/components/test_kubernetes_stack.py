"""What the cluster is asked for: every manifest as it is, its order, its data, its secrets."""

from __future__ import annotations

from typing import Any

import pytest

from groundwork.kubernetes import Manifest, manifests
from groundwork.kubernetes.render import filled
from groundwork.plan import plan
from groundwork.workload import SecretRef
from tests.recorder import Recording, Registration, Secret
from tests.sample import MARK, changed, configured

from .conftest import FULL_SYSTEM, FULL_VALUES, REGISTRY_PASSWORD, SMTP, TLS_KEY, recorded

VALUES = FULL_VALUES | {"target": {"kind": "kubernetes", "context": "test"}}
PREFIX = "shop-kubernetes-"
CONFIGURED = {"tls_key": TLS_KEY, "registry_password": REGISTRY_PASSWORD, "smtp": SMTP}


@pytest.fixture(scope="module")
def planned() -> dict[str, Manifest]:
    configuration = configured(VALUES)
    deployment = plan(FULL_SYSTEM, configuration, MARK, project="shop", stack="test")
    return {one.key: one for one in manifests(deployment, configuration.settings)}


def objects(run: Recording) -> dict[str, Registration]:
    """By the key of their manifest."""
    return {one.name.removeprefix(PREFIX): one for one in run.registrations if one.type.startswith("kubernetes:")}


def opened(value: Any) -> Any:
    return value.value if isinstance(value, Secret) else value


def test_every_manifest_is_an_object_and_nothing_else_is(cluster: Recording, planned: dict[str, Manifest]) -> None:
    assert objects(cluster).keys() == planned.keys()


def test_an_object_is_sent_as_its_manifest_says(cluster: Recording, planned: dict[str, Manifest]) -> None:
    def value(ref: SecretRef) -> str:
        return CONFIGURED.get(ref.name, f"password-of-shop-credentials-{ref.owner}-{ref.name}-{ref.generation}")

    for key, one in objects(cluster).items():
        assert one.plain == filled(planned[key], value), key


def test_an_object_waits_for_what_its_manifest_says(cluster: Recording, planned: dict[str, Manifest]) -> None:
    made = objects(cluster)
    for key, one in made.items():
        waits = {made[before].urn for before in planned[key].after}
        # Besides, a Secret waits for the passwords that are in it.
        others = {urn for urn in one.dependencies - waits if ":RandomPassword::" not in urn}
        assert waits <= one.dependencies and not others, key


def test_all_come_from_the_one_provider_that_knows_its_cluster(cluster: Recording) -> None:
    (provider,) = cluster.of_type("pulumi:providers:kubernetes")
    assert {one.provider for one in objects(cluster).values()} == {f"{provider.urn}::{provider.name}-id"}
    assert provider.plain["context"] == "test"
    assert "kubeconfig" not in provider.plain, "a path of this machine is in the state"
    for takes_over in ("upsertExistingObjects", "enablePatchForce"):
        assert provider.plain[takes_over] in (True, "true")


def test_a_fixed_name_is_free_before_it_is_taken_again(cluster: Recording) -> None:
    for key, one in objects(cluster).items():
        assert one.plain["metadata"]["name"], key
        assert one.options.deleteBeforeReplace, key


def test_a_failed_job_is_tried_again_and_nothing_else_is(cluster: Recording) -> None:
    tried = {key for key, one in objects(cluster).items() if "#initerror" in one.options.replaceOnChanges}
    assert tried == {key for key in objects(cluster) if key.startswith("job-")} != set()


def test_data_and_the_namespace_around_it_are_kept_where_the_stack_says_so(cluster: Recording) -> None:
    def kept(run: Recording) -> set[str]:
        return {key for key, one in objects(run).items() if one.options.retainOnDelete}

    claims = {"persistentvolumeclaim-postgres-data", "persistentvolumeclaim-redis-data"}
    assert kept(cluster) == {"namespace-shop-test"} | claims
    assert kept(recorded(VALUES | {"keep_data": False}, FULL_SYSTEM)) == set()


def test_what_a_secret_says_is_secret_and_nothing_else_needs_to_be(cluster: Recording) -> None:
    secrets = {key: one for key, one in objects(cluster).items() if one.type.endswith(":Secret")}
    assert len(secrets) > 5
    for key, one in secrets.items():
        texts = one.inputs["stringData"]
        assert isinstance(texts, Secret) or all(isinstance(text, Secret) for text in texts.values()), key
        assert opened(texts), key
    for key, one in objects(cluster).items():
        if key not in secrets:
            assert one.inputs == one.plain, key


def test_objects_of_controllers_that_the_cluster_may_lack_are_custom_resources() -> None:
    exposure = {"kind": "gateway", "class_name": "eg", "namespace": "eg", "issuer": "letsencrypt"}
    target = {"kind": "kubernetes", "context": "test", "exposure": exposure}
    run = recorded({"target": target, "entry": {"server_names": ["shop.example.com"]}})
    types = {key: one.type for key, one in objects(run).items() if ":gateway." in one.type}
    assert types == {
        "gateway-gateway": "kubernetes:gateway.networking.k8s.io/v1:Gateway",
        "httproute-gateway": "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute",
    }


def test_another_image_touches_its_deployment_and_no_name() -> None:
    """The whole difference, by logical name, between two runs with another image of one app."""
    other = changed(FULL_SYSTEM, apps=(changed(FULL_SYSTEM.apps[0], image="example/web:2"), *FULL_SYSTEM.apps[1:]))
    before, after = (objects(recorded(VALUES, system)) for system in (FULL_SYSTEM, other))
    assert before.keys() == after.keys()
    assert {key for key in before if before[key].plain != after[key].plain} == {"deployment-web"}
