"""`metrics.k8s.io`, as metrics-server serves it: each pod uses what its workload is said to use."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from tests.cluster.servers import Cluster

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
PODS = {"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": ["get", "list"]}
KINDS = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{GROUP}/{VERSION}", "resources": [PODS]}


@contextmanager
def serving_metrics(cluster: Cluster) -> Iterator[None]:
    api = cluster.api()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            parts = url.path.strip("/").split("/")
            selector = parse_qs(url.query).get("labelSelector", [""])[0]
            if parts[-1] == "pods":
                self._answer(usage(parts[-2], selector))
            else:
                self._answer(KINDS)

        def _answer(self, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    def usage(namespace: str, selector: str) -> dict[str, Any]:
        pods = api.call("GET", api.path("v1", "Pod", namespace) + f"?labelSelector={selector}")["items"]
        return {"kind": "PodMetricsList", "apiVersion": f"{GROUP}/{VERSION}", "items": [used_by(pod) for pod in pods]}

    def used_by(pod: dict[str, Any]) -> dict[str, Any]:
        cores = cluster.usage.get(pod["metadata"]["labels"]["app.kubernetes.io/name"], 0.0)
        used = {"cpu": f"{round(cores * 1000)}m", "memory": "8Mi"}
        return {
            "metadata": {key: pod["metadata"][key] for key in ("name", "namespace", "labels")},
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "window": "1s",
            "containers": [{"name": one["name"], "usage": used} for one in pod["spec"]["containers"]],
        }

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cluster.authority, cluster.authority.with_suffix(".key"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        api.apply(registration(server.server_address[1]))
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        api.close()


def registration(port: int) -> dict[str, Any]:
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{VERSION}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "version": VERSION,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            # On loopback, with the API server's own certificate.
            "insecureSkipTLSVerify": True,
            "service": {"namespace": "kube-system", "name": "metrics", "port": port},
        },
    }
