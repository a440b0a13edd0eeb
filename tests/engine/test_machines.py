"""Machines of AWS on the real engine, with simulated providers: what a change of the stack file does to them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.components.fleets import FOUR, KEY, A, B
from tests.engine.conftest import Program
from tests.engine.stack import ROOT, Run, Stack

PROGRAM = """\
import json, sys
sys.path.insert(0, {root!r})
import pulumi, pulumi_aws as aws, pulumi_docker as docker
from components.machines import Machines
from tests.components.fleets import arguments

values, given = json.loads({values!r}), json.loads({given!r})
cloud = aws.Provider("cloud", region="ap-southeast-1", allowed_account_ids=["123456789012"])
made = Machines("machines", arguments(values, **given), pulumi.ResourceOptions(providers=[cloud]))
for name, host in made.hosts.items():
    engine = docker.Provider(f"engine-{{name}}", host=host, ssh_opts=made.ssh_options[name])
    docker.Volume(f"volume-{{name}}", name="data", opts=pulumi.ResourceOptions(provider=engine))
pulumi.export("machines", made.described)
"""
INSTANCE = "aws:ec2/instance:Instance"


def text(roles: dict[str, Any] = FOUR, given: dict[str, Any] | None = None, **values: Any) -> str:
    values = {"kind": "aws", "deployers": [KEY], "roles": roles, **values}
    return PROGRAM.format(root=str(ROOT), values=json.dumps(values), given=json.dumps(given or {}))


@pytest.fixture
def stack(program: Program) -> Stack:
    made = program(text())
    done = made.up()
    assert done.code == 0, done.output
    return made


def changed(stack: Stack, program_text: str, *arguments: str) -> dict[str, set[str]]:
    """What the change does, the same in a preview and for real, by op."""
    (stack.project / "__main__.py").write_text(program_text)
    runs = [stack.preview(*arguments), stack.up("", *arguments)]
    assert [run.code for run in runs] == [0, 0], runs[0].output + runs[1].output
    found = [by_op(run) for run in runs]
    assert found[0] == found[1]
    again = stack.preview()
    assert (again.code, again.changes) == (0, {}), again.output
    return found[1]


def by_op(run: Run) -> dict[str, set[str]]:
    return {op: run.names(op) for op in run.changes}


def test_the_first_preview_needs_no_machine_and_the_second_up_changes_nothing(program: Program) -> None:
    made = program(text())
    for run in (made.preview(), made.up()):
        assert run.code == 0, run.output
        assert set(run.changes) == {"create"} and "volume-app-1" in run.names("create")
    assert made.preview().changes == {}
    hosts = {name: one["host"] for name, one in made.outputs()["machines"].items()}
    assert len(set(hosts.values())) == 5 and all(host.startswith("ssh://groundwork@") for host in hosts.values())


def test_the_private_host_keys_are_nowhere_in_plain_text(stack: Stack) -> None:
    exported = json.dumps(stack.export())
    assert "PRIVATE KEY" not in exported and exported.count("user_data") + exported.count("userDataBase64") > 0


def test_a_third_app_machine_is_made_and_changes_nothing(stack: Stack) -> None:
    done = changed(stack, text(FOUR | {"app": FOUR["app"] | {"zones": [A, B, B]}}))
    assert set(done) == {"create"}
    assert done["create"] == {
        f"machines-app-3{part}" for part in ("", "-host-key", "-data", "-data-attachment", "-ready")
    } | {"volume-app-3"}


def test_a_bigger_disk_and_a_bigger_machine_are_updates(stack: Stack) -> None:
    bigger = FOUR["data"] | {"data_disk_gib": 800, "vcpus": 16, "memory_gib": 32}
    assert changed(stack, text(FOUR | {"data": bigger})) == {
        "update": {"machines-data-1", "machines-data-1-data", "machines-data-1-ready"}
    }


def test_a_new_script_runs_again_and_no_engine_becomes_unknown(stack: Stack) -> None:
    scripts = {f"{name}": f"script of {name}\n" for name in ("app-1", "app-2", "data-1", "cache-1", "monitoring-1")}
    assert changed(stack, text(given={"scripts": scripts | {"data-1": "another\n"}})) == {
        "update": {"machines-data-1-ready"}
    }


def test_another_base_image_replaces_no_machine(stack: Stack) -> None:
    older = stack.export()
    for one in older["deployment"]["resources"]:
        if one["type"] == INSTANCE:
            one["inputs"]["ami"] = one["outputs"]["ami"] = "ami-of-last-year"
    stack.import_(older)
    assert stack.preview().changes == {}
    assert stack.up().changes == {}


def test_a_protected_machine_is_not_renewed(stack: Stack) -> None:
    urn = urn_of(stack, "machines-data-1")
    refused = stack.up("", "--replace", urn)
    assert refused.code != 0
    assert "protect" in refused.messages


def test_a_machine_is_renewed_and_its_disk_stays(stack: Stack) -> None:
    unprotected = text(unprotected=["data-1"])
    assert changed(stack, unprotected) == {"update": {"machines-data-1"}}
    before = {one["urn"]: one["id"] for one in stack.resources() if "id" in one}
    urn = urn_of(stack, "machines-data-1")
    run = stack.up("", "--replace", urn)
    assert run.code == 0, run.output
    replaced = {"machines-data-1", "machines-data-1-data-attachment"}
    assert run.names("replace") == replaced
    assert run.names("update") == {"machines-data-1-ready"}
    after = {one["urn"]: one["id"] for one in stack.resources() if "id" in one}
    moved = {urn.rsplit("::", 1)[1] for urn in before if before[urn] != after[urn]}
    assert moved == replaced, "the disk, its data and every other machine are as they were"
    # The old one goes before the new one comes: they have the same address.
    steps = [(step.op, step.name) for step in run.steps]
    assert steps.index(("delete-replaced", "machines-data-1")) < steps.index(("create-replacement", "machines-data-1"))
    assert changed(stack, text()) == {"update": {"machines-data-1"}}


def urn_of(stack: Stack, name: str) -> str:
    return str(next(one["urn"] for one in stack.resources() if one["urn"].endswith(f"::{name}")))
