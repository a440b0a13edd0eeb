"""What is said about a preview of stacks that run: names, numbers, and no value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from groundwork.views import preview
from groundwork.views.preview import Preview, Step, drift_report, read_preview, state_section
from ops.cli import app

URN = "urn:pulumi:prod::groundwork::groundwork:index:Environment$groundwork:aws:Network$aws:ec2/vpc:Vpc::"


def step(op: str, name: str, **more: Any) -> dict[str, Any]:
    return {"op": op, "urn": URN + name, "detailedDiff": None, "keys": None, "old": {}, "new": {"id": "x"}, **more}


def document(*steps: dict[str, Any], more: tuple[dict[str, Any], ...] = ()) -> str:
    """The engine's events: each step as it begins and as it ends."""
    events: list[dict[str, Any]] = [{"preludeEvent": {"config": {"aws:key": "[secret]"}}}]
    for one in steps:
        events += [{"resourcePreEvent": {"metadata": one}}, {"resOutputsEvent": {"metadata": one}}]
    events += [*more, {"summaryEvent": {"resourceChanges": {"same": 40}}}]
    return "\n".join(map(json.dumps, events)) + "\n"


def error(message: str) -> dict[str, Any]:
    return {"diagnosticEvent": {"severity": "error", "message": message}}


UPDATE = step(
    "update",
    "vpc",
    detailedDiff={"tags.Owner": {}, "tags.Cost": {}, "cidrs[0]": {}},
    old={"inputs": {"tags": {"Owner": "hunter2"}}, "outputs": {"tags": {"Owner": "hunter2"}}},
    new={"inputs": {"tags": {"Owner": "hunter3"}}},
)


def test_a_change_is_told_by_resource_and_property_and_without_a_value() -> None:
    found = read_preview("prod", document(UPDATE, step("same", "other")), 0)
    assert found.steps == (Step(op="update", type="aws:ec2/vpc:Vpc", name="vpc", properties=("cidrs", "tags")),)
    text = state_section([found])
    assert text.startswith(f"{preview.STATE_MARKER}\n")
    assert "| `prod` | 0 | 1 | 0 | 0 | 40 |" in text
    assert "| update | `vpc` | `aws:ec2/vpc:Vpc` | `cidrs`, `tags` |" in text
    assert "hunter" not in text and "Owner" not in text


def test_what_replaces_or_deletes_stands_out_and_comes_first() -> None:
    steps = [step("create", "a"), UPDATE, step("delete", "b"), step("replace", "c", keys=["cidrBlock"])]
    text = state_section([read_preview("prod", document(*steps), 0)])
    assert "| `prod` | 1 | 1 | **1** | **1** | 40 |" in text
    assert [text.index(f"`{name}` |") for name in "bc"] == sorted(text.index(f"`{name}` |") for name in "bc")
    assert text.index("| delete |") < text.index("| replace |") < text.index("| update |") < text.index("| create |")


def test_a_stack_that_is_not_up_is_no_fault() -> None:
    found = read_preview("staging", "", 255, "error: no stack named 'staging' found\n")
    assert found.absent and found.fault is None
    assert "| `staging` | not up yet |" in state_section([found])


@pytest.mark.parametrize(
    ("text", "log", "said"),
    [
        ("", "error: AccessDenied: no kms:Decrypt", "AccessDenied: no kms:Decrypt"),
        ("", "", "pulumi ended with exit code 255 and said nothing"),
        (document(more=(error("error: AccessDenied\n"),)), "error: preview failed", "error: AccessDenied"),
        (
            document(more=({"policyEvent": {"policyName": "disks-are-encrypted", "message": "data Instead: …\n"}},)),
            "error: preview failed",
            "disks-are-encrypted:\ndata Instead: …",
        ),
        (document(), "error: something else", "error: something else"),
    ],
)
def test_what_kept_a_stack_from_being_previewed_is_shown(text: str, log: str, said: str) -> None:
    found = read_preview("prod", text, 255, log)
    assert found.fault is not None and said in found.fault
    assert "can't be previewed" in state_section([found])


