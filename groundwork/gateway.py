"""The gateway's workload: nginx, with the routes as its configuration.

The container's own configuration hardly ever changes. On a Docker engine everything about routes lives in a
directory that is exchanged while nginx runs; so a changed route never closes a listening socket. In a cluster a changed
route is a release of the gateway, whose pods take turns behind a Service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from .certificates import NAME as CERTIFICATES
from .certificates import gateways_volume, served
from .edge import KEPT_BEHIND_SECONDS, trusted_proxies
from .machines import Machine
from .nginx import (
    ALIVE,
    HTTP,
    HTTPS,
    KEEPALIVE_MIN_SECONDS,
    KEEPALIVE_SECONDS,
    LIVE,
    METRICS,
    PEER,
    SITE,
    VERSION,
    Upstream,
    main_files,
    routes_files,
)
from .peers import Peers
from .settings import Entry, Settings
from .system import Route
from .targets import DockerTarget, KubernetesTarget
from .workload import FILES, HttpGet, Image, Probes, Published, Reload, Resources, SecretRef, Volume, Workload

CHECK = f"sed 's#{LIVE}/current#'\"$NEXT\"'#' {FILES}/nginx.conf > /tmp/check.conf && nginx -t -q -c /tmp/check.conf"
USER = "10101:10101"
"""Any user will do: nginx writes to /tmp alone. Judges of Kubernetes want one that the node does not have."""
PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
"""Where the pods of a cluster have their addresses."""
UPLOAD_SECONDS = 600
"""How long a pod that is released may end what it passes on: 100 MB at 1.4 Mbit/s; WebSockets are cut then."""
SETTLE_SECONDS = KEEPALIVE_MIN_SECONDS + 1
"""After that time no old worker takes new requests, and the old release may go."""


def gateway_workload(
    settings: Settings,
    image: Image,
    routes: Sequence[Route],
    upstreams: Mapping[str, Upstream],
    tls_key: SecretRef | None,
    machine: Machine | None = None,
    peers: Peers | None = None,
    *,
    metrics: bool = False,
) -> Workload:
    """The one workload that the outside reaches; of `machine`, and with `peers` where several may share the load. With
    `metrics` it counts its requests, at a port of its own.

    A balancer in front needs no more than `/health`, which answers as long as nginx lives: a gateway without replicas
    of its own serves through its peers, so that an app that is down takes no machine out.
    """
    base = Workload(
        name="gateway",
        role="gateway",
        image=image,
        command=("nginx", "-c", f"{FILES}/nginx.conf", "-g", "daemon off;"),
        user=USER,
        port=HTTP,
        resources=Resources(memory_mib=settings.gateway.memory_mib, cpus=settings.gateway.cpus),
        after=tuple(upstreams),
        side_ports={"metrics": METRICS.port} if metrics else {},
        metrics=METRICS if metrics else None,
        monitored=metrics,
    )
    if isinstance(settings.target, DockerTarget):
        return on_docker(base, settings, routes, upstreams, tls_key, machine, peers)
    return on_kubernetes(base, settings, settings.target, routes, upstreams, tls_key)


def on_docker(
    base: Workload,
    settings: Settings,
    routes: Sequence[Route],
    upstreams: Mapping[str, Upstream],
    tls_key: SecretRef | None,
    machine: Machine | None,
    peers: Peers | None,
) -> Workload:
    """One container that holds the machine's ports, and exchanges its routes while it runs."""
    entry, edge = settings.entry, settings.edge
    version, files = routes_files(
        entry,
        routes,
        upstreams,
        tls_key,
        redirect=edge is not None,
        trusted_proxies=trusted_proxies(settings),
        peers=peers,
        keepalive_seconds=edge.idle_seconds + KEPT_BEHIND_SECONDS if edge else KEEPALIVE_SECONDS,
        acme=served() if entry.acme else None,
        metrics=base.metrics is not None,
    )
    address = str(entry_address(entry, machine))
    ports = {entry.http_port: HTTP} | ({entry.https_port: HTTPS} if entry.has_tls else {})
    alive = HttpGet(port=ALIVE, path="/alive")
    return replace(
        base,
        files=main_files(f"{LIVE}/current", f"127.0.0.1:{ALIVE}", metrics=base.metrics is not None),
        volumes=(Volume(name="gateway-live", path=LIVE), *([gateways_volume()] if entry.acme else ())),
        uses=(CERTIFICATES,) if entry.acme else (),
        # Whoever looks at its certificate comes as a client inside.
        side_ports=({"https": HTTPS} if entry.has_tls and base.metrics else {}) | dict(base.side_ports),
        published=(
            *(Published(address=address, port=port, target=target) for port, target in ports.items()),
            # Also before there is another machine: whoever adds one interrupts nothing.
            *([Published(address=str(machine.address), port=peers.port, target=PEER)] if machine and peers else []),
        ),
        probes=Probes(liveness=alive, readiness=alive),
        reload=Reload(
            directory=LIVE,
            files=files,
            check=CHECK,
            version=version,
            version_url=f"http://127.0.0.1:{VERSION}/version",
            settle_seconds=SETTLE_SECONDS,
        ),
    )


def entry_address(entry: Entry, machine: Machine | None) -> IPv4Address:
    """Where a gateway listens. On a machine nobody would come by its loopback: there it is the private address."""
    return machine.address if machine and entry.address.is_loopback else entry.address


def on_kubernetes(
    base: Workload,
    settings: Settings,
    target: KubernetesTarget,
    routes: Sequence[Route],
    upstreams: Mapping[str, Upstream],
    tls_key: SecretRef | None,
) -> Workload:
    """Pods that are released like an app. Only the cluster's entry reaches them, so it may say whom it speaks for."""
    entry = settings.entry
    trusted = PRIVATE if target.exposure.in_front and not entry.trusted_proxies else entry.trusted_proxies
    https = target.exposure.port if target.exposure.kind == "node_port" else 443
    _, files = routes_files(
        entry,
        routes,
        upstreams,
        tls_key,
        docker=False,
        redirect=target.exposure.ends_tls,
        https_port=https,
        trusted_proxies=trusted,
        metrics=base.metrics is not None,
    )
    return replace(
        base,
        # The kubelet asks at the pod's address.
        files=(
            *main_files(f"{FILES}/{SITE}", str(ALIVE), metrics=base.metrics is not None),
            *(replace(file, name=f"{SITE}/{file.name}") for file in files),
        ),
        side_ports=({"https": HTTPS} if entry.certificate else {}) | dict(base.side_ports),
        probes=Probes(liveness=HttpGet(port=ALIVE, path="/alive"), readiness=HttpGet(port=HTTP, path="/health")),
        grace_seconds=UPLOAD_SECONDS,
        replicas=settings.gateway.replicas or target.usual_replicas,
        strategy="surge",
    )
