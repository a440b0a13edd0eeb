"""When a container fails to become healthy: what it said last, where the user reads the error."""

from __future__ import annotations

import pulumi

LINES = 15


def last_lines() -> pulumi.ErrorHook:
    """A hook that shows the last log lines of a container that could not be created. It never retries."""

    def show(args: pulumi.ErrorHookArgs) -> bool:
        name = str((args.new_inputs or {}).get("name", ""))
        if name:
            pulumi.log.error(f"{name} did not become healthy. {_log_of(name)}")
        return False

    return pulumi.ErrorHook("container-log", show)


def _log_of(name: str) -> str:
    import docker  # only a failed run needs the client

    try:
        client = docker.from_env(use_ssh_client=True)
        container = client.containers.get(name)
        health = container.attrs["State"].get("Health", {}).get("Log", [])
        said = container.logs(tail=LINES).decode(errors="replace").strip()
    except Exception as error:
        return f"Its log can't be read: {error}"
    probe = health[-1]["Output"].strip() if health else "none yet"
    return f"Its last probe said: {probe}\nIts last {LINES} lines:\n{said or '(it wrote nothing)'}"
