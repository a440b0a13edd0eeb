"""A machine's Docker engine as a socket of this one, and ports there as ports here: by ssh, with the machine's own key.

Each connection to the socket is one of ssh, as with Docker's own clients; docker-py's would take no options.
"""

from __future__ import annotations

import atexit
import queue
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from groundwork import ssh
from ops.place import Tunnel
from tools.engine.checkout import UserError

DIAL = ("docker", "system", "dial-stdio")
OPEN_SECONDS = 30
"""For a way through; ssh itself gives up sooner."""


class Bridge:
    """Lasts until `close`, or as long as this process."""

    def __init__(self, machine: str, ssh_options: Sequence[str], environment: Mapping[str, str]) -> None:
        # Nobody else may enter: whoever speaks to an engine is root there.
        self._folder = tempfile.TemporaryDirectory(prefix="groundwork-")
        self._words = ssh.command(machine, ssh_options, *DIAL)
        self._environment = dict(environment)
        self._log = Path(self._folder.name) / "ssh"
        self.path = Path(self._folder.name) / "docker.sock"
        self.connections: list[subprocess.Popen[bytes]] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        threading.Thread(target=self._serve, daemon=True).start()
        atexit.register(self.close)

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                # It was closed.
                return
            with link, self._log.open("ab") as log:
                try:
                    # A session of its own: the terminal's interrupt is for the program inside.
                    started = subprocess.Popen(
                        self._words, env=self._environment, stdin=link.fileno(), stdout=link.fileno(), stderr=log,
                        start_new_session=True,
                    )
                    self.connections.append(started)
                except OSError as error:
                    log.write(f"{self._words[0]}: {error.strerror}\n".encode())

    def said(self) -> str:
        """The last words of ssh, where a connection failed."""
        lines = self._log.read_text(errors="replace").strip().splitlines() if self._log.exists() else []
        return lines[-1] if lines else "ssh said nothing"

    def close(self) -> None:
        atexit.unregister(self.close)
        # Closing alone would leave the thread in its accept.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for process in self.connections:
            process.terminate()
            process.wait(timeout=10)
        self._folder.cleanup()


@contextmanager
def forwarded(
    machine: str, ssh_options: Sequence[str], environment: Mapping[str, str], *, to: tuple[str, int], local: int
) -> Iterator[Tunnel]:
    """Port `local` of 127.0.0.1 (0: any) leads to host and port `to`, as the machine sees them."""
    port = local or free_port()
    way = ("-N", "-o", "ExitOnForwardFailure=yes", "-L", f"127.0.0.1:{port}:{to[0]}:{to[1]}")
    process = subprocess.Popen(
        ssh.command(machine, [*ssh_options, *way]), env=dict(environment), stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        until = time.monotonic() + OPEN_SECONDS
        while not listens(port):
            if process.poll() is not None or time.monotonic() > until:
                process.terminate()
                raise UserError(f"No way to {machine}: {last_line(process)}")
            time.sleep(0.1)
        yield Tunnel(port=port, ended=lambda: f"ssh to {machine} has ended: {last_line(process)}")
    finally:
        process.terminate()
        process.wait(timeout=10)


def last_line(process: subprocess.Popen[str]) -> str:
    """What a process said last, once it has ended."""
    _, said = process.communicate()
    lines = said.strip().splitlines()
    return lines[-1] if lines else f"exit code {process.returncode}"


def first_of(*waits: Callable[[], str]) -> str:
    """Waits for the one that returns first."""
    answers: queue.SimpleQueue[str] = queue.SimpleQueue()
    for wait in waits:
        threading.Thread(target=lambda wait=wait: answers.put(wait()), daemon=True).start()
    return answers.get()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0
