"""Serving the simulated providers on loopback ports that the operating system chooses."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib.resources import files

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from sim.aws_account import Account
from sim.cluster import Cluster
from sim.docker_engine import DockerEngine
from sim.faults import Faults
from sim.provider import SimulatedProvider
from sim.types import PACKAGES
from sim.world import World


@contextmanager
def serve(faults: str | None = None) -> Iterator[str]:
    """Serve every simulated package in threads of this process; yields e.g. `docker:41001,random:41002`.

    `faults` is a text as in `sim/faults.py`; None takes it from the environment variable
    GROUNDWORK_SIM_FAULTS. Raises ValueError when that text cannot be read.
    """
    ordered = Faults.parse(os.environ.get("GROUNDWORK_SIM_FAULTS", "") if faults is None else faults)
    worlds = {"aws": Account(), "docker": DockerEngine(), "kubernetes": Cluster()}
    with ExitStack() as stack:
        ports = {}
        for package in PACKAGES:
            provider = SimulatedProvider(package, sdk_version(package), ordered, worlds.get(package, World()))
            ports[package] = stack.enter_context(_listening(provider))
        yield ",".join(f"{package}:{port}" for package, port in ports.items())


def sdk_version(package: str) -> str:
    """The plugin version that the installed Python SDK of a package asks the engine for."""
    described = files(f"pulumi_{package}").joinpath("pulumi-plugin.json").read_text()
    return str(json.loads(described)["version"])


@contextmanager
def _listening(provider: SimulatedProvider) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(max_workers=8), options=[("grpc.max_receive_message_length", -1)])
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(grace=None).wait()
