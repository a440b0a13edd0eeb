"""An internal port of the stack on 127.0.0.1 of this machine, as long as the command runs."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

from groundwork.views.document import secret_name
from groundwork.workload import Workload
from ops.checkout import lock_of
from ops.running import Running
from tools.engine.checkout import UserError


def hold(running: Running, name: str, *, local: int | None, remote: str, say: Callable[[str], None]) -> int:
    """Opens the tunnel, says how to use it, and holds it until it is interrupted (0) or ends by itself (1)."""
    deployment = running.stack.deployment(lock_of(running.stack))
    known = {workload.name: workload for workload in deployment.workloads}
    if name not in known:
        raise running.no_workload(name, known)
    workload = known[name]
    port = port_of(workload, remote)
    place = running.place()
    # Ended by a supervisor as by a person: what was opened is closed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with suppress(KeyboardInterrupt), place.tunnel(deployment, workload, port, local_port(local, port)) as tunnel:
        say(f"127.0.0.1:{tunnel.port} leads to {name}:{port} of {running.stack.label}. Ctrl-C ends it.")
        secrets = sorted(secret_name(ref) for ref in deployment.secrets if ref.owner == name)
        if secrets:
            show = f'make -s pulumi{running.words()} ARGS="stack output credentials --show-secrets"'
            say(f"Its credentials: {', '.join(secrets)}; shown by: {show}")
        say(f"The tunnel has ended: {tunnel.ended()}")
        return 1
    return 0


def port_of(workload: Workload, wanted: str) -> int:
    """The port by its name or number; the main one without either. UserError for one that the workload has not."""
    ports = workload.ports
    if not ports:
        raise UserError(f"{workload.name} listens on no port: there is nothing to lead to.")
    if not wanted:
        return next(iter(ports.values()))
    numbers = {str(number): number for number in ports.values()}
    if wanted in ports or wanted in numbers:
        return ports.get(wanted) or numbers[wanted]
    told = ", ".join(f"{name} ({number})" for name, number in ports.items())
    raise UserError(f"{workload.name} has no port `{wanted}`; it has {told}.")


def local_port(wanted: int | None, remote: int) -> int:
    """The one that was asked for, or the same number as over there, or, where that is taken, any (0)."""
    if wanted is not None:
        if not is_free(wanted):
            raise UserError(f"--port {wanted}: something listens there already, or you may not.")
        return wanted
    return remote if is_free(remote) else 0


def is_free(port: int) -> bool:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
