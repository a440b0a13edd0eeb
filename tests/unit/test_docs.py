"""The documentation speaks of what is there: links, paths, targets, commands, messages, keys and the example."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from groundwork.deployment import Deployment
from groundwork.images import ImageLock
from groundwork.misfits import misfits
from groundwork.plan import plan
from groundwork.stack_file import read_values
from groundwork.system import load_system
from ops.cli import app
from tests.sample import ROOT, project_of, stack_files, stack_of
from tools import docs

MADE = {".venv", ".groundwork", ".git", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"}
NOT_WRITTEN = {*MADE, "snapshots"}
PAGES = sorted(page for page in ROOT.rglob("*.md") if not NOT_WRITTEN & set(page.relative_to(ROOT).parts))
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?://)([^)\s]+)\)")
COPY = "systems/shop"
"""Where a reader of docs/own-system.md has copied the example to."""
LABELS = {f"{project_of(file)}/{stack_of(file)}" for file in stack_files()}
"""What a comment calls a stack: `housing/dev` is no path."""
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def code_of(text: str) -> list[str]:
    """Fenced blocks and what stands in backticks."""
    return CODE.findall(text)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_there_are_pages() -> None:
    assert {"README.md", "docs/own-system.md", "docs/stack-file.md"} <= {str(page.relative_to(ROOT)) for page in PAGES}


@every_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@every_page
def test_every_target_of_make_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for code in code_of(page.read_text()) for name in re.findall(r"\bmake (?:-s )?([a-z][a-z-]*)", code)}
    assert named <= targets


@every_page
def test_every_command_of_ops_exists(page: Path) -> None:
    known = {str(command.name or command.callback.__name__) for command in app.registered_commands if command.callback}
    named = {name for code in code_of(page.read_text()) for name in re.findall(r"python -m ops ([a-z-]+)", code)}
    assert named <= {name.replace("_", "-") for name in known}


def paths_named(page: Path) -> Iterator[str]:
    """What stands alone in backticks and begins with a folder or file of the top level, or of the page's own folder."""
    roots = {entry.name for folder in (ROOT, page.parent) for entry in folder.iterdir()} - MADE
    for text in re.findall(r"`([^`\s]+)`", page.read_text()):
        first = text.split("/")[0]
        is_path = first in roots and ("/" in text or "." in text)
        if is_path and text not in LABELS and not set("<>*…(){}:") & set(text) and not text.startswith(COPY):
            yield text


@every_page
def test_every_path_of_the_repository_exists(page: Path) -> None:
    for path in paths_named(page):
        assert (ROOT / path).exists() or (page.parent / path).exists(), path


