"""A cluster of real servers on loopback, whose kubelets are played by kwok: one process a node, so that each can be
lost on its own. Nothing of it needs root."""

from __future__ import annotations

import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.cluster.client import Api, Object, Refused
from tests.cluster.metrics import serving_metrics

HERE = Path(__file__).parent
CONTEXT = "groundwork-test"
NODES = {"node-a1": "zone-a", "node-a2": "zone-a", "node-b1": "zone-b"}
DISKS = 250
"""Each is claimed once."""
READY_SECONDS = 120
"""For one server to answer, on a machine that is busy."""
STOP_SECONDS = 20
LOST_SECONDS = 10
"""How long a node may be silent before it counts as lost: 40 in a cluster of one's own."""
PATIENCE_SECONDS = 2
"""And how long its pods are left alone after that: 300 in a cluster of one's own."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Cluster:
    """The programs are in `programs`; keys, logs and data in `folder`."""

    programs: Path
    folder: Path
    port: int = field(default_factory=free_port)
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    kubelets: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    usage: dict[str, float] = field(default_factory=dict)
    """What pods are said to use, by the name of their workload: cores. The autoscaler reads it."""

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def authority(self) -> Path:
        """The certificate that the API server has made for itself."""
        return self.folder / "certificates" / "apiserver.crt"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def api(self) -> Api:
        return Api(self.url, self.token, self.authority)

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            program = self.programs / name.partition(".")[0]
            return subprocess.Popen([program, *arguments], cwd=self.folder, stdout=log, stderr=log)

    def start_kubelet(self, node: str) -> None:
        self.kubelets[node] = self.start(
            f"kwok.{node}",
            f"--kubeconfig={self.kubeconfig}",
            f"--config={HERE / 'kubelet.yaml'}",
            f"--manage-single-node={node}",
            # Renewed at a quarter of it.
            "--node-lease-duration-seconds=8",
        )

    def stop_kubelet(self, node: str) -> None:
        end(self.kubelets.pop(node))

    def stop_kubelets(self) -> None:
        for node in list(self.kubelets):
            self.stop_kubelet(node)


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def running(programs: Path, folder: Path) -> Iterator[Cluster]:
    """A cluster with its nodes ready; every process of it ends with the block."""
    cluster = Cluster(programs, folder)
    with ExitStack() as stack:

        def start(name: str, *arguments: str) -> None:
            stack.callback(end, cluster.start(name, *arguments))

        client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        urls = [f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}"]
        urls += [f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}"]
        start("etcd", "--data-dir=etcd", "--unsafe-no-fsync", *urls)
        write_credentials(cluster)
        start("kube-apiserver", *api_server(cluster, client))
        wait_for_api(cluster)
        start("kube-controller-manager", *controllers(cluster))
        start("kube-scheduler", *as_admin(cluster))
        stack.callback(cluster.stop_kubelets)
        api = cluster.api()
        stack.callback(api.close)
        stack.enter_context(serving_metrics(cluster))
        furnish(cluster, api)
        wait_for_nodes(cluster, api)
        yield cluster


def write_credentials(cluster: Cluster) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    private(cluster.folder / "accounts.pem", pem.decode())
    private(cluster.folder / "tokens.csv", f"{cluster.token},admin,admin,system:masters\n")
    context = {"cluster": CONTEXT, "user": "admin"}
    server = {"server": cluster.url, "certificate-authority": str(cluster.authority)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "clusters": [{"name": CONTEXT, "cluster": server}],
        "users": [{"name": "admin", "user": {"token": cluster.token}}],
        "contexts": [{"name": CONTEXT, "context": context}],
    }
    private(cluster.kubeconfig, yaml.safe_dump(config))


def private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def api_server(cluster: Cluster, etcd: str) -> list[str]:
    return [
        f"--etcd-servers={etcd}",
        "--bind-address=127.0.0.1",
        # What is advertised can't be a loopback address; nobody connects to it.
        "--advertise-address=192.0.2.1",
        "--endpoint-reconciler-type=none",
        f"--secure-port={cluster.port}",
        "--cert-dir=certificates",
        "--token-auth-file=tokens.csv",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-account-key-file=accounts.pem",
        "--service-account-signing-key-file=accounts.pem",
        f"--default-not-ready-toleration-seconds={PATIENCE_SECONDS}",
        f"--default-unreachable-toleration-seconds={PATIENCE_SECONDS}",
    ]


def as_admin(cluster: Cluster) -> list[str]:
    return [f"--kubeconfig={cluster.kubeconfig}", "--leader-elect=false", "--secure-port=0"]


def controllers(cluster: Cluster) -> list[str]:
    return [
        *as_admin(cluster),
        f"--root-ca-file={cluster.authority}",
        "--node-monitor-period=1s",
        f"--node-monitor-grace-period={LOST_SECONDS}s",
        # What is started and what scales counts at once.
        "--horizontal-pod-autoscaler-sync-period=2s",
        "--horizontal-pod-autoscaler-initial-readiness-delay=1s",
        "--horizontal-pod-autoscaler-cpu-initialization-period=1s",
        "--concurrent-namespace-syncs=4",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
    ]


def wait_for_api(cluster: Cluster) -> None:
    until = time.monotonic() + READY_SECONDS
    while True:
        try:
            api = cluster.api()
            try:
                api.call("GET", "/readyz")
                return
            finally:
                api.close()
        except (OSError, httpx.HTTPError, Refused):
            log = (cluster.folder / "kube-apiserver.log").read_text()
            assert time.monotonic() < until, f"the API server does not answer: {log[-2000:]}"
            time.sleep(0.2)


def wait_for_nodes(cluster: Cluster, api: Api) -> None:
    until = time.monotonic() + READY_SECONDS
    while not all(is_ready(node) for node in api.objects("v1", "Node")):
        logs = [file.read_text()[-500:] for file in sorted(cluster.folder.glob("kw*.log"))]
        assert time.monotonic() < until, f"the nodes do not get ready: {logs}"
        time.sleep(0.2)


def is_ready(body: Object) -> bool:
    """A node's or a pod's own word."""
    conditions = body.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def furnish(cluster: Cluster, api: Api) -> None:
    """What a cluster has before Groundwork comes: nodes, volumes, DNS, proxies of a controller, the Gateway API."""
    for file in sorted((cluster.programs / "crds").glob("*.yaml")):
        for definition in yaml.safe_load_all(file.read_text()):
            api.apply(definition)
    for node, zone in NODES.items():
        labels = {"kubernetes.io/hostname": node, "topology.kubernetes.io/zone": zone, "kubernetes.io/os": "linux"}
        api.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "labels": labels}})
        cluster.start_kubelet(node)
    for body in yaml.safe_load_all((HERE / "furniture.yaml").read_text()):
        api.apply(body)
    volume = yaml.safe_load((HERE / "volume.yaml").read_text())
    for number in range(DISKS):
        api.apply(volume | {"metadata": {"name": f"disk-{number}"}})
    api.warnings.clear()
