"""Where an environment's workloads run: what a stack file may say below `groundwork:target`."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag, field_validator, model_validator

from .model import AddressRange, Model, Whole

KubernetesName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"),
    Field(examples=["letsencrypt"]),
]
KubeconfigPath = Annotated[str, StringConstraints(pattern=r"^(~/|/).+"), Field(examples=["~/.kube/production"])]
Namespace = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"), Field(examples=["traefik"])
]

LabelName = Annotated[str, StringConstraints(pattern=r"^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")]
LabelValue = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"), Field(examples=["kube-dns"])
]


class DockerTarget(Model):
    """One Docker engine: the one that `DOCKER_HOST` or the Docker context names."""

    usual_replicas: ClassVar[int] = 1
    """How many run of what nobody gave a number."""

    kind: Literal["docker"] = "docker"
    """What runs the containers."""
    memory_mib: Annotated[Whole, Field(ge=256, le=4_194_304)] = 3584
    """Memory of the machine that containers may take, in MiB. A stack that needs more is refused.
    The default is a 4 GiB machine less 512 MiB for its system."""
    subnets: AddressRange = IPv4Network("10.212.0.0/14")
    """The range from which container networks take their /28; change it where it meets a network of yours."""

    @field_validator("subnets")
    @classmethod
    def _room_for_networks(cls, subnets: IPv4Network) -> IPv4Network:
        if subnets.prefixlen > 20 or not subnets.is_private:
            raise ValueError("should be a private range of at least /20 (256 networks), such as 10.212.0.0/14")
        return subnets


class Exposure(Model):
    """How the outside reaches the gateway of a cluster, which stays the one place that knows the routes."""

    kind: Literal["ingress", "gateway", "node_port", "load_balancer", "cluster"] = "cluster"
    """`ingress` and `gateway` (Gateway API) stand behind a controller that the cluster has; `node_port` and
    `load_balancer` lead straight to the gateway; with `cluster` only `ops tunnel` does."""
    controller: Literal["traefik", "haproxy", "nginx"] | None = None
    """The controller of an `ingress`: Traefik, HAProxy Technologies', or F5's NGINX. The community's ingress-nginx
    ended in March 2026."""
    class_name: KubernetesName | None = None
    """Ingress class or Gateway class; for an `ingress` the default is the controller's name."""
    namespace: Namespace | None = None
    """The namespace from which the controller's proxies come; nobody else is let in."""
    issuer: KubernetesName | None = None
    """ClusterIssuer of cert-manager, which then gets and renews the certificate."""
    tls_secret: KubernetesName | None = None
    """Or the name of a TLS secret that is in the stack's namespace."""
    port: Annotated[Whole, Field(ge=30000, le=32767)] = 30080
    """The port on every node, for `node_port`."""

    @property
    def in_front(self) -> bool:
        """Whether a controller of the cluster stands before the gateway."""
        return self.kind in ("ingress", "gateway")

    @property
    def ends_tls(self) -> bool:
        """Whether TLS ends there and not at the gateway."""
        return bool(self.issuer or self.tls_secret)

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Exposure:
        for key in ("namespace", *(("controller",) if self.kind == "ingress" else ())):
            if self.in_front and getattr(self, key) is None:
                raise ValueError(f"kind {self.kind} needs `{key}`; say which one the cluster has")
        if self.kind == "gateway" and self.class_name is None:
            raise ValueError("kind gateway needs `class_name`; `kubectl get gatewayclass` lists them")
        for key in ("controller", "class_name", "namespace", "issuer", "tls_secret"):
            if not self.in_front and getattr(self, key) is not None:
                raise ValueError(f"kind {self.kind} has no `{key}`; take it out, or say kind: ingress")
        if self.kind == "gateway" and self.controller is not None:
            raise ValueError("kind gateway has no `controller`; class_name names it")
        if self.issuer and self.tls_secret:
            raise ValueError("issuer and tls_secret are both given; keep the one that has the certificate")
        return self


class KubernetesTarget(Model):
    """A cluster that exists, 1.33 or newer, by an explicit context of a kubeconfig."""

    usual_replicas: ClassVar[int] = 2
    """Nodes come and go; with one replica their end is an outage."""

    kind: Literal["kubernetes"]
    """What runs the containers."""
    context: Annotated[str, StringConstraints(min_length=1), Field(examples=["admin@production"])]
    """Context of the kubeconfig; the current one is never taken, so that no stack goes to another's cluster."""
    kubeconfig: KubeconfigPath | None = None
    """Its path, the same for everybody who runs the stack; the default is `KUBECONFIG`, or ~/.kube/config."""
    namespace: Namespace | None = None
    """The default is `<project>-<stack>`. It is made by the stack, and holds nothing else."""
    storage_class: KubernetesName | None = None
    """For data that one pod writes; the cluster's default class without it."""
    shared_storage_class: KubernetesName | None = None
    """For data that several pods write at once (ReadWriteMany)."""
    exposure: Exposure = Exposure()
    dns_namespace: Namespace = "kube-system"
    """Where the cluster's DNS runs: the only thing that every pod may reach."""
    dns_labels: dict[LabelName, LabelValue] = Field(default_factory=lambda: {"k8s-app": "kube-dns"})
    """Labels of its pods."""

    def namespace_of(self, owner: str) -> str:
        """The namespace of the stack `<project>-<stack>`, whose names may have what a DNS label may not."""
        return self.namespace or re.sub(r"[^a-z0-9]+", "-", owner.lower()).strip("-")[:63]

    def machines_namespace_of(self, owner: str) -> str:
        """The one beside it, for what runs on each node and sees the node itself."""
        return f"{self.namespace_of(owner)[:54]}-machines"

    @field_validator("namespace")
    @classmethod
    def _of_its_own(cls, namespace: str | None) -> str | None:
        if namespace == "default" or (namespace or "").startswith("kube-"):
            raise ValueError("should be a namespace of the stack's own, such as `portal-prod`; it goes with the stack")
        return namespace


def _kind(target: Any) -> Any:
    """`docker` where nothing is said, as in stack files that were written before there was another; unless it speaks
    of what only a cluster has."""
    if isinstance(target, dict):
        return target.get("kind", "kubernetes" if "context" in target else "docker")
    return getattr(target, "kind", None)


Target = Annotated[
    Annotated[DockerTarget, Tag("docker")] | Annotated[KubernetesTarget, Tag("kubernetes")], Discriminator(_kind)
]

