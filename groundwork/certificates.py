"""Certificates from an ACME authority: who gets and renews them, and where the gateway finds them.

The client has a workload of its own: the way out is open to it alone, and its account key is in nobody else's reach. It
and the gateway share one volume and no more.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from urllib.parse import urlsplit

from .faults import Fault
from .machines import APP_ROLES
from .nginx import Served
from .settings import Acme, Settings
from .targets import KubernetesTarget
from .workload import FILES, Exec, File, Image, Probes, Resources, Volume, Workload

NAME, VOLUME, PORT = "certificates", "certificates-data", 5002
HOME = "/var/tmp"
"""Every image has this directory open to any user, and a new volume takes its mode from there."""
MOUNTED = "/var/lib/certificates"
"""The same volume in the gateway, which only reads it."""
SERVED = "served"
USER = "10102:10101"
"""Of the gateway's group, which may read certificate and key; what its owner alone may read is the account's key."""
DAY, RETRY = 86_400, 900
"""Seconds to the next look at the certificate, and after a failure: Let's Encrypt takes five an hour for a name."""

SCRIPT = """\
#!/bin/sh
# Gets the certificate, looks every day whether it is to be renewed, and puts it where the gateway reads it.
set -u
umask 077
trap 'exit 0' TERM INT
what={what}
client=$(command -v lego || echo /lego)
ask() {{
    timeout 600 "$client" --accept-tos --path {home}/lego --server {directory} --email {email} --key-type ec256 \\
        --http --http.port :{port} {domains} "$@"
}}
# The key stays, so that a certificate and the one before it go with the same: nobody meets a pair that does not fit.
get() {{
    if [ "$(cat {served}/for 2> /dev/null)" = "$what" ] && [ -e {stored}.crt ]; then
        ask renew --days {days} --reuse-key --force-cert-domains --no-random-sleep
    elif [ -e {served}/tls.key ]; then
        ask run --private-key {served}/tls.key
    else
        ask run
    fi
}}
# The certificate last: where it is, its key is as well.
serve() {{
    mkdir -p {served}
    chmod 750 {served}
    for end in key crt; do
        if ! cmp -s {stored}.$end {served}/tls.$end; then
            install -m 640 {stored}.$end {served}/tls.$end.new || return 1
            mv {served}/tls.$end.new {served}/tls.$end || return 1
            echo "certificates: tls.$end is new"
        fi
    done
    printf '%s' "$what" > {served}/for
}}
# What was got before goes on while this looks at it.
if [ "$(cat {served}/for 2> /dev/null)" = "$what" ]; then touch {ready}; fi
# The gateway asks every two seconds where this container is.
sleep 5
while :; do
    if get && serve; then
        touch {ready}
        pause={day}
    else
        rm -f {ready}
        pause={retry}
        echo 'certificates: none from' {directory} 'for' {names} >&2
        echo "certificates: the lines above say why; it must reach these names at port 80. Next try in $pause s." >&2
    fi
    sleep "$pause" &
    wait $!
done
"""


READY = "/tmp/.has-a-certificate"
"""There while the last look went well."""


def script(acme: Acme, names: tuple[str, ...], home: str = HOME, day: int = DAY, retry: int = RETRY) -> str:
    """What the workload runs, with its data below `home`; `day` and `retry` in seconds."""
    return SCRIPT.format(
        home=home,
        served=f"{home}/{SERVED}",
        stored=f"{home}/lego/certificates/{names[0]}",
        ready=READY,
        what=shlex.quote(" ".join((acme.directory, acme.email, *names))),
        directory=shlex.quote(acme.directory),
        email=shlex.quote(acme.email),
        domains=" ".join(f"--domains {shlex.quote(name)}" for name in names),
        names=shlex.quote(", ".join(names)),
        port=PORT,
        days=acme.renew_days,
        day=day,
        retry=retry,
    )


def certificates_workload(settings: Settings, acme: Acme, image: Image) -> Workload:
    """The client. It starts behind the gateway, through which the authority reaches it: so a stack that gets no
    certificate says so when it is made, and serves http all the same."""
    root = acme.ca_certificate
    authority = urlsplit(acme.directory)
    return Workload(
        name=NAME,
        role="service",
        image=image,
        command=("/bin/sh", f"{FILES}/certificates.sh"),
        user=USER,
        env={"TZ": settings.time_zone} | ({"LEGO_CA_CERTIFICATES": f"{FILES}/ca.pem"} if root else {}),
        files=(
            File(name="certificates.sh", content=script(acme, settings.entry.server_names)),
            *((File(name="ca.pem", content=root),) if root else ()),
        ),
        volumes=(Volume(name=VOLUME, path=HOME),),
        port=PORT,
        egress=(f"{authority.hostname}:{authority.port or 443}",),
        resources=Resources(memory_mib=128, cpus=0.5),
        # The script is the container's main process: when it ends, so does the container.
        probes=Probes(liveness=Exec(command="true"), readiness=Exec(command=f"test -e {READY}")),
        grace_seconds=10,
        timeout_seconds=90,
        after=("gateway",),
    )


def gateways_volume() -> Volume:
    return Volume(name=VOLUME, path=MOUNTED, read_only=True)


def served() -> Served:
    """What the gateway's configuration needs to know."""
    return Served(name=NAME, port=PORT, directory=f"{MOUNTED}/{SERVED}", chain="tls.crt", key="tls.key")


def certificate_misfits(settings: Settings) -> Iterator[Fault]:
    """Where the certificate can't come from where the settings say."""
    entry, where = settings.entry, "groundwork:entry.acme"
    ends_before = "TLS ends at the load balancer of groundwork:edge, which gets its own certificate"
    gateways = sum(machine.role in APP_ROLES for machine in settings.stack_machines)
    if settings.edge and entry.certificate:
        yield Fault("groundwork:entry.certificate", ends_before, "take it out")
    if entry.acme is None:
        return
    if settings.edge:
        yield Fault(where, ends_before, "take it out")
    elif isinstance(settings.target, KubernetesTarget):
        what = "a cluster has cert-manager for that"
        yield Fault(where, what, "give groundwork:target.exposure.issuer, or groundwork:entry.certificate")
    elif gateways > 1:
        what = f"{gateways} machines have a gateway, and the authority asks any of them"
        yield Fault(where, what, "give groundwork:entry.certificate, or groundwork:edge on AWS")
