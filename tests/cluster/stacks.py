"""What is put on the cluster: every system of the repository, and one that has what those have not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from groundwork.catalog.postgres import Postgres
from groundwork.catalog.redis import Redis
from groundwork.deployment import Deployment
from groundwork.kubernetes import Manifest, manifests
from groundwork.kubernetes.render import filled
from groundwork.plan import plan
from groundwork.settings import Settings
from groundwork.stack_file import Configuration
from groundwork.system import App, AppVolume, Route, System, load_system
from groundwork.workload import SecretRef, Workload
from tests.cluster.client import Api, Object
from tests.cluster.servers import CONTEXT
from tests.sample import MARK, ROOT, configured

LAB = System(
    name="lab",
    services=(Postgres(database="lab"), Redis()),
    apps=(
        App(
            name="web",
            image="example/web:1",
            port=8000,
            metrics_path="/metrics",
            uses=("postgres", "redis"),
            settings={"DATABASE_URL": "postgresql://{postgres.username}:{postgres.password}@{postgres.host}/lab"},
            release_command=("migrate",),
            volumes=(AppVolume(name="uploads", path="/data", size_gib=2, shared=True),),
            egress=("api.example.com:443", "192.0.2.10:9000", "10.20.0.0/16:5000"),
        ),
        App(
            name="ticker",
            image_of="web",
            command=("tick",),
            singleton=True,
            live_command="true",
            ready_command="true",
            volumes=(AppVolume(name="state", path="/state"),),
            secret_settings="environment",
            uses=("redis",),
            settings={"REDIS_PASSWORD": "{redis.password}", "NOISE": "yes: {{no}}"},
        ),
        App(name="report", image_of="web", command=("report",), schedule="* * * * *", uses=("postgres",)),
    ),
    routes=(Route(path="/", app="web"),),
)
"""A schedule, a singleton, an autoscaler, volumes of both kinds, ways out of each kind, a release job, rotated
credentials, a private registry and monitoring, with what runs on each node."""
LAB_VALUES: dict[str, Any] = {
    "apps": {"web": {"autoscale": {"least": 2, "most": 6}}},
    "services": {"postgres": {"credentials": 2, "disk_gib": 20}, "redis": {"credentials": 3}},
    "registry": {"prefix": "harbor.example.com/mirror", "username": "robot$lab"},
    "secret_registry_password": "given",
    "time_zone": "Asia/Shanghai",
    "monitoring": {},
}

INGRESS = {"kind": "ingress", "namespace": "traefik"}
EXPOSURES: dict[str, dict[str, Any]] = {
    "traefik": INGRESS | {"controller": "traefik", "issuer": "letsencrypt"},
    "haproxy": INGRESS | {"controller": "haproxy", "tls_secret": "own-tls", "class_name": "outer"},
    "nginx": INGRESS | {"controller": "nginx"},
    "gateway": {"kind": "gateway", "namespace": "traefik", "class_name": "traefik", "issuer": "letsencrypt"},
    "gateway-http": {"kind": "gateway", "namespace": "traefik", "class_name": "traefik"},
    "node-port": {"kind": "node_port"},
    "load-balancer": {"kind": "load_balancer"},
    "cluster": {"kind": "cluster"},
}
SYSTEMS: dict[str, tuple[System, dict[str, Any]]] = {
    file.parent.name: (load_system(ROOT, file.parent.name), {}) for file in sorted(ROOT.glob("systems/*/system.py"))
} | {"lab": (LAB, LAB_VALUES)}


def secret_value(ref: SecretRef) -> str:
    """A value that is easily damaged on the way: quotes, a dollar, a backslash, no ASCII."""
    return f'{ref.owner} "{ref.name}" ${ref.generation} \\ ü'


@dataclass(frozen=True)
class OnCluster:
    """A stack, planned for the cluster of the tests."""

    deployment: Deployment
    settings: Settings

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        return manifests(self.deployment, self.settings)

    @cached_property
    def objects(self) -> list[Object]:
        """In the order in which they can be made. As JSON has them: what is a tuple here is a list there."""
        return [json.loads(json.dumps(filled(one, secret_value))) for one in self.manifests]

    @property
    def namespaces(self) -> list[str]:
        """Its own, and that of what runs on each node, if something does."""
        return [str(one["metadata"]["name"]) for one in self.objects if one["kind"] == "Namespace"]

    @property
    def namespace(self) -> str:
        return self.namespaces[0]

    def namespace_of(self, workload: Workload) -> str:
        return self.namespaces[-1] if workload.per_machine else self.namespace

    def removed(self, api: Api) -> None:
        for namespace in self.namespaces:
            api.delete("v1", "Namespace", "", namespace)

    def applied(self, api: Api, only: str = "") -> Iterator[tuple[Object, Object]]:
        """Applies everything, or the namespace and what is of one kind; yields what was sent with what is stored."""
        for body in self.objects:
            if body["kind"] in (only, "Namespace") or not only:
                yield body, api.apply(body)


def on_cluster(
    name: str, stack: str, values: dict[str, Any] | None = None, exposure: dict[str, Any] | None = None
) -> OnCluster:
    """The system of that name as stack `stack`."""
    system, usual = SYSTEMS[name]
    # A port of the nodes belongs to one stack of the cluster.
    port = {"port": 30080 + list(SYSTEMS).index(name)} if exposure and exposure["kind"] == "node_port" else {}
    target = {
        "kind": "kubernetes",
        "context": CONTEXT,
        "exposure": (exposure or {"kind": "cluster"}) | port,
        "shared_storage_class": "standard",
    }
    entry = {"server_names": ["shop.example.com", "www.shop.example.com"]}
    configuration: Configuration = configured(usual | {"target": target, "entry": entry} | (values or {}))
    deployment = plan(system, configuration, MARK, project=name, stack=stack)
    return OnCluster(deployment, configuration.settings)
