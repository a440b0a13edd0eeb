"""The commands as a person calls them, in a process of their own where that is what matters."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from groundwork.images import digest_of_folder
from groundwork.views.document import document
from groundwork.views.review import review
from groundwork.workload import SecretRef
from ops.checkout import lock_of_commit, lock_of_machine, open_stack
from ops.comparison import compare_checkouts, read_side
from ops.plan_table import secret_rows, write
from tests.sample import ROOT, planned
from tools.engine.checkout import UserError

PARTS = ("groundwork", "ops", "systems/housing", "systems/mindpal", "tools", "images")
"""Only the systems that are known here: a user's own lie beside them."""


def ops(*arguments: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "ops", *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a comparison reads of a checkout."""
    return copied(tmp_path / "base")


def copied(target: Path) -> Path:
    for part in PARTS:
        shutil.copytree(ROOT / part, target / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "systems/__init__.py", target / "systems")
    for file in ROOT.glob("Pulumi*.yaml"):
        shutil.copy(file, target)
    return target


def test_plan_is_fast_and_never_touches_pulumi() -> None:
    code = "import runpy, sys; sys.modules.update(pulumi=None, docker=None); sys.argv = ['ops', 'plan', '--json']"
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; runpy.run_module('ops', run_name='__main__')"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["system"] == "mindpal"
    assert time.monotonic() - began < 5


def test_plan_shows_everything_in_eighty_columns_and_writes_the_pictures(tmp_path: Path) -> None:
    done = ops("plan", "--stack", "prod", "--system", "housing", "--write", str(tmp_path))
    assert done.returncode == 0, done.stderr
    table = done.stdout[: done.stdout.index("Memory  ")]
    assert max(map(len, table.splitlines())) <= 80
    for word in ("postgres-accounts", "api-release", "2 × 192 MiB", ":8000 from", "0.0.0.0:80", "3,584"):
        assert word in done.stdout
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"housing-prod.{kind}" for kind in ("md", "mmd", "svg")]


def test_the_page_has_every_table_and_the_picture(tmp_path: Path) -> None:
    deployment = planned()
    files = write(tmp_path, "shop", deployment)
    text = next(file for file in files if file.suffix == ".md").read_text()
    assert "![What runs where](shop-test.svg)" in text
    for workload in deployment.workloads:
        assert f"| {workload.name} | {workload.role} |" in text
    for network in deployment.networks:
        assert f"| {network.name} | {network.subnet} |" in text
    assert "```mermaid\nflowchart LR" in text


def test_secrets_are_shown_with_their_source_alone() -> None:
    deployment = planned({"secret_jwt_key": "hunter2hunter2"})
    assert SecretRef(owner="system", name="jwt_key", generation="1") not in deployment.secrets
    rows = dict(secret_rows(deployment))
    assert rows["system.jwt_key"] == "groundwork:secret_jwt_key"
    assert rows["postgres.password"] == "generated, kept in the state"


def test_what_is_wrong_is_a_message_and_no_traceback() -> None:
    done = ops("plan", "--stack", "prdo")
    assert done.returncode == 1
    assert "did you mean `Pulumi.prod.yaml`?" in done.stderr
    assert "Traceback" not in done.stderr
    done = ops("plan", "--system", "hosing")
    assert done.returncode == 1
    assert "Did you mean housing?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_stack_that_is_not_up_is_told_how_to_come_up(checkout: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PULUMI_BACKEND_URL"}
    for command in ("status", "logs", "smoke"):
        done = subprocess.run(
            [sys.executable, "-m", "ops", command, "--stack", "prod", "--system", "housing"],
            cwd=checkout, env=environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 1
        assert done.stderr == "housing/prod is not up here: `make up STACK=prod SYSTEM=housing` brings it up.\n"


def test_the_lock_of_a_commit_knows_nothing_of_this_machine(checkout: Path) -> None:
    (checkout / ".groundwork").mkdir()
    own = f"sha256:{'1' * 64}"
    (checkout / ".groundwork/images.lock").write_text(f"build:probe: {own}\nredis:8: {own}\n")
    (checkout / "images.lock").write_text(f"postgres:17: sha256:{'2' * 64}\n")
    of_machine, of_commit = lock_of_machine(checkout), lock_of_commit(checkout)
    assert of_machine.resolve("build:probe").digest == own
    assert of_commit.resolve("build:probe").digest == digest_of_folder(checkout / "images/probe")
    assert of_commit.resolve("redis:8").origin == "simulated"
    assert of_commit.resolve("postgres:17").digest == f"sha256:{'2' * 64}"


def test_a_comparison_shows_files_code_images_and_faults(checkout: Path, tmp_path: Path) -> None:
    head = copied(tmp_path / "head")
    # A change in code.
    catalog = head / "groundwork/catalog/postgres.py"
    catalog.write_text(catalog.read_text().replace("checkpoint_timeout = 15min", "checkpoint_timeout = 20min"))
    # A change in an image that is built here.
    (head / "images/web/site/index.html").write_text("<title>new</title>")
    # A stack file that can't be read, one that is new and one that goes.
    broken = head / "Pulumi.prod.yaml"
    broken.write_text(broken.read_text().replace("groundwork:time_zone", "groundwork:timezone"))
    (head / "Pulumi.stage.yaml").write_text("config:\n  groundwork:system: housing\n")
    (head / "systems/housing/Pulumi.prod.yaml").unlink()
    done = ops("compare", str(checkout), str(head))
    assert done.returncode == 1, done.stderr
    rows = {line.split("`")[1]: line for line in done.stdout.splitlines() if line.startswith("| `")}
    assert "postgres: restarts" in rows["housing/dev"]
    assert "web: new release beside the old one" in rows["housing/dev"]
    assert "api: " not in rows["housing/dev"]
    assert "nothing changes" in rows["groundwork/dev"]
    assert "can't be deployed" in rows["groundwork/prod"]
    assert "new stack" in rows["groundwork/stage"]
    assert "its stack file goes" in rows["housing/prod"]
    assert "+checkpoint_timeout = 20min" in done.stdout
    assert "did you mean `time_zone`?" in done.stdout
    assert str(tmp_path) not in done.stdout


def test_two_equal_checkouts_have_nothing_to_compare(checkout: Path) -> None:
    text = review(compare_checkouts(checkout, checkout, "dev"))
    assert "Nothing changes in `groundwork/dev`, `housing/dev`, `mindpal/dev`." in text


def test_a_stack_that_nobody_has_is_refused(checkout: Path) -> None:
    with pytest.raises(UserError, match=r"neither side has a stack file Pulumi\.nowhere\.yaml"):
        compare_checkouts(checkout, checkout, "nowhere")


def test_the_code_of_a_pull_request_sees_no_token(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "token-4711")
    system = checkout / "systems/housing/system.py"
    system.write_text(f"import os, sys\nsys.exit(' '.join(os.environ.values()))\n{system.read_text()}")
    fault = str(read_side(checkout, "housing", "dev").fault)
    assert os.environ["PATH"] in fault
    assert "token-4711" not in fault


def test_a_crash_of_the_other_sides_code_is_its_fault_and_not_ours(checkout: Path) -> None:
    (checkout / "groundwork/plan.py").write_text("raise RuntimeError('half a commit')\n")
    side = read_side(checkout, "housing", "dev")
    assert side.document is None
    assert "half a commit" in str(side.fault)


def test_the_json_of_plan_is_the_document(checkout: Path) -> None:
    done = ops("plan", "--json", "--system", "housing", root=checkout)
    stack = open_stack("dev", "housing", checkout)
    assert json.loads(done.stdout) == document(stack.deployment(lock_of_machine(checkout)))
