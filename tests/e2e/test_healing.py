"""Every process of every container killed or stopped, one at a time: the stack is whole again within a minute, alone.

GROUNDWORK_WRITE_DOCS=1 python -m pytest tests/e2e/test_healing.py        writes docs/healing.md
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable

import docker
import pytest

from groundwork.system import load_system
from tests.e2e import healing
from tests.e2e.page import write_part
from tests.e2e.real_stack import RealStack
from tests.engine.stack import ROOT

STACK = "healing"
PAGE = ROOT / "docs/healing.md"


def test_a_killed_or_stopped_process_heals(real_stack: RealStack, engine: docker.DockerClient) -> None:
    if os.geteuid() != 0:
        pytest.skip("not run: signals to the processes of containers take root")
    first = real_stack.up()
    assert first.code == 0, first.output
    containers = healing.lasting(real_stack, engine)
    assert {healing.workload_of(one) for one in containers} == lasting_workloads(real_stack.project_name)

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
    system = real_stack.project_name
    write_part(PAGE, system, f"`{system}` on Docker {engine.version()['Version']}:\n\n{as_table(rows)}")
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


def lasting_workloads(system: str) -> set[str]:
    found = load_system(ROOT, system)
    return {"gateway", *(app.name for app in found.apps), *(service.name for service in found.services)}
