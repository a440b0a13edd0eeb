"""The whole program for every stack file of the repository, under mocks: outputs are as docs/outputs.md promises."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from policy.rule import Resource, Rule, Stack, StackRule
from policy.rules import RULES
from tests.recorder import Recording, Registration, Secret, engine_form, record_program
from tests.sample import ROOT, project_of, stack_files, stack_of, with_secrets

OUTPUTS = {"system", "simulated", "urls", "images", "references", "releases", "containers", "machines", "backups"}
OUTPUTS.add("credentials")


@pytest.fixture(scope="module", params=stack_files(), ids=lambda path: str(path.relative_to(ROOT)))
def stack_file(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture(scope="module")
def run(stack_file: Path) -> Recording:
    values, secret = with_secrets(stack_file)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PULUMI_CONFIG", json.dumps(engine_form(values)))
        environment.setenv("GROUNDWORK_PROVIDERS", "simulated")
        return record_program(values, project=project_of(stack_file), stack=stack_of(stack_file), secret_keys=secret)


def test_the_outputs_are_the_promised_ones(run: Recording) -> None:
    assert set(run.outputs) == OUTPUTS


def test_the_run_says_that_it_is_simulated(run: Recording) -> None:
    assert run.outputs["simulated"] is True


def test_the_system_is_one_of_the_repository(run: Recording) -> None:
    assert (ROOT / "systems" / run.outputs["system"] / "system.py").exists()


def test_urls_are_what_a_user_opens(run: Recording) -> None:
    urls = run.outputs["urls"]
    assert set(urls) == {"system", "health"}
    assert all(re.fullmatch(r"https?://[\w.-]+(:\d+)?/(health)?", url) for url in urls.values()), urls


def test_every_workload_has_an_image_and_a_release(run: Recording) -> None:
    images, releases = run.outputs["images"], run.outputs["releases"]
    assert images.keys() == releases.keys() >= {"gateway"}
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in images.values())
    assert all(re.fullmatch(r"[0-9a-f]{8}", release) for release in releases.values())


def test_every_container_that_runs_is_told_of_and_no_other(run: Recording) -> None:
    told = {container["name"] for container in run.outputs["containers"]}
    running = {one.plain["name"] for one in run.of_type(":Container") if one.plain.get("start") is not False}
    # On a cluster: what makes the pods.
    making = {
        f"{kind}/{one.plain['metadata']['name']}"
        for kind in ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
        for one in run.of_type(f":{kind}")
    }
    assert told == running | making
    for container in run.outputs["containers"]:
        assert set(container) - {"machine"} == {"name", "workload", "role", "release"}
        # What knows its machine, by address or name, has a release of its own on each.
        if container["workload"] not in ("gateway", "prometheus-agent", "shipper") or "machine" not in container:
            assert container["release"] == run.outputs["releases"][container["workload"]]


def test_credentials_are_secret_and_there(run: Recording) -> None:
    credentials = run.outputs["credentials"]
    assert isinstance(credentials, Secret)
    assert len(credentials.value) == len(run.of_type(":RandomPassword"))


def test_names_outside_say_project_and_stack(run: Recording, stack_file: Path) -> None:
    prefix = f"{project_of(stack_file)}-{stack_of(stack_file)}-"
    for kind in ("docker:index/network:Network", "docker:index/volume:Volume", "docker:index/container:Container"):
        assert all(one.plain["name"].startswith(prefix) for one in run.of_type(kind))


def test_there_is_a_stack_file_of_the_top_level_and_of_every_system() -> None:
    folders = {path.parent for path in stack_files()}
    assert folders == {ROOT, *(file.parent for file in ROOT.glob("systems/*/system.py"))}


def test_every_project_of_a_system_runs_the_programs_own_entry() -> None:
    for file in ROOT.glob("systems/*/Pulumi.yaml"):
        project = yaml.safe_load(file.read_text())
        assert (file.parent / project["main"]).resolve() == ROOT
        assert project["name"] == file.parent.name


def judged(one: Registration) -> Resource:
    """A registration as the policy pack gets it, with every value known."""
    made_from = {key: frozenset(others.urns) for key, others in one.options.propertyDependencies.items()}
    return Resource(
        type=one.type, name=one.name, urn=one.urn, props=one.plain, protect=one.options.protect, made_from=made_from
    )


def test_the_stack_keeps_all_rules(run: Recording, stack_file: Path) -> None:
    resources, stack = [judged(one) for one in run.registrations], Stack(name=stack_of(stack_file))
    broken = [
        (rule.name, one.name, wrong)
        for rule in RULES
        if isinstance(rule, Rule)
        for one in resources
        if rule.types is None or one.type in rule.types
        for wrong in rule.judge(one, stack)
    ]
    broken += [
        (rule.name, one.name, wrong)
        for rule in RULES
        if isinstance(rule, StackRule)
        for one, wrong in rule.judge(resources, stack)
    ]
    assert broken == []
