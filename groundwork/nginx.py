"""Routes to nginx configuration: time-outs, headers, limits, TLS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from .peers import PEERS, Peers
from .settings import Entry
from .system import Route
from .workload import FILES, File, Metrics, SecretRef, Template, digest_of

HTTP, HTTPS, ALIVE, VERSION, PEER = 8080, 8443, 8090, 8091, 8092
"""Ports inside the container; ALIVE and VERSION listen on its loopback only, PEER is for other machines' gateways."""
METRICS = Metrics(port=9113)
"""What the gateway counts itself: the usual port of nginx exporters."""
SCRIPT = "nginx_metrics.js"
SITE = "site"
"""Where the routes are among the files of a gateway that does not exchange them."""
LIVE = "/var/tmp"
"""Holds one directory a version and the link `current`. Every image has this directory open to any user, and a new
volume takes its mode from there; so nobody needs root to own it."""
KEEPALIVE_SECONDS = 65
"""How long an idle client connection stays open."""
KEEPALIVE_MIN_SECONDS = 2
"""After a reload, an idle client connection stays usable for this long, so that no client loses a race with its end."""

MAIN, ROUTES = (Path(__file__).with_name(f"nginx_{name}.conf.j2").read_text() for name in ("main", "routes"))


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """Where an app is found: the name of its present release, and its port. On machines: whether it runs on this one,
    and the doors (`address:port`) of the gateways of all others that run it."""

    release: str
    port: int
    here: bool = True
    peers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Served:
    """Who gets the certificate: a workload of that `name` answers challenges at `port`, and puts `chain` and `key` into
    `directory`, as the gateway sees it."""

    name: str
    port: int
    directory: str
    chain: str
    key: str


def rendered(template: str, **values: object) -> str:
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, autoescape=False, keep_trailing_newline=True
    )
    return environment.from_string(template).render(**values)


def main_files(directory: str, alive: str, *, metrics: bool = False) -> tuple[File, ...]:
    """`nginx.conf`, which takes the routes from `directory` and tells at `alive` that it lives, and the script that
    counts requests where there are `metrics`."""
    text = rendered(MAIN, directory=directory, alive=alive, metrics=metrics, files=FILES, script=SCRIPT)
    script = Path(__file__).with_name(SCRIPT).read_text()
    return (File(name="nginx.conf", content=text), *([File(name=SCRIPT, content=script)] if metrics else []))


def routes_files(
    entry: Entry,
    routes: Sequence[Route],
    upstreams: Mapping[str, Upstream],
    tls_key: SecretRef | None = None,
    *,
    docker: bool = True,
    redirect: bool = False,
    https_port: int | None = None,
    trusted_proxies: Sequence[IPv4Network] | None = None,
    peers: Peers | None = None,
    keepalive_seconds: int = KEEPALIVE_SECONDS,
    acme: Served | None = None,
    metrics: bool = False,
) -> tuple[str, tuple[File, ...]]:
    """The version of the gateway's configuration, and its files: the routes, and certificate and key where given.

    `docker` says how apps are found, `redirect` that TLS ends in front of this gateway, `https_port` where http leads
    if not to the entry's own port, `peers` which other gateways it serves, `keepalive_seconds` how long an idle
    connection stays open, `acme` where the certificate is if it is none of the files, and `metrics` that requests are
    counted, for which the main file must have them too.
    """
    ordered = sorted(routes, key=lambda route: route.path)
    doors = rendered(PEERS, peers=peers, port=PEER, routes=ordered, upstreams=upstreams) if peers else ""
    text = rendered(
        ROUTES,
        docker=docker,
        redirect=redirect,
        acme=acme,
        keepalive_seconds=keepalive_seconds,
        trusted_proxies=entry.trusted_proxies if trusted_proxies is None else trusted_proxies,
        entry=entry,
        routes=ordered,
        upstreams=upstreams,
        rate=rate_of(entry.requests_per_second),
        server_names=" ".join(entry.server_names) or "_",
        https_suffix="" if (https_port or entry.https_port) == 443 else f":{https_port or entry.https_port}",
        keepalive_min_seconds=KEEPALIVE_MIN_SECONDS,
        http=HTTP,
        https=HTTPS,
        version_port=VERSION,
        doors=doors,
        metrics=METRICS if metrics else None,
        directory=f"{LIVE}/@VERSION@" if docker else f"{FILES}/{SITE}",
    )
    tls: tuple[File, ...] = ()
    if entry.certificate and tls_key:
        tls = (
            File(name="tls.crt", content=entry.certificate),
            File(name="tls.key", content=Template((tls_key,))),
        )
    version = digest_of((File(name="routes.conf", content=text), *tls))
    return version, (File(name="routes.conf", content=text.replace("@VERSION@", version)), *tls)


def rate_of(requests_per_second: float) -> str:
    """nginx knows whole numbers only, per second or per minute."""
    if requests_per_second >= 10:
        return f"{requests_per_second:.0f}r/s"
    return f"{round(requests_per_second * 60)}r/m"
