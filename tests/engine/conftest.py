"""The real Pulumi engine for tests: where it is, and stacks on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.stack import ROOT, Stack

StackOf = Callable[[Path, Path], Stack]
Program = Callable[[str], Stack]

PROJECT = "name: inline\nruntime: python\n"


@pytest.fixture(scope="session")
def pulumi() -> Path:
    """The CLI: $GROUNDWORK_PULUMI, the checkout's own, or the one on PATH."""
    ordered = os.environ.get("GROUNDWORK_PULUMI")
    if ordered:
        assert Path(ordered).is_file(), f"GROUNDWORK_PULUMI={ordered} is no file"
        return Path(ordered)
    own = ROOT / ".groundwork/bin/pulumi"
    found = str(own) if own.is_file() else shutil.which("pulumi")
    if found is None:
        pytest.skip("no Pulumi CLI: `make test` gets one into .groundwork/bin, or set GROUNDWORK_PULUMI")
    return Path(found)


@pytest.fixture
def stack_of(pulumi: Path, tmp_path: Path) -> StackOf:
    """A project folder and one of its stack files ─► a new stack. Neither is written to."""

    def new(project: Path, stack_file: Path) -> Stack:
        work = tmp_path / f"stack-{len(list(tmp_path.glob('stack-*')))}"
        work.mkdir()
        return Stack(pulumi, project, stack_file, work).init()

    return new


@pytest.fixture
def program(stack_of: StackOf, tmp_path: Path) -> Program:
    """The text of a `__main__.py` ─► a stack `dev` of it. Later texts: `rewrite`."""

    def new(text: str) -> Stack:
        folder = tmp_path / "program"
        folder.mkdir()
        (folder / "Pulumi.yaml").write_text(PROJECT)
        stack_file = folder / "Pulumi.dev.yaml"
        stack_file.write_text("config: {}\n")
        (folder / "__main__.py").write_text(text)
        return stack_of(folder, stack_file)

    return new


def rewrite(stack: Stack, text: str) -> None:
    """Change the program of a stack made by `program`."""
    (stack.project / "__main__.py").write_text(text)
