"""Prepares a host that exists: looks who would be locked out, then runs its hardening script there as root."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from pathlib import Path

from groundwork import ssh
from groundwork.faults import nearest
from groundwork.hardening import Hardening, hardenings, ready_command, script
from groundwork.machines import PUBLIC_KEY, ExistingMachines, Machine
from ops.checkout import Stack, lock_of_commit
from tools.engine.checkout import UserError

ASK_SECONDS = 60
WHO = 'echo "$(id -u) ${SSH_CONNECTION%% *}"'
"""The user's number, and from where the connection comes as the host sees it."""


@dataclass(frozen=True, kw_only=True)
class Host:
    """A host of the stack, as the user `login` reaches it with the ordinary ssh of whoever runs this."""

    machine: Machine
    hardening: Hardening
    login: str
    identities: tuple[Path, ...] = ()

    def ssh(self, words: str) -> list[str]:
        host = self.machine.host
        assert host
        options = ssh.options(host.host_key, ssh.through_jump(host.jump) if host.jump else "")
        options += [word for path in self.identities for word in ("-i", str(path))]
        return ["ssh", *options, "-l", self.login, "-p", str(host.port), "--", str(host.address), words]

    def ask(self, words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.ssh(words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ASK_SECONDS
        )  # fmt: skip


def host_of(stack: Stack, name: str, login: str, keys: Sequence[Path]) -> Host:
    """The machine of that name, or with that address. UserError where there is none that a person hardens."""
    settings = stack.configuration.settings
    if not isinstance(settings.machines, ExistingMachines):
        raise UserError(
            f"{stack.label} has no hosts to harden: groundwork:machines is of the kind `{settings.machines.kind}`. "
            "`kind: existing` lists hosts that are there; machines of AWS are hardened by `make up`."
        )
    machines = settings.stack_machines
    found = [one for one in machines if one.host and name in (one.name, one.host.address)]
    if not found:
        raise UserError(f"{stack.label} has no machine {name}; {nearest(name, [one.name for one in machines])}")
    deployment = stack.deployment(lock_of_commit())
    wanted = hardenings(
        settings, deployment.openings, prefix=deployment.prefix, deployers=[public_key(path) for path in keys]
    )
    private = (path.expanduser().with_suffix("") for path in keys)
    return Host(
        machine=found[0],
        hardening=wanted[found[0].name],
        login=login,
        identities=tuple(path for path in private if path.exists()),
    )


def public_key(path: Path) -> str:
    """The one line of a public key's file; UserError where it is something else, a private key above all."""
    try:
        text = path.expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} can't be read as a public key: {error}") from None
    if not re.fullmatch(PUBLIC_KEY, text):
        raise UserError(f"{path} holds no public key; give the file that ends in .pub")
    return text


def harden(host: Host, say: Callable[[str], None]) -> int:
    """Runs the script and then the machine's own probe, passing on what they say; returns the exit code.

    Raises UserError, before anything is changed, where nobody can become root there, or would come in afterwards.
    """
    as_root = _way_to_root(host)
    probe = shlex.join(["runuser", "-u", ssh.USER, "--", "sh", "-c", ready_command(host.hardening)])
    # One connection for both: the user who opened it may not be let in any more.
    words = shlex.join([*as_root, "bash", "-c", f"bash -s && {probe} < /dev/null"])
    process = subprocess.Popen(
        host.ssh(words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdin and process.stdout
    process.stdin.write(script(host.hardening))
    process.stdin.close()
    for line in process.stdout:
        say(line.rstrip("\n"))
    code = process.wait()
    if code == 0:
        say(f"{host.machine.name} is ready for containers.")
    return code


def _way_to_root(host: Host) -> list[str]:
    """What stands before a command to make it root's, after a look at who asks, and from where."""
    name = host.machine.name
    who = host.ask(WHO)
    if who.returncode != 0:
        why = (who.stderr.strip().splitlines() or ["no word why"])[-1]
        raise UserError(
            f"{name} does not let {host.login} in: {why}\n"
            "Before the first time, say who may become root there, such as --login ubuntu."
        )
    user, _, text = who.stdout.strip().partition(" ")
    source, known = ip_address(text), host.hardening.administrators
    inside = isinstance(source, IPv4Address) and any(source in network for network in known)
    if not inside and not source.is_loopback:
        names = f"names {', '.join(map(str, known))}" if known else "is empty"
        raise UserError(
            f"You reach {name} from {source}, and groundwork:machines.administrators {names}: the firewall would lock "
            f"you out. Add {source}/32, or a network that it is in."
        )
    if user == "0":
        return []
    may = host.ask("sudo -n true")
    if may.returncode != 0:
        raise UserError(f"{host.login} can't become root on {name} without a password: {may.stderr.strip()}")
    return ["sudo", "-n"]
