"""A way from 127.0.0.1 into an internal network of a Docker engine.

Such a network has no way to the machine, so a small container goes between: nginx from the stack's own gateway image,
in the service's network and in the one where the gateway is published. It reads a standard input that this process
holds open. However the process ends, that closes, the container ends by itself, and the engine removes it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from groundwork.deployment import Deployment
from groundwork.images import image_name
from groundwork.workload import Workload
from ops.place import MIB, Tunnel
from tools.engine.checkout import UserError
from tools.engine.recover import PROJECT_LABEL, STACK_LABEL, TUNNEL_LABEL

if TYPE_CHECKING:
    import docker

PORT = 8000
MEMORY_MIB, PROCESSES = 32, 16
START_SECONDS = 10
CONFIGURATION = """\
# In Debian's package the stream module is a file of its own; in the official image it is part of nginx.
include /etc/nginx/modules-enabled/*.conf;
daemon off;
worker_processes 1;
pid /tmp/nginx.pid;
error_log stderr warn;
events {{}}
stream {{
    # A service that starts again may have another address.
    resolver 127.0.0.11 valid=5s ipv6=off;
    upstream there {{ zone there 64k; server {host}:{port} resolve; }}
    server {{ listen {listen}; proxy_connect_timeout 5s; proxy_timeout 1d; proxy_pass there; }}
}}
"""
SCRIPT = """\
printf %s "$CONFIGURATION" >/tmp/nginx.conf
nginx -q -t -e stderr -c /tmp/nginx.conf || exit 1
nginx -e stderr -c /tmp/nginx.conf &
until [ -s /tmp/nginx.pid ]; do sleep 0.1; done
echo open
cat >/dev/null
kill -QUIT $!
"""


@contextmanager
def tunnel_to(
    engine: docker.DockerClient, deployment: Deployment, workload: Workload, remote: int, local: int
) -> Iterator[Tunnel]:
    from docker.errors import APIError, NotFound

    refuse_remote(engine)
    network = network_to(deployment, workload)
    name = f"{deployment.prefix}-tunnel-{workload.name}-{secrets.token_hex(2)}"
    api = engine.api
    try:
        made = api.create_container(**described(deployment, workload, name, remote, local, api))["Id"]
    except APIError as error:
        raise UserError(f"The tunnel's container can't be made: {error.explanation}") from None
    held = None
    try:
        api.connect_container_to_network(made, f"{deployment.prefix}-{network}")
        # Before its start, so that it never sees the end of an input that nobody holds.
        held = api.attach_socket(made, {"stdin": 1, "stream": 1})
        api.start(made)
        yield Tunnel(port=listening(engine, made), ended=lambda: ended(engine, made))
    except NotFound:
        raise UserError(f"The tunnel has ended by itself: its container {name} is gone.") from None
    except APIError as error:
        raise UserError(f"The tunnel can't be opened: {error.explanation}") from None
    finally:
        if held is not None:
            held.close()
        remove(engine, made)


def described(
    deployment: Deployment, workload: Workload, name: str, remote: int, local: int, api: Any
) -> dict[str, Any]:
    """The container, hardened like all others of the stack."""
    gateway = deployment.workload("gateway")
    text = CONFIGURATION.format(host=workload.name, port=remote, listen=PORT)
    return {
        "name": name,
        "image": image_name(gateway.image),
        "entrypoint": ["/bin/sh", "-c", SCRIPT],
        "environment": {"CONFIGURATION": text},
        "user": gateway.user,
        "ports": [PORT],
        # With both the engine closes the input when the one client that holds it has gone.
        "stdin_open": True,
        "detach": False,
        "labels": {PROJECT_LABEL: deployment.project, STACK_LABEL: deployment.stack, TUNNEL_LABEL: workload.name},
        "host_config": api.create_host_config(
            auto_remove=True,
            init=True,
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            tmpfs={"/tmp": "size=1m,mode=1777,noexec,nosuid,nodev"},
            mem_limit=MEMORY_MIB * MIB,
            memswap_limit=MEMORY_MIB * MIB,
            pids_limit=PROCESSES,
            network_mode=f"{deployment.prefix}-public",
            port_bindings={PORT: ("127.0.0.1", local or None)},
        ),
    }


def network_to(deployment: Deployment, workload: Workload) -> str:
    """The network in which the workload is found by its name."""
    names = {network.name for network in deployment.networks_of(workload.name)}
    if workload.name in names:
        return workload.name
    if workload.role == "app" and "edge" in names:
        return "edge"
    if workload.role == "gateway":
        raise UserError(f"The gateway needs no tunnel: {deployment.urls['system']}")
    raise UserError(f"No network leads to {workload.name}, since nothing uses it: `ops shell {workload.name}` does.")


def refuse_remote(engine: docker.DockerClient) -> None:
    """What is published on another machine's 127.0.0.1 is not on this one's."""
    if not engine.api.base_url.startswith("http+docker://localhost"):
        raise UserError(
            "The Docker engine runs on another machine, and a tunnel ends on 127.0.0.1 of that one: run `ops tunnel` "
            "there, and `ssh -L PORT:127.0.0.1:PORT` to it from here."
        )


def listening(engine: docker.DockerClient, container: str) -> int:
    """The port of this machine that leads into the container, once nginx listens. UserError where it does not."""
    began = time.monotonic()
    said = ""
    while time.monotonic() - began < START_SECONDS and engine.api.inspect_container(container)["State"]["Running"]:
        said = engine.api.logs(container, tail=5).decode(errors="replace").strip()
        if said.endswith("open"):
            ports = engine.api.inspect_container(container)["NetworkSettings"]["Ports"]
            return int(ports[f"{PORT}/tcp"][0]["HostPort"])
        time.sleep(0.1)
    raise UserError(f"nginx in the tunnel's container does not start; the gateway's image must have `stream`.\n{said}")


def ended(engine: docker.DockerClient, container: str) -> str:
    engine.api.wait(container, timeout=None)
    return "the tunnel's container was stopped; `make down` does that"


def remove(engine: docker.DockerClient, container: str) -> None:
    from docker.errors import APIError

    try:
        engine.api.remove_container(container, force=True)
    except APIError:
        # It is being removed by itself, or has been.
        return
