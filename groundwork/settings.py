"""What an environment file (`Pulumi.<stack>.yaml`) may say below the namespace `groundwork:`."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import Field, StringConstraints, field_validator, model_validator

from .cloud import Aws, Backups, Edge, Previews
from .faults import nearest
from .machines import Machine, Machines, NoMachines, machines_of
from .model import Address, AddressRange, Cpus, ImageReference, Memory, Model, Name, Number, Port, Whole
from .monitoring.receivers import secret_names
from .monitoring.settings import Monitoring
from .targets import DockerTarget, Target

ZONES = frozenset(available_timezones())

ServerName = Annotated[
    str,
    StringConstraints(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9-]+$", max_length=253),
    Field(examples=["portal.example.com"]),
]
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
SettingName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


def checked_pem(certificate: str | None) -> str | None:
    """The same, or ValueError where it is none."""
    if certificate is not None and "-----BEGIN CERTIFICATE-----" not in certificate:
        raise ValueError("should be a certificate chain in PEM, beginning with -----BEGIN CERTIFICATE-----")
    return certificate


class Acme(Model):
    """A certificate for the `server_names`, which the stack gets and renews from an authority that speaks ACME."""

    email: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+$"), Field(examples=["ops@example.com"])
    ]
    """Whom the authority tells what it has to say."""
    directory: Annotated[
        str, StringConstraints(pattern=r"^https://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?$")
    ] = LETS_ENCRYPT
    """The authority's ACME directory; the default is Let's Encrypt's."""
    ca_certificate: str | None = None
    """Root certificate in PEM of a private authority, for itself and for what it issues."""
    renew_days: Annotated[Whole, Field(ge=1, le=60)] = 30
    """How many days before its end a certificate is renewed."""
    image: ImageReference = "goacme/lego:v4.35.2"
    """lego 4, the client."""

    @field_validator("ca_certificate")
    @classmethod
    def _is_pem(cls, certificate: str | None) -> str | None:
        return checked_pem(certificate)


class Entry(Model):
    """Where and how users reach the system."""

    address: Address = IPv4Address("127.0.0.1")
    """Address of the machine that the gateway listens on; 0.0.0.0 means all of them."""
    http_port: Port = 8080
    """The port for http."""
    https_port: Port = 8443
    """Used with `certificate` or `acme`; http then redirects here."""
    server_names: tuple[ServerName, ...] = ()
    """Host names served; without one every name is."""
    certificate: str | None = None
    """Certificate chain in PEM. Its key is the secret `groundwork:secret_tls_key`."""
    acme: Acme | None = None
    """Instead of `certificate`, on a Docker engine that the Internet reaches at port 80."""
    trusted_proxies: tuple[AddressRange, ...] = ()
    """Networks of load balancers in front, whose X-Forwarded-For and X-Forwarded-Proto are believed. That of
    `edge` is believed anyway."""
    requests_per_second: Annotated[Number, Field(ge=0.1, le=100_000)] = 50
    """Sustained requests of one client address; above it, and beyond `burst`, the gateway answers 429."""
    burst: Annotated[Whole, Field(ge=1, le=100_000)] = 200
    """Requests that one client address may make at once beyond the rate."""
    max_body_mib: Annotated[Whole, Field(ge=1, le=10_240)] = 100
    """Largest request body in MiB (C1: 100)."""

    @field_validator("certificate")
    @classmethod
    def _is_pem(cls, certificate: str | None) -> str | None:
        return checked_pem(certificate)

    @property
    def trusted_root(self) -> str | None:
        """What clients must trust besides the usual authorities: a certificate of one's own, or who issued it."""
        return self.acme.ca_certificate if self.acme else self.certificate

    @property
    def has_tls(self) -> bool:
        """Whether the gateway itself speaks https."""
        return bool(self.certificate or self.acme)

    @model_validator(mode="after")
    def _ports_differ(self) -> Entry:
        if self.has_tls and self.http_port == self.https_port:
            raise ValueError(f"http_port and https_port are both {self.http_port}; give https_port another number")
        return self

    @model_validator(mode="after")
    def _one_certificate(self) -> Entry:
        if self.certificate and self.acme:
            raise ValueError("certificate and acme are both given; keep the one that has the certificate")
        if self.acme and not self.server_names:
            raise ValueError("acme gets a certificate for server_names, which names none; name the hosts there")
        return self


class Registry(Model):
    """A private registry or mirror, from which all images are taken."""

    prefix: Annotated[
        str,
        StringConstraints(pattern=r"^[a-z0-9][a-z0-9.:-]*(/[a-z0-9][a-z0-9._-]*)*$"),
        Field(examples=["harbor.example.com/mirror"]),
    ]
    """Put in front of every image that names no registry, such as `harbor.example.com/mirror`."""
    username: str | None = None
    """Its password is the secret `groundwork:secret_registry_password`."""

    @property
    def host(self) -> str:
        """Where one logs in: the prefix without its path."""
        return self.prefix.split("/")[0]


