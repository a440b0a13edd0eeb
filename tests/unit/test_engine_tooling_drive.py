"""What a run is given and what is said about it: tools/engine/drive.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tools.engine import drive, exports
from tools.engine.checkout import Checkout, Missing, UserError
from tools.engine.install import Engine
from tools.engine.providers import Decision

SIMULATED = Decision("simulated", (Missing("a Docker engine", "install it"),))


@pytest.fixture
def session(tmp_path: Path) -> drive.Session:
    (tmp_path / "Pulumi.yaml").write_text("name: groundwork\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config:\n  groundwork:system: housing\n")
    return drive.open_session(
        Checkout(tmp_path),
        Engine(Path("/opt/pulumi"), (Path("/opt"),)),
        system="",
        stack="dev",
        requested="simulated",
        environment={"PATH": "/usr/bin:/bin", "PULUMI_ACCESS_TOKEN": "secret", "KEPT": "yes"},
    )


def test_a_run_keeps_everything_in_the_checkout(session: drive.Session, tmp_path: Path) -> None:
    environment = session.environment
    assert environment["PATH"] == f"{tmp_path}/.venv/bin:/opt:/usr/bin:/bin"
    assert environment["PULUMI_HOME"] == f"{tmp_path}/.groundwork/home"
    assert environment["PULUMI_BACKEND_URL"] == f"file://{tmp_path}/.groundwork/state/simulated"
    assert environment["PULUMI_CONFIG_PASSPHRASE_FILE"].startswith(str(tmp_path))
    assert environment["GROUNDWORK_PROVIDERS"] == "simulated" and environment["KEPT"] == "yes"
    assert "PULUMI_ACCESS_TOKEN" not in environment


def test_a_simulation_never_downloads_plugins(session: drive.Session) -> None:
    assert session.environment["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"


def test_the_first_and_the_last_words_of_a_simulation_say_so(
    session: drive.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    fallen_back = replace(session, decision=SIMULATED)
    drive.announce(fallen_back)
    first = capsys.readouterr().out
    drive.conclude(fallen_back)
    last = capsys.readouterr().out
    assert first.startswith("SIMULATED") and "a Docker engine: install it" in first
    assert last.startswith("SIMULATED: nothing was started") and "a Docker engine" in last


def test_a_real_run_claims_nothing_of_the_kind(
    session: drive.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    real = replace(session, decision=Decision("real"))
    drive.announce(real)
    drive.conclude(real)
    assert capsys.readouterr().out == ""


def test_two_runs_of_one_stack_exclude_each_other(session: drive.Session) -> None:
    with drive.alone(session):
        with pytest.raises(UserError, match=f"process {os.getpid()}"), drive.alone(session):
            pass
        with drive.alone(replace(session, stack="prod")):
            pass
    with drive.alone(session):
        pass


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -9 $$", 137)])
def test_exit_codes_pass_through(session: drive.Session, script: str, code: int) -> None:
    assert drive.run(["sh", "-c", script], session) == code


def test_an_interrupt_is_left_to_the_command_and_a_termination_is_passed_on(session: drive.Session) -> None:
    script = "trap 'exit 3' TERM; while :; do sleep 0.05; done"

    def send() -> None:
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)  # as from a terminal, but without the command's own
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=send).start()
    assert drive.run(["sh", "-c", script], session) == 3


def test_exports_are_read_by_a_shell(session: drive.Session, capsys: pytest.CaptureFixture[str]) -> None:
    exports.print_environment(session)
    text = capsys.readouterr().out
    done = subprocess.run(
        ["sh", "-c", f'{text}\nprintf %s "$PULUMI_BACKEND_URL"'], capture_output=True, text=True, check=True
    )
    assert done.stdout == session.environment["PULUMI_BACKEND_URL"]
    assert "--config-file" in text


def test_a_shared_stack_is_simulated_and_never_brought_up(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: groundwork\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text(
        "config:\n  groundwork:system: housing\nsecretsprovider: awskms://alias/k\nencryptedkey: x\n"
    )

    def opened(requested: str) -> drive.Session:
        engine = Engine(Path("/opt/pulumi"), (Path("/opt"),))
        return drive.open_session(
            Checkout(tmp_path), engine, system="", stack="dev", requested=requested, environment={"PATH": "/bin"}
        )

    assert opened("simulated").mode == "simulated"
    with pytest.raises(UserError, match="its state is in a back end that you share"):
        opened("real")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["up", "--system", "nowhere"], "SYSTEM=nowhere: there is no systems/nowhere/Pulumi.yaml."),
        (["up", "--stack", "nowhere"], "STACK=nowhere: there is no"),
        (["up", "--providers", "fake"], "PROVIDERS=fake: must be real or simulated"),
    ],
)
def test_a_persons_mistake_is_one_message(tmp_path: Path, arguments: list[str], message: str) -> None:
    root = Path(__file__).parents[2]
    pulumi = tmp_path / "pulumi"
    pulumi.write_text("#!/bin/sh\necho v3.259.0\n")
    pulumi.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "tools.engine", *arguments],
        cwd=root,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {message}") and "Traceback" not in done.stderr


@pytest.fixture
def operated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The flags of the one Pulumi operation that a test runs; nothing is run."""
    flags: list[str] = []

    def operate(session: drive.Session, operation: str, arguments: list[str]) -> int:
        flags.extend(arguments)
        return 1

    monkeypatch.setattr(drive, "_operate", operate)
    return flags


