"""The state that a machine is brought to: everything that its script and its cloud-init document are made from."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from ..machines import Opening, RoleName

USER = "groundwork"
"""Deploys: may use Docker, and so is as good as root."""
DATA_ROOT = "/var/lib/docker"
"""Where the engine keeps images, containers and volumes: on the data disk where there is one."""
DATA_LABEL = "groundwork-data"
"""Label of the file system on a data disk, by which it is found again, whatever name the disk has."""
SSH_PORT = 22
AWS_TIME = "169.254.169.123"
"""The time server that every instance of EC2 reaches without a way out (AWS: Amazon Time Sync Service)."""
POOLS = tuple(IPv4Network(text) for text in ("172.17.0.0/16", "192.168.240.0/20", "10.255.240.0/20"))
"""For networks that give no subnet themselves: Docker's own first, then two that few others use."""


@dataclass(frozen=True, kw_only=True)
class Hardening:
    """What holds on one machine; the same value gives the same script, to the byte.

    host_name, role: how it is called, in its shell prompt and log, and what it is for.
    time_zone: IANA name of the team's local time.
    memory_mib: what all containers together may take; the rest stays for the machine's own system, whatever they do.
    swap_mib: size of the swap file, 0 for none.
    data_disk: an attached disk is looked for (and waited for, since AWS attaches it after the start), made a file
        system only if it has none, and mounted as Docker's data-root.
    data_device: its path, where the stack file names it; without it, it is the one disk with no partitions that is
        not the root's.
    administrators: networks from which ssh is open; none means only from the machine itself, which is where sessions of
        SSM arrive.
    deployers: public keys of the user `groundwork`; none leaves the keys that it has.
    openings: published container ports, and the networks that reach them.
    machines: private addresses of all machines of the stack.
    container_subnets: the range of all container networks; private_subnets: the part of it from which only `machines`
        are reached.
    balancer_subnets: where load balancers stand, which are never banned for what their clients do.
    registry_mirrors: addresses of mirrors of Docker Hub.
    time_servers: instead of those of the operating system.
    reboot_at: local time (04:30) at which a security update may restart the machine; None means never.
    """

    host_name: str
    role: RoleName
    time_zone: str
    memory_mib: int
    swap_mib: int
    data_disk: bool
    administrators: tuple[IPv4Network, ...]
    deployers: tuple[str, ...]
    openings: tuple[Opening, ...]
    machines: tuple[IPv4Address, ...]
    container_subnets: IPv4Network
    private_subnets: IPv4Network
    balancer_subnets: tuple[IPv4Network, ...] = ()
    registry_mirrors: tuple[str, ...] = ()
    data_device: str = ""
    time_servers: tuple[str, ...] = ()
    reboot_at: str | None = None

    @property
    def pool(self) -> IPv4Network:
        """The range for networks without a subnet of their own: the first that meets nothing of the stack.

        Raises ValueError where all of them do.
        """
        for pool in POOLS:
            if not pool.overlaps(self.container_subnets) and not any(one in pool for one in self.machines):
                return pool
        raise ValueError(f"{', '.join(map(str, POOLS))} all meet addresses of the stack; give the machines other ones")


@dataclass(frozen=True, kw_only=True)
class ManagedFile:
    """A file that is written whole. `units` are restarted when it changes: those that read it once."""

    path: str
    content: str
    mode: str = "644"
    units: tuple[str, ...] = ()
