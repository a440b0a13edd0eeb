"""Every deployment whose objects are judged: each stack file, and a system that asks for everything behind each kind of
exposure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from groundwork.catalog.postgres import Postgres
from groundwork.catalog.redis import Redis
from groundwork.deployment import Deployment
from groundwork.kubernetes import Manifest, manifests
from groundwork.machines import NoMachines
from groundwork.monitoring.settings import Monitoring, Program
from groundwork.plan import plan
from groundwork.settings import Settings
from groundwork.stack_file import Configuration, read_values
from groundwork.system import App, AppVolume, Route, System, load_system
from groundwork.targets import DockerTarget, KubernetesTarget, Target

from .sample import CERTIFICATE, MARK, ROOT, configured, project_of, stack_files, stack_of, with_secrets

CLUSTER = KubernetesTarget(kind="kubernetes", context="test")
ENGINE = DockerTarget(memory_mib=1_048_576)


@dataclass(frozen=True, kw_only=True)
class Stack:
    """One environment of one system, which may be planned on any target."""

    project: str
    name: str
    system: System
    configuration: Configuration

    @cached_property
    def settings(self) -> Settings:
        return self.configuration.settings

    @cached_property
    def deployment(self) -> Deployment:
        return plan(self.system, self.configuration, MARK, project=self.project, stack=self.name)

    @cached_property
    def manifests(self) -> tuple[Manifest, ...]:
        return manifests(self.deployment, self.settings)

    def on(self, target: Target) -> Stack:
        """The same with another target, unless it is of that kind already."""
        if self.settings.target.kind == target.kind:
            return self
        return self.with_settings(self.settings.model_copy(update={"target": target}))

    def with_settings(self, settings: Settings) -> Stack:
        configuration = Configuration(settings, self.configuration.secrets)
        return replace(self, configuration=configuration)


def stack_at(path: Path) -> Stack:
    """What a stack file says, with made-up secrets, but for what a cluster can't have: machines, and what stands
    around them."""
    configuration = read_values(with_secrets(path)[0], path.name)
    found = configuration.settings
    entry = found.entry.model_copy(update={"acme": None})
    around: dict[str, Any] = {"machines": NoMachines(), "aws": None, "edge": None, "backups": None, "previews": None}
    if found.stack_machines:
        around["target"] = ENGINE
    configuration = replace(configuration, settings=found.model_copy(update={**around, "entry": entry}))
    project = project_of(path)
    system = load_system(ROOT, configuration.settings.system or project)
    return Stack(project=project, name=stack_of(path), system=system, configuration=configuration)


API = App(
    name="api",
    image="example/api:1",
    port=8000,
    metrics_path="/metrics",
    uses=("postgres", "redis"),
    settings={
        "DATABASE_URL": "postgresql://{postgres.username}:{postgres.password}@{postgres.host}/{postgres.database}",
        "SMTP_PASSWORD": "{secret.smtp}",
        "LOG_LEVEL": "info",
    },
    egress=("mail.example.com:587", "203.0.113.7:443", "198.51.100.0/24:8443"),
    release_command=("migrate",),
    volumes=(AppVolume(name="uploads", path="/data/uploads", size_gib=20, shared=True),),
    autoscale={"least": 3, "most": 12},
)
COMMANDS = {"live_command": "test -e /tmp/live", "ready_command": "test -e /tmp/ready"}
EVERYTHING = System(
    name="everything",
    services=(Postgres(database="shop"), Redis(), Redis(name="cache", eviction="allkeys-lru", durable=False)),
    apps=(
        App(name="web", image="example/web:1", port=8080, user="10101:10101", memory_mib=32),
        API,
        App(
            name="worker",
            image_of="api",
            command=("work",),
            uses=("redis",),
            settings={"REDIS_PASSWORD": "{redis.password}"},
            secret_settings="environment",
            **COMMANDS,
        ),
        App(
            name="beat",
            image_of="api",
            command=("beat",),
            singleton=True,
            volumes=(AppVolume(name="schedule", path="/data/schedule"),),
            uses=("redis",),
            **COMMANDS,
        ),
        App(name="report", image_of="api", command=("report",), schedule="30 2 * * 1-5", uses=("postgres",)),
    ),
    routes=(
        Route(path="/", app="web"),
        Route(path="/api/", app="api"),
        Route(path="/ws", app="api", websocket=True),
    ),
    required_secrets=("smtp",),
)
BEHIND: dict[str, Any] = {"namespace": "entry", "issuer": "letsencrypt"}
TLS = {"certificate": CERTIFICATE}
EXPOSURES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "traefik": ({"kind": "ingress", "controller": "traefik", **BEHIND}, {}),
    "haproxy": ({"kind": "ingress", "controller": "haproxy", "namespace": "entry", "tls_secret": "given-tls"}, {}),
    "nginx": ({"kind": "ingress", "controller": "nginx", "class_name": "nginx-public", **BEHIND}, {}),
    "plain ingress": ({"kind": "ingress", "controller": "traefik", "namespace": "entry"}, {}),
    "gateway": ({"kind": "gateway", "class_name": "cilium", **BEHIND}, {}),
    "plain gateway": ({"kind": "gateway", "class_name": "cilium", "namespace": "entry"}, {}),
    "node port": ({"kind": "node_port", "port": 30081}, {}),
    "secure node port": ({"kind": "node_port", "port": 30081}, TLS),
    "load balancer": ({"kind": "load_balancer"}, TLS),
    "cluster": ({"kind": "cluster"}, {}),
}
"""Exposure, and what the entry says, by name."""


def exposed(name: str, system: System = EVERYTHING) -> Stack:
    """The system that asks for everything, on a cluster with this exposure."""
    exposure, entry = EXPOSURES[name]
    values: dict[str, Any] = {
        "target": {
            "kind": "kubernetes",
            "context": "test",
            "storage_class": "fast",
            "shared_storage_class": "shared",
            "exposure": exposure,
        },
        "entry": {"server_names": ["shop.example.com", "www.example.com"], **entry},
        "registry": {"prefix": "harbor.example.com/hub", "username": "deploy"},
        "services": {"postgres": {"credentials": 3, "disk_gib": 50}},
        "secret_registry_password": "r",
        "secret_smtp": "s",
        **({"secret_tls_key": "k"} if entry else {}),
    }
    return Stack(project="shop", name="test", system=system, configuration=configured(values))


@cache
def judged() -> dict[str, Stack]:
    """Everything that is judged, by name."""
    files = {str(path.relative_to(ROOT)): stack_at(path).on(CLUSTER) for path in stack_files()}
    found = files | {f"everything, {name}": exposed(name) for name in EXPOSURES}
    watched = exposed("load balancer")
    settings = watched.settings.model_copy(update={"monitoring": Monitoring(grafana=Program())})
    return found | {"everything, monitored": watched.with_settings(settings)}
