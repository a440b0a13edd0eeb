"""A webhook beside Alertmanager: a container in its network, which writes down what it is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import docker

PORT = 9000
SERVER = f"""
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        print(body.decode().strip(), flush=True)
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", {PORT}), Handler).serve_forever()
"""


@dataclass(frozen=True)
class Told:
    """One alert in a notification; `moment` is the engine's time of its arrival, RFC 3339 in UTC."""

    moment: str
    status: str
    name: str
    service: str
    severity: str


@dataclass(frozen=True)
class Receiver:
    container: Any

    def told(self) -> Iterator[Told]:
        """Everything so far, in order."""
        for line in self.container.logs(timestamps=True).decode().splitlines():
            moment, _, body = line.partition(" ")
            for alert in json.loads(body)["alerts"]:
                labels = alert["labels"]
                yield Told(moment, alert["status"], labels["alertname"], labels["service"], labels["severity"])


@contextmanager
def receiving(engine: docker.DockerClient, network: str, name: str, image: str) -> Iterator[Receiver]:
    """Answers to `name` at PORT in that network. The image has Python."""
    made = engine.containers.run(
        image, entrypoint=["python3", "-c", SERVER], detach=True, network=network, name=name
    )
    try:
        yield Receiver(made)
    finally:
        made.remove(force=True)
