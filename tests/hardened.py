"""Machines as a stack hardens them, to be tested without one."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

from groundwork.hardening import Hardening
from groundwork.machines import ROLES, Opening

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDp1bnQgZ3JvdW5kd29yayBrZXkgZm9yIGRvY3MgMTIzNDU2 somebody@laptop"
HOST_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nbWFkZSB1cA==\n-----END OPENSSH PRIVATE KEY-----\n"


def hardened(**changes: Any) -> Hardening:
    """One of two machines with a data disk, all of it given."""
    values: dict[str, Any] = {
        "host_name": "groundwork-prod-app-1",
        "role": "app",
        "time_zone": "Asia/Shanghai",
        "memory_mib": 3584,
        "swap_mib": 1024,
        "data_disk": True,
        "administrators": (IPv4Network("192.0.2.0/24"), IPv4Network("203.0.113.7/32")),
        "deployers": (KEY,),
        "openings": (
            Opening(port=443, sources=("0.0.0.0/0",)),
            Opening(port=23306, sources=("10.20.0.5/32", "10.20.0.6/32")),
        ),
        "machines": (IPv4Address("10.20.0.4"), IPv4Address("10.20.0.5"), IPv4Address("10.20.0.6")),
        "container_subnets": IPv4Network("10.212.0.0/14"),
        "private_subnets": IPv4Network("10.214.0.0/15"),
        "balancer_subnets": (IPv4Network("10.20.128.0/21"),),
        "registry_mirrors": ("https://mirror.example.com",),
        "time_servers": ("ntp.example.com", "169.254.169.123"),
        "reboot_at": "04:30",
    }
    return Hardening(**values | changes)


def all_roles() -> dict[str, Hardening]:
    """Each role, and what is left away where it can be."""
    bare = hardened(
        data_disk=False, swap_mib=0, administrators=(), openings=(), time_servers=(), reboot_at=None,
        machines=(IPv4Address("10.20.0.4"),), registry_mirrors=(), balancer_subnets=(),
    )  # fmt: skip
    return {role: hardened(role=role, host_name=f"shop-prod-{role}-1") for role in ROLES} | {"bare": bare}
