"""What Pulumi's own JSON says of a stack that runs, told by groundwork/views/preview.py."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest
import yaml

from groundwork.views.preview import EXPECTED_NONE, Preview, drift_report, read_preview, state_section
from tests.engine.conftest import StackOf
from tests.engine.stack import ROOT, Stack, simulated_providers

HOUSING = ROOT / "systems/housing"
CONTAINER = "docker:index/container:Container"


@pytest.fixture
def housing(stack_of: StackOf) -> Iterator[Stack]:
    """`housing` dev, up, with providers that stay."""
    with simulated_providers() as providers:
        stack = replace(stack_of(HOUSING, HOUSING / "Pulumi.dev.yaml"), providers=providers)
        assert stack.up().code == 0
        yield stack


def previewed(stack: Stack, *flags: str) -> tuple[Preview, int]:
    """As .ci/preview-state does it."""
    done = subprocess.run(
        stack.command("preview", "--json", *flags),
        env={**stack.variables(stack.providers), "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return read_preview(stack.name, done.stdout, done.returncode, done.stderr), done.returncode


def change(stack: Stack, **values: object) -> None:
    settings = yaml.safe_load((HOUSING / "Pulumi.dev.yaml").read_text())["config"]
    stack.configure(yaml.safe_dump({"config": settings | {f"groundwork:{key}": it for key, it in values.items()}}))


def test_a_change_is_counted_and_named_and_no_secret_is_shown(housing: Stack) -> None:
    change(housing, services={"redis": {"memory_mib": 300, "credentials": 2}})
    found, code = previewed(housing)
    text = state_section([found])
    assert code == 0 and found.fault is None
    assert f"| replace | `housing-docker-redis` | `{CONTAINER}` |" in text and "`memory`" in text
    assert "| create | `housing-credentials-redis-password-2` | `random:index/randomPassword:RandomPassword` |" in text
    secrets = housing.outputs(show_secrets=True)["credentials"]
    assert secrets and not [name for name, value in secrets.items() if value in text]


def test_what_is_excluded_is_neither_shown_nor_missed(housing: Stack) -> None:
    change(housing, services={"redis": {"memory_mib": 300, "credentials": 2}})
    found, code = previewed(housing, "--exclude", "**docker:**", "--exclude", "**kubernetes:**")
    assert code == 0
    assert {step.name for step in found.steps} == {"housing-credentials-redis-password-2"}


def test_a_stack_that_is_as_the_code_says_has_no_drift(housing: Stack) -> None:
    found, code = previewed(housing, "--refresh", "--expect-no-changes")
    assert code == 0 and not found.differs and found.unchanged > 20
    assert "No stack differs" in drift_report([found])


def test_drift_is_told_by_resource(housing: Stack) -> None:
    state = housing.export()
    resources = state["deployment"]["resources"]
    (redis,) = (one for one in resources if one["urn"].endswith("Container::housing-docker-redis"))
    for side in ("inputs", "outputs"):
        redis[side]["memory"] = 64
    housing.import_(state)
    found, code = previewed(housing, "--refresh", "--expect-no-changes")
    assert code == EXPECTED_NONE and found.fault is None
    assert [(step.op, step.name) for step in found.steps] == [("update", "housing-docker-redis")]
    assert f"| `housing-docker-redis` | `{CONTAINER}` | `memory` |" in drift_report([found])


def test_a_stack_that_is_not_in_the_state_is_not_up_yet(housing: Stack) -> None:
    elsewhere = replace(housing, environment={"PULUMI_BACKEND_URL": f"file://{housing.work}/home"})
    found, code = previewed(elsewhere)
    assert code != 0 and found.absent, found


def test_a_broken_rule_is_the_fault_that_is_shown(housing: Stack) -> None:
    change(housing, entry={"address": "0.0.0.0", "http_port": 5432})
    found, code = previewed(housing, "--policy-pack", str(ROOT / "policy"))
    assert code != 0 and found.fault is not None
    assert "only-the-gateway-is-published" in found.fault, found.fault
