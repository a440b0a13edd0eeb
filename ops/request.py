"""One HTTP request that follows nothing, retries nothing and measures its time."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

BODY_BYTES = 1_048_576
"""As much of a body as is usually read."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`headers` have lower-case names; `milliseconds` until the body was read."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    milliseconds: float


def trusting(certificate: str | None) -> ssl.SSLContext:
    """Certificates of the machine's authorities, and the stack's own, which may be self-signed."""
    context = ssl.create_default_context()
    if certificate:
        context.load_verify_locations(cadata=certificate)
        # A certificate that is no authority's may stand for itself.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def connected(
    host: str, port: int | None, tls: ssl.SSLContext | None, through: int | None, timeout: float
) -> http.client.HTTPConnection:
    """A connection to the host; with `through` by way of a tunnel that begins at that port of this machine."""
    connection = (
        http.client.HTTPSConnection(host, port, timeout=timeout, context=tls)
        if tls
        else http.client.HTTPConnection(host, port, timeout=timeout)
    )
    if through is not None:
        stream = socket.create_connection(("127.0.0.1", through), timeout)
        # The name stays the host's: for the certificate, and for the server that has several.
        connection.sock = tls.wrap_socket(stream, server_hostname=host) if tls else stream
    return connection


def fetch(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    through: int | None = None,
    timeout: float = 10,
    most: int = BODY_BYTES,
) -> Answer:
    """Sends the request's head, with no body, and reads the answer.

    Raises OSError or http.client.HTTPException where there is none.
    """
    parts = urlsplit(url)
    host, path = parts.hostname or "", (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    began = time.perf_counter()
    secure = (tls or trusting(None)) if parts.scheme == "https" else None
    connection = connected(host, parts.port, secure, through, timeout)
    try:
        connection.putrequest(method, path)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        # What follows a switch of protocols is no body.
        body = b"" if response.status == 101 else response.read(most)
        return Answer(
            status=response.status,
            headers={name.lower(): value for name, value in response.getheaders()},
            body=body,
            milliseconds=(time.perf_counter() - began) * 1000,
        )
    finally:
        connection.close()
