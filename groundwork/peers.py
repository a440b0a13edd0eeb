"""Gateways of several machines that help each other out: the door of each for the others, as nginx configuration."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

PEERS = """\
# What the gateway of another machine passes on goes to replicas of this machine alone, so that nothing goes in circles.
geo $realip_remote_addr $from_peer {
    default 0;
{% for other in peers.others %}
    {{ other }} 1;
{% endfor %}
}
{% for name, upstream in upstreams.items() if upstream.here %}
upstream here.{{ name }} {
    zone here.{{ name }} 256k;
    least_conn;
    server {{ upstream.release }}:{{ upstream.port }} resolve;
{% if upstream.release != name %}
    server {{ name }}:{{ upstream.port }} resolve backup;
{% endif %}
    keepalive 32;
    keepalive_timeout 4s;
}
{% endfor %}
server {
    listen {{ port }};
    # Logged, counted and compressed where it came in.
    access_log off;
    gzip off;
    if ($from_peer = 0) {
        return 403;
    }
    proxy_http_version 1.1;
    proxy_set_header Host $host;
    # The other gateway has written these itself.
    proxy_set_header X-Real-IP $http_x_real_ip;
    proxy_set_header X-Forwarded-For $http_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $http_x_forwarded_proto;
    proxy_set_header X-Forwarded-Host $http_x_forwarded_host;
    proxy_set_header X-Request-ID $http_x_request_id;
    proxy_set_header Upgrade $upgrade;
    proxy_set_header Connection $upgrade_or_keep;
    # It gives up after 2 s to connect, and after its own time to read.
    proxy_connect_timeout 2s;
    proxy_send_timeout 1h;
    proxy_read_timeout 1h;
    proxy_request_buffering off;
    proxy_next_upstream error timeout;
    proxy_next_upstream_tries 2;
    proxy_next_upstream_timeout 4s;
    proxy_max_temp_file_size 0;
{% if not routes | selectattr("path", "equalto", "/") | list %}
    location / {
        return 404;
    }
{% endif %}
{% for route in routes %}
    location {{ route.path }} {
{% if upstreams[route.app].here %}
        proxy_pass http://here.{{ route.app }};
{% else %}
        return 503;
{% endif %}
    }
{% endfor %}
}
"""


@dataclass(frozen=True, kw_only=True)
class Peers:
    """The gateways of a stack's app machines: the port of a machine at which each serves the others, and the others'
    addresses."""

    port: int
    others: tuple[IPv4Address, ...]
