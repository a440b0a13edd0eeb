"""Whole systems on a simulated cluster, by the real engine: what a change touches, and in which order."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from groundwork.system import System, load_system
from tests.engine.stack import ROOT, Run, Stack
from tests.engine.test_housing import assert_ok, position

DIGEST = f"@sha256:{'1' * 64}"
SYSTEMS = ("housing", "mindpal")
DATABASES = {"housing": "postgres", "mindpal": "mysql"}
CONTROLLERS = ("deployment-", "statefulset-", "job-", "cronjob-")


@dataclass(frozen=True)
class Deployed:
    """A system that is up, as its file `Pulumi.k8s.yaml` says."""

    system: System
    stack: Stack

    @property
    def prefix(self) -> str:
        return f"{self.system.name}-kubernetes-"

    def configure(self, **changes: dict[str, Any]) -> None:
        """Objects below `groundwork:` that are laid over what the file says."""
        settings = settings_of(self.system.name)
        for key, value in changes.items():
            settings[f"groundwork:{key}"] = merged(settings.get(f"groundwork:{key}", {}), value)
        self.stack.configure(yaml.safe_dump({"config": settings}))

    def named(self, key: str) -> str:
        return f"{self.prefix}{key}"

    def touched(self, run: Run) -> dict[str, set[str]]:
        """The objects that did not stay as they were, by what was done."""
        found: dict[str, set[str]] = {}
        for step in run.steps:
            if step.op != "same" and step.name.startswith(self.prefix):
                found.setdefault(step.op, set()).add(step.name.removeprefix(self.prefix))
        return found

    def controllers(self, run: Run) -> dict[str, set[str]]:
        touched = {op: {one for one in names if one.startswith(CONTROLLERS)} for op, names in self.touched(run).items()}
        return {op: names for op, names in touched.items() if names}

    def new(self, run: Run, stem: str) -> str:
        """The name of the one object that came whose name begins so."""
        (name,) = (name for name in run.names("create") if name.startswith(self.named(stem)))
        return name


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    both = {key for key in old.keys() & new.keys() if isinstance(old[key], dict) and isinstance(new[key], dict)}
    return old | new | {key: merged(old[key], new[key]) for key in both}


def settings_of(system: str) -> dict[str, Any]:
    settings: dict[str, Any] = yaml.safe_load((ROOT / f"systems/{system}/Pulumi.k8s.yaml").read_text())["config"]
    return settings


@pytest.fixture(scope="module", params=SYSTEMS)
def up_once(request: pytest.FixtureRequest, pulumi: Path, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    name: str = request.param
    project = ROOT / "systems" / name
    stack = Stack(pulumi, project, project / "Pulumi.k8s.yaml", tmp_path_factory.mktemp(name)).init()
    assert_ok(stack.up())
    return Deployed(load_system(ROOT, name), stack)


@pytest.fixture
def deployed(up_once: Deployed, tmp_path: Path) -> Iterator[Deployed]:
    """Its state is a copy: every test changes the same stack."""
    work = tmp_path / "work"
    shutil.copytree(up_once.stack.work, work, symlinks=True)
    yield replace(up_once, stack=replace(up_once.stack, work=work))
    shutil.rmtree(work)


def test_unchanged_it_stays_as_it_is(deployed: Deployed) -> None:
    assert not assert_ok(deployed.stack.preview()).changes
    assert not assert_ok(deployed.stack.up()).changes


def test_a_new_image_changes_one_app_and_those_that_share_it(deployed: Deployed) -> None:
    deployed.configure(apps={"api": {"image": f"example/api{DIGEST}"}})
    run = assert_ok(deployed.stack.up())
    users = {app.name for app in deployed.system.apps if "api" in (app.name, app.image_of)}
    kinds = {app.name: "statefulset" if app.singleton else "deployment" for app in deployed.system.apps}
    touched = deployed.touched(run)
    assert touched.keys() == {"create", "update", "delete"}
    assert touched["update"] == {f"{kinds[name]}-{name}" for name in users}
    for op in ("create", "delete"):
        (job,) = touched[op]
        assert job.startswith("job-api-release-")
    migrated, released = deployed.new(run, "job-api-release-"), deployed.named("deployment-api")
    assert position(run, "create", migrated) < position(run, "update", released)
    assert position(run, "update", released) < next(at for at, step in enumerate(run.steps) if step.op == "delete")


def test_a_changed_file_rolls_its_one_user(deployed: Deployed) -> None:
    deployed.configure(entry={"burst": 300})
    run = assert_ok(deployed.stack.up())
    touched = deployed.touched(run)
    assert touched["update"] == {"deployment-gateway"}
    ((new,), (old,)) = touched["create"], touched["delete"]
    assert new != old and {new[:-8], old[:-8]} == {"configmap-gateway-files-"}
    order = [
        position(run, "create", deployed.named(new)),
        position(run, "update", deployed.named("deployment-gateway")),
        position(run, "delete", deployed.named(old)),
    ]
    assert order == sorted(order)


def test_more_memory_for_a_database_touches_it_and_what_counts_memory(deployed: Deployed) -> None:
    database = DATABASES[deployed.system.name]
    deployed.configure(services={database: {"memory_mib": 3072}})
    run = assert_ok(deployed.stack.up())
    touched = deployed.touched(run)
    assert touched["update"] <= {f"statefulset-{database}", "resourcequota-plan", "limitrange-plan"}
    assert deployed.controllers(run) == {"update": {f"statefulset-{database}"}}
    assert {name[:-8] for name in touched["create"] | touched["delete"]} == {f"configmap-{database}-files-"}


def test_rotated_credentials_restart_no_service(deployed: Deployed) -> None:
    database = DATABASES[deployed.system.name]
    deployed.configure(services={database: {"credentials": 2}})
    run = assert_ok(deployed.stack.up())
    controllers = deployed.controllers(run)
    services = {f"statefulset-{service.name}" for service in deployed.system.services}
    assert not services & set().union(*controllers.values())
    users = {app.name for app in deployed.system.apps if database in app.uses}
    assert controllers["update"] == {f"deployment-{name}" for name in users}
    order = [
        position(run, "create", deployed.new(run, f"job-{database}-accounts-")),
        position(run, "create", deployed.new(run, "job-api-release-")),
        position(run, "update", deployed.named("deployment-api")),
        position(run, "create", deployed.new(run, f"job-{database}-retire-")),
    ]
    assert order == sorted(order)
    gone = [at for at, step in enumerate(run.steps) if step.op == "delete" and "-secrets-" in step.name]
    assert gone and min(gone) > max(order)


def test_a_release_that_never_gets_ready_stays_red_and_the_gateway_stays(deployed: Deployed) -> None:
    deployed.configure(apps={"api": {"settings": {"GREETING": "bad"}}}, entry={"burst": 300})
    fault = f"init:update:kubernetes:apps/v1:Deployment/{deployed.named('deployment-api')}"
    for attempt in range(3):
        run = deployed.stack.up(fault)
        assert run.code != 0, f"attempt {attempt} turned green"
        assert "never got ready" in run.messages
        assert "deployment-gateway" not in set().union(*deployed.touched(run).values())
    assert_ok(deployed.stack.up())
    assert not assert_ok(deployed.stack.up()).changes


def test_a_release_job_that_fails_is_tried_again_and_no_app_is_released(deployed: Deployed) -> None:
    deployed.configure(apps={"api": {"settings": {"GREETING": "bad"}}})
    fault = f"init:create:kubernetes:batch/v1:Job/{deployed.named('job-api-release-')}"
    for attempt in range(3):
        run = deployed.stack.up(fault)
        assert run.code != 0, f"attempt {attempt} turned green"
        assert deployed.named("deployment-api") not in run.names("update")
    run = assert_ok(deployed.stack.up())
    assert deployed.named("deployment-api") in run.names("update")


def test_another_context_is_another_cluster_and_data_stays_in_the_old_one(deployed: Deployed) -> None:
    deployed.configure(target={"context": "other"})
    run = assert_ok(deployed.stack.preview())
    objects = {name for name in (step.name for step in run.steps) if name.startswith(deployed.prefix)}
    assert len(objects) > 40 and run.names("replace") >= objects


def test_secrets_are_secret_in_the_state(deployed: Deployed) -> None:
    shown = deployed.stack.outputs(show_secrets=True)["credentials"]
    assert len(shown) > 3
    state = str(deployed.stack.export())
    assert not [name for name, value in shown.items() if value in state]
    assert state.count("kubernetes:core/v1:Secret") > 3
