"""Every process of every container killed or stopped, one at a time: the stack is whole again within a minute, alone.

GROUNDWORK_WRITE_DOCS=1 python -m pytest tests/e2e/test_healing.py        writes docs/healing.md
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from pathlib import Path

import docker
import pytest

from groundwork.scripts import STOPPED_FAILURES
from groundwork.workload import Probes
from tests.e2e import healing
from tests.e2e.real_stack import RealStack

STACK = "healing"
PAGE = Path(__file__).parents[2] / "docs/healing.md"
PROBING = f"{STOPPED_FAILURES} failed checks, {Probes.period_seconds} seconds apart"
COMMAND = "GROUNDWORK_WRITE_DOCS=1 .venv/bin/python -m pytest tests/e2e/test_healing.py"


def test_a_killed_or_stopped_process_heals(real_stack: RealStack, engine: docker.DockerClient) -> None:
    if os.geteuid() != 0:
        pytest.skip("not run: signals to the processes of containers take root")
    first = real_stack.up()
    assert first.code == 0, first.output
    containers = healing.lasting(real_stack, engine)
    assert {healing.workload_of(one) for one in containers} == {"api", "gateway", "postgres", "redis", "web"}

    ended = killed_once(real_stack, engine)
    assert "gateway" in ended, "the switch had ended before it could be killed"
    assert healing.until_whole(lambda: healing.is_whole(containers, real_stack.url)) is not None

    rows = []
    for container in containers:
        for role, number, index in healing.faults_of(container):
            one = healing.fault(container, role, number, index)
            if one:
                rows.append(healing.heal(one, containers, real_stack.url))
                print(rows[-1], flush=True)
    table = as_table(rows)
    print(table)
    if os.environ.get("GROUNDWORK_WRITE_DOCS"):
        version = str(engine.version()["Version"])
        PAGE.write_text(as_page(table, version))
    assert [row for row in rows if row.seconds is None] == []
    assert [row for row in rows if row.role in ("init", "main") and not row.restarted] == []

    after = real_stack.preview("--expect-no-changes")
    assert after.code == 0, after.output


def killed_once(stack: RealStack, engine: docker.DockerClient) -> list[str]:
    """Kills the jobs and the switch that still wait for their end; returns their workloads."""
    ended = []
    for container in healing.transient(stack, engine):
        one = healing.fault(container, "init", signal.SIGKILL, None)
        assert one
        one.strike()
        ended.append(one.workload)
    return ended


def as_table(rows: Iterable[healing.Healed]) -> str:
    lines = ["| workload | process | signal | whole again after | container started again |", "|---|---|---|---|---|"]
    for row in rows:
        took = "never" if row.seconds is None else f"{row.seconds:.1f} s"
        lines.append(f"| {row.workload} | {row.role} | {row.fault} | {took} | {'yes' if row.restarted else 'no'} |")
    return "\n".join(lines)


def as_page(table: str, version: str) -> str:
    return f"""\
# What heals by itself

`housing` on Docker {version}. One signal to one process of a running container, then nobody helps. *Whole again* means
that every container is healthy and `/health/deep` answers 200 through the gateway, and stays so for two seconds.
`init` is process 1 of a container, `main` its child, which is the application; the others are what that has started.
The probe ends a stopped process with all its siblings after {PROBING}; then the restart policy
starts the container again. Jobs and the gateway's switch run once: killing them after their work changes nothing.

This page is made by the test that measures it:

    {COMMAND}

{table}
"""
