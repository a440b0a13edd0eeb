"""The pull-request workflow and the code that it calls agree, and what may write runs no code of the pull request."""

from __future__ import annotations

import re
from typing import Any

import yaml

from groundwork.views.review import MARKER
from tests.sample import ROOT

TEXT = (ROOT / ".github/workflows/preview.yml").read_text()
WORKFLOW: dict[str, Any] = yaml.safe_load(TEXT)
JOBS: dict[str, Any] = WORKFLOW["jobs"]


def actions(job: dict[str, Any]) -> list[str]:
    return [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step]


def test_the_comment_is_found_by_the_line_that_the_comparison_writes() -> None:
    markers = [step["env"]["MARKER"] for step in JOBS["comment"]["steps"] if "MARKER" in step.get("env", {})]
    assert markers == [MARKER]


def test_nothing_is_permitted_but_by_a_job() -> None:
    assert WORKFLOW["permissions"] == {}
    assert {name: job["permissions"] for name, job in JOBS.items()} == {
        "test": {"contents": "read"},
        "preview": {"contents": "read"},
        "comment": {"pull-requests": "write"},
    }


def test_the_job_that_may_write_takes_a_text_and_no_code() -> None:
    assert actions(JOBS["comment"]) == ["actions/download-artifact"]


def test_no_checkout_leaves_its_token_behind() -> None:
    checkouts = [step for job in JOBS.values() for step in job["steps"] if "actions/checkout@" in step.get("uses", "")]
    assert len(checkouts) == 2
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_forks_get_no_comment() -> None:
    assert "head.repo.full_name == github.repository" in JOBS["comment"]["if"]


def test_every_action_is_pinned_by_commit_with_its_version_beside_it() -> None:
    assert len(re.findall(r"uses: ", TEXT)) == len(
        re.findall(r"uses: actions/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+$", TEXT, re.M)
    )


def test_no_script_contains_an_expression() -> None:
    assert not [step["run"] for job in JOBS.values() for step in job["steps"] if "${{" in step.get("run", "")]


def test_every_job_ends_by_itself() -> None:
    assert all(0 < job["timeout-minutes"] <= 60 for job in JOBS.values())
