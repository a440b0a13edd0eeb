"""Containers of a Docker engine as rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ops.place import MIB, Row, blank

if TYPE_CHECKING:
    from docker.models.containers import Container


def rows_of(containers: Iterable[Container], expected: Sequence[Mapping[str, str]]) -> list[Row]:
    """A row for each container in the state, and one for each that runs and is in no state."""
    found = {str(container.name): container for container in containers}
    names = [entry["name"] for entry in expected]
    with ThreadPoolExecutor(max_workers=8) as pool:
        memory = dict(pool.map(lambda name: (name, memory_of(found.get(name))), names))
    attributes = {name: container.attrs for name, container in found.items()}
    rows = [row_of(entry, attributes.get(entry["name"]), memory) for entry in expected]
    for name, container in found.items():
        if name not in names and container.status == "running":
            labels = container.labels
            rows.append(
                Row(
                    workload=labels.get("groundwork.workload", ""), role=labels.get("groundwork.role", ""),
                    release=labels.get("groundwork.release", ""), container=name,
                    state="in no state", ok=False,
                )
            )  # fmt: skip
    return rows


def memory_of(container: Container | None) -> float | None:
    """What the container holds in MiB, less files that the kernel may drop; None where it does not run."""
    if container is None or container.status != "running":
        return None
    sample: dict[str, Any] = container.stats(stream=False, one_shot=True)  # type: ignore[assignment]
    used = sample.get("memory_stats", {})
    if "usage" not in used:
        return None
    return float(used["usage"] - used.get("stats", {}).get("inactive_file", 0)) / MIB


def row_of(entry: Mapping[str, str], attributes: Mapping[str, Any] | None, memory: Mapping[str, float | None]) -> Row:
    """A container as `docker inspect` shows it (None: there is none of that name) as a row."""
    if attributes is None:
        return blank(entry, "missing", ok=False)
    state, host = attributes["State"], attributes["HostConfig"]
    health = str(state.get("Health", {}).get("Status", ""))
    once = host["RestartPolicy"]["Name"] in ("", "no")
    word, ok = verdict(state["Status"], health, state["ExitCode"], once)
    ended = state["Status"] in ("exited", "dead")
    return replace(
        blank(entry, word, ok=ok),
        health="" if once or ended else health,
        restarts=attributes["RestartCount"],
        since=state["FinishedAt" if ended else "StartedAt"],
        memory_mib=memory.get(entry["name"]),
        limit_mib=host["Memory"] / MIB or None,
    )


def verdict(status: str, health: str, exit_code: int, once: bool) -> tuple[str, bool]:
    """The word for a container's state, and whether that is as it should be.

    What runs once is healthy from the moment its work is done, and stays a while until that was seen.
    """
    if once:
        if status == "exited":
            return ("done", True) if exit_code == 0 else (f"failed ({exit_code})", False)
        return ("done", True) if health == "healthy" else (status, False)
    if status == "exited":
        return f"exited ({exit_code})", False
    return status, status == "running" and health in ("healthy", "")
