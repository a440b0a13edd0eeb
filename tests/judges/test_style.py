"""Linters with all their rules: Dockerfiles, shell, YAML, workflows. What is waived is waived here, with its reason."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml

from groundwork.scripts import reload_script, scripts_of
from tests.sample import CERTIFICATE, ROOT, planned

from .conftest import in_venv

YAMLLINT = {
    "extends": "default",
    # One document a file, as Pulumi and the workflows are written everywhere.
    # The line of an encrypted secret in a stack file is Pulumi's own, and nobody can break it; nor kwok's templates.
    "rules": {"document-start": "disable", "line-length": {"ignore": ["Pulumi.*.yaml", "kubelet.yaml"]}},
}


@cache
def all_files() -> tuple[Path, ...]:
    """Every file of the project: tracked, or about to be."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(sorted(path for path in (ROOT / line for line in listed.split("\0") if line) if path.is_file()))


def files(*patterns: str) -> list[Path]:
    """Those whose path from the project's root ends as one of the patterns says."""
    return [path for path in all_files() if any(path.relative_to(ROOT).match(pattern) for pattern in patterns)]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def judged(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", files("Dockerfile", "*.Dockerfile"), ids=name)
def test_hadolint_finds_nothing_in_any_image(path: Path) -> None:
    judged(in_venv("hadolint"), "--no-color", path)


def shell_files() -> list[Path]:
    """What ends in .sh, and what begins like a shell script."""
    named = set(files("*.sh"))
    others = {path for path in all_files() if path.suffix == "" and path.read_bytes()[:40].startswith(b"#!")}
    return sorted(named | {path for path in others if b"sh" in path.read_bytes().splitlines()[0]})


@pytest.mark.parametrize("path", shell_files(), ids=name)
def test_shellcheck_finds_nothing_in_any_script(path: Path) -> None:
    judged(in_venv("shellcheck"), "--external-sources", path)


def rendered() -> dict[str, str]:
    """Every script that a workload is given, from a stack that has all kinds of them."""
    deployment = planned(
        {
            "services": {"postgres": {"credentials": 2}, "redis": {"credentials": 2}},
            "entry": {"certificate": CERTIFICATE},
            "secret_tls_key": "k",
        }
    )
    got = planned({"entry": {"server_names": ["shop.example.com"], "acme": {"email": "ops@example.net"}}})
    scripts: dict[str, str] = {}
    for workload in (*deployment.workloads, got.workload("certificates")):
        for file in (*workload.files, *scripts_of(workload)):
            if file.name.endswith(".sh"):
                assert isinstance(file.content, str)
                scripts[f"{workload.name}/{file.name}"] = file.content
        if workload.reload:
            scripts[f"{workload.name}/reload.sh"] = reload_script(workload.reload)
        if workload.role == "job" and workload.command[:1] == ("/bin/sh",):
            scripts[f"{workload.name}/command"] = f"#!/bin/sh\nset -eu\n{workload.command[-1]}"
    return scripts


SCRIPTS = rendered()


def test_every_kind_of_script_is_among_those_that_are_judged() -> None:
    kinds = {name.split("/")[1] for name in SCRIPTS}
    assert kinds >= {"probe.sh", "job.sh", "start.sh", "reload.sh", "certificates.sh", "command"}
    assert {"postgres-retire/command", "redis-retire/command", "gateway/reload.sh"} <= SCRIPTS.keys()


@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck_finds_nothing_in_any_rendered_script(script: str, tmp_path: Path) -> None:
    path = tmp_path / "script.sh"
    path.write_text(SCRIPTS[script])
    judged(in_venv("shellcheck"), "--shell=sh", path)


@pytest.mark.parametrize("path", files("*.yaml", "*.yml"), ids=name)
def test_yamllint_finds_nothing(path: Path) -> None:
    judged(in_venv("yamllint"), "--strict", "-d", yaml.safe_dump(YAMLLINT), path)


WORKFLOWS = files(".github/workflows/*.yml", ".github/workflows/*.yaml")


def test_there_are_workflows_to_judge() -> None:
    assert WORKFLOWS


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_actionlint_finds_nothing(actionlint: Path, path: Path) -> None:
    judged(actionlint, "-no-color", "-shellcheck", in_venv("shellcheck"), path)


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_zizmor_finds_nothing(path: Path) -> None:
    judged(in_venv("zizmor"), "--offline", "--no-progress", "--persona", "regular", path)