@pytest.mark.parametrize("command", [drive.up, drive.preview])
def test_up_and_preview_are_held_to_the_policy_pack(
    session: drive.Session, operated: list[str], command: Callable[[drive.Session, list[str]], int], tmp_path: Path
) -> None:
    command(session, [])
    assert operated[operated.index("--policy-pack") + 1] == str(tmp_path / "policy")
    assert "--policy-pack-config" not in operated


def test_the_packs_configuration_is_taken_where_there_is_one(session: drive.Session, tmp_path: Path) -> None:
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy/config.json").write_text("{}")
    assert drive.policy_pack(session.checkout)[2:] == ["--policy-pack-config", str(tmp_path / "policy/config.json")]


@pytest.mark.parametrize(("stack", "skipped"), [("dev", True), ("staging", False), ("prod", False)])
def test_a_rule_about_a_whole_stack_speaks_before_anything_is_made_but_in_dev(
    session: drive.Session, operated: list[str], stack: str, skipped: bool
) -> None:
    drive.up(replace(session, stack=stack), [])
    assert ("--skip-preview" in operated) is skipped


MACHINE = {"urn": "urn:pulumi:dev::shop::a$b::shop-data-1", "protect": True}
BUCKET = {"urn": "urn:pulumi:dev::shop::a$b::shop-backups", "protect": True, "retainOnDelete": True}
VOLUME = {"urn": "urn:pulumi:dev::shop::a$b::shop-mysql", "retainOnDelete": True}


def test_down_refuses_before_anything_goes_where_machines_are_protected(session: drive.Session) -> None:
    with pytest.raises(UserError, match=r"(?s)1 protected resources, such as shop-data-1; nothing was.*protect: false"):
        drive.around_protected(session, {"resources": [BUCKET, MACHINE, VOLUME]})


def test_down_leaves_backups_and_ends_the_rest(session: drive.Session, capsys: pytest.CaptureFixture[str]) -> None:
    assert drive.around_protected(session, {"resources": [BUCKET, VOLUME]}) == ["--exclude-protected"]
    assert "Backups stay, and with them 1 resources that keep them, such as shop-backups." in capsys.readouterr().out


def test_down_ends_everything_where_nothing_is_protected(session: drive.Session) -> None:
    assert drive.around_protected(session, {"resources": [VOLUME]}) == []
    assert drive.around_protected(session, {}) == []
