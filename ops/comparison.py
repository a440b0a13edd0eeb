"""Two checkouts, every stack of both, each read by its own code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from groundwork.views.review import Comparison, Side
from tools.engine.checkout import Checkout, UserError

TIMEOUT_SECONDS = 60
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR")
"""All that the code of a pull request sees of this environment: no token, and no other checkout's modules."""
ADDED = {"PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"}


def stacks_of(root: Path) -> set[tuple[str, str, str]]:
    """(system, project, stack) of every stack file of a checkout; system "" is the top-level project."""
    checkout, found = Checkout(root), set()
    for system in ("", *checkout.systems()):
        try:
            project = checkout.project(system)
        except UserError:
            continue  # no project there: its stacks do not exist on this side
        found |= {(system, project.name, stack) for stack in project.stacks()}
    return found


def compare_checkouts(base: Path, head: Path, only: str = "") -> list[Comparison]:
    """One Comparison for each stack of either side; with `only` for the stacks of that name."""
    sides = {base: stacks_of(base), head: stacks_of(head)}
    wanted = sorted(key for key in sides[base] | sides[head] if only in ("", key[2]))
    if not wanted:
        raise UserError(f"neither side has a stack file{f' Pulumi.{only}.yaml' if only else ''}")
    with ThreadPoolExecutor(max_workers=2) as pool:
        tasks = {
            (root, key): pool.submit(read_side, root, key[0], key[2])
            for root in sides
            for key in wanted
            if key in sides[root]
        }
        read = {place: task.result() for place, task in tasks.items()}
    return [
        Comparison(
            stack=f"{project}/{stack}",
            before=read.get((base, (system, project, stack)), Side()),
            after=read.get((head, (system, project, stack)), Side()),
        )
        for system, project, stack in wanted
    ]


def read_side(root: Path, system: str, stack: str) -> Side:
    """The document of one stack as the code in `root` writes it, in a process of its own."""
    command = [sys.executable, "-m", "ops", "plan", "--json", "--committed", "--stack", stack]
    command += ["--system", system] if system else []
    try:
        done = subprocess.run(
            command, cwd=root, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS,
            env={name: os.environ[name] for name in PASSED_ON if name in os.environ} | ADDED,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Side(fault=f"reading the stack took longer than {TIMEOUT_SECONDS} s")
    if done.returncode == 0:
        return Side(document=json.loads(done.stdout))
    said = done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}"
    # A traceback's last lines say what went wrong; a message of ours is shorter than that.
    return Side(fault="\n".join(said.replace(f"{root}/", "").splitlines()[-40:]))
