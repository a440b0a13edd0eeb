"""How the operator's machine reaches the gateway of a stack: by its URL, or, where only pods of the cluster know that,
through a tunnel."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from ops.checkout import lock_of
from ops.place import Place
from ops.request import trusting
from ops.running import Running
from tools.engine.checkout import UserError

IN_CLUSTER = ".svc"
"""Ends the names that only a cluster's own DNS knows."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """Requests go to `port` of this machine where a tunnel begins there, and ask for `host` where the gateway knows its
    hosts by name. With `trouble` there is no way, and that is why."""

    tls: ssl.SSLContext | None = None
    port: int | None = None
    host: str = ""
    trouble: str = ""

    def url(self, url: str) -> str:
        """The URL as the gateway knows it."""
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=self.host)) if self.host else url


def is_inside(url: str) -> bool:
    """Whether only the cluster's pods know the host."""
    return (urlsplit(url).hostname or "").endswith(IN_CLUSTER)


@contextmanager
def way_in(running: Running, place: Callable[[], Place]) -> Iterator[Way]:
    """The way, while it is needed; `place` is asked for where it takes a tunnel."""
    url = urlsplit(running.urls["system"])
    entry = running.stack.configuration.settings.entry
    tls = trusting(entry.trusted_root) if url.scheme == "https" else None
    if not is_inside(running.urls["system"]):
        yield Way(tls=tls)
        return
    deployment = running.stack.deployment(lock_of(running.stack))
    gateway = deployment.workload("gateway")
    remote = (gateway.side_ports.get("https") if tls else None) or gateway.port or 0
    with ExitStack() as until_used:
        try:
            tunnel = until_used.enter_context(place().tunnel(deployment, gateway, remote, 0))
            way = Way(tls=tls, port=tunnel.port, host=entry.server_names[0] if entry.server_names else "")
        except UserError as error:
            way = Way(trouble=str(error))
        yield way
