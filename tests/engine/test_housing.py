"""The repository's own stacks on the real engine: what is created, replaced and removed, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.engine.conftest import StackOf
from tests.engine.stack import ROOT, Run, Stack
from tests.sample import stack_files, with_secrets

CONTAINER = "docker:index/container:Container"
SERVING = {"housing-docker-postgres", "housing-docker-redis", "housing-docker-gateway"}


@pytest.fixture
def housing(stack_of: StackOf) -> Stack:
    """`housing` dev, up."""
    stack = stack_of(ROOT / "systems/housing", ROOT / "systems/housing/Pulumi.dev.yaml")
    assert_ok(stack.up())
    return stack


def change(stack: Stack, **changes: object) -> None:
    """The dev stack's own settings with some keys of the namespace `groundwork:` set."""
    settings = yaml.safe_load((ROOT / "systems/housing/Pulumi.dev.yaml").read_text())["config"]
    settings |= {f"groundwork:{key}": value for key, value in changes.items()}
    stack.configure(yaml.safe_dump({"config": settings}))


def assert_ok(run: Run) -> Run:
    assert run.code == 0, run.messages or run.output
    return run


def containers(stack: Stack) -> set[str]:
    return {
        resource["urn"].split("::")[-1]
        for resource in stack.resources()
        if resource["type"] == CONTAINER and not resource["urn"].endswith("-loader")
    }


def api_of(stack: Stack) -> str:
    (name,) = (name for name in containers(stack) if name.startswith("housing-docker-api-") and name.endswith("-0"))
    return name


def position(run: Run, op: str, name: str) -> int:
    """When the engine did `op` to the resource of that name."""
    return next(number for number, step in enumerate(run.steps) if (step.op, step.name) == (op, name))


def touched(run: Run) -> set[str]:
    return {step.name for step in run.steps if step.op != "same" and step.token == CONTAINER}


@pytest.mark.parametrize("stack_file", stack_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_stack_comes_up_stays_as_it_is_and_goes(stack_of: StackOf, stack_file: Path, tmp_path: Path) -> None:
    given = tmp_path / stack_file.name
    settings = with_secrets(stack_file)[0]
    given.write_text(yaml.safe_dump({"config": settings}))
    stack = stack_of(stack_file.parent, given)
    assert assert_ok(stack.up()).changes["create"] > 20
    assert not assert_ok(stack.up()).changes
    if "groundwork:machines" in settings:
        settings["groundwork:machines"] |= {"protect": False}
        stack.configure(yaml.safe_dump({"config": settings}))
        assert_ok(stack.up())
    assert_ok(stack.destroy("", "--exclude-protected"))
    left = [one for one in stack.resources() if one["custom"] and not one["type"].startswith("pulumi:providers:")]
    # Backups outlive every stack, and nothing else does.
    assert bool(left) == ("groundwork:backups" in settings)
    assert all("-infrastructure-backups-" in one["urn"] and one["protect"] for one in left)


def test_a_changed_setting_makes_a_new_release_beside_the_old_one(housing: Stack) -> None:
    old = api_of(housing)
    change(housing, apps={"api": {"settings": {"GREETING": "changed"}}})
    run = assert_ok(housing.up())
    new = api_of(housing)
    assert new != old
    created, switched = (
        position(run, "create", new),
        position(run, "create-replacement", "housing-docker-gateway-switch"),
    )
    removed = position(run, "delete", old)
    migrated = position(run, "create-replacement", "housing-docker-api-release")
    assert migrated < created < switched < removed
    assert not touched(run) & SERVING
    assert not [step for step in run.steps if step.op == "delete-replaced" and step.name == old]


def test_rotated_credentials_restart_no_service(housing: Stack) -> None:
    change(housing, services={"postgres": {"credentials": 2}, "redis": {"credentials": 2}})
    run = assert_ok(housing.up())
    assert not touched(run) & SERVING
    order = [
        position(run, "create-replacement", "housing-docker-postgres-accounts"),
        position(run, "create", api_of(housing)),
        position(run, "create-replacement", "housing-docker-gateway-switch"),
        position(run, "create", "housing-docker-postgres-retire"),
    ]
    assert order == sorted(order)


def test_changed_gateway_settings_touch_nothing_but_the_switch(housing: Stack) -> None:
    change(housing, entry={"burst": 300})
    run = assert_ok(housing.up())
    assert {name for name in touched(run) if not name.endswith("-loader")} == {"housing-docker-gateway-switch"}


def test_more_replicas_add_containers_and_leave_those_that_serve(housing: Stack) -> None:
    old = api_of(housing)
    change(housing, apps={"api": {"replicas": 2}})
    run = assert_ok(housing.up())
    assert {name for name in touched(run) if not name.endswith("-loader")} == {f"{old[:-1]}1"}


def test_a_release_that_never_gets_healthy_stays_red_and_leaves_the_old_one(housing: Stack) -> None:
    old = api_of(housing)
    change(housing, apps={"api": {"settings": {"GREETING": "bad"}}})
    (new,) = (name for name in housing.preview().names("create") if name.endswith("-0"))
    for attempt in range(3):
        run = housing.up(f"init:create:{CONTAINER}/{new}")
        assert run.code != 0, f"attempt {attempt} turned green"
        assert old in containers(housing)
        assert "housing-docker-gateway-switch" not in touched(run)
    assert_ok(housing.up())
    assert old not in containers(housing)


def test_a_failed_create_is_repaired_by_the_next_up(stack_of: StackOf) -> None:
    stack = stack_of(ROOT / "systems/housing", ROOT / "systems/housing/Pulumi.dev.yaml")
    failed = stack.up("fail:create:7")
    assert failed.code != 0
    assert_ok(stack.up())
    assert not assert_ok(stack.up()).changes
    assert not stack.export()["deployment"].get("pending_operations")


def test_secrets_are_secret_in_the_state_and_in_the_outputs(housing: Stack) -> None:
    credentials = housing.outputs()["credentials"]
    assert credentials == "[secret]"
    shown = housing.outputs(show_secrets=True)["credentials"]
    assert set(shown) == {
        "postgres.admin_password",
        "postgres.password",
        "redis.admin_password",
        "redis.password",
        "system.jwt_key",
    }
    state = str(housing.export())
    assert not [name for name, value in shown.items() if value in state]


def test_wrong_settings_are_one_message_and_change_nothing(housing: Stack) -> None:
    before = housing.export()["deployment"]["resources"]
    housing.configure("config: {'groundwork:apps': {apii: {replicas: 0}}, 'housing:target': {}}")
    run = housing.up()
    assert run.code != 0
    assert "Traceback" not in run.output
    assert "groundwork:apps.apii.replicas" in run.output
    assert "housing:target" in run.output
    after = housing.export()["deployment"]["resources"]
    assert [resource["urn"] for resource in after] == [resource["urn"] for resource in before]
