"""A way from 127.0.0.1 to a port of a pod: `kubectl port-forward`, which policies inside the cluster do not see."""

from __future__ import annotations

import contextlib
import ctypes
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ops.place import Tunnel
from tools.engine.checkout import UserError
from tools.kubectl import Kubectl

PR_SET_PDEATHSIG = 1


@contextmanager
def tunnel_to(kubectl: Kubectl, pod: str, remote: int, local: int) -> Iterator[Tunnel]:
    ports = f"{local or ''}:{remote}"
    process = subprocess.Popen(
        kubectl.command("port-forward", "--address=127.0.0.1", f"pod/{pod}", ports),
        env=dict(kubectl.environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, preexec_fn=dies_with_its_parent,
    )  # fmt: skip
    assert process.stdout and process.stderr
    try:
        first = process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", first)
        if not found:
            raise UserError(f"kubectl port-forward: {process.stderr.read().strip() or 'it ended by itself'}")
        # It says a line for every connection, and nobody may hold it up.
        yield Tunnel(port=int(found[1]), ended=lambda: last_words(process))
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)


def dies_with_its_parent() -> None:
    """Also when that is killed. Elsewhere than on Linux kubectl then goes on."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def last_words(process: subprocess.Popen[str]) -> str:
    _, said = process.communicate()
    return said.strip().splitlines()[-1] if said.strip() else "kubectl has ended"
