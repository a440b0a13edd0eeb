"""Into a running stack: shells and tunnels on a real engine, and how tunnels end."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import time

import docker
import pytest

from groundwork.deployment import Deployment
from groundwork.images import read_lock
from groundwork.plan import plan
from groundwork.stack_file import read_values
from groundwork.system import load_system
from ops.on_docker import OnDocker, engine_of
from ops.place import newest_ready
from ops.shell import has_shell
from tests.e2e.real_stack import RealStack
from tests.engine.stack import ROOT
from tools.engine import recover

STACK = "operated"
SECONDS = 20
HOLDER = """
import os, sys, time
from ops.on_docker import engine_of
from tests.e2e.test_operations import deployment_of
settings, port = eval(sys.argv[1]), int(sys.argv[2])
place, deployment = engine_of("housing", "operated", os.environ), deployment_of(settings)
with place.tunnel(deployment, deployment.workload("redis"), 6379, port) as tunnel:
    print(tunnel.port, flush=True)
    time.sleep(600)
"""


def deployment_of(settings: dict[str, object]) -> Deployment:
    configuration = read_values(settings, "operated")
    lock = read_lock(ROOT, missing="refuse")
    return plan(load_system(ROOT, "housing"), configuration, lock, project="housing", stack=STACK)


def postgres_answers(port: int) -> bool:
    """Whether PostgreSQL itself answers there: with one letter to the question for TLS."""
    with socket.create_connection(("127.0.0.1", port), 5) as stream:
        stream.sendall(struct.pack("!ii", 8, 80877103))
        return stream.recv(1) in (b"N", b"S")


def tunnels(engine: docker.DockerClient) -> list[str]:
    labels = ["groundwork.project=housing", f"groundwork.stack={STACK}", recover.TUNNEL_LABEL]
    return [str(one.name) for one in engine.containers.list(all=True, filters={"label": labels})]


def gone(engine: docker.DockerClient) -> bool:
    until = time.monotonic() + SECONDS
    while tunnels(engine) and time.monotonic() < until:
        time.sleep(0.2)
    return not tunnels(engine)


@pytest.fixture
def place(real_stack: RealStack, engine: docker.DockerClient) -> OnDocker:
    result = real_stack.up()
    assert result.code == 0, result.messages
    gateway = real_stack.containers(engine, "gateway")[0]
    built = gateway.exec_run(["sh", "-c", "nginx -V 2>&1; ls /etc/nginx/modules-enabled"]).output.decode()
    if "--with-stream " not in built and "mod-stream" not in built:
        pytest.skip("not run: this machine's nginx:1.30 is a stand-in from before it had `stream`; make it again")
    return engine_of("housing", STACK, os.environ)


@pytest.mark.parametrize("system", ["housing"], indirect=True)
def test_shells_and_tunnels_lead_inside_and_leave_nothing(
    place: OnDocker, real_stack: RealStack, engine: docker.DockerClient
) -> None:
    settings = real_stack.settings()
    deployment = deployment_of(settings)

    replica = newest_ready(place.replicas("api"))
    assert replica is not None and replica.ready
    assert has_shell(place, replica)
    command, environment = place.inside(replica, ["sh", "-c", "echo $RELEASE; exit 7"], terminal=False)
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == (replica.release, 7)

    with place.tunnel(deployment, deployment.workload("postgres"), 5432, 0) as tunnel:
        assert postgres_answers(tunnel.port)
        assert len(tunnels(engine)) == 1
        # Neither a leftover, nor a container that is in no state.
        names = [entry.name for entry in recover.labelled_objects("housing", STACK, os.environ)]
        assert not set(tunnels(engine)) & set(names)
        assert all(row.ok for row in place.rows(real_stack.outputs()["containers"]))
        # The service starts again, with another address or not: the way stays.
        real_stack.containers(engine, "postgres")[0].restart()
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            try:
                if postgres_answers(tunnel.port):
                    break
            except OSError:
                time.sleep(0.5)
        assert postgres_answers(tunnel.port)
    assert gone(engine)


@pytest.mark.parametrize("system", ["housing"], indirect=True)
def test_a_tunnel_ends_with_its_process_however_that_ends(
    place: OnDocker, real_stack: RealStack, engine: docker.DockerClient
) -> None:
    command = [sys.executable, "-c", HOLDER, repr(real_stack.settings()), "0"]
    for kill in (True, False):
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout and int(holder.stdout.readline()) > 0
            assert len(tunnels(engine)) == 1
            holder.kill() if kill else holder.terminate()
        assert gone(engine)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and int(holder.stdout.readline()) > 0
        # What `make down` does first.
        (name,) = tunnels(engine)
        assert recover.end_tunnels("housing", STACK, os.environ) == [name]
        assert gone(engine)
        holder.kill()
    assert gone(engine)
