"""How the outside reaches the gateway's Service. The gateway alone knows the routes; whatever stands in front of it
passes everything on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ..nginx import HTTP, HTTPS
from ..settings import Entry
from ..targets import Exposure
from ..workload import Workload
from .manifest import CREATED_AT_ONCE, Manifest, Object, Place
from .waivers import NODE_PORT, marks

NAME = "gateway"
CERTIFICATE = "gateway-tls"
"""The secret into which cert-manager puts what it got."""
CONNECT_SECONDS = 60
"""What the document library's Ingress takes (C1)."""
SILENCE_SECONDS = 3600
"""The gateway decides by route how long an answer may take; nothing in front of it gives up before the longest."""


def traefik(entry: Entry) -> dict[str, str]:
    """It limits neither bodies nor answers by itself."""
    return {}


def haproxy(entry: Entry) -> dict[str, str]:
    """HAProxy Technologies' controller: annotations of its reference. Bodies stream through it, of any size."""
    return {"haproxy.org/timeout-server": f"{SILENCE_SECONDS}s"}


def nginx(entry: Entry) -> dict[str, str]:
    """F5's controller: annotations of its reference."""
    return {
        "nginx.org/client-max-body-size": f"{entry.max_body_mib}m",
        "nginx.org/proxy-connect-timeout": f"{CONNECT_SECONDS}s",
        "nginx.org/proxy-read-timeout": f"{SILENCE_SECONDS}s",
        "nginx.org/proxy-send-timeout": f"{SILENCE_SECONDS}s",
        "nginx.org/websocket-services": NAME,
        # The gateway redirects, as behind any other controller.
        "nginx.org/ssl-redirect": "false",
    }


CONTROLLERS: Mapping[str, Callable[[Entry], dict[str, str]]] = {"traefik": traefik, "haproxy": haproxy, "nginx": nginx}


def exposed(place: Place, entry: Entry, gateway: Workload) -> Iterator[Manifest]:
    """The gateway's Service, and what leads to it."""
    exposure = place.target.exposure
    yield service(place, exposure, gateway)
    if exposure.kind == "ingress":
        yield ingress(place, exposure, entry)
    elif exposure.kind == "gateway":
        yield gateway_of_the_cluster(place, exposure, entry)
        yield route(place, exposure, entry)


def service(place: Place, exposure: Exposure, gateway: Workload) -> Manifest:
    types = {"node_port": "NodePort", "load_balancer": "LoadBalancer"}
    ports: list[Object] = [{"name": "http", "port": 80, "targetPort": HTTP, "protocol": "TCP"}]
    if "https" in gateway.side_ports:
        ports.append({"name": "https", "port": 443, "targetPort": HTTPS, "protocol": "TCP"})
    if exposure.kind == "node_port":
        # The one that users are to take; http, which only leads there, gets any.
        ports[-1]["nodePort"] = exposure.port
    spec: Object = {
        "type": types.get(exposure.kind, "ClusterIP"),
        "selector": place.selector(gateway.name),
        "ports": ports,
    }
    if exposure.kind in types:
        # Passed on from node to node, requests lose the client's address, by which the gateway limits them.
        spec["externalTrafficPolicy"] = "Local"
    waived = [NODE_PORT] if exposure.kind == "node_port" else []
    return Manifest(
        body={
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": place.metadata(NAME, gateway, CREATED_AT_ONCE | marks(waived)),
            "spec": spec,
        }
    )


def certificate_of(exposure: Exposure) -> str | None:
    """The secret with the certificate; None without TLS."""
    return exposure.tls_secret or (CERTIFICATE if exposure.issuer else None)


def issuer_annotation(exposure: Exposure) -> dict[str, str]:
    return {"cert-manager.io/cluster-issuer": exposure.issuer} if exposure.issuer else {}


def ingress(place: Place, exposure: Exposure, entry: Entry) -> Manifest:
    controller = exposure.controller or ""
    hosts = list(entry.server_names)
    backend = {"service": {"name": NAME, "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    certificate = certificate_of(exposure)
    said = CREATED_AT_ONCE | issuer_annotation(exposure) | CONTROLLERS[controller](entry)
    return Manifest(
        body={
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": place.metadata(NAME, annotations=said),
            "spec": {"ingressClassName": exposure.class_name or controller}
            | ({"tls": [{"hosts": hosts, "secretName": certificate}]} if certificate else {})
            | {"rules": [{"host": host, "http": {"paths": paths}} for host in hosts]},
        }
    )


def gateway_of_the_cluster(place: Place, exposure: Exposure, entry: Entry) -> Manifest:
    """A Gateway (Gateway API) of the stack's own: each host with a listener, so that a new one changes no other."""
    certificate = certificate_of(exposure)
    here = {"namespaces": {"from": "Same"}}
    listeners: list[Object] = [{"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": here}]
    if certificate:
        tls = {"mode": "Terminate", "certificateRefs": [{"group": "", "kind": "Secret", "name": certificate}]}
        listeners += [
            {
                "name": f"tls.{host}",
                "hostname": host,
                "protocol": "HTTPS",
                "port": 443,
                "tls": tls,
                "allowedRoutes": here,
            }
            for host in entry.server_names
        ]
    said = CREATED_AT_ONCE | issuer_annotation(exposure)
    return Manifest(
        body={
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": place.metadata(NAME, annotations=said),
            "spec": {"gatewayClassName": exposure.class_name, "listeners": listeners},
        }
    )


def route(place: Place, exposure: Exposure, entry: Entry) -> Manifest:
    rule: Object = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
        # None: an upload of 100 MB may take its time.
        "timeouts": {"request": "0s"},
        "backendRefs": [{"group": "", "kind": "Service", "name": NAME, "port": 80, "weight": 1}],
    }
    parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": NAME}
    return Manifest(
        body={
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": place.metadata(NAME, annotations=CREATED_AT_ONCE),
            "spec": {"parentRefs": [parent], "hostnames": list(entry.server_names), "rules": [rule]},
        }
    )
