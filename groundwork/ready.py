"""The shell that waits for a machine, here, by ssh: until it answers, is set up, and says itself that it is ready.

It runs wherever the engine runs, with its /bin/sh. What becomes of a machine is decided by its own probe
(groundwork/hardening): a first boot that failed half-way is repaired by the script, or the probe says what is missing.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from .ssh import command

BOOT_SECONDS = 600
"""For a new instance to answer, and again for its first boot to end: packages, Docker, the data disk."""
ANSWER_SECONDS = 60
"""For a host that exists: it answers, or it does not."""
SETTLE_SECONDS = 90
"""From the end of the script until the probe is content: Docker starts again meanwhile."""
PAUSE_SECONDS = 3
SHOWN_LINES = 40
"""Of the script's words, where it fails."""

HEAD = """\
#!/bin/sh
# Waits for {name}: every way out is success, or one message that says what is missing.
set -u
on_machine() {{
    {ssh} "$@"
}}
# Runs the rest of its words until they succeed, for $1 seconds; keeps what they said last in $said.
until_success() {{
    deadline=$(($(date +%s) + $1))
    shift
    until said=$("$@" 2>&1 < /dev/null); do
        [ "$(date +%s)" -lt "$deadline" ] || return 1
        sleep {pause}
    done
}}
fail() {{
    printf '%s\\n' "{name}: $1" "$said" >&2
    exit 1
}}
"""

ANSWERS = """\
until_success {seconds} on_machine true || fail 'it does not answer by ssh within {seconds} s. {remedy} ssh says:'
"""

BOOTED = """\
# Also one that failed has ended: what it left undone is done below.
until_success {seconds} on_machine 'timeout {seconds} cloud-init status --wait > /dev/null 2>&1; test $? -ne 124' ||
    fail 'its first boot has not ended within {seconds} s; /var/log/cloud-init-output.log there says how far it came.'
"""

APPLIED = """\
# From a file of its own: a command that reads its input would swallow the rest of the script.
# shellcheck disable=SC2016 # it is the shell over there that expands it
said=$(on_machine 'sudo -n sh -c "umask 077; file=\\$(mktemp); cat > \\$file; bash \\$file < /dev/null; code=\\$?;
    rm -f \\$file; exit \\$code"' 2>&1) || {{
    said=$(printf '%s\\n' "$said" | tail -n {lines})
    fail 'the hardening script has failed. Its last lines:'
}}
"""

PROBED = """\
# shellcheck disable=SC2016 # likewise
until_success {seconds} on_machine {probe} || fail '{remedy}'
printf '%s\\n' '{name} is ready'
"""


def set_up(name: str, machine: str, ssh_options: Sequence[str], probe: str) -> str:
    """For an instance: waits for its first boot, runs the hardening script of standard input there as root, and then
    asks `probe`, a line for the shell there. Which `machine` is meant, `ssh.url` says."""
    return _script(
        name, machine, ssh_options,
        ANSWERS.format(seconds=BOOT_SECONDS, remedy="docs/machines.md says how machines are reached."),
        BOOTED.format(seconds=BOOT_SECONDS),
        APPLIED.format(lines=SHOWN_LINES),
        _probed(name, probe, SETTLE_SECONDS, "it is not ready. The machine says:"),
    )  # fmt: skip


def probed(name: str, machine: str, ssh_options: Sequence[str], probe: str) -> str:
    """For a host that exists: changes nothing there, and only asks `probe`."""
    harden = f"This prepares it: python -m ops harden {name}."
    return _script(
        name, machine, ssh_options,
        ANSWERS.format(seconds=ANSWER_SECONDS, remedy=f"{harden}"),
        _probed(name, probe, 0, f"it is not ready. {harden} The host says:"),
    )  # fmt: skip


def _script(name: str, machine: str, ssh_options: Sequence[str], *parts: str) -> str:
    head = HEAD.format(name=name, ssh=shlex.join(command(machine, ssh_options)), pause=PAUSE_SECONDS)
    return "".join((head, *parts))


def _probed(name: str, probe: str, seconds: int, remedy: str) -> str:
    return PROBED.format(name=name, probe=shlex.quote(probe), seconds=seconds, remedy=remedy)