class AutoscaleSettings(Model):
    """How many replicas run, by what they use. Only Kubernetes does this; a Docker engine runs `least` of them.
    The defaults, and how fast the number changes, are those of the document library (K4)."""

    least: Annotated[Whole, Field(ge=2, le=100)] = 2
    """Never fewer than these."""
    most: Annotated[Whole, Field(ge=2, le=100)] = 10
    """Never more than these."""
    cpu_percent: Annotated[Whole, Field(ge=10, le=95)] = 70
    """Of the processor time that a replica asks for, on average."""
    memory_percent: Annotated[Whole, Field(ge=10, le=95)] = 80
    """Of the memory that a replica asks for, on average."""

    @model_validator(mode="after")
    def _in_order(self) -> AutoscaleSettings:
        if self.least > self.most:
            raise ValueError(f"least is {self.least} and most is {self.most}; exchange them")
        return self


class AppSettings(Model):
    """One app of the system in this environment; what is not said stays as the system says it."""

    image: ImageReference | None = None
    """`name:tag`, `name@sha256:…`, or `build:<folder of images/>`, which may say `@sha256:…` as well."""
    replicas: Annotated[Whole, Field(ge=1, le=12)] | None = None
    """How many run side by side."""
    autoscale: AutoscaleSettings | None = None
    """Instead of `replicas`."""
    memory_mib: Memory | None = None
    """Limit of the memory of one replica, in MiB."""
    cpus: Cpus | None = None
    """Limit of the processor time of one replica, in cores."""
    settings: dict[SettingName, str] = Field(default_factory=dict)
    """Further settings of the app, or other values for those that the system gives."""

    @model_validator(mode="after")
    def _one_number(self) -> AppSettings:
        if self.replicas is not None and self.autoscale is not None:
            raise ValueError("replicas and autoscale are both given; keep one of them")
        return self


class ServiceSettings(Model):
    """One backing service of the system in this environment."""

    version: str | None = None
    """A version of the catalog entry; the default is the newest that is recommended."""
    image: ImageReference | None = None
    """Another image with the same software, instead of the version's own."""
    memory_mib: Memory | None = None
    """Limit of its memory, in MiB; its configuration is tuned from it."""
    cpus: Cpus | None = None
    """Limit of its processor time, in cores."""
    disk_gib: Annotated[Whole, Field(ge=1, le=65_536)] | None = None
    """Size of its volume in GiB, on Kubernetes. It can grow where the storage class allows it, and never shrink."""
    credentials: Annotated[Whole, Field(ge=1, le=9999)] = 1
    """Generation of the credentials that apps use. Add one and run `up`: they rotate without a lost request."""


class GatewaySettings(Model):
    """The gateway itself."""

    image: ImageReference = "nginx:1.30"
    """nginx 1.27.4 or newer: upstreams that resolve again, and keepalive_min_timeout."""
    memory_mib: Memory = 64
    """Limit of its memory, in MiB."""
    cpus: Cpus = 1
    """Limit of its processor time, in cores."""
    replicas: Annotated[Whole, Field(ge=1, le=12)] | None = None
    """How many run side by side: 2 on Kubernetes, and never more than 1 on a Docker engine, whose ports it holds."""


class Settings(Model):
    """The whole of one environment."""

    system: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$"), Field(examples=["housing"])] | None = None
    """Folder below `systems/`; the default is the project's name."""
    time_zone: Annotated[str, Field(examples=["Asia/Shanghai"])] = "UTC"
    """IANA name of the team's local time, such as Asia/Shanghai."""
    target: Target = DockerTarget()
    machines: Machines = NoMachines()
    aws: Aws | None = None
    edge: Edge | None = None
    backups: Backups | None = None
    previews: Previews | None = None
    monitoring: Monitoring | None = None
    entry: Entry = Entry()
    registry: Registry | None = None
    gateway: GatewaySettings = GatewaySettings()
    apps: dict[Name, AppSettings] = Field(default_factory=dict)
    """Apps of the system by name."""
    services: dict[Name, ServiceSettings] = Field(default_factory=dict)
    """Backing services of the system by name."""
    keep_data: bool = True
    """Volumes stay on the machine when their service is removed or the stack is destroyed."""

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, time_zone: str) -> str:
        if time_zone not in ZONES:
            raise ValueError(f"should be a name of the IANA time zone database; {nearest(time_zone, ZONES)}")
        return time_zone

    @property
    def alert_secrets(self) -> tuple[str, ...]:
        """Names of the secrets that receivers of alerts need."""
        return secret_names(self.monitoring.receivers) if self.monitoring else ()

    @property
    def stack_machines(self) -> tuple[Machine, ...]:
        """The machines that the stack runs on, or none: then it is one Docker engine or a cluster."""
        return machines_of(self.machines, self.aws)
