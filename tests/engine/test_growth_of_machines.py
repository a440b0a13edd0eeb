"""Stacks on machines on the real engine: growth makes what is new, and replaces nothing that serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.engine.conftest import StackOf
from tests.engine.stack import ROOT, Run, Stack
from tests.machines import existing

CONTAINER = "docker:index/container:Container"
ROLES = {"app": 1, "data": 1, "cache": 1}


def settings(**changes: Any) -> str:
    values = {"machines": existing(**ROLES), "keep_data": False} | changes
    return yaml.safe_dump({"config": {f"groundwork:{key}": value for key, value in values.items()}})


@pytest.fixture
def mindpal(stack_of: StackOf, tmp_path: Path) -> Stack:
    """On one app machine, up."""
    stack_file = tmp_path / "Pulumi.grown.yaml"
    stack_file.write_text(settings())
    stack = stack_of(ROOT / "systems/mindpal", stack_file)
    assert_ok(stack.up())
    return stack


def assert_ok(run: Run) -> Run:
    assert run.code == 0, run.messages or run.output
    return run


def of_machine(names: set[str], machine: str) -> set[str]:
    return {name for name in names if name.startswith((f"mindpal-docker-{machine}-", f"mindpal-engine-{machine}"))}


def serving(run: Run, *ops: str) -> set[str]:
    """Containers that an op befell, but for what carries files and what switches a gateway's configuration."""
    found = {step.name for step in run.steps if step.op in ops and step.token == CONTAINER}
    return {name for name in found if not name.endswith(("-loader", "-switch"))}


def test_a_second_app_machine_is_made_beside_the_first(mindpal: Stack) -> None:
    mindpal.configure(settings(machines=existing(**ROLES | {"app": 2})))
    run = assert_ok(mindpal.up())
    assert serving(run, "replace", "create-replacement", "delete-replaced", "delete", "update") == set()
    made = serving(run, "create")
    assert made == of_machine(made, "app-2") and len(made) == 3
    # The first gateway learns of the second, and each machine is asked whether it lets the new one in.
    changed = [step for step in run.steps if step.op not in ("same", "create")]
    asked = {(step.op, step.name) for step in changed if step.name.endswith("-ready")}
    assert asked <= {("update", f"mindpal-infrastructure-machines-{name}-1-ready") for name in ROLES}
    others = {step.name for step in changed if not step.name.endswith("-ready")}
    assert others <= {"mindpal-docker-app-1-gateway-switch"} | {name for name in others if "-switch-files-" in name}
    assert not assert_ok(mindpal.up()).changes


def test_a_machine_that_goes_takes_nothing_along(mindpal: Stack) -> None:
    mindpal.configure(settings(machines=existing(**ROLES | {"app": 2})))
    assert_ok(mindpal.up())
    mindpal.configure(settings())
    run = assert_ok(mindpal.up())
    gone = serving(run, "delete")
    assert gone == of_machine(gone, "app-2") and len(gone) == 3
    assert serving(run, "replace", "create-replacement", "delete-replaced", "update", "create") == set()


def test_a_release_starts_on_every_app_machine_before_the_old_one_ends(mindpal: Stack) -> None:
    mindpal.configure(settings(machines=existing(**ROLES | {"app": 2})))
    assert_ok(mindpal.up())
    changed = {"api": {"settings": {"GREETING": "changed"}}}
    mindpal.configure(settings(machines=existing(**ROLES | {"app": 2}), apps=changed))
    run = assert_ok(mindpal.up())
    place = {(step.op, step.name): number for number, step in enumerate(run.steps)}
    apis = [(op, name) for op, name in place if "-api-" in name and name.endswith("-0") and "files" not in name]
    started = [place[one] for one in apis if one[0] == "create"]
    ended = [place[one] for one in apis if one[0] == "delete"]
    switched = [
        place["create-replacement", f"mindpal-docker-{machine}-gateway-switch"] for machine in ("app-1", "app-2")
    ]
    assert len(started) == len(ended) == 2
    assert max(started) < min(switched) and max(switched) < min(ended)


def test_a_gateway_that_is_replaced_waits_for_the_other_one(mindpal: Stack) -> None:
    mindpal.configure(settings(machines=existing(**ROLES | {"app": 2})))
    assert_ok(mindpal.up())
    mindpal.configure(settings(machines=existing(**ROLES | {"app": 2}), gateway={"memory_mib": 96}))
    run = assert_ok(mindpal.up())
    place = {(step.op, step.name): number for number, step in enumerate(run.steps)}
    first = place["create-replacement", "mindpal-docker-app-1-gateway-switch"]
    assert first < place["delete-replaced", "mindpal-docker-app-2-gateway"]
