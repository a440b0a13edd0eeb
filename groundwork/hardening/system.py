"""The operating system itself: kernel settings, limits, logs, updates and time."""

from __future__ import annotations

from .state import Hardening, ManagedFile

SYSCTL = """\
# N3: many connections.
net.core.somaxconn = 65535
net.ipv4.tcp_max_syn_backlog = 8192
net.ipv4.tcp_tw_reuse = 1
net.ipv4.tcp_fin_timeout = 30
vm.swappiness = 10
# Containers are behind the machine's own addresses.
net.ipv4.ip_forward = 1
# What comes from where it can't come from, or wants another way, is refused.
net.ipv4.conf.all.rp_filter = 1
net.ipv4.conf.default.rp_filter = 1
net.ipv4.conf.all.accept_redirects = 0
net.ipv4.conf.default.accept_redirects = 0
net.ipv6.conf.all.accept_redirects = 0
net.ipv6.conf.default.accept_redirects = 0
net.ipv4.conf.all.send_redirects = 0
net.ipv4.conf.default.send_redirects = 0
net.ipv4.conf.all.accept_source_route = 0
net.ipv4.conf.default.accept_source_route = 0
net.ipv4.conf.all.log_martians = 1
net.ipv4.conf.default.log_martians = 1
net.ipv4.icmp_ignore_bogus_error_responses = 1
net.ipv4.tcp_syncookies = 1
# Nobody looks into the kernel, or into another's processes.
kernel.kptr_restrict = 2
kernel.dmesg_restrict = 1
kernel.sysrq = 0
kernel.perf_event_paranoid = 3
kernel.unprivileged_bpf_disabled = 1
kernel.yama.ptrace_scope = 1
kernel.core_uses_pid = 1
net.core.bpf_jit_harden = 2
dev.tty.ldisc_autoload = 0
fs.suid_dumpable = 0
fs.protected_fifos = 2
fs.protected_regular = 2
fs.protected_hardlinks = 1
fs.protected_symlinks = 1
"""

LIMITS = """\
# N3, for those who log in; system.conf.d has the same for services.
* soft nofile 65535
* hard nofile 65535
* soft nproc 65535
* hard nproc 65535
root soft nofile 65535
root hard nofile 65535
* hard core 0
"""

SERVICE_LIMITS = """\
[Manager]
DefaultLimitNOFILE=65535
DefaultLimitNPROC=65535
DefaultLimitCORE=0
"""

NO_DUMPS = """\
[Coredump]
# They would hold secrets.
Storage=none
ProcessSizeMax=0
"""

MODULES = "".join(
    f"install {module} /bin/false\n"
    for module in ("dccp", "sctp", "rds", "tipc", "usb-storage", "firewire-core", "cramfs", "udf")
)
"""Ways in that no server here needs; an ordinary user can have the kernel load the first four."""

JOURNAL = """\
[Journal]
Storage=persistent
Compress=yes
SystemMaxUse=1G
SystemKeepFree=1G
MaxRetentionSec=30day
"""

RESOLVER = """\
[Resolve]
# Names come from the network's own servers, and from no neighbour who answers first.
LLMNR=no
MulticastDNS=no
"""

LOGROTATE = """\
# N4: daily, 30 days, compressed. A file of logrotate.d says so itself where it wants it otherwise.
daily
rotate 30
create
dateext
compress
delaycompress
include /etc/logrotate.d
"""

OWN_LOG = """\
/var/log/groundwork/*.log {
    daily
    rotate 30
    compress
    missingok
    notifempty
}
"""

APT = """\
# What this machine's own hardening changed in a package's file stays, and asks nobody.
Dpkg::Options {
    "--force-confdef";
    "--force-confold";
};
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
APT::Periodic::AutocleanInterval "7";
"""

UPGRADES = """\
Unattended-Upgrade::Remove-Unused-Kernel-Packages "true";
Unattended-Upgrade::Remove-New-Unused-Dependencies "true";
Unattended-Upgrade::SyslogEnable "true";
Unattended-Upgrade::Automatic-Reboot "{reboot}";
Unattended-Upgrade::Automatic-Reboot-WithUsers "true";
{time}"""

AUDIT = """\
# Who changed accounts, rights, the way in, or what decides about containers (M4).
-w /etc/passwd -p wa -k accounts
-w /etc/shadow -p wa -k accounts
-w /etc/group -p wa -k accounts
-w /etc/sudoers -p wa -k rights
-w /etc/sudoers.d/ -p wa -k rights
-w /etc/ssh/ -p wa -k ssh
-w /home/groundwork/.ssh/ -p wa -k ssh
-w /etc/ufw/ -p wa -k firewall
-w /etc/groundwork/ -p wa -k firewall
-w /etc/docker/ -p wa -k docker
-w /etc/systemd/system/ -p wa -k services
-w /var/lib/groundwork/ -p wa -k hardening
"""


def system_files(hardening: Hardening) -> tuple[ManagedFile, ...]:
    at = hardening.reboot_at
    upgrades = UPGRADES.format(
        reboot="true" if at else "false", time=f'Unattended-Upgrade::Automatic-Reboot-Time "{at}";\n' if at else ""
    )
    files = [
        # The last of all: Debian's own 99-protect-links.conf would take one of them back.
        ManagedFile(path="/etc/sysctl.d/zz-groundwork.conf", content=SYSCTL, units=("systemd-sysctl.service",)),
        ManagedFile(path="/etc/modprobe.d/groundwork.conf", content=MODULES),
        ManagedFile(path="/etc/security/limits.d/90-groundwork.conf", content=LIMITS),
        ManagedFile(path="/etc/systemd/system.conf.d/groundwork.conf", content=SERVICE_LIMITS),
        ManagedFile(
            path="/etc/systemd/journald.conf.d/groundwork.conf", content=JOURNAL, units=("systemd-journald.service",)
        ),
        ManagedFile(
            path="/etc/systemd/resolved.conf.d/groundwork.conf", content=RESOLVER, units=("systemd-resolved.service",)
        ),
        ManagedFile(path="/etc/systemd/coredump.conf.d/groundwork.conf", content=NO_DUMPS),
        ManagedFile(path="/etc/profile.d/groundwork.sh", content="ulimit -c 0\n"),
        ManagedFile(path="/etc/logrotate.d/groundwork", content=OWN_LOG),
        ManagedFile(path="/etc/apt/apt.conf.d/52groundwork", content=APT),
        ManagedFile(path="/etc/apt/apt.conf.d/53groundwork-upgrades", content=upgrades),
        ManagedFile(path="/etc/audit/rules.d/50-groundwork.rules", content=AUDIT, units=("auditd.service",)),
    ]
    if hardening.time_servers:
        servers = f"[Time]\nNTP={' '.join(hardening.time_servers)}\nFallbackNTP=\n"
        files.append(
            ManagedFile(
                path="/etc/systemd/timesyncd.conf.d/groundwork.conf",
                content=servers,
                units=("systemd-timesyncd.service",),
            )
        )
    return tuple(files)
