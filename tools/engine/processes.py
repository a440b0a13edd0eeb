"""What recovery needs to know about processes of this machine, from /proc (see proc(5)).

Where there is no /proc, no process is known to be an orphan, and a process is asked of `ps`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

PROC = Path("/proc")
END_SECONDS = 5.0


def started(pid: int) -> datetime | None:
    """When a living process started, to the second, or None if none of that number lives."""
    if pid <= 0:
        return None
    age = _age_from_proc(pid) if (PROC / "self").exists() else _age_from_ps(pid)
    return None if age is None else datetime.now(UTC) - timedelta(seconds=age)


def _fields(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the third on; a zombie counts as gone."""
    try:
        # The name, in brackets, may itself hold blanks and brackets.
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields


def _age_from_proc(pid: int) -> float | None:
    fields = _fields(pid)
    if fields is None:
        return None
    uptime = float((PROC / "uptime").read_text().split()[0])
    return uptime - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _age_from_ps(pid: int) -> float | None:
    done = subprocess.run(["ps", "-o", "etime=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return parse_elapsed(done.stdout) if done.stdout.strip() else None


def parse_elapsed(text: str) -> float:
    """POSIX ps's elapsed time `[[dd-]hh:]mm:ss` in seconds."""
    days, _, clock = text.strip().rpartition("-")
    seconds = 0
    for part in clock.split(":"):
        seconds = seconds * 60 + int(part)
    return float(int(days or 0) * 86400 + seconds)


def orphaned_plugins(backend_url: str) -> list[int]:
    """Provider processes whose engine used this back end and is gone. They do not end by themselves."""
    found = []
    for folder in PROC.glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            if not Path(os.fsdecode(command[0])).name.startswith("pulumi-resource-"):
                continue
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # gone by now, or somebody else's
        fields = _fields(int(folder.name))
        ours = f"PULUMI_BACKEND_URL={backend_url}".encode() in environment
        if ours and fields and not _is_engine(int(fields[1])):
            found.append(int(folder.name))
    return found


def _is_engine(pid: int) -> bool:
    try:
        return Path(os.fsdecode((PROC / str(pid) / "cmdline").read_bytes().split(b"\0")[0])).name == "pulumi"
    except OSError:
        return False


def end(pids: Iterable[int]) -> int:
    """Ends processes, by force after a while; returns how many there were."""
    ended = list(pids)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in ended:
            if started(pid):
                os.kill(pid, number)
        deadline = time.monotonic() + END_SECONDS
        while any(started(pid) for pid in ended) and time.monotonic() < deadline:
            time.sleep(0.05)
    return len(ended)