def test_the_map_in_the_readme_has_every_folder_and_no_other() -> None:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    tracked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    folders = {path.split("/")[0] + "/" for path in tracked if "/" in path and not path.startswith(".")}
    assert set(re.findall(r"^\| `([a-z]+/)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)) == folders


def test_the_parts_that_the_code_knows_are_current() -> None:
    for file, text in docs.made_files().items():
        assert file.read_text() == text, f"{file.relative_to(ROOT)}: run python -m tools.docs"


def test_every_part_that_can_be_made_is_in_a_page() -> None:
    pages = [page.read_text() for page in docs.DOCS.glob("*.md")]
    assert {name for text in pages for _, name, _ in docs.PART.findall(text)} == set(docs.PARTS)


def test_every_message_in_troubleshooting_is_one_of_ours_or_says_whose_it_is() -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text()
    folders = [ROOT / name for name in ("groundwork", "components", "ops", "tools")]
    source = "".join(file.read_text() for folder in folders for file in folder.rglob("*.py"))
    source += (ROOT / "Makefile").read_text()
    sections = re.findall(r"^### `(.+?)`\n\n(.+?)(?=\n#|\Z)", page, re.DOTALL | re.MULTILINE)
    assert len(sections) == page.count("\n### ") > 20
    for message, text in sections:
        assert message in source or re.match(r"Words of (Docker|Pulumi)\b", text), message


def yaml_blocks() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for _, language, text in FENCED.findall(page.read_text()):
            if language == "yaml" and "groundwork:" in text:
                yield f"{page.name}: {text.split(':')[1].strip()}", text


@pytest.mark.parametrize("text", [text for _, text in yaml_blocks()], ids=[name for name, _ in yaml_blocks()])
def test_every_stack_file_in_the_documentation_is_accepted(text: str) -> None:
    document = yaml.safe_load(text)
    configuration = read_values(document.get("config", document), "documentation")
    if not configuration.secrets and "mailer" not in text:
        found = {name: list(misfits(load_system(ROOT, name), configuration)) for name in ("housing", "mindpal")}
        assert [] in found.values(), found


def test_the_readmes_changes_are_releases_as_it_says() -> None:
    mindpal, lock = load_system(ROOT, "mindpal"), ImageLock({}, "mark")
    blocks = [yaml.safe_load(text) for name, text in yaml_blocks() if name.startswith("README")]
    assert len(blocks) == 2
    dev = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]
    before = plan(mindpal, read_values(dev, "before"), lock, project="groundwork", stack="dev")
    for block in blocks:
        after = plan(mindpal, read_values(dev | block, "after"), lock, project="groundwork", stack="dev")
        changed = releases(before).items() - releases(after).items()
        names = {name for name, _ in changed}
        assert "api" in names
        assert not names & {"gateway", "mysql", "cache", "results", "rabbitmq"}


def releases(deployment: Deployment) -> dict[str, str]:
    return {workload.name: workload.release for workload in deployment.workloads}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which somebody has done what docs/own-system.md says, whatever was done in this one."""
    copy = tmp_path_factory.mktemp("own")
    unwanted = shutil.ignore_patterns("__pycache__", Path(COPY).name)
    for folder in ("groundwork", "ops", "tools", "systems", "images"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=unwanted)
    shutil.copytree(docs.EXAMPLE, copy / COPY)
    return copy


def planned(checkout: Path, stack: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ops", "plan", "--json", "--committed", "--system", "shop", "--stack", stack]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False, env=environment)


def test_the_example_is_planned_in_dev(checkout: Path) -> None:
    done = planned(checkout, "dev")
    assert done.returncode == 0, done.stderr
    deployment = json.loads(done.stdout)
    assert deployment["urls"]["system"] == "http://127.0.0.1:8081/"
    clients = {(way["client"], way["server"]) for way in deployment["connections"]}
    assert {("api", "postgres"), ("mailer", "redis")} <= clients
    assert ("mailer", "postgres") not in clients and ("gateway", "mailer") not in clients
    assert deployment["workloads"]["api"]["env"]["DATABASE_URL_FILE"]
    assert deployment["secrets"]["system.smtp_password"]["source"] == "groundwork:secret_smtp_password"


def test_the_example_asks_for_its_secret_in_prod_and_is_planned_with_it(checkout: Path) -> None:
    done = planned(checkout, "prod")
    assert done.returncode == 1
    assert "groundwork:secret_smtp_password: is missing" in done.stderr
    file = checkout / COPY / "Pulumi.prod.yaml"
    file.write_text(file.read_text() + "  groundwork:secret_smtp_password:\n    secure: v1:x:y\nencryptionsalt: v1:z\n")
    done = planned(checkout, "prod")
    assert done.returncode == 0, done.stderr
    api = json.loads(done.stdout)["workloads"]["api"]
    assert (api["replicas"], api["image"]["reference"]) == (2, "registry.example.com/shop/api:1.4.2")


def test_the_example_is_about_as_short_as_the_page_says() -> None:
    assert len((docs.EXAMPLE / "system.py").read_text().splitlines()) <= 45


def test_the_examples_stack_files_find_the_schema_where_they_are_copied_to() -> None:
    for file in docs.EXAMPLE.glob("Pulumi.*.yaml"):
        schema = file.read_text().splitlines()[0].removeprefix("# yaml-language-server: $schema=")
        assert (ROOT / COPY / schema).resolve() == ROOT / "docs/stack-file.schema.json"
