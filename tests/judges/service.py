"""A backing service with its own start script, configuration and account jobs, in a folder that stands for its
container's root."""

from __future__ import annotations

import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from groundwork.workload import Template, Workload

ADMIN = "admin-secret"


@dataclass(kw_only=True)
class Served(ABC):
    """One server. `admin` is the administrator's password; `begin` stands in front of every command."""

    start_seconds: ClassVar[int] = 60
    stop_seconds: ClassVar[int] = 30
    command_seconds: ClassVar[int] = 60

    folder: Path
    admin: str = ADMIN
    begin: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @abstractmethod
    def moved(self, text: str) -> str:
        """The text as if the folder were the container: its paths, its host name, its ports."""

    @property
    @abstractmethod
    def environment(self) -> dict[str, str]:
        """What commands see, and nothing else."""

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def put(self, workload: Workload, password: str = "") -> None:
        """Its files, with made-up secrets, in the place of those of the workload before."""
        shutil.rmtree(self.folder / "files" / "init", ignore_errors=True)
        for file in workload.files:
            path = self.folder / "files" / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            secret = self.admin if file.name.endswith("admin_password") else password
            path.write_text(secret if isinstance(file.content, Template) else self.moved(file.content))

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """A command of the workload's, or of the test's own where it names nothing that `moved` moves."""
        whole = [*self.begin, "/bin/sh", "-euc", command]
        return subprocess.run(
            whole, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=self.command_seconds
        )

    def begun(self, workload: Workload, is_ready: Callable[[], bool]) -> None:
        """Starts it, and waits until it is ready, asking up to ten times a second."""
        self.put(workload)
        with (self.folder / "log").open("w") as log:
            whole = [*self.begin, "/bin/sh", str(self.folder / "files" / "start.sh")]
            self.process = subprocess.Popen(whole, env=self.environment, cwd=self.folder, stdout=log, stderr=log)
        for _ in range(10 * self.start_seconds):
            assert self.process.poll() is None, self.log
            if is_ready():
                return
            time.sleep(0.1)
        raise AssertionError(self.log)

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            assert self.process.wait(timeout=self.stop_seconds) == 0, self.log
            self.process = None

    def do(self, jobs: Sequence[Workload | None], password: str) -> None:
        """Account jobs, each twice: they must be safe to repeat."""
        before = jobs[0]
        assert before
        self.put(before, password)
        for workload in (job for job in jobs if job for _ in range(2)):
            done = self.run(self.moved(workload.command[-1]))
            assert done.returncode == 0, done.stdout + done.stderr
