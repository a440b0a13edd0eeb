"""The Docker engine of a machine: its settings, and the limits that hold for all containers together.

It is the distribution's own (docker.io): updated with the rest by unattended-upgrades, and there before any other
repository is trusted.
"""

from __future__ import annotations

import json
from typing import Any

from .firewall import container_rules
from .state import DATA_ROOT, USER, Hardening, ManagedFile

SLICE = "groundwork.slice"
TASKS_PER_MIB, LEAST_TASKS, MOST_TASKS = 2, 2048, 32_768
"""Processes and threads of all containers: eight thousand on a machine of 4 GiB. A fork bomb ends there, and the
machine's own system still has some. The engine has no limit for each container, and neither has its plugin."""
OPEN_FILES = 65_535
"""N3, for files and for processes."""
RULES = "/etc/groundwork/docker-user.rules"
FIREWALL_UNIT = "groundwork-firewall.service"


def tasks_max(memory_mib: int) -> int:
    """How many processes and threads all containers together may have."""
    return min(MOST_TASKS, max(LEAST_TASKS, TASKS_PER_MIB * memory_mib))


def daemon_settings(hardening: Hardening) -> dict[str, Any]:
    """daemon.json."""
    settings: dict[str, Any] = {
        "cgroup-parent": SLICE,
        "data-root": DATA_ROOT,
        "default-address-pools": [{"base": str(hardening.pool), "size": 24}],
        "default-ulimits": {
            name: {"Name": name, "Soft": OPEN_FILES, "Hard": OPEN_FILES} for name in ("nofile", "nproc")
        },
        # Of the default network, in which nothing of a stack is.
        "icc": False,
        # An update of the engine ends no container.
        "live-restore": True,
        "log-driver": "json-file",
        "log-opts": {"max-size": "10m", "max-file": "5"},
        "no-new-privileges": True,
        # The kernel forwards published ports: no process passes on each byte, and none of them is open to IPv6.
        "userland-proxy": False,
    }
    if hardening.registry_mirrors:
        settings["registry-mirrors"] = list(hardening.registry_mirrors)
    return settings


CONTAINERD = """\
version = 2
# What a cluster's kubelet speaks to, and Docker does not: it would listen on a port of its own choice.
disabled_plugins = ["io.containerd.grpc.v1.cri"]
"""

SLICE_UNIT = """\
[Unit]
Description=All containers

[Slice]
# ssh and the journal keep their share, whatever containers do.
MemoryMax={memory_mib}M
TasksMax={tasks}
"""

FIREWALL = """\
[Unit]
Description=Who reaches the ports of containers, and whom containers reach
After=ufw.service
# No container is ever without it: Docker keeps a chain DOCKER-USER that it finds.
Before=docker.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/iptables-restore --wait 30 --noflush {rules}
ExecReload=/usr/sbin/iptables-restore --wait 30 --noflush {rules}

[Install]
WantedBy=multi-user.target
RequiredBy=docker.service
"""

MOUNT = f"""\
[Unit]
# Without its disk the engine would begin anew on the root's, with no container and no data.
RequiresMountsFor={DATA_ROOT}
"""


def engine_files(hardening: Hardening) -> tuple[ManagedFile, ...]:
    files = [
        ManagedFile(path="/etc/containerd/config.toml", content=CONTAINERD, units=("containerd.service",)),
        ManagedFile(
            path="/etc/docker/daemon.json",
            content=json.dumps(daemon_settings(hardening), indent=2, sort_keys=True) + "\n",
            units=("docker.service",),
        ),
        ManagedFile(
            path=f"/etc/systemd/system/{SLICE}",
            content=SLICE_UNIT.format(memory_mib=hardening.memory_mib, tasks=tasks_max(hardening.memory_mib)),
        ),
        ManagedFile(path=RULES, content=container_rules(hardening), units=(FIREWALL_UNIT,)),
        ManagedFile(
            path=f"/etc/systemd/system/{FIREWALL_UNIT}", content=FIREWALL.format(rules=RULES), units=(FIREWALL_UNIT,)
        ),
    ]
    if hardening.data_disk:
        files.append(ManagedFile(path="/etc/systemd/system/docker.service.d/groundwork.conf", content=MOUNT))
    return tuple(files)


READY = """\
#!/bin/bash
# Exits 0 when this machine is ready for containers, in the state with the given digits; else says what is missing.
set -u
missing() {{
    echo "$1"
    exit 1
}}
state=$(cloud-init status 2> /dev/null)
case $state in
    *running* | *'not started'*) missing 'cloud-init is still at work' ;;
esac
done=$(cat /var/lib/groundwork/hardened 2> /dev/null) ||
    missing 'the hardening script has not come to its end; its log is /var/log/groundwork/harden.log'
[ "$done" = "${{1-}}" ] || missing "hardened as $done, and ${{1-}} is wanted"
{mount}docker version > /dev/null 2>&1 || missing 'Docker does not answer to {user}: systemctl status docker'
"""


def ready_script(hardening: Hardening) -> str:
    mount = f"mountpoint -q {DATA_ROOT} || missing 'the data disk is not mounted at {DATA_ROOT}'\n"
    return READY.format(user=USER, mount=mount if hardening.data_disk else "")
