"""The program itself, with the official provider, against the same API server. Where the provider is missing, what ran
here are the rendered manifests, and the output says so."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from groundwork.kubernetes.running import controller_key
from groundwork.plan import image_references
from tests.cluster.client import Api, Object
from tests.cluster.servers import CONTEXT, Cluster
from tests.cluster.stacks import SYSTEMS, OnCluster, on_cluster
from tests.cluster.stored import differences
from tests.cluster.waiting import wait_until_gone
from tests.e2e.real_stack import RealStack
from tests.engine.conftest import pulumi  # noqa: F401  the fixture
from tests.engine.stack import ROOT, Run
from tests.sample import configured

STACK = "plugin"
PLUGINS = ("kubernetes", "random")
DATA = {"Namespace", "PersistentVolumeClaim"}


@pytest.fixture(scope="module")
def plugins() -> None:
    missing = [name for name in PLUGINS if not shutil.which(f"pulumi-resource-{name}")]
    if missing:
        pytest.skip(f"only the rendered manifests were applied: no Pulumi plugin {' and '.join(missing)} on PATH")


def values_of(system: str, digit: str = "1") -> dict[str, Any]:
    """Of a stack file: every image by digest, the one of `api` with that digit."""
    described, _ = SYSTEMS[system]
    names = image_references(described, configured().settings)

    def image(name: str) -> dict[str, str]:
        shown = digit if name == "api" else "1"
        return {"image": f"registry.example.com/{name}@sha256:{shown * 64}"}

    apps = {app.name: image(app.name) for app in described.apps if app.image}
    services = {service.name: image(service.name) for service in described.services}
    assert names.keys() == {"gateway", *(app.name for app in described.apps), *services}
    return {"apps": apps, "services": services, "gateway": image("gateway"), "keep_data": True}


ONE = "housing"
"""Enough where it does not matter which system it is."""


@pytest.fixture(params=[name for name in SYSTEMS if name != "lab"])
def system(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stack(system: str, cluster: Cluster, api: Api, plugins: None, pulumi: Path, tmp_path: Path) -> Iterator[RealStack]:  # noqa: F811
    """A stack file that names this cluster, not yet up; whatever is left of it is removed."""
    planned = on_cluster(system, STACK, values_of(system))
    target = planned.settings.target.model_dump(mode="json") | {"kubeconfig": str(cluster.kubeconfig)}
    entry = {"server_names": list(planned.settings.entry.server_names)}
    values = values_of(system) | {"target": without_nothing(target), "entry": entry}
    file = tmp_path / f"Pulumi.{STACK}.yaml"
    file.write_text(yaml.safe_dump({"config": {f"groundwork:{key}": value for key, value in values.items()}}))
    work = tmp_path / "work"
    work.mkdir()
    made = RealStack(pulumi, ROOT / "systems" / system, file, work)
    made.init()
    yield made
    made.change(keep_data=False)
    made.up()
    made.destroy()
    if planned.namespace in names(api, "v1", "Namespace"):
        api.delete("v1", "Namespace", "", planned.namespace)
    wait_until_gone(api, planned.namespace)


def without_nothing(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: without_nothing(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if value is not None
    }


def names(api: Api, api_version: str, kind: str, namespace: str = "") -> set[str]:
    return {one["metadata"]["name"] for one in api.objects(api_version, kind, namespace)}


def stored(api: Api, sent: Object) -> Object:
    return api.get(sent["apiVersion"], sent["kind"], sent["metadata"].get("namespace", ""), sent["metadata"]["name"])


def left(api: Api, planned: OnCluster) -> set[tuple[str, str]]:
    """What of the stack is still there."""
    found = set()
    for body in planned.objects:
        namespace, name = body["metadata"].get("namespace", ""), body["metadata"]["name"]
        if name in names(api, body["apiVersion"], body["kind"], namespace):
            found.add((body["kind"], name))
    return found


def assert_ok(run: Run) -> None:
    assert run.code == 0, run.messages or run.output


def test_the_program_runs_the_system(api: Api, stack: RealStack, system: str) -> None:
    """Up, unchanged, a new image: what is stored is what is rendered."""
    assert_ok(stack.up())
    planned = on_cluster(system, STACK, values_of(system))
    found = [
        f"{sent['kind']}/{sent['metadata']['name']}{difference}"
        for sent in planned.objects
        # Their values are generated, and nobody else's business.
        if sent["kind"] != "Secret"
        for difference in differences(sent, stored(api, sent))
    ]
    assert not found, "\n".join(found)
    assert left(api, planned) == {(one["kind"], one["metadata"]["name"]) for one in planned.objects}

    unchanged = stack.preview()
    assert_ok(unchanged)
    assert not unchanged.changes, unchanged.names("update") | unchanged.names("replace")

    newer = values_of(system, "2")
    with api.watching("apps/v1", "Deployment", planned.namespace) as deployments:
        stack.change(apps=newer["apps"])
        run = stack.up()
    assert_ok(run)
    # All that run its image, and nothing else; jobs can't be changed, so theirs are new ones.
    assert run.names("update") == {
        f"{system}-kubernetes-{controller_key(one)}"
        for one in planned.deployment.workloads
        if one.role == "app" and one.image.reference.endswith("/api")
    }
    assert not run.names("replace")
    api_now = [body["status"] for _, body in deployments.events if body["metadata"]["name"] == "api"]
    least = planned.deployment.workload("api").replicas
    assert api_now and min(status.get("availableReplicas", 0) for status in api_now) >= least


@pytest.mark.parametrize("system", [ONE])
def test_data_outlives_the_stack_and_is_found_again(api: Api, stack: RealStack, system: str) -> None:
    planned = on_cluster(system, STACK, values_of(system))
    data = {(one["kind"], one["metadata"]["name"]) for one in planned.objects if one["kind"] in DATA}
    assert_ok(stack.up())
    before = claims(api, planned)
    assert_ok(stack.destroy())
    assert left(api, planned) == data
    assert_ok(stack.up())
    assert claims(api, planned) == before

    larger = values_of(system)["services"]
    larger["postgres"]["disk_gib"] = 20
    stack.change(services=larger)
    assert_ok(stack.up())
    assert claims(api, planned) == before
    disk = api.get("v1", "PersistentVolumeClaim", planned.namespace, "postgres-data")
    assert disk["spec"]["resources"]["requests"]["storage"] == "20Gi"

    stack.change(keep_data=False)
    assert_ok(stack.up())
    assert_ok(stack.destroy())
    assert left(api, planned) == set()


def claims(api: Api, planned: OnCluster) -> dict[str, str]:
    found = api.objects("v1", "PersistentVolumeClaim", planned.namespace)
    return {one["metadata"]["name"]: one["metadata"]["uid"] for one in found}


@pytest.mark.parametrize("system", [ONE])
def test_a_wrong_context_is_refused_before_anything_is_made(api: Api, stack: RealStack, system: str) -> None:
    planned = on_cluster(system, STACK, values_of(system))
    stack.change(target=stack.settings()["groundwork:target"] | {"context": f"{CONTEXT}s"})
    refused = stack.up()
    assert refused.code != 0
    assert "has no context" in refused.messages
    assert CONTEXT in refused.messages
    assert left(api, planned) == set()
    assert not [one for one in stack.resources() if one["type"].startswith("kubernetes:")]
