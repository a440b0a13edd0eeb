"""What judges of manifests say of every stack on a cluster: kubernetes-validate, kube-score, checkov, and the Gateway
API's own definitions."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from groundwork.kubernetes import Manifest
from groundwork.kubernetes.manifest import Object
from groundwork.kubernetes.render import filled, rendered
from groundwork.settings import GatewaySettings
from tests.clusters import exposed, judged

SCORED_FOR = "v1.34"
NEWEST = list(dict.fromkeys(kubernetes_validate.utils.all_versions()))[-2:]
"""It lists each version twice."""
CUSTOM = {"Gateway", "HTTPRoute"}
"""Defined in no version of Kubernetes itself."""
MOST_WAIVERS = 5
"""In one system, each of one resource for one reason, and one more for each program of its monitoring."""


@cache
def texts() -> dict[str, str]:
    """The objects of every stack, as `kubectl apply` would take them."""
    return {name: rendered(stack.manifests) for name, stack in judged().items()}


def objects(text: str) -> list[Object]:
    return list(yaml.load_all(text, Loader=yaml.CSafeLoader))


def named(one: Object) -> str:
    return f"{one['kind']} {one['metadata']['name']}"


def pod_of(one: Object) -> Object:
    pod: Object = one["spec"]["template"]["spec"]
    return pod


# The same objects with one mistake each. A judge that is blind to its own is asleep.


def misspelled(found: list[Object]) -> None:
    first(found, "Deployment")["spec"]["replica"] = 2


def privileged(found: list[Object]) -> None:
    pod_of(first(found, "Deployment"))["containers"][0]["securityContext"]["privileged"] = True


def unlimited(found: list[Object]) -> None:
    del pod_of(first(found, "StatefulSet"))["containers"][0]["resources"]


def unknown_filter(found: list[Object]) -> None:
    first(found, "HTTPRoute")["spec"]["rules"][0]["timeout"] = "10s"


def first(found: list[Object], kind: str) -> Object:
    return next(one for one in found if one["kind"] == kind)


def broken(mistake: Callable[[list[Object]], None]) -> str:
    found = objects(texts()["everything, gateway"])
    mistake(found)
    return yaml.dump_all(found, Dumper=yaml.CSafeDumper)


# The API's own schemas


def validated(text: str, version: str) -> Iterator[str]:
    for one in objects(text):
        if one["kind"] in CUSTOM:
            continue
        try:
            kubernetes_validate.validate(one, version, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
            yield f"{named(one)}: {error.message}"


@pytest.fixture(autouse=True, scope="module")
def _read_once() -> Iterator[None]:
    """Each file of schemas, and not once an object."""
    with pytest.MonkeyPatch.context() as patch:
        utils = kubernetes_validate.utils
        patch.setattr(utils, "schema_contents", cache(utils.schema_contents))
        yield


@pytest.mark.parametrize("version", NEWEST)
@pytest.mark.parametrize("name", judged())
def test_the_api_knows_every_field(name: str, version: str) -> None:
    assert list(validated(texts()[name], version)) == []


@pytest.mark.parametrize("version", NEWEST)
def test_a_misspelled_field_is_found(version: str) -> None:
    (finding,) = validated(broken(misspelled), version)
    assert "'replica' was unexpected" in finding


def custom(text: str, definitions: Path) -> Iterator[str]:
    for one in objects(text):
        if one["kind"] in CUSTOM:
            schema = schema_of(one, definitions)
            for error in jsonschema.Draft202012Validator(schema).iter_errors(one):
                yield f"{named(one)}: {error.message}"


def schema_of(one: Object, definitions: Path) -> dict[str, Any]:
    group, version = one["apiVersion"].split("/")
    definition = yaml.load((definitions / f"{group}_{one['kind'].lower()}s.yaml").read_text(), Loader=yaml.CSafeLoader)
    (schema,) = [each["schema"] for each in definition["spec"]["versions"] if each["name"] == version]
    found: dict[str, Any] = closed(schema["openAPIV3Schema"])
    # Which the API server knows by itself.
    found["properties"]["metadata"]["additionalProperties"] = True
    return found


def closed(schema: Any) -> Any:
    """The API server drops what a definition does not know; here it counts as wrong."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    if schema.get("type") == "object" and "additionalProperties" not in schema:
        found["additionalProperties"] = False
    return found


