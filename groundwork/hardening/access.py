"""Who gets in: sshd, the user that deploys, and bans for those who try too often."""

from __future__ import annotations

from .state import SSH_PORT, USER, Hardening, ManagedFile

ADMINISTRATORS = "sudo"
"""The group of Debian's and Ubuntu's administrators, who keep their own accounts on machines that exist."""

SSHD = f"""\
# Read first of all, and the first value of a setting holds.
PermitRootLogin no
AllowGroups {USER} {ADMINISTRATORS}
AuthenticationMethods publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitEmptyPasswords no
PermitUserEnvironment no
LoginGraceTime 30
MaxAuthTries 4
# Docker over ssh opens a connection for each of its own, many at once.
MaxStartups 64:30:128
MaxSessions 16
ClientAliveInterval 60
ClientAliveCountMax 3
TCPKeepAlive no
UseDNS no
Compression no
LogLevel VERBOSE
# For `ssh -L` and for the way through to machines behind this one; nobody opens ports here.
AllowTcpForwarding local
AllowAgentForwarding no
AllowStreamLocalForwarding no
GatewayPorts no
PermitTunnel no
X11Forwarding no
DebianBanner no
KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org
Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com
MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com
"""

ISSUE = "Access only for those whom the owner of this machine has given it. What is done here is recorded.\n"

SUDOERS = f"""\
# Whoever may use Docker is as good as root; so this adds nothing but the record of what was done.
{USER} ALL=(ALL:ALL) NOPASSWD: ALL
Defaults use_pty
"""

JAILS = f"""\
[DEFAULT]
# Tables of their own, in front of ufw's and Docker's rules, which a reload of either would empty.
banaction = nftables
banaction_allports = nftables[type=allports]
bantime.increment = true
bantime.maxtime = 1w
ignoreip = 127.0.0.0/8 ::1 {{ignored}}

[sshd]
enabled = true
backend = systemd
port = {SSH_PORT}
maxretry = 5
findtime = 10m
bantime = 1h

[groundwork-refused]
enabled = true
backend = systemd
journalmatch = _SYSTEMD_UNIT=groundwork-refused.service
filter = groundwork-refused
# Published ports are forwarded: what is banned must not be delivered only, but passed on neither.
action = nftables[type=allports, name=refused, chain=f2b-forward, chain_hook=forward, blocktype=drop]
maxretry = {{refused}}
findtime = 1m
bantime = 10m
"""
REFUSED_LOG = "groundwork-refused"
REFUSED_A_MINUTE = 100
"""Requests that the gateway's rate limit refused to one client. A page that loads too eagerly is refused some; who is
refused a hundred in a minute does not stop by being refused."""

REFUSED_FILTER = r"""
# A line of the gateway's log, which escapes what clients send: no path can pretend to be another client.
# Without an upstream it was the gateway itself that refused, and not an app.
[Definition]
text = "(?:[^"\\]|\\.)*"
client = "time":%(text)s,"request_id":%(text)s,"client":"<ADDR>"
request = "method":%(text)s,"path":%(text)s,"status":429,"bytes":\d+,"seconds":[\d.]+,"upstream":""
failregex = ^\S+ groundwork-refused\[\d+\]: \{%(client)s,%(request)s,
ignoreregex =
""".lstrip()

REFUSED_UNIT = """\
[Unit]
Description=Requests that the gateway refused, for fail2ban
After=docker.service

[Service]
ExecStart=/usr/local/sbin/groundwork-refused
Restart=always
RestartSec=5
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateNetwork=yes
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_DAC_OVERRIDE

[Install]
WantedBy=multi-user.target
"""

REFUSED = r"""
#!/bin/bash
# Follows the log of every gateway that runs, now or later, and passes on the lines about refused requests.
# Docker keeps them in files that come and go with containers, which fail2ban can't follow itself.
set -u
gateways=(--filter label=groundwork.role=gateway)
since=$(date +%s)
declare -A followers
while read -r id; do
    if [ -z "${followers[$id]-}" ] || ! kill -0 "${followers[$id]}" 2> /dev/null; then
        docker logs --follow --since "$since" "$id" 2> /dev/null | grep --line-buffered '"status":429,' &
        followers[$id]=$!
    fi
done < <(
    docker ps --quiet --no-trunc "${gateways[@]}"
    # Ends with the engine; then systemd starts all this again.
    docker events --since "$since" --filter type=container --filter event=start "${gateways[@]}" --format '{{.ID}}'
)
exit 1
""".lstrip()


def access_files(hardening: Hardening) -> tuple[ManagedFile, ...]:
    ignored = [*sorted(set(hardening.machines)), *hardening.balancer_subnets, hardening.container_subnets]
    unit = f"{REFUSED_LOG}.service"
    jails = JAILS.format(ignored=" ".join(map(str, ignored)), refused=REFUSED_A_MINUTE)
    return (
        ManagedFile(path="/etc/ssh/sshd_config.d/00-groundwork.conf", content=SSHD, mode="600", units=("ssh.service",)),
        ManagedFile(path="/etc/issue.net", content=ISSUE),
        ManagedFile(path="/etc/issue", content=ISSUE),
        ManagedFile(path="/etc/sudoers.d/groundwork", content=SUDOERS, mode="440"),
        ManagedFile(path="/etc/fail2ban/jail.d/groundwork.local", content=jails, units=("fail2ban.service",)),
        ManagedFile(
            path="/etc/fail2ban/filter.d/groundwork-refused.conf", content=REFUSED_FILTER, units=("fail2ban.service",)
        ),
        ManagedFile(path=f"/usr/local/sbin/{REFUSED_LOG}", content=REFUSED, mode="755", units=(unit,)),
        ManagedFile(path=f"/etc/systemd/system/{unit}", content=REFUSED_UNIT, units=(unit,)),
    )
