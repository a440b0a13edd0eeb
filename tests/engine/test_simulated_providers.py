"""Small programs on the real Pulumi engine with the simulated providers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from tests.engine.conftest import rewrite
from tests.engine.stack import ROOT, Stack

Program = Callable[[str], Stack]

# The engine's only remark: a language host that it did not bring itself.
LANGUAGE_HOST_NOTE = f"using pulumi-language-python from $PATH at {ROOT}/tools/engine/pulumi-language-python"

SHOP = """
import pulumi, pulumi_docker as docker, pulumi_random as random

password = random.RandomPassword("password", length=24, special=False)
network = docker.Network("front", name="front", ipam_configs=[{"subnet": "10.1.0.0/28"}])
data = docker.Volume("data", name="data")
web = docker.Container(
    "web",
    name="web",
    image="example:1",
    envs=[password.result.apply(lambda it: "PASSWORD=" + it), "MODE=test"],
    networks_advanced=[{"name": network.name}],
    mounts=[{"type": "volume", "source": data.name, "target": "/data"}],
    healthcheck={"tests": ["CMD", "true"]},
    wait=True,
    memory=64,
    opts=pulumi.ResourceOptions(replace_on_changes=["#initerror", "healthcheck"], delete_before_replace=True),
)
pulumi.export("id", web.id)
pulumi.export("password", password.result)
"""


def changed(old: str, new: str) -> str:
    assert old in SHOP
    return SHOP.replace(old, new)


def test_up_and_an_unchanged_second_up(program: Program) -> None:
    stack = program(SHOP)
    preview = stack.preview()
    assert preview.code == 0, preview.output
    assert preview.changes == {"create": 4}
    assert stack.resources() == []
    first = stack.up()
    assert first.code == 0, first.output
    assert first.changes == {"create": 4}
    assert set(first.messages.splitlines()) <= {LANGUAGE_HOST_NOTE}
    assert stack.outputs()["id"].startswith("simulated-")
    for again in (stack.preview(), stack.up()):
        assert (again.code, again.changes) == (0, {})


def test_generated_values_stay_and_are_secret(program: Program) -> None:
    stack = program(SHOP)
    stack.up()
    password = stack.outputs(show_secrets=True)["password"]
    assert re.fullmatch("[A-Za-z0-9]{24}", password)
    assert stack.outputs()["password"] == "[secret]"
    rewrite(stack, changed("memory=64", "memory=65"))
    assert stack.up().changes == {"update": 1}
    assert stack.outputs(show_secrets=True)["password"] == password
    assert password not in json.dumps(stack.export())


@pytest.mark.parametrize(
    ("old", "new", "op", "names"),
    [
        ("example:1", "example:2", "replace", {"web"}),
        ("MODE=test", "MODE=live", "replace", {"web"}),
        ('["CMD", "true"]', '["CMD", "false"]', "replace", {"web"}),  # by replace_on_changes alone
        ("memory=64", "memory=65", "update", {"web"}),
        ("length=24", "length=25", "replace", {"password", "web"}),
    ],
)
def test_a_change_updates_or_replaces(program: Program, old: str, new: str, op: str, names: set[str]) -> None:
    stack = program(SHOP)
    stack.up()
    rewrite(stack, changed(old, new))
    for run in (stack.preview(), stack.up()):
        assert run.code == 0, run.output
        assert run.names(op) == names
        assert run.changes[op] == len(names)


def test_a_misspelled_property_fails_before_anything_is_made(program: Program) -> None:
    stack = program(changed('"source": data.name', '"sourec": data.name'))
    run = stack.up()
    assert run.code != 0
    assert "mounts[0].sourec is no property of ContainerMount; did you mean source?" in run.messages
    assert run.names("create") <= {"password", "front", "data"}


def test_a_failed_create_is_repaired_by_the_next_up(program: Program) -> None:
    stack = program(SHOP)
    failed = stack.up("fail:create:docker:index/container:Container/web")
    assert failed.code != 0
    assert "fails as ordered" in failed.messages
    assert "web" not in {urn_name(resource) for resource in stack.resources()}
    assert "pending_operations" not in stack.export()["deployment"]
    repaired = stack.up()
    assert repaired.code == 0, repaired.output
    assert repaired.changes == {"create": 1}


def test_the_next_up_repairs_what_a_dying_provider_left(program: Program) -> None:
    stack = program(SHOP)
    assert stack.up("die:create:4").code != 0
    assert {urn_name(resource) for resource in stack.resources()} >= {"password", "front", "data"}
    repaired = stack.up()
    assert (repaired.code, repaired.changes) == (0, {"create": 1})


def test_without_delete_before_replace_a_forced_replacement_collides(program: Program) -> None:
    """The plugin calls a changed health check an update, so the engine creates the second container first."""
    stack = program(changed(", delete_before_replace=True", ""))
    stack.up()
    rewrite(stack, changed(", delete_before_replace=True", "").replace('"CMD", "true"', '"CMD", "false"'))
    run = stack.up()
    assert run.code != 0
    assert 'the container name "web" is already in use' in run.messages


def test_a_failed_initialization_stays_red_until_it_succeeds(program: Program) -> None:
    stack = program(SHOP)
    order = "init:create:docker:index/container:Container/web"
    failed = stack.up(order)
    assert failed.code != 0
    assert "web never got ready" in failed.messages
    for _ in range(2):
        [web] = [resource for resource in stack.resources() if urn_name(resource) == "web"]
        assert "never got ready" in web["initErrors"][0]
        assert web["id"].startswith("simulated-")
        retried = stack.up(order)
        assert retried.code != 0
        assert retried.names("replace") == {"web"}
    assert stack.up().code == 0
    assert not any(resource.get("initErrors") for resource in stack.resources())


def test_destroy_leaves_nothing(program: Program) -> None:
    stack = program(SHOP)
    stack.up()
    failed = stack.destroy("fail:delete:2")
    assert failed.code != 0
    assert stack.resources()
    assert stack.destroy().code == 0
    assert stack.resources() == []


def test_overlapping_networks_are_refused(program: Program) -> None:
    stack = program(SHOP + '\ndocker.Network("back", name="back", ipam_configs=[{"subnet": "10.1.0.0/24"}])\n')
    run = stack.up()
    assert run.code != 0
    assert "Pool overlaps" in run.messages


def urn_name(resource: dict[str, str]) -> str:
    return resource["urn"].split("::", 3)[3]
