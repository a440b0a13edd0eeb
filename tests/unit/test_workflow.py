"""The workflows and the code that they call agree; what may write runs no code of a pull request, and what runs such
code with a role runs for nobody outside."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from groundwork.views.preview import DRIFT_MARKER, STATE_MARKER
from groundwork.views.review import MARKER
from tests.sample import ROOT

TEXTS = {path.stem: path.read_text() for path in sorted((ROOT / ".github/workflows").glob("*.yml"))}
WORKFLOWS: dict[str, dict[str, Any]] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
JOBS: dict[str, dict[str, Any]] = {
    f"{name}.{job}": content for name, workflow in WORKFLOWS.items() for job, content in workflow["jobs"].items()
}
STEPS = {name: job.get("steps", []) for name, job in JOBS.items()}
WRITERS = ("comment.write", "drift.report")
WITH_A_ROLE = ("preview.state", "drift.look")
OF_THE_REPOSITORY = "github.event.pull_request.head.repo.full_name == github.repository"
every_workflow = pytest.mark.parametrize("name", WORKFLOWS)


def actions(job: str) -> list[str]:
    return [step["uses"].partition("@")[0] for step in STEPS[job] if "uses" in step]


def script_of(job: str, name: str) -> dict[str, Any]:
    """The one step whose name begins so."""
    (step,) = (step for step in STEPS[job] if step.get("name", "").startswith(name))
    found: dict[str, Any] = step
    return found


def test_texts_are_known_by_the_line_that_the_code_writes() -> None:
    comment = script_of("comment.write", "Write the comment")["env"]
    assert (comment["MARKER"], comment["STATE_MARKER"]) == (MARKER, STATE_MARKER)
    assert script_of("drift.report", "Open the issue")["env"]["MARKER"] == DRIFT_MARKER


@every_workflow
def test_nothing_is_permitted_but_by_a_job(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {}


def test_each_job_may_do_what_its_work_takes() -> None:
    assert {name: job["permissions"] for name, job in JOBS.items()} == {
        "preview.test": {"contents": "read"},
        "preview.preview": {"contents": "read"},
        "preview.state": {"contents": "read", "id-token": "write"},
        "preview.comment": {"pull-requests": "write"},
        "preview.comment-state": {"pull-requests": "write"},
        "comment.write": {"pull-requests": "write"},
        "drift.look": {"contents": "read", "id-token": "write"},
        "drift.report": {"issues": "write"},
    }


@pytest.mark.parametrize("job", WRITERS)
def test_a_job_that_may_write_takes_a_text_and_no_code(job: str) -> None:
    assert actions(job) == ["actions/download-artifact"]


def test_both_halves_of_the_comment_are_written_by_the_same_job() -> None:
    for job in ("preview.comment", "preview.comment-state"):
        assert JOBS[job]["uses"] == "./.github/workflows/comment.yml" and "secrets" not in JOBS[job]


def test_no_checkout_leaves_its_token_behind() -> None:
    checkouts = [step for steps in STEPS.values() for step in steps if "actions/checkout@" in step.get("uses", "")]
    assert len(checkouts) == 4
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("job", ["preview.comment", "preview.state"])
def test_forks_and_dependabot_get_no_comment_and_no_role(job: str) -> None:
    assert OF_THE_REPOSITORY in JOBS[job]["if"]
    assert "github.event.pull_request.user.login != 'dependabot[bot]'" in JOBS[job]["if"]


def test_the_second_half_waits_for_the_first() -> None:
    assert JOBS["preview.comment-state"]["needs"] == ["comment", "state"]
    assert "needs.comment.result == 'success'" in JOBS["preview.comment-state"]["if"]


def test_a_role_is_taken_in_the_environment_that_it_trusts_and_nowhere_else() -> None:
    assert {name for name, job in JOBS.items() if "id-token" in job["permissions"]} == set(WITH_A_ROLE)
    assert {name for name, job in JOBS.items() if "environment" in job} == set(WITH_A_ROLE)
    assert {JOBS[job]["environment"] for job in WITH_A_ROLE} == {"preview"}


@pytest.mark.parametrize("job", WITH_A_ROLE)
def test_no_cache_of_another_job_runs_with_a_role(job: str) -> None:
    assert not [action for action in actions(job) if "cache" in action]
    assert not [step for step in STEPS[job] if "cache" in step.get("with", {})]


@pytest.mark.parametrize("job", WITH_A_ROLE)
def test_without_the_variables_only_the_question_runs(job: str) -> None:
    first, *others = STEPS[job]
    assert first["id"] == "given" and "if" not in first
    for step in others:
        assert re.search(r"steps\.(given|preview|look)\.outputs\.\w+ [!=]= '", step["if"]), step


@pytest.mark.parametrize("job", WITH_A_ROLE)
@pytest.mark.parametrize("missing", ["AWS_ROLE_ARN", "AWS_REGION", "PULUMI_BACKEND_URL", None])
def test_a_missing_variable_is_said_and_is_no_failure(job: str, missing: str | None, tmp_path: Path) -> None:
    given = {name: "something" for name in JOBS[job]["env"] if name != missing}
    output, summary = tmp_path / "output", tmp_path / "summary"
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", STEPS[job][0]["run"]],
        env={"PATH": os.environ["PATH"], **dict.fromkeys(JOBS[job]["env"], ""), **given}
        | {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    if missing:
        assert not output.exists() and "GROUNDWORK_STATE" in summary.read_text() and "docs/ci.md" in done.stdout
    else:
        assert output.read_text() == "all=true\n" and not summary.exists()


@every_workflow
def test_every_action_is_pinned_by_commit_with_its_version_beside_it(name: str) -> None:
    of_others = re.findall(r"uses: (?!\./)", TEXTS[name])
    assert len(of_others) == len(
        re.findall(r"uses: actions/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+$", TEXTS[name], re.MULTILINE)
    )


def test_no_script_contains_an_expression() -> None:
    assert not [step["run"] for steps in STEPS.values() for step in steps if "${{" in step.get("run", "")]


def test_every_job_ends_by_itself() -> None:
    assert all(0 < job["timeout-minutes"] <= 60 for job in JOBS.values() if "uses" not in job)


def test_drift_is_looked_for_by_reading_what_runs() -> None:
    script = script_of("drift.look", "Read what runs")["run"]
    assert ".ci/preview-state ../previews --refresh --expect-no-changes\n" in script
    assert "preview-report ../previews --drift" in script
    assert "schedule" in WORKFLOWS["drift"]["on"]


GH = """#!/bin/sh
case "$*" in *--jq*) cat "$EXISTING"; exit ;; esac
printf '%s\\n' "$*" >> "$CALLS"
[ ! -f comment.md ] || cp comment.md "$WRITTEN"
"""


@pytest.fixture
def github(tmp_path: Path) -> dict[str, str]:
    """A `gh` that answers with what `existing` holds and notes what it is told to write."""
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    (tmp_path / "existing").write_text("")
    places = {name.upper(): str(tmp_path / name) for name in ("existing", "calls", "written")}
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}", "REPOSITORY": "team/portal", "NUMBER": "7"} | places


def run(step: dict[str, Any], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    plain = {key: str(value) for key, value in step["env"].items() if "${{" not in str(value)}
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder,
        env={"RUN": "https://github.com/run", **plain, **environment},
        capture_output=True,
        text=True,
    )


COMMENT = script_of("comment.write", "Write the comment")


def test_one_comment_holds_both_texts_and_is_edited_in_place(tmp_path: Path, github: dict[str, str]) -> None:
    (tmp_path / "preview.md").write_text(f"{MARKER}\nfirst\n")
    assert run(COMMENT, tmp_path, github).returncode == 0
    assert "--method POST repos/team/portal/issues/7/comments" in Path(github["CALLS"]).read_text()
    (tmp_path / "state.md").write_text(f"{STATE_MARKER}\nsecond\n")
    (tmp_path / "existing").write_text("42\n")
    assert run(COMMENT, tmp_path, github).returncode == 0
    assert "--method PATCH repos/team/portal/issues/comments/42" in Path(github["CALLS"]).read_text()
    assert Path(github["WRITTEN"]).read_text() == f"{MARKER}\nfirst\n\n{STATE_MARKER}\nsecond\n"


def test_two_texts_that_are_too_long_together_become_one_and_a_link(tmp_path: Path, github: dict[str, str]) -> None:
    (tmp_path / "preview.md").write_text(f"{MARKER}\n{'x' * 59_000}\n")
    (tmp_path / "state.md").write_text(f"{STATE_MARKER}\n{'y' * 19_000}\n")
    assert run(COMMENT, tmp_path, github).returncode == 0
    text = Path(github["WRITTEN"]).read_text()
    assert "y" * 100 not in text and "(https://github.com/run)" in text and len(text) < 65_000


@pytest.mark.parametrize(("name", "text"), [("preview.md", "no marker"), ("state.md", "no marker")])
def test_another_text_is_not_written(tmp_path: Path, github: dict[str, str], name: str, text: str) -> None:
    (tmp_path / "preview.md").write_text(f"{MARKER}\nfirst\n")
    (tmp_path / name).write_text(text)
    assert run(COMMENT, tmp_path, github).returncode != 0
    assert not Path(github["CALLS"]).exists()


@pytest.mark.parametrize(
    ("found", "existing", "told"),
    [
        ("true", "", "--method POST repos/team/portal/issues --field title=What runs differs from the code"),
        ("true", "9\n", "--method PATCH repos/team/portal/issues/9 --field body=@drift.md --field state=open"),
        ("false", "9\n", "--method PATCH repos/team/portal/issues/9 --field body=@drift.md --field state=closed"),
        ("false", "", ""),
    ],
)
def test_one_issue_is_open_while_there_is_drift(
    tmp_path: Path, github: dict[str, str], found: str, existing: str, told: str
) -> None:
    (tmp_path / "drift.md").write_text(f"{DRIFT_MARKER}\ntext\n")
    (tmp_path / "existing").write_text(existing)
    done = run(script_of("drift.report", "Open the issue"), tmp_path, github | {"FOUND": found})
    assert done.returncode == 0, done.stderr
    calls = Path(github["CALLS"]).read_text() if Path(github["CALLS"]).exists() else ""
    assert told in calls and calls.count("\n") == (1 if told else 0)


class Tokens(BaseHTTPRequestHandler):
    """GitHub's endpoint for tokens: one that says what it was asked, and by whom."""

    def do_GET(self) -> None:
        self.send_response(200 if self.headers["Authorization"] == "bearer ours" else 403)
        self.end_headers()
        self.wfile.write(f'{{"value": "token for {self.path}"}}'.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def tokens() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Tokens)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/token?api=1"
    server.shutdown()


