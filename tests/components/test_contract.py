"""What holds for all components and everything they make. A component that no recorded run makes fails here."""

from __future__ import annotations

import ast

import pytest

from tests.recorder import STACK, Recording, Registration, texts
from tests.sample import ROOT

from .conftest import REGISTRY_PASSWORD, RUNS, SMTP, TLS_KEY

LABELLED = ("docker:index/network:Network", "docker:index/volume:Volume", "docker:index/container:Container")


def tokens() -> dict[str, str]:
    """The type token of each ComponentResource in components/, by class."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "components").glob("**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any("ComponentResource" in ast.unparse(base) for base in node.bases):
                text = ast.unparse(node)
                assert "super().__init__('groundwork:" in text, f"{node.name} has no token of ours"
                found[node.name] = text.split("super().__init__('")[1].split("'")[0]
    return found


def is_component(one: Registration) -> bool:
    return one.type.startswith("groundwork:")


def below_components(run: Recording) -> list[Registration]:
    return [one for one in run.registrations if one.type != STACK]


def test_every_component_is_made_in_the_recorded_runs(request: pytest.FixtureRequest) -> None:
    assert len(tokens()) >= 5
    runs: dict[str, Recording] = {name: request.getfixturevalue(name) for name in RUNS}
    made = {name: {one.type for one in run.registrations if is_component(one)} for name, run in runs.items()}
    assert set().union(*made.values()) == set(tokens().values())
    assert made["full"] ^ made["cluster"] == {"groundwork:docker:Stack", "groundwork:kubernetes:Stack"}


def test_every_resource_has_a_component_for_a_parent_but_the_first(every_run: Recording) -> None:
    (root,) = [one for one in below_components(every_run) if not is_component(every_run.by_urn(one.parent))]
    assert is_component(root)


def test_the_first_of_a_stack_is_its_environment(any_run: Recording) -> None:
    assert below_components(any_run)[0].type == "groundwork:index:Environment"


def test_every_resource_is_named_with_its_parents_name_before_its_own(every_run: Recording) -> None:
    for one in below_components(every_run):
        parent = every_run.by_urn(one.parent)
        if parent.type != STACK:
            assert one.name.startswith(f"{parent.name}-"), one.urn


def test_every_component_registers_its_outputs(every_run: Recording) -> None:
    assert [one.urn for one in every_run.registrations if is_component(one) and one.outputs is None] == []


def test_networks_volumes_and_containers_say_whose_they_are(run: Recording) -> None:
    found = [one for one in run.registrations if one.type in LABELLED]
    assert {one.type for one in found} == set(LABELLED)
    for one in found:
        labels = {label["label"]: label["value"] for label in one.plain["labels"]}
        assert labels["groundwork.project"] == "shop" and labels["groundwork.stack"] == "test", one.urn
        assert one.plain["name"].startswith("shop-test-"), one.urn
        if one.plain.get("wait"):
            assert {"groundwork.workload", "groundwork.role", "groundwork.release"} <= labels.keys(), one.urn


def test_everything_of_docker_comes_from_the_stacks_own_engines(run: Recording) -> None:
    engines = run.of_type("pulumi:providers:docker")
    made = [one for one in run.registrations if one.type.startswith("docker:")]
    assert made
    assert {one.provider for one in made} <= {f"{engine.urn}::{engine.name}-id" for engine in engines}
    assert len(engines) == 1 or len({one.provider for one in made}) > 1


def test_only_the_gateway_is_published_and_on_machines_what_another_one_uses(
    run: Recording, placed: Recording, watched: Recording
) -> None:
    published = [one.plain["name"] for one in run.of_type(":Container") if one.plain.get("ports")]
    doors = ["shop-test-gateway", "shop-test-postgres", "shop-test-redis"] if run in (placed, watched) else []
    doors += ["shop-test-loki", "shop-test-prometheus"] if run is watched else []
    assert sorted(published) == sorted(["shop-test-gateway", *doors])
    assert not any(one.plain.get("publishAllPorts") for one in run.of_type(":Container"))
    assert not any(one.plain.get("networkMode") == "host" for one in run.of_type(":Container"))


def test_no_secret_travels_in_plain_sight(any_run: Recording) -> None:
    seen = [text for one in any_run.registrations for text in (*texts(one.inputs), *texts(one.outputs))]
    assert len(seen) > 100
    for secret in ("password-of-", TLS_KEY, REGISTRY_PASSWORD, SMTP):
        assert not [text for text in seen if secret in text and "-id" not in text], secret


def test_every_generated_password_is_long_and_safe_inside_a_url(any_run: Recording) -> None:
    made = any_run.of_type(":RandomPassword")
    assert made
    for one in made:
        assert one.plain["length"] >= 32 and one.plain["special"] is False


def test_data_is_kept_where_the_stack_says_so_and_only_there(plain: Recording, full: Recording) -> None:
    def kept(run: Recording) -> set[str]:
        return {one.name for one in run.registrations if one.options.retainOnDelete}

    assert kept(plain) == set()
    assert {"shop-docker-postgres-data", "shop-docker-redis-data"} <= kept(full)
    assert not [name for name in kept(full) if "-files-" in name]
