"""When a container fails to become healthy: what it said last, where the user reads the error."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pulumi

from groundwork import ssh

LINES = 15
SECONDS = 30
"""How long a machine may take to tell."""
Way = tuple[str, list[str]]
"""How Docker's clients name a machine, and the options of ssh."""


def last_lines(machine: str | None = None, way: Callable[[], Way | None] = lambda: None) -> pulumi.ErrorHook:
    """A hook that shows the last log lines of a container that could not be created, here or on `machine`, to which
    `way` leads once it is known. It never retries."""

    def show(args: pulumi.ErrorHookArgs) -> bool:
        name = str((args.new_inputs or {}).get("name", ""))
        if name:
            where = f" on {machine}" if machine else ""
            pulumi.log.error(f"{name}{where} did not become healthy. {_log_of(name, way())}")
        return False

    return pulumi.ErrorHook(f"container-log-{machine}" if machine else "container-log", show)


def _log_of(name: str, way: Way | None) -> str:
    try:
        health, said = _asked_there(name, *way) if way else _asked_here(name)
    except Exception as error:
        return f"Its log can't be read: {error}"
    probe = health[-1]["Output"].strip() if health else "none yet"
    return f"Its last probe said: {probe}\nIts last {LINES} lines:\n{said.strip() or '(it wrote nothing)'}"


def _asked_here(name: str) -> tuple[list[dict[str, str]], str]:
    import docker  # only a failed run needs the client

    client = docker.from_env(use_ssh_client=True)
    container = client.containers.get(name)
    health = container.attrs["State"].get("Health", {}).get("Log", [])
    return health, container.logs(tail=LINES).decode(errors="replace")


def _asked_there(name: str, machine: str, options: list[str]) -> tuple[list[dict[str, str]], str]:
    def docker(*words: str) -> str:
        done = subprocess.run(
            ssh.command(machine, options, "docker", *words),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=SECONDS,
        )
        if done.returncode:
            raise ChildProcessError(done.stdout.strip())
        return done.stdout

    state = json.loads(docker("inspect", "--format", "'{{json .State}}'", name))
    return (state.get("Health") or {}).get("Log") or [], docker("logs", "--tail", str(LINES), name)
