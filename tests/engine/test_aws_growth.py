"""What growth does to a stack on AWS: docs/changes.md, row by row, on the real stack file of production.

The rows are previews against one stack that is up. What replaces is in the table of sim/types/, whose sources are named
there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from sim.types.aws import NEWEST_IMAGES
from tests.engine.stack import ROOT, Run, Stack, Step
from tests.engine.test_housing import assert_ok
from tests.sample import with_secrets

STACK_FILE = ROOT / "Pulumi.prod.yaml"
PAGE = ROOT / "docs/changes.md"
PACKAGES = ("aws:", "command:", "tls:")
KEPT = {"Bucket", "Eip", "Instance", "Key", "NatGateway", "Subnet", "Volume", "Vpc"}
"""Types of which nothing may ever be replaced or deleted by growth: money, addresses, data."""

PROGRAM = f"""
import os, runpy, sys
sys.path.insert(0, {str(ROOT)!r})
import groundwork.addressing, groundwork.system
from groundwork.catalog.postgres import Postgres

if tier := os.environ.get("GROWTH_TIER"):
    groundwork.addressing.TIERS = (*groundwork.addressing.TIERS, tier)
if user := os.environ.get("GROWTH_SERVICE_OF"):
    load = groundwork.system.load_system

    def loaded(*arguments):
        system = load(*arguments)
        services = (*system.services, Postgres(database="more"))
        uses = {{app.name: (*app.uses, "postgres") if app.name == user else app.uses for app in system.apps}}
        apps = tuple(app.model_copy(update={{"uses": uses[app.name]}}) for app in system.apps)
        return system.model_copy(update={{"services": services, "apps": apps}})

    groundwork.system.load_system = loaded
runpy.run_path({str(ROOT / "__main__.py")!r}, run_name="__main__")
"""
"""The repository's own, where a test may also change what stands in code: a tier of subnets, a system's services."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What one row of the page changes: keys below `groundwork:` of the stack file, or what stands elsewhere."""

    edit: Callable[[dict[str, Any]], object] = lambda _: None
    environment: Mapping[str, str] = field(default_factory=dict)


def another(*path: str, value: Any) -> Callable[[dict[str, Any]], object]:
    """Appends to a list of the stack file, makes it, or sets what is no list."""

    def edit(keys: dict[str, Any]) -> object:
        for name in path[:-1]:
            keys = keys.setdefault(name, {})
        old = keys.get(path[-1])
        keys[path[-1]] = [*old, value] if isinstance(old, list) else value
        return None

    return edit


ZONE = "ap-southeast-1c"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDp1bnQgZ3JvdW5kd29yayBrZXkgZm9yIGRvY3MgMTIzNDU2 ann"

CHANGES: Mapping[str, Change] = {
    "a third zone": Change(edit=another("aws", "network", "zones", value=ZONE)),
    "`nat: one_per_zone`, where it was `one`": Change(edit=another("aws", "network", "nat", value="one_per_zone")),
    "another endpoint": Change(edit=another("aws", "network", "endpoints", value="logs")),
    "another tier of subnets (in `groundwork/addressing.py`)": Change(environment={"GROWTH_TIER": "spare"}),
    "another app machine": Change(edit=another("machines", "roles", "app", "zones", value="ap-southeast-1a")),
    "a bigger data disk": Change(edit=another("machines", "roles", "data", "data_disk_gib", value=600)),
    "a bigger machine": Change(edit=another("machines", "roles", "data", "memory_gib", value=32)),
    "a newer image of the operating system is out": Change(environment={NEWEST_IMAGES: "20270101"}),
    "another tag": Change(edit=another("aws", "tags", "Owner", value="operations")),
    "another person who deploys": Change(edit=another("machines", "deployers", value=KEY)),
    "another network of administrators": Change(edit=another("machines", "administrators", value=["203.0.113.0/24"])),
    "another server name": Change(edit=another("entry", "server_names", value="www.mindpal.example.com")),
    "another backing service": Change(environment={"GROWTH_SERVICE_OF": "api"}),
    "backups that are kept longer": Change(edit=another("backups", "keep_days", value=60)),
}


@pytest.fixture(scope="module")
def production(pulumi: Path, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The stack of Pulumi.prod.yaml, up, with one NAT gateway so that there can be more."""
    folder, work = tmp_path_factory.mktemp("program"), tmp_path_factory.mktemp("stack")
    (folder / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    (folder / "__main__.py").write_text(PROGRAM)
    (folder / STACK_FILE.name).write_text(text_of(before()))
    stack = Stack(pulumi, folder, folder / STACK_FILE.name, work).init()
    assert_ok(stack.up())
    return stack


def before() -> dict[str, Any]:
    keys = {key.removeprefix("groundwork:"): value for key, value in with_secrets(STACK_FILE)[0].items()}
    keys["aws"]["network"]["nat"] = "one"
    return keys


def text_of(keys: Mapping[str, Any]) -> str:
    return yaml.safe_dump({"config": {f"groundwork:{key}": value for key, value in keys.items()}})


def previewed(production: Stack, change: Change, monkeypatch: pytest.MonkeyPatch) -> Run:
    keys = deepcopy(before())
    change.edit(keys)
    production.configure(text_of(keys))
    for name, value in change.environment.items():
        monkeypatch.setenv(name, value)  # also for the providers, which are a process of their own
    return assert_ok(production.preview())


def counted(run: Run, op: str) -> str:
    """`Subnet 3, Vpc 1`: what an op befalls, of the packages that are not containers."""
    found = Counter(step.token.rpartition(":")[2] for step in run.steps if step.op == op and ours(step))
    return ", ".join(f"{name} {found[name]}" if found[name] > 1 else name for name in sorted(found))


def ours(step: Step) -> bool:
    return step.token.startswith(PACKAGES)


def rows() -> dict[str, tuple[str, ...]]:
    """The page's first table: what is changed ─► made, changed in place, replaced."""
    table = PAGE.read_text().partition("| Replaced |\n| --- | --- | --- | --- |\n")[2].partition("\n\n")[0]
    cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines()]
    return {row[0]: tuple(row[1:]) for row in cells}


def test_every_row_of_the_page_is_a_test_and_every_test_a_row() -> None:
    assert list(rows()) == list(CHANGES)


@pytest.mark.parametrize("name", CHANGES)
def test_growth(production: Stack, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = previewed(production, CHANGES[name], monkeypatch)
    assert tuple(counted(run, op) for op in ("create", "update", "replace")) == rows()[name]
    assert not {step.token.rpartition(":")[2] for step in run.steps if ours(step) and step.op in ENDING} & KEPT
    assert not {step.name for step in run.steps if step.op in ENDING and DATA.search(step.name)}


ENDING = {"replace", "create-replacement", "delete-replaced", "delete"}
DATA = re.compile(r"-docker-[a-z]+-[0-9]+-(mysql|cache|results|rabbitmq)(-data)?$")
"""Containers of backing services, and their volumes."""
