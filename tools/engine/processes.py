"""What recovery needs to know about processes of this machine."""

from __future__ import annotations

from datetime import UTC, datetime

import psutil

END_SECONDS = 5.0


def started(pid: int) -> datetime | None:
    """When a living process started, or None if none of that number lives; a zombie counts as gone."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return datetime.fromtimestamp(process.create_time(), tz=UTC)
    except (psutil.NoSuchProcess, ValueError):
        return None


def orphaned_plugins(backend_url: str) -> list[psutil.Process]:
    """Provider processes whose engine used this back end and is gone. They do not end by themselves."""
    return [process for process in psutil.process_iter() if _is_orphan(process, backend_url)]


def _is_orphan(process: psutil.Process, backend_url: str) -> bool:
    try:
        if not process.name().startswith("pulumi-resource-"):
            return False
        parent = process.parent()
        ours = process.environ().get("PULUMI_BACKEND_URL") == backend_url
        return ours and (parent is None or parent.name() != "pulumi")
    except psutil.Error:
        return False  # gone by now, or somebody else's


def end(orphans: list[psutil.Process]) -> int:
    """Ends processes, by force after END_SECONDS; returns how many there were."""
    for process in orphans:
        process.terminate()
    _, living = psutil.wait_procs(orphans, timeout=END_SECONDS)
    for process in living:
        process.kill()
    return len(orphans)