@pytest.mark.parametrize("name", ["everything, gateway", "everything, plain gateway"])
def test_the_gateway_api_knows_every_field(name: str, gateway_api: Path) -> None:
    assert {one["kind"] for one in objects(texts()[name])} >= CUSTOM
    assert list(custom(texts()[name], gateway_api)) == []


def test_a_wrong_route_is_found(gateway_api: Path) -> None:
    (finding,) = custom(broken(unknown_filter), gateway_api)
    assert "'timeout' was unexpected" in finding


# kube-score


def scored(program: Path, text: str) -> list[str]:
    """Everything that is not perfect, at its defaults."""
    command = [str(program), "score", "--kubernetes-version", SCORED_FOR, "--output-format", "json", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("["), done.stderr
    checks = [(one["object_name"], check) for one in json.loads(done.stdout) for check in one["checks"] or []]
    assert len(checks) > 100
    found = [(where, check["check"]["id"]) for where, check in checks if not check["skipped"] and check["grade"] < 10]
    return [f"{where}: {check}" for where, check in found]


@pytest.mark.parametrize("name", judged())
def test_kube_score_finds_nothing(name: str, kube_score: Path) -> None:
    assert scored(kube_score, texts()[name]) == []


def test_kube_score_finds_a_privileged_container(kube_score: Path) -> None:
    (finding,) = scored(kube_score, broken(privileged))
    assert finding.endswith("container-security-context-privileged")


# checkov


def checked(program: Path, stacks: dict[str, str], folder: Path) -> list[str]:
    """In one run, since it takes seconds to begin. It asks nobody and tells nobody."""
    for number, text in enumerate(stacks.values()):
        (folder / f"{number}.yaml").write_text(text)
    quiet = {"PATH": os.environ["PATH"], "HOME": str(folder), "LOG_LEVEL": "ERROR", "BC_SKIP_MAPPING": "TRUE"}
    command = [str(program), "--framework", "kubernetes", "--directory", str(folder), "--skip-download"]
    command += ["--quiet", "--compact", "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, env=quiet)
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 300 * len(stacks) and report["summary"]["parsing_errors"] == 0, done.stderr
    failed = report["results"]["failed_checks"]
    return [f"{list(stacks)[int(Path(one['file_path']).stem)]}: {one['resource']} {one['check_id']}" for one in failed]


def test_checkov_finds_nothing(checkov: Path, tmp_path: Path) -> None:
    assert checked(checkov, texts(), tmp_path) == []


def test_checkov_finds_a_container_without_limits(checkov: Path, tmp_path: Path) -> None:
    found = {one.split()[-1] for one in checked(checkov, {"broken": broken(unlimited)}, tmp_path)}
    assert found == {"CKV_K8S_10", "CKV_K8S_11", "CKV_K8S_12", "CKV_K8S_13"}


# What they are told to overlook


def waivers(manifests: tuple[Manifest, ...]) -> Counter[tuple[str, str]]:
    """Each by resource and reason, with the number of checks that it silences."""
    found: Counter[tuple[str, str]] = Counter()
    for manifest in manifests:
        said = dict(filled(manifest)["metadata"].get("annotations", {}))
        ignored = said.pop("kube-score/ignore", "")
        reasons = [said[f"groundwork/why-{check}"] for check in ignored.split(",") if check]
        reasons += [text.partition("=")[2] for key, text in said.items() if key.startswith("checkov.io/")]
        assert all(reasons), manifest.key
        found.update((manifest.key, reason) for reason in reasons)
    return found


@pytest.mark.parametrize("name", judged())
def test_there_are_few_waivers_and_each_has_a_reason(name: str) -> None:
    stack = judged()[name]
    programs = sum(workload.role == "monitoring" for workload in stack.deployment.workloads)
    assert len(waivers(stack.manifests)) <= MOST_WAIVERS + programs


def test_what_is_waived() -> None:
    assert {reason for name in judged() for _, reason in waivers(judged()[name].manifests)} == {
        "runs as the user of its image, to whom its files belong",
        "the stack asks for a port on every node",
        "the system wants its secrets in the environment",
        "it waits for nothing: while it lives it is ready",
        "reads logs of the node, which are root's, with no capability",
    }


def test_a_lone_replica_is_waived_where_it_is_asked_for(kube_score: Path) -> None:
    stack = exposed("cluster")
    stack = stack.with_settings(stack.settings.model_copy(update={"gateway": GatewaySettings(replicas=1)}))
    assert ("deployment-gateway", "the stack asks for one replica") in waivers(stack.manifests)
    assert scored(kube_score, rendered(stack.manifests)) == []
