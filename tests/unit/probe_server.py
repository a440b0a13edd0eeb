"""Starts the probe application (images/probe) as a process of its own, for the tests that talk to it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(**settings: str) -> dict[str, str]:
    """An environment with these settings and nothing of the caller's but PATH."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "images/probe"), **settings}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Server:
    """A running probe application."""

    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def rss_mib(self) -> float:
        """Resident memory in MiB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def ended(self, seconds: float) -> tuple[int, str]:
        """Exit status and output; fails unless the process ends within `seconds`."""
        output, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, output


@contextlib.contextmanager
def probe(*, wait: bool = True, **settings: str) -> Iterator[Server]:
    """The application on a free port, killed at the end; with `wait` once it listens."""
    port = free_port()
    settings = {"PORT": str(port), "DRAIN_SECONDS": "0.5", "RELEASE": "r1", **settings}
    process = subprocess.Popen(
        [sys.executable, "-m", "probe"],
        env=environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        if wait:
            _listening(process, port)
        yield Server(process, port)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _listening(process: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"the probe ended with {process.returncode}: {process.communicate()[0]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError("the probe did not listen within 30 s")
