"""The language host as the engine starts it: tools/engine/language_host.py and run_program.py."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import language_pb2 as pb
from pulumi.runtime.proto import language_pb2_grpc

from tools.engine import language_host, run_program

TOOLS = Path(__file__).parents[2] / "tools" / "engine"
ENVIRONMENT = os.environ | {"GROUNDWORK_PYTHON": sys.executable}


@pytest.fixture
def host() -> Iterator[subprocess.Popen[str]]:
    command = [str(TOOLS / "pulumi-language-python"), "127.0.0.1:1"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT
    )
    yield process
    process.kill()
    process.communicate()


def port(host: subprocess.Popen[str]) -> int:
    assert host.stdout
    return int(host.stdout.readline())


def run_request(program: Path) -> pb.RunRequest:
    return pb.RunRequest(
        project="housing",
        stack="dev",
        organization="organization",
        pwd=str(program.parent),
        parallel=4,
        dryRun=True,
        monitor_address="127.0.0.1:1",
        config={"groundwork:apps": '{"api": {"replicas": 2}}'},
        configSecretKeys=["groundwork:key"],
        info=pb.ProgramInfo(
            root_directory=str(program.parent / "systems" / "housing"),
            program_directory=str(program.parent),
            entry_point=".",
        ),
    )


def test_the_host_answers_on_the_port_of_its_first_line(host: subprocess.Popen[str]) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port(host)}") as channel:
        stub = language_pb2_grpc.LanguageRuntimeStub(channel)
        stub.Handshake(pb.LanguageHandshakeRequest(engine_address="127.0.0.1:1"), timeout=10)
        assert stub.GetPluginInfo(Empty(), timeout=10).version == "3.259.0"
        assert not stub.GetRequiredPackages(pb.GetRequiredPackagesRequest(), timeout=10).packages


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_host_without_a_word(host: subprocess.Popen[str], number: signal.Signals) -> None:
    port(host)
    host.send_signal(number)
    assert host.communicate(timeout=10)[0] == ""
    assert host.returncode == 0


def test_the_host_ends_when_its_engine_was_killed(tmp_path: Path) -> None:
    """A stand-in engine starts the host as its child and is killed."""
    engine = subprocess.Popen(
        ["/bin/sh", "-c", f"'{TOOLS / 'pulumi-language-python'}' 127.0.0.1:1 & wait"],
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert engine.stdout
    engine.stdout.readline()  # the port: the host watches its engine from here on
    engine.kill()
    engine.wait()
    # The host holds the other end of this pipe: reading ends when it does.
    start = time.monotonic()
    assert engine.stdout.read() == ""
    assert time.monotonic() - start < 10


def test_a_program_gets_its_configuration_and_its_place(tmp_path: Path) -> None:
    request = run_request(tmp_path / "__main__.py")
    environment = language_host.program_environment(request)
    assert json.loads(environment["PULUMI_CONFIG"]) == {"groundwork:apps": '{"api": {"replicas": 2}}'}
    assert json.loads(environment["PULUMI_CONFIG_SECRET_KEYS"]) == ["groundwork:key"]
    command = language_host.program_command(request, "127.0.0.1:2")
    options = run_program.parse(command[3:])
    assert (options.project, options.stack, options.dry_run, options.parallel) == (
        "housing",
        "dev",
        "true",
        4,
    )
    assert (options.monitor, options.engine) == ("127.0.0.1:1", "127.0.0.1:2")
    assert options.root_directory.endswith("systems/housing")
    assert run_program.program_file(options.program) == tmp_path / "__main__.py"


def test_a_policy_pack_runs_in_pulumis_policy_module(tmp_path: Path) -> None:
    request = pb.RunPluginRequest(
        kind="analyzer",
        args=["127.0.0.1:3"],
        info=pb.ProgramInfo(program_directory=str(tmp_path), entry_point="."),
    )
    assert language_host.plugin_command(request)[2:] == ["-m", "pulumi.policy", "127.0.0.1:3", str(tmp_path)]


def test_a_traceback_begins_with_the_program_and_not_with_what_runs_it(tmp_path: Path) -> None:
    program = tmp_path / "__main__.py"
    program.write_text("def fail():\n    raise ValueError('bad thing')\n\nfail()\n")
    with pytest.raises(ValueError) as raised:
        run_program._execute(program)
    lines = run_program.program_traceback(raised.value, program).splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{program}", line 4, in <module>'
    assert lines[-1] == "ValueError: bad thing"


def test_a_syntax_error_is_still_shown_whole(tmp_path: Path) -> None:
    program = tmp_path / "__main__.py"
    program.write_text("def\n")
    with pytest.raises(SyntaxError) as raised:
        run_program._execute(program)
    assert f'File "{program}", line 1' in run_program.program_traceback(raised.value, program)
