"""What is cleared after a killed engine, and what never is: tools/engine/recover.py and processes.py."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tools.engine import processes, recover
from tools.engine.checkout import UserError
from tools.engine.recover import Backend, Labelled

NOW = datetime.now(UTC)
URN = "urn:pulumi:dev::housing::docker:index/container:Container::housing-api"


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return Backend(tmp_path, "housing", "dev")


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process that lives as long as the test."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.communicate()


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def lock_file(backend: Backend, pid: int, *, taken: datetime = NOW, host: str | None = None) -> Path:
    backend.locks.mkdir(parents=True, exist_ok=True)
    file = backend.locks / f"{pid}.json"
    content = {
        "pid": pid,
        "username": "me",
        "hostname": host or socket.gethostname(),
        "timestamp": go_time(taken),
    }
    file.write_text(json.dumps(content))
    return file


def go_time(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%f") + "789Z"


def checkpoint(backend: Backend, latest: dict[str, object] | None) -> None:
    backend.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    backend.checkpoint.write_text(
        json.dumps({"version": 3, "checkpoint": {"stack": "dev", "latest": latest}})
    )


class FakePulumi:
    """Answers `stack export` and keeps what `stack import` is given."""

    def __init__(self, deployment: dict[str, object]) -> None:
        self.exported = json.dumps({"version": 3, "deployment": deployment})
        self.imported: list[str] = []

    def __call__(self, arguments: list[str], text: str) -> str:
        if arguments == ["stack", "export"]:
            return self.exported
        assert arguments == ["stack", "import", "--force"]
        self.imported.append(text)
        return ""


def run(backend: Backend, pulumi: FakePulumi) -> list[str]:
    said: list[str] = []
    recover.recover(backend, docker_environment=None, pulumi=pulumi, say=said.append)
    return said


def test_after_a_run_that_ended_by_itself_nothing_is_touched(backend: Backend) -> None:
    checkpoint(backend, {"resources": [{"urn": URN, "id": "c1"}]})
    pulumi = FakePulumi({})
    assert run(backend, pulumi) == [] and pulumi.imported == []


def test_a_new_stack_is_nothing_to_recover(backend: Backend) -> None:
    assert run(backend, FakePulumi({})) == []
    checkpoint(backend, None)
    assert run(backend, FakePulumi({})) == []


def test_the_lock_of_a_dead_process_is_cleared(backend: Backend) -> None:
    file = lock_file(backend, dead_pid())
    assert any("Cleared the lock" in line for line in run(backend, FakePulumi({})))
    assert not file.exists()


def test_the_lock_of_a_living_process_stays_and_ends_the_run(backend: Backend, stranger: int) -> None:
    file = lock_file(backend, stranger, taken=datetime.now(UTC))
    dead = lock_file(backend, dead_pid())
    with pytest.raises(UserError, match=f"process {stranger} on"):
        run(backend, FakePulumi({}))
    assert file.exists() and dead.exists()


def test_a_process_that_got_the_number_later_does_not_hold_the_lock(backend: Backend, stranger: int) -> None:
    file = lock_file(backend, stranger, taken=datetime.now(UTC) - timedelta(hours=1))
    run(backend, FakePulumi({}))
    assert not file.exists()


def test_the_lock_of_another_machine_counts_as_living(backend: Backend) -> None:
    file = lock_file(backend, dead_pid(), host="another.example")
    with pytest.raises(UserError, match=r"another\.example"):
        run(backend, FakePulumi({}))
    assert file.exists()


def test_a_half_written_lock_is_a_dead_one(backend: Backend) -> None:
    file = lock_file(backend, 1)
    file.write_text("{")
    run(backend, FakePulumi({}))
    assert not file.exists()


def test_pending_operations_leave_the_state_and_resources_stay(backend: Backend) -> None:
    deployment: dict[str, object] = {
        "resources": [{"urn": URN, "id": "c1"}],
        "pending_operations": [{"type": "creating", "resource": {"urn": URN}}],
    }
    checkpoint(backend, deployment)
    pulumi = FakePulumi(deployment)
    assert run(backend, pulumi) == ["Cleared 1 pending operation(s) of the killed run: creating housing-api."]
    assert json.loads(pulumi.imported[0])["deployment"] == {"resources": deployment["resources"]}


def labelled(kind: recover.Kind, name: str, created: datetime) -> Labelled:
    return Labelled(kind, f"id-{name}", name, created)


def test_only_what_the_killed_run_made_and_no_state_knows_is_removed_containers_first() -> None:
    before, after = NOW - timedelta(minutes=5), NOW + timedelta(seconds=2)
    entries = [
        labelled("network", "lost-net", after),
        labelled("container", "lost", after),
        labelled("container", "in-state", after),
        labelled("container", "of-another-back-end", before),
        labelled("network", "older-net", before),
        labelled("volume", "data", after),
    ]
    found = recover.orphans(entries, frozenset({"id-in-state"}), NOW)
    assert [entry.name for entry in found] == ["lost", "lost-net"]


def test_a_killed_run_is_dated_by_its_marker_and_its_lock_whichever_is_older(backend: Backend) -> None:
    recover.mark_running(backend)
    marked = recover.parse_time(backend.running.read_text())
    assert recover.look(backend).since == marked
    recover.mark_running(backend)  # a second run before the first was recovered
    assert recover.parse_time(backend.running.read_text()) == marked
    lock_file(backend, dead_pid(), taken=marked - timedelta(minutes=1))
    assert recover.look(backend).since == marked - timedelta(minutes=1)


def test_the_marker_outlives_a_run_whose_engine_was_killed(backend: Backend) -> None:
    recover.mark_running(backend)
    lock = lock_file(backend, dead_pid())
    recover.mark_ended(backend)
    assert backend.running.exists()
    lock.unlink()
    checkpoint(backend, {"pending_operations": [{"type": "creating", "resource": {"urn": URN}}]})
    recover.mark_ended(backend)
    assert backend.running.exists()
    checkpoint(backend, {"resources": []})
    recover.mark_ended(backend)
    assert not backend.running.exists()


def test_the_marker_goes_when_everything_is_cleared(backend: Backend) -> None:
    recover.mark_running(backend)
    run(backend, FakePulumi({}))
    assert not backend.running.exists()


@pytest.mark.parametrize(
    "text",
    ["2026-11-22T20:03:08.296264698Z", "2026-11-22T20:03:08.296264Z", "2026-11-23T04:03:08.296264698+08:00"],
)
def test_times_of_go_and_docker_are_read(text: str) -> None:
    assert recover.parse_time(text) == datetime(2026, 11, 22, 20, 3, 8, 296264, UTC)


def test_the_start_of_this_process_is_known() -> None:
    start = processes.started(os.getpid())
    assert start and start <= datetime.now(UTC)
    assert processes.started(dead_pid()) is None
    assert processes.started(0) is None


def test_orphaned_plugins_are_those_of_this_back_end_whose_engine_is_gone(tmp_path: Path) -> None:
    plugin = tmp_path / "pulumi-resource-none"
    plugin.write_bytes(Path("/bin/sleep").read_bytes())
    plugin.chmod(0o755)
    url = f"file://{tmp_path}"
    command = [str(plugin), "60"]
    ours = subprocess.Popen(command, env={"PULUMI_BACKEND_URL": url})
    others = subprocess.Popen(command, env={"PULUMI_BACKEND_URL": "file:///elsewhere"})
    try:
        orphans = processes.orphaned_plugins(url)
        assert [orphan.pid for orphan in orphans] == [ours.pid]
        assert processes.end(orphans) == 1
        assert processes.orphaned_plugins(url) == []
    finally:
        for process in (ours, others):
            process.kill()
            process.wait()
