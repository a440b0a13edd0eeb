"""Recorded runs of machines: four roles in two zones of AWS, or hosts that exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from components.machines import Machines, MachinesArgs
from groundwork.addressing import TIERS
from groundwork.machines import ROLES, ExistingMachines, NoMachines
from tests.recorder import Recording, record
from tests.sample import configured

A, B, C = (f"ap-southeast-1{letter}" for letter in "abc")
SIZE = {"vcpus": 4, "memory_gib": 8}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDp1bnQgZ3JvdW5kd29yayBrZXkgZm9yIGRvY3MgMTIzNDU2"
FOUR: dict[str, Any] = {
    "app": SIZE | {"zones": [A, B]},
    "data": {"vcpus": 8, "memory_gib": 16, "zones": [A], "data_disk_gib": 500},
    "cache": SIZE | {"zones": [A]},
    "monitoring": {"vcpus": 2, "memory_gib": 4, "zones": [B]},
}
ONE: dict[str, Any] = {"all": {"vcpus": 2, "memory_gib": 4, "zones": [A], "public": True}}
HOSTS: dict[str, Any] = {
    "app": {
        "memory_mib": 4096,
        "hosts": [
            {"address": "app-1.example.com", "private_address": "10.0.0.1", "host_key": KEY},
            {
                "address": "10.0.0.2", "private_address": "10.0.0.2", "host_key": f"{KEY} root@app-2", "port": 2222,
                "jump": "me@jump.example.com",
            },
        ],
    }
}  # fmt: skip


def arguments(values: Mapping[str, Any], **changed: Any) -> MachinesArgs:
    """As a stack file with these settings below `groundwork:machines` gives them."""
    aws = {"account": "123456789012", "region": A[:-1], "network": {"zones": [A, B, C]}}
    settings = configured({"machines": values, "aws": aws}).settings
    machines = settings.stack_machines
    assert not isinstance(settings.machines, NoMachines)
    given: dict[str, Any] = {"settings": settings.machines, "machines": machines}
    given["probes"] = {machine.name: "groundwork-ready 0123abcd" for machine in machines}
    if not isinstance(settings.machines, ExistingMachines):
        given |= {
            "region": A[:-1],
            "scripts": {machine.name: f"script of {machine.name}\n" for machine in machines},
            "documents": {
                machine.name: lambda private, public, name=machine.name: f"#cloud-config {name} {private} {public}"
                for machine in machines
            },
            "subnets": {(tier, zone): f"subnet-{tier}-{zone}" for tier in TIERS for zone in (A, B, C)},
            "security_groups": {role: f"group-{role}" for role in ROLES},
            "tags": {"project": "shop", "stack": "test"},
        }
    return MachinesArgs(**{**given, **changed})


def recorded(values: Mapping[str, Any], **changed: Any) -> Recording:
    def program() -> None:
        made = Machines("machines", arguments(values, **changed))
        pulumi.export("machines", made.described)
        pulumi.export("instances", made.instances)
        pulumi.export("addresses", made.addresses)
        pulumi.export("roles", made.iam_roles)

    return record(program)


def on_aws(roles: Mapping[str, Any] = FOUR, **values: Any) -> Recording:
    return recorded({"kind": "aws", "deployers": [KEY], "roles": roles, **values})


def on_hosts(roles: Mapping[str, Any] = HOSTS) -> Recording:
    return recorded({"kind": "existing", "roles": roles})