PULUMI = """#!/bin/sh
echo '{"steps": [], "changeSummary": {"same": 3}}'
echo "$*" >&2
cat "${AWS_WEB_IDENTITY_TOKEN_FILE:-/dev/null}" >&2
printf '\\nfile:%s' "${AWS_WEB_IDENTITY_TOKEN_FILE:-}" >&2
exit 7
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The script in a checkout whose `make -s engine` finds a pulumi that says how it was called."""
    root = tmp_path / "head"
    for folder in (".ci", "bin", ".venv/bin"):
        (root / folder).mkdir(parents=True)
    (root / ".ci/preview-state").write_text((ROOT / ".ci/preview-state").read_text())
    (root / "bin/pulumi").write_text(PULUMI)
    (root / "bin/pulumi").chmod(0o755)
    (root / "Makefile").write_text("engine:\n\t@echo $(CURDIR)/bin/pulumi\n")
    (root / ".venv/bin/python").symlink_to(sys.executable)
    (root / "Pulumi.prod.yaml").write_text("config: {}\n")
    return root


def previewed(checkout: Path, *flags: str, **environment: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    folder = checkout.parent / "previews"
    done = subprocess.run(
        ["bash", str(checkout / ".ci/preview-state"), str(folder), *flags],
        env={"PATH": os.environ["PATH"], "STACKS": "staging prod", **environment},
        capture_output=True,
        text=True,
    )
    return done, folder


def test_each_stack_with_a_file_is_previewed_without_asking_a_machine(checkout: Path) -> None:
    done, folder = previewed(checkout, "--refresh", "--expect-no-changes")
    assert done.returncode == 0, done.stderr
    assert "There is no Pulumi.staging.yaml" in done.stdout
    assert sorted(path.name for path in folder.iterdir()) == ["prod.code", "prod.json", "prod.log"]
    assert (folder / "prod.code").read_text() == "7\n"
    called = (folder / "prod.log").read_text()
    assert "preview --stack prod --non-interactive --json --policy-pack policy" in called
    assert "--exclude **docker:** --exclude **kubernetes:** --refresh --expect-no-changes" in called


def test_the_role_is_taken_with_a_token_meant_for_aws_that_is_removed_again(checkout: Path, tokens: str) -> None:
    done, folder = previewed(checkout, ACTIONS_ID_TOKEN_REQUEST_URL=tokens, ACTIONS_ID_TOKEN_REQUEST_TOKEN="ours")
    assert done.returncode == 0, done.stderr
    log = (folder / "prod.log").read_text()
    assert "token for /token?api=1&audience=sts.amazonaws.com" in log
    assert not Path(log.rpartition("file:")[2]).exists()


def test_a_refused_token_ends_the_script_before_anything_is_previewed(checkout: Path, tokens: str) -> None:
    done, folder = previewed(checkout, ACTIONS_ID_TOKEN_REQUEST_URL=tokens, ACTIONS_ID_TOKEN_REQUEST_TOKEN="theirs")
    assert done.returncode != 0 and not list(folder.glob("*.code"))
