"""A language host: lets a Pulumi engine run Python programs with the interpreter that runs this file.

The official CLI brings its own host; no package registry has one, so an engine that was built from the Go
module registry needs this. It serves the part of Pulumi's language protocol that running a program and a
policy pack takes (`pulumi.runtime.proto.language_pb2`), prints its port on the first line, and ends with
its engine.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import language_pb2 as pb
from pulumi.runtime.proto import language_pb2_grpc
from pulumi.runtime.proto.plugin_pb2 import PluginInfo

EXECUTOR = Path(__file__).with_name("run_program.py")
ALREADY_REPORTED = 32  # the program's exit code after it has told the engine what went wrong
MAX_MESSAGE_BYTES = 400 * 1024 * 1024  # what the engine itself allows for one message
ENGINE_CHECK_SECONDS = 1.0


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs programs and policy packs as child processes and ends them when it is ended."""

    def __init__(self, engine_address: str, stop: threading.Event) -> None:
        self._engine_address = engine_address
        self._stop = stop
        self._children: set[subprocess.Popen[bytes]] = set()

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._engine_address = request.engine_address or self._engine_address
        return pb.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> PluginInfo:
        return PluginInfo(version=metadata.version("pulumi"))

    def GetRequiredPackages(self, request: Any, context: grpc.ServicerContext) -> Any:
        # None in advance: each resource names its plugin's version when it is registered.
        return pb.GetRequiredPackagesResponse()

    def GetRequiredPlugins(self, request: Any, context: grpc.ServicerContext) -> Any:
        return pb.GetRequiredPluginsResponse()

    def GetProgramDependencies(self, request: Any, context: grpc.ServicerContext) -> Any:
        installed = sorted((found.metadata["Name"], found.version) for found in metadata.distributions())
        named = [pb.DependencyInfo(name=name, version=version) for name, version in installed]
        return pb.GetProgramDependenciesResponse(dependencies=named)

    def About(self, request: Any, context: grpc.ServicerContext) -> Any:
        return pb.AboutResponse(executable=sys.executable, version=sys.version.split()[0])

    def InstallDependencies(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        text = f"Dependencies are those of {sys.executable}; `make requirements` changes them.\n"
        yield pb.InstallDependenciesResponse(stdout=text.encode())

    def Run(self, request: Any, context: grpc.ServicerContext) -> Any:
        child = self._start(program_command(request, self._engine_address), env=program_environment(request))
        try:
            code = child.wait()
        finally:
            self._children.discard(child)
        if code == ALREADY_REPORTED:
            return pb.RunResponse(bail=True)
        return pb.RunResponse(error="" if code == 0 else f"Program exited with non-zero exit code: {code}")

    def RunPlugin(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        command = plugin_command(request)
        environment = dict(os.environ) | dict(entry.split("=", 1) for entry in request.env)
        child = self._start(
            command, env=environment, cwd=request.pwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        context.add_callback(child.terminate)
        try:
            for name, data in _output(child):
                if name == "stdout":
                    yield pb.RunPluginResponse(stdout=data)
                else:
                    yield pb.RunPluginResponse(stderr=data)
            yield pb.RunPluginResponse(exitcode=child.wait())
        finally:
            self._children.discard(child)

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Empty:
        self._stop.set()
        return Empty()

    def _start(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)
        self._children.add(child)
        return child

    def end_children(self) -> None:
        for child in tuple(self._children):
            child.terminate()


def program_command(request: Any, engine_address: str) -> list[str]:
    """The command line that runs the program of a `RunRequest`."""
    values = {
        "project": request.project,
        "stack": request.stack,
        "organization": request.organization,
        "root-directory": request.info.root_directory,
        "working-directory": request.pwd,
        "parallel": str(request.parallel),
        "dry-run": "true" if request.dryRun else "false",
        "monitor": request.monitor_address,
        "engine": engine_address,
    }
    flags = [f"--{name}={value}" for name, value in values.items()]
    program = Path(request.info.program_directory, request.info.entry_point or ".")
    return [sys.executable, "-u", str(EXECUTOR), *flags, "--", str(program), *request.args]


def program_environment(request: Any) -> dict[str, str]:
    """The environment of the program: the configuration travels in it as Pulumi's own host sends it."""
    return os.environ | {
        "PULUMI_CONFIG": json.dumps(dict(request.config)),
        "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
    }


def plugin_command(request: Any) -> list[str]:
    """The command line of a `RunPluginRequest`: policy packs run in `pulumi.policy`, others as a program."""
    program = str(Path(request.info.program_directory, request.info.entry_point or "."))
    if request.kind == "analyzer":
        return [sys.executable, "-u", "-m", "pulumi.policy", *request.args, program]
    return [sys.executable, "-u", program, *request.args]


def _output(child: subprocess.Popen[bytes]) -> Iterator[tuple[str, bytes]]:
    """What a process writes, in order of arrival, as ("stdout" or "stderr", bytes)."""
    queue: SimpleQueue[tuple[str, bytes]] = SimpleQueue()

    def read(name: str, stream: IO[bytes]) -> None:
        while data := os.read(stream.fileno(), 65536):
            queue.put((name, data))
        queue.put((name, b""))

    assert child.stdout and child.stderr
    for name, stream in (("stdout", child.stdout), ("stderr", child.stderr)):
        threading.Thread(target=read, args=(name, stream), daemon=True).start()
    open_streams = 2
    while open_streams:
        name, data = queue.get()
        if data:
            yield name, data
        else:
            open_streams -= 1


def main() -> None:
    stop = threading.Event()
    engine_process = os.getppid()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    size = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES), ("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(max_workers=16), options=size)
    host = LanguageHost(sys.argv[-1] if len(sys.argv) > 1 else "", stop)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    while not stop.wait(ENGINE_CHECK_SECONDS):
        if os.getppid() != engine_process:  # the engine was killed and could not say goodbye
            break
    host.end_children()
    server.stop(grace=None)
    # Not sys.exit: it would wait for the threads that wait for programs.
    os._exit(0)


if __name__ == "__main__":
    main()
