"""Who reaches what on a machine: rules of ufw for the machine itself, and of DOCKER-USER for its containers.

ufw does not see ports that Docker publishes, since their packets are forwarded and never delivered to the machine; and
what containers send to the machine itself never passes DOCKER-USER. So both are needed, and both refuse by default.
"""

from __future__ import annotations

from .state import SSH_PORT, Hardening

METADATA = ("169.254.169.254", "169.254.170.2", "100.100.100.200", "169.254.0.23")
"""Where clouds hand out a machine's credentials: AWS (as Azure, Google, Huawei, OpenStack), tasks of AWS, Alibaba,
Tencent. No container has a right to them."""

ENTER, LEAVE = "GROUNDWORK-ENTER", "GROUNDWORK-LEAVE"
BRIDGES = ("docker0", "br-+")
"""The interfaces of Docker's networks."""


def host_rules(hardening: Hardening) -> tuple[str, ...]:
    """All rules of ufw, as `ufw show added` prints them, so that the script can compare."""
    networks = sorted(set(hardening.administrators))
    rules = (f"allow from {network} to any port {SSH_PORT} proto tcp" for network in networks)
    return tuple(rule.replace("/32 ", " ") for rule in rules)


def container_rules(hardening: Hardening) -> str:
    """For `iptables-restore --noflush`, which exchanges exactly the chains that are declared here, all at once."""
    enter = [
        # The port as the client knew it: by now the packet is on its way to the container's own. Only what was
        # published is let through, so nobody gets further by a route of his own to a container's address.
        f"-A {ENTER} -s {source} -p tcp -m conntrack --ctstate DNAT --ctdir ORIGINAL "
        f"--ctorigdstport {opening.port} -j RETURN"
        for opening in sorted(hardening.openings, key=lambda opening: opening.port)
        for source in opening.sources
    ]
    private = hardening.private_subnets
    leave = [
        # One network's own traffic, which comes this way where bridges are filtered (they are, for `icc`).
        f"-A {LEAVE} -m physdev --physdev-is-bridged -j RETURN",
        *(f"-A {LEAVE} -d {address} -j REJECT" for address in METADATA),
        *(f"-A {LEAVE} -s {private} -d {machine} -j RETURN" for machine in sorted(set(hardening.machines))),
        f"-A {LEAVE} -s {private} -j REJECT",
        f"-A {LEAVE} -j RETURN",
    ]
    lines = [
        "*filter",
        *(f":{chain} - [0:0]" for chain in ("DOCKER-USER", ENTER, LEAVE)),
        "-A DOCKER-USER -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
        # Gone to, and not called: what returns from there goes on to Docker's own rules, and not to the next one here.
        *(f"-A DOCKER-USER -i {bridge} -g {LEAVE}" for bridge in BRIDGES),
        f"-A DOCKER-USER -g {ENTER}",
        # Nothing comes here; Docker adds it where it is missing, and the chain is to be the same before and after.
        "-A DOCKER-USER -j RETURN",
    ]
    return "\n".join([*lines, *enter, f"-A {ENTER} -j DROP", *leave, "COMMIT"]) + "\n"
