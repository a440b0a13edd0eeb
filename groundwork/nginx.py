"""Routes to nginx configuration: time-outs, headers, limits, TLS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from jinja2 import Environment, StrictUndefined

from .settings import Entry
from .system import Route
from .workload import FILES, File, SecretRef, Template, digest_of

HTTP, HTTPS, ALIVE, VERSION = 8080, 8443, 8090, 8091
"""Ports inside the container; the last two listen on its loopback only."""
SITE = "site"
"""Where the routes are among the files of a gateway that does not exchange them."""
LIVE = "/var/tmp"
"""Holds one directory a version and the link `current`. Every image has this directory open to any user, and a new
volume takes its mode from there; so nobody needs root to own it."""
KEEPALIVE_MIN_SECONDS = 2
"""After a reload, an idle client connection stays usable for this long, so that no client loses a race with its end."""

MAIN = """\
worker_processes 2;
# A WebSocket in an old worker survives a reload; its app closes it properly when it is replaced.
worker_shutdown_timeout 1h;
# Twice the connections, since a proxied one has two ends; engines give containers 1024 to begin with.
worker_rlimit_nofile 8192;
pid /tmp/nginx.pid;
error_log /dev/stderr warn;
events {
    worker_connections 4096;
}
http {
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;
    access_log off;
    server_tokens off;
    server {
        listen {{ alive }};
        location = /alive {
            return 204;
        }
    }
    include {{ directory }}/*.conf;
}
"""

ROUTES = """\
log_format structured escape=json
    '{"time":"$time_iso8601","request_id":"$request_id","client":"$remote_addr","method":"$request_method",'
    '"path":"$uri","status":$status,"bytes":$body_bytes_sent,"seconds":$request_time,'
    '"upstream":"$upstream_addr","upstream_seconds":"$upstream_response_time"}';
access_log /dev/stdout structured;

client_max_body_size {{ entry.max_body_mib }}m;
client_header_timeout 15s;
client_body_timeout 60s;
send_timeout 60s;
keepalive_timeout 65s;
keepalive_min_timeout {{ keepalive_min_seconds }}s;
sendfile on;
tcp_nopush on;

gzip on;
gzip_vary on;
gzip_proxied any;
gzip_min_length 1024;
gzip_types text/plain text/css text/javascript text/xml application/json application/javascript application/xml
    application/xml+rss image/svg+xml;
{% for network in trusted_proxies %}
set_real_ip_from {{ network }};
{% endfor %}
{% if trusted_proxies %}
real_ip_header X-Forwarded-For;
real_ip_recursive on;
{% endif %}
# Only a trusted proxy may say how the client reached it.
geo $realip_remote_addr $from_trusted_proxy {
    default 0;
{% for network in trusted_proxies %}
    {{ network }} 1;
{% endfor %}
}
map "$from_trusted_proxy:$http_x_forwarded_proto" $forwarded_proto {
    default $scheme;
    "1:https" https;
    "1:http" http;
}
# WebSocket is the only protocol that a connection may be upgraded to.
map $http_upgrade $upgrade {
    default "";
    ~*^websocket$ websocket;
}
map $upgrade $upgrade_or_keep {
    default "";
    websocket upgrade;
}
limit_req_zone $binary_remote_addr zone=per_client:10m rate={{ rate }};
limit_req_status 429;

{% if docker %}
# Docker's resolver; a container that was started again has another address.
resolver 127.0.0.11 valid=2s ipv6=off;
resolver_timeout 2s;
{% endif %}
{% for name, upstream in upstreams.items() %}
upstream {{ name }} {
    zone {{ name }} 256k;
    least_conn;
{% if docker %}
    server {{ upstream.release }}:{{ upstream.port }} resolve;
{% if upstream.release != name %}
    # Every release answers to this name. Its addresses outlive a reload, so they bridge the moment in which
    # those of a new release are not yet known.
    server {{ name }}:{{ upstream.port }} resolve backup;
{% endif %}
{% else %}
    # A Service has one address and leads to any ready pod: a second try meets another one. And one broken pod must not
    # close the way to all others, as it would for 10 s after a failed second try.
    server {{ name }}:{{ upstream.port }} max_fails=0;
    server {{ name }}:{{ upstream.port }} max_fails=0 backup;
{% endif %}
    # Shorter than the idle time-out of uvicorn (5 s), the shortest among common servers: nginx closes first.
    keepalive 32;
    keepalive_timeout 4s;
}
{% endfor %}
server {
    listen 127.0.0.1:{{ version_port }};
    access_log off;
    location = /version {
        return 200 "@VERSION@";
    }
}
{% if entry.certificate %}
server {
    listen {{ http }};
    server_name {{ server_names }};
    location = /health {
        access_log off;
        default_type text/plain;
        return 200 "ok\\n";
    }
    location / {
        return 308 https://$host{{ https_suffix }}$request_uri;
    }
}
{% endif %}
server {
{% if entry.certificate %}
    listen {{ https }} ssl;
    http2 on;
    # Mozilla's intermediate configuration, version 6.0.
    ssl_certificate {{ directory }}/tls.crt;
    ssl_certificate_key {{ directory }}/tls.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305;
    ssl_ecdh_curve X25519:prime256v1:secp384r1;
    ssl_prefer_server_ciphers off;
    ssl_session_timeout 1d;
    ssl_session_cache shared:tls:10m;
    ssl_session_tickets off;
    add_header Strict-Transport-Security "max-age=63072000" always;
{% else %}
    listen {{ http }};
{% endif %}
    server_name {{ server_names }};
    add_header X-Content-Type-Options nosniff always;
    add_header X-Frame-Options SAMEORIGIN always;
    add_header Referrer-Policy strict-origin-when-cross-origin always;
    add_header X-Request-ID $request_id always;

    proxy_http_version 1.1;
    proxy_set_header Host $host;
    proxy_set_header X-Real-IP $remote_addr;
    # The client's address as this gateway knows it; what clients claim themselves goes no further.
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $forwarded_proto;
    proxy_set_header X-Forwarded-Host $host;
    proxy_set_header X-Request-ID $request_id;
    proxy_set_header Upgrade $upgrade;
    proxy_set_header Connection $upgrade_or_keep;
    proxy_connect_timeout 2s;
    proxy_send_timeout 60s;
    # Bodies stream: the release that began with an upload ends it, and 100 MB never lie in memory.
    proxy_request_buffering off;
    proxy_next_upstream error timeout;
    proxy_next_upstream_tries 3;
    proxy_next_upstream_timeout 6s;
    proxy_max_temp_file_size 0;

    location = /health {
        access_log off;
        default_type text/plain;
        return 200 "ok\\n";
    }
{% if not routes | selectattr("path", "equalto", "/") | list %}
    # Not nginx's own page.
    location / {
        return 404;
    }
{% endif %}
{% for route in routes %}
    location {{ route.path }} {
{% if redirect %}
        # TLS ends in front of this gateway.
        if ($forwarded_proto = http) {
            return 308 https://$host$request_uri;
        }
{% endif %}
        limit_req zone=per_client burst={{ entry.burst }} nodelay;
        proxy_pass http://{{ route.app }};
{% if route.websocket %}
        proxy_read_timeout 1h;
        proxy_send_timeout 1h;
{% else %}
        proxy_read_timeout {{ route.timeout_seconds }}s;
{% endif %}
    }
{% endfor %}
}
"""


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """Where an app is found: the name of its present release, and its port."""

    release: str
    port: int


def rendered(template: str, **values: object) -> str:
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, autoescape=False, keep_trailing_newline=True
    )
    return environment.from_string(template).render(**values)


def main_file(directory: str, alive: str) -> File:
    """`nginx.conf`, which takes the routes from `directory` and tells at `alive` that it lives."""
    return File(name="nginx.conf", content=rendered(MAIN, directory=directory, alive=alive))


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
) -> tuple[str, tuple[File, ...]]:
    """The version of the gateway's configuration, and its files: the routes, and certificate and key where given.

    `docker` says how apps are found, `redirect` that TLS ends in front of this gateway, `https_port` where http leads
    if not to the entry's own port.
    """
    text = rendered(
        ROUTES,
        docker=docker,
        redirect=redirect,
        trusted_proxies=entry.trusted_proxies if trusted_proxies is None else trusted_proxies,
        entry=entry,
        routes=sorted(routes, key=lambda route: route.path),
        upstreams=upstreams,
        rate=rate_of(entry.requests_per_second),
        server_names=" ".join(entry.server_names) or "_",
        https_suffix="" if (https_port or entry.https_port) == 443 else f":{https_port or entry.https_port}",
        keepalive_min_seconds=KEEPALIVE_MIN_SECONDS,
        http=HTTP,
        https=HTTPS,
        version_port=VERSION,
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
