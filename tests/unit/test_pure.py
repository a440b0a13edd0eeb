"""The core knows nothing of Pulumi: `make plan` needs none of it, and every test of the core takes milliseconds."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sample import ROOT

PURE = sorted((ROOT / "groundwork").glob("**/*.py")) + sorted((ROOT / "systems").glob("**/*.py"))
BLOCKED = """
import importlib, pkgutil, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pulumi", "pulumi_docker", "pulumi_random", "docker", "components"):
            raise ImportError(f"{name} is not for the core")
sys.meta_path.insert(0, Blocked())
import groundwork, systems
names = [module.name for package in (groundwork, systems)
         for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module)


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_of_the_core_imports_a_target(path: Path) -> None:
    roots = {name.split(".")[0] for name in imported(path)}
    assert not {root for root in roots if root.startswith("pulumi") or root in ("docker", "components", "ops", "sim")}


def test_the_core_works_where_pulumi_is_not_installed() -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKED], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    modules = [path for path in PURE if path.name != "__init__.py"]
    assert int(done.stdout) >= len(modules)
