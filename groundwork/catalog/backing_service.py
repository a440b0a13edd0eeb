"""What every backing service tells the plan. A catalog entry is one file with one subclass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from ..model import Model, Name
from ..monitoring.alerts import Alert
from ..monitoring.dashboards.panels import Dashboard
from ..monitoring.objectives import Objectives
from ..workload import (
    FILES,
    File,
    HttpGet,
    Image,
    Metrics,
    Probes,
    Resources,
    SecretRef,
    Template,
    Value,
    Workload,
)


@dataclass(frozen=True, kw_only=True)
class Sizing:
    """One environment's choices for a service: its image, version, limits, the generation of its credentials, and
    whether Prometheus reads its metrics."""

    image: Image
    version: str
    resources: Resources
    generation: int
    monitored: bool = False


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Who an app is to the service. A generation has a user of its own, so that old and new work side by side."""

    owner: str
    account: str
    generation: int

    @property
    def username(self) -> str:
        return f"{self.account}_{self.generation}"

    @property
    def password(self) -> SecretRef:
        return SecretRef(owner=self.owner, name="password", generation=str(self.generation))

    @property
    def predecessor(self) -> str | None:
        """The user whose time is over once the apps have this one."""
        return f"{self.account}_{self.generation - 1}" if self.generation > 1 else None


