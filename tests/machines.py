"""Stacks on machines, for tests: hosts by role at addresses that say which they are."""

from __future__ import annotations

from typing import Any

from groundwork.deployment import Deployment
from groundwork.plan import plan
from groundwork.system import System, load_system
from tests.sample import MARK, ROOT, SHOP, configured

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDp1bnQgZ3JvdW5kd29yayBrZXkgZm9yIGRvY3MgMTIzNDU2"
NUMBERS = {"app": 10, "data": 20, "cache": 30, "monitoring": 40, "all": 50}
FOUR_ROLES = {"app": 2, "data": 1, "cache": 1, "monitoring": 1}


def hosts(role: str, count: int) -> list[dict[str, str]]:
    """`app-2` has 10.9.0.12."""
    return [
        {
            "address": f"{role}-{number}.example.com",
            "private_address": f"10.9.0.{NUMBERS[role] + number}",
            "host_key": HOST_KEY,
        }
        for number in range(1, count + 1)
    ]


def existing(memory_mib: int = 4096, **counts: int) -> dict[str, Any]:
    """`groundwork:machines` with so many hosts of each role."""
    roles = {role: {"memory_mib": memory_mib, "hosts": hosts(role, count)} for role, count in counts.items()}
    return {"kind": "existing", "roles": roles}


def on_machines(system: System = SHOP, counts: dict[str, int] | None = None, **values: Any) -> Deployment:
    """A system planned on hosts of each role: two app machines and one of each other, unless `counts` says it."""
    values = {"machines": existing(**(counts or FOUR_ROLES))} | values
    return plan(system, configured(values), MARK, project="shop", stack="test")


def mindpal(**values: Any) -> Deployment:
    return on_machines(load_system(ROOT, "mindpal"), **values)