def test_a_long_error_ends_with_its_end() -> None:
    fault = read_preview("prod", "", 1, "x" * 9000 + "the reason").fault
    assert fault is not None and len(fault) < 2000 and fault.endswith("the reason")


def test_expected_changes_are_changes_and_no_fault() -> None:
    found = read_preview("prod", document(UPDATE), preview.EXPECTED_NONE)
    assert found.fault is None and found.differs


def test_drift_says_what_was_changed_outside_and_what_is_gone() -> None:
    changed = step(
        "refresh",
        "vpc",
        old={"outputs": {"tags": {"a": "1"}, "arn": "x"}},
        new={"outputs": {"tags": {}, "arn": "x"}},
    )
    gone = step("refresh", "lost", old={"outputs": {"id": "i-1"}}, new=None)
    quiet = step("refresh", "quiet", old={"outputs": {"lastUsed": 1}}, new={"outputs": {"lastUsed": 2}})
    text = drift_report([read_preview("prod", document(changed, gone, quiet, UPDATE, step("create", "lost")), 7)])
    assert text.startswith(f"{preview.DRIFT_MARKER}\n")
    assert "`up` would change `prod`" in text
    assert "| changed outside | `vpc` | `aws:ec2/vpc:Vpc` | `tags` |" in text
    assert "| is gone | `lost` |" in text and "| create | `lost` |" in text
    assert "quiet" not in text


def test_no_drift_is_one_sentence() -> None:
    refreshed = step("refresh", "vpc", old={"outputs": {"a": 1}}, new={"outputs": {"a": 1}})
    found = read_preview("prod", document(refreshed), 0)
    assert not found.differs
    assert "No stack differs from what the code says." in drift_report([found])


@pytest.mark.parametrize("name", ["a|b", "`x`", "@everyone", "<img src=x>", "two\nlines", "[a](http://b)", "x" * 500])
def test_no_name_leaves_its_cell(name: str) -> None:
    text = state_section([Preview(stack="prod", steps=(Step(op="create", type="t", name=name, properties=(name,)),))])
    (line,) = (line for line in text.splitlines() if line.startswith("| create"))
    assert line.count("|") == 5 and line.count("`") == 6
    assert not {"@", "<", "["} & set(line) and len(line) < 300


def test_what_went_wrong_stays_within_its_fence() -> None:
    text = state_section([Preview(stack="prod", fault="```\n@everyone")])
    assert "````text\n```\n@everyone\n````" in text


def test_a_text_is_never_longer_than_its_share_of_a_comment() -> None:
    steps = tuple(Step(op="create", type="t" * 100, name=f"{'n' * 100}{number}") for number in range(90))
    text = state_section([Preview(stack=f"s{number}", steps=steps) for number in range(3)])
    assert len(text) <= preview.LONGEST + 1
    assert "the job's log has them" in text and "| `s2` | 90 |" in text
    many = Preview(stack="prod", steps=tuple(Step(op="create", type="t", name=f"n{n}") for n in range(130)))
    assert "… and 30 more." in state_section([many])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What `.ci/preview-state` leaves: `prod` would change, `staging` would not."""
    for stack, text, code in (("prod", document(UPDATE), 7), ("staging", document(), 0)):
        (tmp_path / f"{stack}.json").write_text(text)
        (tmp_path / f"{stack}.log").write_text("")
        (tmp_path / f"{stack}.code").write_text(f"{code}\n")
    return tmp_path


@pytest.mark.parametrize(("flags", "code", "marker"), [([], 0, "state"), (["--drift"], 1, "drift")])
def test_a_difference_is_a_fault_only_where_none_was_wanted(
    folder: Path, tmp_path: Path, flags: list[str], code: int, marker: str
) -> None:
    output = tmp_path / "text.md"
    done = CliRunner().invoke(app, ["preview-report", str(folder), *flags, "--output", str(output)])
    assert done.exit_code == code
    text = output.read_text()
    assert text.startswith(f"<!-- groundwork-{marker} -->") and text.index("`prod`") < text.index("| `staging` | 0 |")


def test_an_empty_folder_is_no_report(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["preview-report", str(tmp_path)])
    assert done.exit_code != 0 and "no preview there" in str(done.exception)