class BackingService(Model, ABC):
    """A database, cache, broker or store. Subclasses say what runs; every target is written once."""

    name: Name
    """What apps write in `uses` and in templates; also its host name."""

    versions: ClassVar[Mapping[str, str]]
    """Image reference by version, oldest first."""
    default_version: ClassVar[str]
    default_resources: ClassVar[Resources]
    default_disk_gib: ClassVar[int] = 10
    """K3 asks for as much for a database."""
    minimum_memory_mib: ClassVar[int]
    """Below it the service does not start, or is ended as soon as it works."""
    machine_role: ClassVar[Literal["data", "cache"]] = "data"
    """On machines: the role of the one that it runs on."""
    port: ClassVar[int]
    side_ports: ClassVar[Mapping[str, int]] = {}
    """Further ports by name; no app reaches them."""
    account_port: ClassVar[str] = ""
    """The side port at which accounts are made, where that is another one."""
    retire_seconds: ClassVar[int] = 0
    """How long a predecessor's account goes on after the switch, where the service itself can't be told."""
    user: ClassVar[str]
    """Numeric user and group of the service's process in its image."""
    exporter_image: ClassVar[str] = ""
    """Of the program that reads it for Prometheus; none where it tells of itself."""

    @abstractmethod
    def workload(self, sizing: Sizing) -> Workload:
        """The service itself, configured from its limits."""

    @abstractmethod
    def create_account(self, username: str) -> str:
        """Shell for a job beside the service: makes the user with the password in PASSWORD. Safe to repeat."""

    @abstractmethod
    def retire_account(self, username: str) -> str:
        """Shell for a job beside the service: ends the user, now that the apps have another one."""

    def exporter(self, sizing: Sizing, image: Image) -> Workload | None:
        """What reads the service for Prometheus, in `exporter_image`; none where it tells of itself."""
        return None

    def create_exporter_account(self) -> str:
        """Shell behind `create_account`: makes the user EXPORTER with the password in EXPORTER_PASSWORD, and the least
        rights that its exporter works with. Safe to repeat."""
        return ""

    def connection(self, generation: int) -> Mapping[str, str | SecretRef]:
        """What templates may name behind `<service>.`; subclasses add to it."""
        credentials = self.credentials(generation)
        return {
            "host": self.name,
            "port": str(self.port),
            "username": credentials.username,
            "password": credentials.password,
        }

    def alerts(self, sizing: Sizing, objectives: Objectives) -> tuple[Alert, ...]:
        """What somebody is told of the service, by the metrics of its exporter or its own."""
        return ()

    def dashboard(self, objectives: Objectives) -> Dashboard | None:
        """What somebody looks at, by the same metrics."""
        return None

    def credentials(self, generation: int) -> Credentials:
        return Credentials(owner=self.name, account=self.account, generation=generation)

    @property
    def account(self) -> str:
        """The stem of the names of the apps' users."""
        return "app"

    @property
    def admin_password(self) -> SecretRef:
        """For the service itself and its account jobs; no app ever sees it."""
        return SecretRef(owner=self.name, name="admin_password", generation="1")

    @property
    def exporter_password(self) -> SecretRef:
        """For the exporter alone, whose user is none of the apps'."""
        return SecretRef(owner=self.name, name="exporter_password", generation="1")

    def admin_file(self) -> File:
        return File(name="secrets/admin_password", content=Template((self.admin_password,)))

    def exporter_file(self) -> File:
        return File(name="secrets/exporter_password", content=Template((self.exporter_password,)))

    @property
    def account_files(self) -> tuple[File, ...]:
        """What the job that makes accounts reads beside passwords, such as start-up SQL."""
        return ()

    def jobs(self, sizing: Sizing) -> tuple[Workload, Workload | None]:
        """The account jobs as workloads: before the apps, and after the switch to them."""
        credentials = self.credentials(sizing.generation)
        create = self._job("accounts", self.create_account(credentials.username), sizing, after=(self.name,))
        if sizing.monitored and self.exporter_image:
            command = (*create.command[:-1], create.command[-1] + self.create_exporter_account())
            create = replace(create, command=command, files=(*create.files, self.exporter_file()))
        if self.account_files:
            create = replace(create, files=(*create.files, *self.account_files), timeout_seconds=FILES_SECONDS)
        if credentials.predecessor is None:
            return create, None
        retire = self._job("retire", self.retire_account(credentials.predecessor), sizing, after=("gateway",))
        return create, replace(retire, delay_seconds=self.retire_seconds)

    def _exporter(
        self,
        image: Image,
        *,
        command: tuple[str, ...],
        user: str,
        port: int,
        env: Mapping[str, Value],
        secret: File,
    ) -> Workload:
        # Its own page says that the process works. Whether the service does, is told by a metric.
        landing = HttpGet(port=port, path="/")
        return Workload(
            name=f"{self.name}-exporter",
            role="monitoring",
            image=image,
            command=command,
            user=user,
            # Go gives memory back before it meets the limit.
            env={"GOMEMLIMIT": f"{EXPORTER_MIB * 3 // 4}MiB", **env},
            files=(secret,),
            tmpfs={"/tmp": 1},
            port=port,
            uses=(self.name,),
            resources=Resources(memory_mib=EXPORTER_MIB, cpus=0.2),
            probes=Probes(liveness=landing, readiness=landing),
            grace_seconds=5,
            after=(f"{self.name}-accounts",),
            metrics=Metrics(port=port),
        )

    def _job(self, purpose: str, command: str, sizing: Sizing, after: tuple[str, ...]) -> Workload:
        password = File(name="secrets/password", content=Template((self.credentials(sizing.generation).password,)))
        return Workload(
            name=f"{self.name}-{purpose}",
            role="job",
            image=sizing.image,
            command=("/bin/sh", "-euc", command),
            user=JOB_USER,
            files=(self.admin_file(), password),
            resources=Resources(memory_mib=32, cpus=0.5),
            uses=(f"{self.name}.{self.account_port}" if self.account_port else self.name,),
            timeout_seconds=60,
            after=after,
        )


def numbered(folder: str, ending: str, texts: tuple[str, ...]) -> tuple[File, ...]:
    """Texts as files that a shell's `*` finds in their order. Not in a command, which is at most 128 KiB long."""
    return tuple(File(name=f"{folder}/{place:03}.{ending}", content=text) for place, text in enumerate(texts))


FILES_SECONDS = 300
"""For what account jobs read, instead of the minute that accounts alone may take."""
JOB_USER = "10001:10001"
"""A client needs no account of its own in the image."""
ADMIN_PASSWORD = f"{FILES}/secrets/admin_password"
PASSWORD = f"{FILES}/secrets/password"
EXPORTER = "groundwork_exporter"
EXPORTER_MIB = 32
"""What a cold start takes with the cache of its files: 27 MiB. Each of the three then has 9 to 16 MiB (docker stats), 7
of them its own, while two clients scrape it ten times a second."""
EXPORTER_PASSWORD = f"{FILES}/secrets/exporter_password"
