"""One idempotent bash script for one machine: the values, its files, and the steps of steps.sh."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path

from .access import access_files
from .engine import engine_files, ready_script
from .firewall import host_rules
from .state import DATA_LABEL, DATA_ROOT, USER, Hardening, ManagedFile
from .system import LOGROTATE, system_files

STEPS = Path(__file__).with_name("steps.sh").read_text()
PACKAGES = (
    "apparmor",
    "auditd",
    "ca-certificates",
    "docker.io",
    "fail2ban",
    "iptables",
    "libpam-pwquality",
    "libpam-tmpdir",
    "logrotate",
    "nftables",
    "openssh-server",
    "python3-systemd",
    "sudo",
    "systemd-timesyncd",
    "tzdata",
    "ufw",
    "unattended-upgrades",
)
UNITS = (
    "systemd-journald.service",
    "systemd-sysctl.service",
    "systemd-timesyncd.service",
    "auditd.service",
    "ufw.service",
    "ssh.service",
    "groundwork-firewall.service",
    "containerd.service",
    "docker.service",
    "fail2ban.service",
    "groundwork-refused.service",
    "unattended-upgrades.service",
)
"""In the order in which they are started."""
END = "GROUNDWORK_END"
DIGEST_LENGTH = 8


def files(hardening: Hardening) -> tuple[ManagedFile, ...]:
    """Every file that is written whole."""
    ready = ManagedFile(path="/usr/local/bin/groundwork-ready", content=ready_script(hardening), mode="755")
    return (*system_files(hardening), *access_files(hardening), *engine_files(hardening), ready)


def digest(hardening: Hardening) -> str:
    """Eight hexadecimal digits, which change exactly when the script does."""
    return hashlib.sha256(_body(hardening).encode()).hexdigest()[:DIGEST_LENGTH]


def script(hardening: Hardening) -> str:
    """The script, to be run as root with bash; a second run changes nothing and says so."""
    head = "#!/bin/bash\n# Made by Groundwork for one machine, and written anew by it.\nset -Eeuo pipefail\n"
    return f"{head}DIGEST={digest(hardening)}\n{_body(hardening)}"


def ready_command(hardening: Hardening) -> str:
    """What a probe runs over ssh as the user `groundwork`: exits 0 when the machine is ready for containers, else 1
    with one line that says what is missing."""
    words = "the hardening script has not come to its end"
    return (
        "command -v groundwork-ready > /dev/null || { echo '" + words + "'; exit 1; }; "
        f"groundwork-ready {digest(hardening)}"
    )


def _body(hardening: Hardening) -> str:
    values = {
        "HOST_NAME": hardening.host_name,
        "ROLE": hardening.role,
        "TIME_ZONE": hardening.time_zone,
        "SWAP_MIB": str(hardening.swap_mib),
        "DATA_DISK": "yes" if hardening.data_disk else "no",
        "DATA_DEVICE": hardening.data_device,
        "DATA_ROOT": DATA_ROOT,
        "DATA_LABEL": DATA_LABEL,
        "DEPLOYER": USER,
        "DEPLOYER_KEYS": "\n".join(hardening.deployers),
        "HOST_RULES": "\n".join(host_rules(hardening)),
        "PACKAGES": " ".join(PACKAGES),
        "UNITS": " ".join(UNITS),
        "LOGROTATE": LOGROTATE.rstrip(),
    }
    assignments = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    environment = "export DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin\numask 022\n"
    puts = [_put(file) for file in files(hardening)]
    return "\n".join([environment, *assignments, "", "put_files() {", *puts, "}", "", STEPS])


def _put(file: ManagedFile) -> str:
    command = " ".join(["put", file.path, file.mode, *file.units])
    return f"{command} << '{END}'\n{file.content}{END}"
