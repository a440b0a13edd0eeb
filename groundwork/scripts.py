"""The shell that runs inside containers: probe, job and reload. POSIX sh, so that any image with a shell will do."""

from __future__ import annotations

import math
import shlex

from .workload import FILES, Check, File, HttpGet, Probes, Reload, Workload

HTTP = """\
# Prints the body when the answer's status is below 400; fails otherwise.
http() {
    if command -v curl > /dev/null; then
        curl --silent --fail --max-time "$2" "$1"
    elif command -v wget > /dev/null; then
        wget -q -T "$2" -O - "$1"
    else
        # Only what a socket needs: a third of the time that urllib takes to load.
        python3 -I -S -c 'import socket, sys
host, path = sys.argv[1].removeprefix("http://").split("/", 1)
with socket.create_connection(host.split(":"), float(sys.argv[2])) as link:
    link.sendall(f"GET /{path} HTTP/1.0\\r\\nHost: {host}\\r\\n\\r\\n".encode())
    head, _, body = link.makefile("rb").read().partition(b"\\r\\n\\r\\n")
if int(head.split()[1]) >= 400:
    sys.exit(1)
sys.stdout.buffer.write(body)' "$1" "$2" 2> /dev/null
    fi
}
"""

PROBE = """\
#!/bin/sh
# Docker has one probe and never ends an unhealthy container. This one reports readiness as the container's health,
# and ends everything in the container after {failures} failed liveness checks; the restart policy does the rest.
# That is longer than its orderly end takes, since a draining server refuses connections, too.
set -u
{http}
# A stopped process answers nothing, though its siblings may; and nobody continues it.
stopped() {{
    grep -qs '^State:.T' /proc/[0-9]*/status
}}
live() {{
    {{ {liveness}; }} > /dev/null
}}
ready() {{
    {{ {readiness}; }} > /dev/null
}}
seconds_up() {{
    read -r up _ < /proc/uptime
    stat=$(cat /proc/1/stat)
    # Field 22, counted behind the name in parentheses, is the start in hundredths of a second since boot.
    # shellcheck disable=SC2086
    set -- ${{stat##*) }}
    echo $((${{up%.*}} - ${{20}} / 100))
}}
if stopped; then limit={stopped_failures}; else limit={failures}; fi
if ! stopped && live; then
    touch /tmp/.was-live
    rm -f /tmp/.failed-*
elif [ -e /tmp/.was-live ] || [ "$(seconds_up)" -gt {startup} ]; then
    # One empty file each: they take no space, should the application have used it up.
    set -- /tmp/.failed-*
    if [ -e "$1" ]; then failed=$(($# + 1)); else failed=1; fi
    touch "/tmp/.failed-$failed"
    echo "not live, $failed of $limit"
    if [ "$failed" -ge "$limit" ]; then
        rm -f /tmp/.failed-*
        # Outside of a container this would end the whole machine.
        [ "$0" = {itself} ] || exit 1
        kill -CONT 1
        kill -KILL -1
    fi
    exit 1
else
    echo 'not live yet'
    exit 1
fi
ready || {{ echo 'not ready'; exit 1; }}
"""

JOB = """\
#!/bin/sh
# The plugin does not tell how a container ended. A job that succeeded leaves a mark, and stays until it was seen.
set -eu
"$@"
touch /tmp/.done
exec sleep 90
"""

LATER = """\
#!/bin/sh
# Nobody waits for what this does: it is marked as done before it begins.
set -eu
touch /tmp/.done
sleep {delay}
exec "$@"
"""

JOB_PROBE = "test -e /tmp/.done"

RELOAD = """\
#!/bin/sh
# Puts the configuration in place of the running one: checked, exchanged, signalled, seen to be live.
set -eu
{http}
cd {directory}
export NEXT={directory}/{version}
rm -rf "$NEXT.new"
mkdir "$NEXT.new"
for file in {files}; do
    install -m 0400 {source}/"$file" "$NEXT.new/$file"
done
[ -e "$NEXT" ] || mv "$NEXT.new" "$NEXT"
rm -rf "$NEXT.new"
{check}
before=$(readlink current || true)
point_to() {{
    ln -sfn "$1" current.new
    mv -T current.new current
    # Process 1 is an init; it is its child that reads the configuration.
    # shellcheck disable=SC2013 # one line of numbers
    for child in $(cat /proc/1/task/1/children); do kill -HUP "$child"; done
}}
is_live() {{
    tries=0
    until [ "$(http {url} 2 || true)" = {version} ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 50 ] || return 1
        sleep 0.2
    done
}}
point_to {version}
if ! is_live; then
    echo 'the new configuration is not in force after 10 s; back to the one before' >&2
    [ -z "$before" ] || point_to "$before"
    exit 1
fi
# What was accepted before the exchange ends in the old workers; the old release may go afterwards.
sleep {settle}
for old in */; do
    case ${{old%/}} in {version} | "$before" | current) ;; *) rm -rf "$old" ;; esac
done
touch /tmp/.done
exec sleep 60
"""


STOPPED_FAILURES = 3
"""A stopped process is no matter of patience."""


def probe_script(probes: Probes, grace_seconds: int) -> str:
    """`probe.sh` of a workload that may take `grace_seconds` to end."""
    ending = math.ceil(grace_seconds / probes.period_seconds) + 2
    return PROBE.format(
        http=HTTP if any(isinstance(check, HttpGet) for check in (probes.liveness, probes.readiness)) else "",
        liveness=_command(probes.liveness, probes.timeout_seconds),
        # What is the same was asked a moment ago.
        readiness="true" if probes.readiness == probes.liveness else _command(probes.readiness, probes.timeout_seconds),
        failures=max(probes.failures, ending),
        stopped_failures=STOPPED_FAILURES,
        itself=f"{FILES}/probe.sh",
        startup=probes.startup_seconds,
    )


def _command(check: Check, timeout_seconds: int) -> str:
    if isinstance(check, HttpGet):
        return f"http {shlex.quote(f'http://127.0.0.1:{check.port}{check.path}')} {timeout_seconds}"
    return check.command


def reload_script(reload: Reload) -> str:
    """`reload.sh` for one version of a workload's exchangeable configuration."""
    return RELOAD.format(
        http=HTTP,
        directory=reload.directory,
        version=reload.version,
        files=" ".join(file.name for file in reload.files),
        source=FILES,
        check=reload.check,
        url=reload.version_url,
        settle=reload.settle_seconds,
    )


def scripts_of(workload: Workload) -> tuple[File, ...]:
    """The scripts that a workload needs where the engine has only one probe and no notion of a job."""
    if workload.role == "job":
        later = LATER.format(delay=workload.delay_seconds)
        return (File(name="job.sh", content=later if workload.delay_seconds else JOB),)
    assert workload.probes, f"{workload.name} runs without probes"
    if workload.engine_check is not None:
        return ()
    return (File(name="probe.sh", content=probe_script(workload.probes, workload.grace_seconds)),)
