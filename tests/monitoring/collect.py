"""Writes the lists of metrics of what comes with monitoring itself, from the programs as they run:
`python -m tests.monitoring.collect`. Everything listens on loopback and is ended again.

Exporters of services have lists of their own.
"""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import httpx

from groundwork.monitoring.programs import COLLECTORS
from tests.monitoring.programs import FOLDER, alertmanager, install

HERE = Path(__file__).parent
NAME = re.compile(r"^([a-zA-Z_:][\w:]*)", re.MULTILINE)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(folder: Path, *command: str) -> Iterator[None]:
    with (folder / f"{Path(command[0]).name}.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextmanager
def site(folder: Path) -> Iterator[int]:
    """Something with a certificate that can be probed."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", "site.pem", "-out", "site.crt"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    server = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "site.crt", folder / "site.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()


def read(url: str, wanted: str) -> set[str]:
    """The names there, as soon as `wanted` is among them; within half a minute."""
    found: set[str] = set()
    for _ in range(60):
        try:
            text = httpx.get(url, timeout=10).text
        except httpx.TransportError:
            text = ""
        found = set(NAME.findall("\n".join(line for line in text.split("\n") if not line.startswith("#"))))
        if wanted in found:
            return found
        time.sleep(0.5)
    raise SystemExit(f"{url} has no {wanted} after 30 seconds; it has {len(found)} metrics")


def version(program: str) -> str:
    done = subprocess.run([FOLDER / program, "--version"], capture_output=True, text=True, check=True)
    match = re.search(r"version (\S+)", done.stdout + done.stderr)
    assert match
    return match[1]


def keep(name: str, said: str, metrics: set[str]) -> None:
    (HERE / f"{name}.metrics").write_text("\n".join([f"# {name}: {said}", *sorted(metrics), ""]))
    print(f"{name}: {len(metrics)} metrics")


PROMETHEUS = """\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]}}]}}
scrape_configs: [{{job_name: prometheus, static_configs: [{{targets: ["127.0.0.1:{prometheus}"]}}]}}]
"""
AGENT = """\
global: {{scrape_interval: 1s}}
scrape_configs: [{{job_name: prometheus-agent, static_configs: [{{targets: ["127.0.0.1:{agent}"]}}]}}]
remote_write: [{{name: prometheus, url: "http://127.0.0.1:{prometheus}/api/v1/write"}}]
"""
RULES = "groups: [{name: g, rules: [{alert: A, expr: vector(1)}]}]\n"
ALERTMANAGER = "route: {receiver: r}\nreceivers: [{name: r, webhook_configs: [{url: 'http://127.0.0.1:9/'}]}]\n"
BLACKBOX = "modules: {https: {prober: http, http: {tls_config: {insecure_skip_verify: true}}}}\n"


AT = {"node-exporter": "node", "prometheus-agent": "agent"}
"""Where they are in the lists below, if it is by another name."""


def main() -> None:
    done = install()
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    names = ("prometheus", "agent", "alertmanager", "blackbox", "node")
    ports = {name: free_port() for name in names}
    with tempfile.TemporaryDirectory() as made, ExitStack() as stack:
        folder = Path(made)
        (folder / "prometheus.yml").write_text(PROMETHEUS.format(**ports))
        (folder / "agent.yml").write_text(AGENT.format(**ports))
        (folder / "rules.yml").write_text(RULES)
        (folder / "alertmanager.yml").write_text(ALERTMANAGER)
        (folder / "blackbox.yml").write_text(BLACKBOX)
        target = stack.enter_context(site(folder))
        at = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        collectors = ["--collector.disable-defaults", *(f"--collector.{name}" for name in COLLECTORS)]
        programs = {name: str(FOLDER / f"prometheus-{name}-exporter") for name in ("blackbox", "node")}
        for command in (
            alertmanager(
                "--config.file=alertmanager.yml",
                f"--web.listen-address={at['alertmanager']}",
                "--cluster.listen-address=",
                "--storage.path=alertmanager",
            ),
            [
                str(FOLDER / "prometheus"),
                "--config.file=prometheus.yml",
                f"--web.listen-address={at['prometheus']}",
                "--storage.tsdb.path=prometheus",
                "--storage.tsdb.retention.size=1GB",
                "--web.enable-remote-write-receiver",
            ],
            [
                str(FOLDER / "prometheus"),
                "--agent",
                "--config.file=agent.yml",
                f"--web.listen-address={at['agent']}",
                "--storage.agent.path=agent",
            ],
            [programs["blackbox"], "--config.file=blackbox.yml", f"--web.listen-address={at['blackbox']}"],
            [programs["node"], *collectors, f"--web.listen-address={at['node']}"],
        ):
            stack.enter_context(running(folder, *command))
        wanted = {
            "prometheus": ("prometheus", "prometheus_notifications_errors_total"),
            "prometheus-agent": ("prometheus", "prometheus_remote_storage_samples_failed_total"),
            "alertmanager": ("prometheus-alertmanager", "alertmanager_notifications_failed_total"),
            "node-exporter": ("prometheus-node-exporter", "node_cpu_seconds_total"),
            "blackbox": ("prometheus-blackbox-exporter", "blackbox_exporter_build_info"),
        }
        for name, (program, one) in wanted.items():
            keep(name, version(program), read(f"http://{at[AT.get(name, name)]}/metrics", one))
        probe = f"http://{at['blackbox']}/probe?module=https&target=https://localhost:{target}/"
        said = f"a probe of https by {version('prometheus-blackbox-exporter')}"
        keep("entry", said, read(probe, "probe_ssl_earliest_cert_expiry"))


if __name__ == "__main__":
    main()
