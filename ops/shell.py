"""A shell, or one command, in a container that runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence

from ops.place import Place, Replica, newest_ready
from ops.running import Running
from tools.engine.checkout import UserError

SHELL = ("/bin/sh", "-c", "if command -v bash >/dev/null; then exec bash; fi; exec sh")
NO_SUCH_PROGRAM = (126, 127)
"""What the engine and the shell exit with where there is nothing of that name."""
CHECK_SECONDS = 30


def enter(
    running: Running, workload: str, words: Sequence[str], *, terminal: bool, say: Callable[[str], None]
) -> int:
    """Runs `words`, or a shell without any, in the newest replica that is ready; returns its exit code."""
    known = {entry["workload"] for entry in running.outputs["containers"]}
    if workload not in known:
        raise running.no_workload(workload, known)
    place = running.place()
    replica = newest_ready(place.replicas(workload))
    if replica is None:
        raise UserError(f"Nothing of {workload} runs now; {running.command('status')} shows what does.")
    state = "" if replica.ready else ", which is not ready"
    where = f" on {replica.machine}" if replica.machine else ""
    say(f"{replica.name}{where}, release {replica.release}{state}. What you write there is lost with it.")
    if not words and not has_shell(place, replica):
        raise UserError(
            f"The image of {workload} has no shell. A program that it has can be run: "
            f"{running.command('shell', workload)} -- PROGRAM"
        )
    command, environment = place.inside(replica, words or SHELL, terminal=terminal)
    # The terminal's interrupt is for the program inside; here it must not end the one that waits for it.
    try:
        process = subprocess.Popen(command, env=dict(environment))
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue
    except OSError as error:
        raise UserError(f"{command[0]}: {error.strerror}") from None


def has_shell(place: Place, replica: Replica) -> bool:
    command, environment = place.inside(replica, ("/bin/sh", "-c", ":"), terminal=False)
    done = subprocess.run(
        command, env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=CHECK_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode == 0:
        return True
    said = done.stderr.strip()
    if done.returncode in NO_SUCH_PROGRAM or "no such file" in said.lower():
        return False
    raise UserError(f"{replica.name} can't be entered: {said or f'exit code {done.returncode}'}")


def at_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()
