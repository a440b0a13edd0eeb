"""The scripts of containers, run by the shells that images have: dash and busybox.

A folder stands for the container's /tmp and /proc, and what would end every process is written down instead.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from groundwork.scripts import JOB, STOPPED_FAILURES, probe_script, reload_script
from groundwork.workload import FILES, Exec, File, Probes, Reload

STARTUP, GRACE, PERIOD = 60, 9, 3
PATIENCE = GRACE // PERIOD + 2
"""Failed liveness checks until the end: longer than an orderly end takes."""


@dataclass(frozen=True)
class Container:
    """A shell, and the folder that stands for the container it runs in."""

    shell: tuple[str, ...]
    folder: Path

    def moved(self, script: str) -> str:
        text = script.replace("/tmp/.", f"{self.folder}/tmp/.").replace("/proc/", f"{self.folder}/proc/")
        text = text.replace(FILES, str(self.folder / "files")).replace("kill -", "end_all -")
        return text.replace("set -", f'end_all() {{ echo "$*" >> {self.folder}/ended; }}\nset -', 1)

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        text = self.moved(script)
        assert not re.search(r"\bkill\b", text), "a test must not end anything"
        path = self.folder / "files" / "probe.sh"
        path.write_text(text)
        return subprocess.run([*self.shell, str(path), *arguments], capture_output=True, text=True, timeout=20)

    def up_for(self, seconds: int) -> None:
        """Process 1 was started that long ago, on a machine that is up for a thousand seconds."""
        (self.folder / "proc/uptime").write_text("1000.25 1.00\n")
        fields = " ".join(str(number) for number in range(4, 22))
        (self.folder / "proc/1/stat").write_text(f"1 (a name) (with) S {fields} {(1000 - seconds) * 100} 23 24\n")

    def process(self, state: str) -> None:
        (self.folder / "proc/1/status").write_text(f"Name:\tapp\nState:\t{state}\nPid:\t1\n")

    def says(self, *, live: bool, ready: bool) -> None:
        for name, yes in (("live", live), ("ready", ready)):
            (self.folder / name).unlink(missing_ok=True)
            if yes:
                (self.folder / name).touch()

    def probe(self) -> subprocess.CompletedProcess[str]:
        checks = {name: Exec(command=f"test -e {self.folder}/{name}") for name in ("live", "ready")}
        probes = Probes(
            liveness=checks["live"],
            readiness=checks["ready"],
            startup_seconds=STARTUP,
            period_seconds=PERIOD,
            failures=3,
        )
        return self.run(probe_script(probes, GRACE))

    @property
    def ended(self) -> list[str]:
        path = self.folder / "ended"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture(params=["dash", "busybox"])
def container(request: pytest.FixtureRequest, judges: Path, tmp_path: Path) -> Container:
    shell = ("/bin/sh",) if request.param == "dash" else (str(judges / "usr/bin/busybox"), "sh")
    for place in ("tmp", "proc/1/task/1", "files"):
        (tmp_path / place).mkdir(parents=True)
    one = Container(shell, tmp_path)
    one.up_for(10)
    one.process("S (sleeping)")
    return one


def test_live_and_ready_is_healthy(container: Container) -> None:
    container.says(live=True, ready=True)
    assert container.probe().returncode == 0


def test_live_and_not_ready_is_unhealthy_and_never_ended(container: Container) -> None:
    container.says(live=True, ready=False)
    for _ in range(3 * PATIENCE):
        done = container.probe()
        assert (done.returncode, done.stdout) == (1, "not ready\n")
    assert container.ended == []


def test_a_start_has_its_time(container: Container) -> None:
    container.says(live=False, ready=False)
    container.up_for(STARTUP - 1)
    for _ in range(3 * PATIENCE):
        done = container.probe()
        assert (done.returncode, done.stdout) == (1, "not live yet\n")
    assert container.ended == []


def test_a_start_that_takes_longer_counts(container: Container) -> None:
    container.says(live=False, ready=False)
    container.up_for(STARTUP + 2)
    assert [container.probe().stdout for _ in range(PATIENCE)] == [
        f"not live, {number} of {PATIENCE}\n" for number in range(1, PATIENCE + 1)
    ]
    assert container.ended == ["-CONT 1", "-KILL -1"]


def test_whatever_was_live_once_is_ended_when_it_no_longer_is(container: Container) -> None:
    container.says(live=True, ready=True)
    assert container.probe().returncode == 0
    container.says(live=False, ready=True)
    for _ in range(PATIENCE - 1):
        assert container.probe().returncode == 1
    assert container.ended == []
    assert container.probe().returncode == 1
    assert container.ended == ["-CONT 1", "-KILL -1"]


def test_outside_of_a_container_nothing_is_ended(container: Container) -> None:
    container.says(live=False, ready=False)
    container.up_for(STARTUP + 2)
    container.probe()
    script = container.folder / "files" / "probe.sh"
    elsewhere = script.rename(container.folder / "copied.sh")
    for _ in range(3 * PATIENCE):
        subprocess.run([*container.shell, str(elsewhere)], capture_output=True, timeout=20)
    assert container.ended == []


def test_one_good_check_forgives(container: Container) -> None:
    for live in (True, *[False] * (PATIENCE - 1), True, *[False] * (PATIENCE - 1)):
        container.says(live=live, ready=True)
        container.probe()
    assert container.ended == []


def test_a_stopped_process_is_ended_sooner_though_its_siblings_answer(container: Container) -> None:
    container.says(live=True, ready=True)
    container.probe()
    container.process("T (stopped)")
    assert [container.probe().returncode for _ in range(STOPPED_FAILURES)] == [1] * STOPPED_FAILURES
    assert container.ended == ["-CONT 1", "-KILL -1"]


def test_a_job_that_succeeds_leaves_its_mark(container: Container) -> None:
    done = container.run(JOB.replace("exec sleep 90", "exit 0"), "/bin/sh", "-euc", "echo migrated")
    assert (done.returncode, done.stdout) == (0, "migrated\n")
    assert (container.folder / "tmp/.done").exists()


def test_a_job_that_fails_leaves_none_and_ends_with_its_status(container: Container) -> None:
    done = container.run(JOB, "/bin/sh", "-euc", "echo migrating; exit 3")
    assert (done.returncode, done.stdout) == (3, "migrating\n")
    assert not (container.folder / "tmp/.done").exists()


def test_a_job_is_given_its_arguments_as_they_are(container: Container) -> None:
    done = container.run(JOB.replace("exec sleep 90", "exit 0"), "printf", "<%s>", "a b", "$HOME", "*")
    assert done.stdout == "<a b><$HOME><*>"


def exchange(container: Container, version: str, *, accepted: bool = True, answers: bool = True) -> int:
    """One run of reload.sh. The running server is told by a file which version it may answer with."""
    live = container.folder / "live"
    live.mkdir(exist_ok=True)
    (container.folder / "files/routes.conf").write_text(f"version {version}")
    (container.folder / "proc/1/task/1/children").write_text("42 43 ")
    reload = Reload(
        directory=str(live),
        files=(File(name="routes.conf", content=""),),
        check='test -e "$NEXT/routes.conf"' if accepted else "false",
        version=version,
        version_url="http://127.0.0.1:1/version",
        settle_seconds=0,
    )
    said = f"basename $(readlink {live}/current)" if answers else "echo other"
    script = re.sub(r"\nhttp\(\) \{.*?\n\}\n", f"\nhttp() {{ {said}; }}\n", reload_script(reload), flags=re.DOTALL)
    script = script.replace("sleep 0.2", ":").replace("exec sleep 60", "exit 0")
    return container.run(script).returncode


def current(container: Container) -> str:
    return (container.folder / "live/current/routes.conf").read_text()


def test_a_configuration_is_put_in_place_and_the_running_server_told(container: Container) -> None:
    assert exchange(container, "v1") == 0
    assert current(container) == "version v1"
    assert container.ended == ["-HUP 42", "-HUP 43"]
    assert (container.folder / "tmp/.done").exists()


def test_only_the_last_two_configurations_are_kept(container: Container) -> None:
    for version in ("v1", "v2", "v3"):
        assert exchange(container, version) == 0
    assert current(container) == "version v3"
    assert {path.name for path in (container.folder / "live").iterdir()} == {"current", "v2", "v3"}


def test_a_configuration_that_is_not_accepted_is_not_put_in_place(container: Container) -> None:
    assert exchange(container, "v1") == 0
    told = len(container.ended)
    assert exchange(container, "v2", accepted=False) == 1
    assert current(container) == "version v1"
    assert len(container.ended) == told


def test_a_configuration_that_is_not_in_force_is_taken_back(container: Container) -> None:
    assert exchange(container, "v1") == 0
    assert exchange(container, "v2", answers=False) == 1
    assert current(container) == "version v1"
    assert container.ended[-2:] == ["-HUP 42", "-HUP 43"]


def test_the_same_configuration_once_more_is_no_harm(container: Container) -> None:
    assert exchange(container, "v1") == exchange(container, "v1") == 0
    assert current(container) == "version v1"
