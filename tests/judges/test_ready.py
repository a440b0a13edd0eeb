"""The shell that waits for machines, run by dash and busybox against a real ssh server that stands for a machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from groundwork import ready
from groundwork.ssh import options, url
from tests.sshd import Server, listening

from .conftest import free_port, in_venv

PROBE = "command -v groundwork-ready > /dev/null || { echo 'not hardened'; exit 1; }; groundwork-ready 0123abcd"
SCRIPT = "#!/bin/bash\nset -euo pipefail\ncat\necho applied as $(basename $0 | cut -c1-3)\ntouch $STATE/applied\n"
"""`cat` reads whatever it is given: from the script itself, it would swallow the lines behind it."""
PROGRAMS = {
    "sudo": '[ "$1" = -n ] && shift && exec "$@"',
    "cloud-init": '[ "$*" = "status --wait" ]; sleep "$(cat $STATE/boot-seconds)"; exit "$(cat $STATE/boot-status)"',
    "groundwork-ready": '[ "$1" = 0123abcd ] && [ -e $STATE/applied ] || { echo "the script $1 has not run"; exit 1; }',
}


@dataclass(frozen=True)
class Machine:
    """A server whose programs are stand-ins, with a folder of what has happened to it."""

    server: Server
    state: Path
    shell: tuple[str, ...]

    @property
    def way(self) -> tuple[str, list[str]]:
        machine = url("127.0.0.1", self.server.port).replace("groundwork@", f"{self.server.user}@")
        return machine, ["-i", str(self.server.folder / "client"), *options(self.server.host_key())]

    def boots(self, *, seconds: float = 0, status: int = 0) -> None:
        (self.state / "boot-seconds").write_text(str(seconds))
        (self.state / "boot-status").write_text(str(status))

    def run(self, script: str, given: str = SCRIPT) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.shell, "-c", script], input=given, capture_output=True, text=True, timeout=60)


@pytest.fixture(params=["dash", "busybox"])
def machine(
    request: pytest.FixtureRequest, judges: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Machine]:
    for name in ("bin", "state"):
        (tmp_path / name).mkdir()
    for name, text in PROGRAMS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    for name, seconds in (("BOOT_SECONDS", 8), ("ANSWER_SECONDS", 2), ("SETTLE_SECONDS", 2), ("PAUSE_SECONDS", 1)):
        monkeypatch.setattr(ready, name, seconds)
    shell = ("/bin/sh",) if request.param == "dash" else (str(judges / "usr/bin/busybox"), "sh")
    more = f"SetEnv STATE={tmp_path}/state PATH={tmp_path}/bin:/usr/bin:/bin"
    with listening(tmp_path / "sshd", free_port(), more=more) as server:
        one = Machine(server, tmp_path / "state", shell)
        one.boots()
        yield one


def test_an_instance_is_set_up_and_then_ready(machine: Machine) -> None:
    done = machine.run(ready.set_up("app-1", *machine.way, PROBE))
    assert (done.returncode, done.stdout, done.stderr) == (0, "app-1 is ready\n", "")
    assert (machine.state / "applied").exists()


def test_the_script_that_was_sent_is_not_left_there(machine: Machine) -> None:
    kept = "#!/bin/bash\necho $0 > $STATE/path\ntouch $STATE/applied\n"
    assert machine.run(ready.set_up("app-1", *machine.way, PROBE), kept).returncode == 0
    assert not Path((machine.state / "path").read_text().strip()).exists()


def test_it_waits_until_the_first_boot_has_ended(machine: Machine) -> None:
    machine.boots(seconds=3)
    began = time.monotonic()
    assert machine.run(ready.set_up("app-1", *machine.way, PROBE)).returncode == 0
    assert time.monotonic() - began > 3


def test_a_first_boot_that_failed_is_repaired_by_the_script(machine: Machine) -> None:
    machine.boots(status=1)
    assert machine.run(ready.set_up("app-1", *machine.way, PROBE)).returncode == 0


def test_a_first_boot_without_an_end_is_one_message(machine: Machine) -> None:
    machine.boots(seconds=30)
    done = machine.run(ready.set_up("app-1", *machine.way, PROBE))
    assert done.returncode == 1 and not (machine.state / "applied").exists()
    assert done.stderr.startswith("app-1: its first boot has not ended within 8 s; ")


def test_a_script_that_fails_is_one_message_with_its_last_lines(machine: Machine) -> None:
    script = "seq 1 100\necho no space left >&2\nexit 7\n"
    done = machine.run(ready.set_up("app-1", *machine.way, PROBE), script)
    assert done.returncode == 1
    first, *rest = done.stderr.splitlines()
    assert first == "app-1: the hardening script has failed. Its last lines:"
    assert rest[-2:] == ["100", "no space left"] and len(rest) == ready.SHOWN_LINES


def test_an_instance_whose_probe_is_not_content_is_not_ready(machine: Machine) -> None:
    done = machine.run(ready.set_up("app-1", *machine.way, PROBE), "true\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "app-1: it is not ready. The machine says:\nthe script 0123abcd has not run\n"


def test_a_host_that_exists_is_only_asked(machine: Machine) -> None:
    (machine.state / "applied").touch()
    done = machine.run(ready.probed("app-1", *machine.way, PROBE), "")
    assert (done.returncode, done.stdout, done.stderr) == (0, "app-1 is ready\n", "")


def test_a_host_that_nobody_prepared_says_who_does(machine: Machine) -> None:
    done = machine.run(ready.probed("app-1", *machine.way, PROBE), "touch $STATE/applied\n")
    assert done.returncode == 1 and not (machine.state / "applied").exists()
    assert done.stderr == (
        "app-1: it is not ready. This prepares it: python -m ops harden app-1. The host says:\n"
        "the script 0123abcd has not run\n"
    )


def test_a_host_without_the_probe_says_so_in_its_own_words(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "bin" / "groundwork-ready").unlink()
    done = machine.run(ready.probed("app-1", *machine.way, PROBE), "")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "not hardened")


def test_a_machine_that_comes_late_is_waited_for(machine: Machine, tmp_path: Path) -> None:
    port = free_port()
    target = url("127.0.0.1", port).replace("groundwork@", f"{machine.server.user}@")
    shutil.copytree(machine.server.folder, tmp_path / "late")
    words = [*machine.shell, "-c", ready.set_up("app-1", target, machine.way[1], PROBE)]
    waiting = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    time.sleep(2)
    more = f"SetEnv STATE={machine.state} PATH={tmp_path}/bin:/usr/bin:/bin"
    # The client's key is the one beside the first server; the new one starts with copies of its files.
    with listening(tmp_path / "late", port, more=more):
        said, _ = waiting.communicate(SCRIPT, timeout=30)
    assert (waiting.returncode, said) == (0, "app-1 is ready\n")


def test_a_machine_that_never_comes_is_one_message_with_what_ssh_says(machine: Machine) -> None:
    nowhere = url("127.0.0.1", free_port())
    done = machine.run(ready.probed("app-1", nowhere, machine.way[1], PROBE), "")
    assert done.returncode == 1
    assert done.stderr.startswith("app-1: it does not answer by ssh within 2 s. This prepares it: ")
    assert "Connection refused" in done.stderr


@pytest.mark.parametrize("script", [
    ready.set_up("app-1", url("i-0abc"), options("ssh-ed25519 AAAA", "aws ssm start-session"), PROBE),
    ready.probed("app-1", url("10.0.0.1", 2222), options("ssh-ed25519 AAAA"), PROBE),
], ids=["set_up", "probed"])  # fmt: skip
def test_shellcheck_finds_nothing(script: str, tmp_path: Path) -> None:
    (tmp_path / "ready.sh").write_text(script)
    done = subprocess.run(
        [in_venv("shellcheck"), "--shell=sh", tmp_path / "ready.sh"], capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stdout
