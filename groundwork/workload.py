"""What any target can run. The terms are those of Kubernetes and Score.

Every type is frozen data: a Workload says *what* runs, a component decides *how* its target runs it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

FILES = "/etc/groundwork"
"""The one directory below which every file of a workload is mounted, read-only."""

REVISION = 2
"""Part of every release. Add one whenever a target makes other containers of the same workload than before:
then an upgrade of Groundwork is a release too, and replaces nothing that serves (tests/components/test_revision.py)."""
NO_PART_OF_A_RELEASE = ("replicas", "autoscale", "reload", "after")


@dataclass(frozen=True, kw_only=True)
class SecretRef:
    """The name of a secret. Its value is known to the target alone; `generation` changes whenever the value does."""

    owner: str
    name: str
    generation: str


@dataclass(frozen=True)
class Template:
    """A text in which secrets are still names. Where it is `json`, their values become parts of strings in it."""

    parts: tuple[str | SecretRef, ...]
    escape: Literal["", "json"] = ""

    def secrets(self) -> Iterator[SecretRef]:
        return (part for part in self.parts if isinstance(part, SecretRef))


Value = str | Template


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that can no longer change: `reference` for people, `digest` (`sha256:…`) for the target.

    `origin` says where the digest comes from: `registry` (repository@digest), `local` (an image id of the engine),
    `sources` (of what is to be built in this checkout, where no engine has built it),
    `simulated` (made from the reference, only in simulated runs and pictures).
    """

    reference: str
    digest: str
    origin: Literal["registry", "local", "sources", "simulated"]


@dataclass(frozen=True, kw_only=True)
class File:
    """A file below FILES. `name` is a relative path, `mode` octal."""

    name: str
    content: Value
    mode: str = "0444"

    @property
    def path(self) -> str:
        return f"{FILES}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class Volume:
    """Data that outlives its container. `path` is where the workload sees it; `size_gib` is asked for where a target
    hands out disks by size; a `shared` one is written by several replicas at once; one that is `read_only` belongs to
    another workload."""

    name: str
    path: str
    size_gib: int = 1
    shared: bool = False
    read_only: bool = False


MACHINE = "MACHINE"
"""The variable with the machine's name, of what runs on each."""
ENGINE = "engine"
"""The name of the machine of the one engine that `DOCKER_HOST` names, which has none."""
MachinePath = Literal["root", "container_logs"]
"""A directory of the machine itself, by what it is: `root` is all of it; where the other one is, each target knows."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A port that the machine itself listens on: `address:port` leads to `target` in the container."""

    address: str
    port: int
    target: int


@dataclass(frozen=True, kw_only=True)
class HttpGet:
    """Healthy when `http://127.0.0.1:port/path` answers with a status below 400."""

    port: int
    path: str


@dataclass(frozen=True, kw_only=True)
class Exec:
    """Healthy when this shell command exits with 0."""

    command: str


Check = HttpGet | Exec


@dataclass(frozen=True, kw_only=True)
class Probes:
    """Readiness decides about traffic, liveness about life: after `failures` failed liveness checks it is restarted.

    `startup_seconds` is how long a start may take before it counts as failed. Ending what works is worse than waiting
    for what does not: 8 x 3 s outlast a machine that is short of processor time for a while.
    """

    liveness: Check
    readiness: Check
    period_seconds: int = 3
    timeout_seconds: int = 3
    failures: int = 8
    startup_seconds: int = 60


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Limits of one replica: memory in MiB, processors in cores."""

    memory_mib: int
    cpus: float


@dataclass(frozen=True, kw_only=True)
class Autoscale:
    """From `least` to `most` replicas, so that they use these shares of the processor and memory they ask for."""

    least: int
    most: int
    cpu_percent: int
    memory_percent: int


@dataclass(frozen=True, kw_only=True)
class Reload:
    """Configuration that changes without a new container: checked, put in place, signalled, and seen to be live.

    `files` are put below `directory`; `check` is a shell command that must accept the directory `$NEXT`;
    `version_url` answers with the version in force.
    """

    directory: str
    files: tuple[File, ...]
    check: str
    version: str
    version_url: str
    settle_seconds: int


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Where each replica tells Prometheus about itself."""

    port: int
    path: str = "/metrics"


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One thing that runs. `role` is what it is to the system, `strategy` how a new release takes over.

    `surge`: new beside old, old removed after the switch. `recreate`: the old one stops before the new one starts
    (databases, singletons). A `job` runs once per release and must exit with 0, or, with a `schedule` (five fields of
    cron, in the deployment's time zone), whenever its time has come. One with `delay_seconds` begins so much later, and
    nobody waits for it.

    `uses` names workloads whose `port` it reaches, or `workload.name` for a port of `side_ports`. What is `monitored`
    is in networks of monitoring as well, and says whose its log's lines are: so switching that on is a release.

    One that runs `per_machine` runs once on each machine, or on each node of a cluster. It alone may see a machine's
    own directories, read-only: `machine_paths` says at which path. It is given the machine's name as MACHINE.

    `engine_check` is for an image without a shell, in which the script of probes can't run: a program of the image that
    exits with 0 while all is well, or () where it has none. Then an engine takes for well what runs.
    """

    name: str
    role: Literal["app", "service", "gateway", "job", "monitoring"]
    image: Image
    command: tuple[str, ...]
    resources: Resources
    user: str
    env: Mapping[str, Value] = field(default_factory=dict)
    files: tuple[File, ...] = ()
    volumes: tuple[Volume, ...] = ()
    tmpfs: Mapping[str, int] = field(default_factory=lambda: {"/tmp": 16})
    shm_mib: int = 64
    port: int | None = None
    side_ports: Mapping[str, int] = field(default_factory=dict)
    uses: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    egress: tuple[str, ...] = ()
    probes: Probes | None = None
    replicas: int = 1
    autoscale: Autoscale | None = None
    schedule: str = ""
    delay_seconds: int = 0
    strategy: Literal["surge", "recreate"] = "recreate"
    grace_seconds: int = 30
    timeout_seconds: int = 120
    after: tuple[str, ...] = ()
    reload: Reload | None = None
    metrics: Metrics | None = None
    monitored: bool = False
    per_machine: bool = False
    machine_paths: Mapping[MachinePath, str] = field(default_factory=dict)
    engine_check: tuple[str, ...] | None = None

    @property
    def release(self) -> str:
        """Eight hexadecimal digits over everything that makes this workload what it is, but for how many run."""
        said = asdict(self) | {name: None for name in NO_PART_OF_A_RELEASE} | {"revision": REVISION}
        # Releases are older than these words, and the one below.
        for name in ("metrics", "monitored", "per_machine", "machine_paths"):
            if not said[name]:
                del said[name]
        if said["engine_check"] is None:
            del said["engine_check"]
        # A disk grows under what runs.
        said["volumes"] = [volume | {"size_gib": None} for volume in said["volumes"]]
        for volume in said["volumes"]:
            if not volume["read_only"]:
                del volume["read_only"]
        text = json.dumps(said, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def alias(self) -> str:
        """The name under which this very release is found in the network."""
        return f"{self.name}-{self.release}" if self.strategy == "surge" else self.name

    @property
    def ports(self) -> dict[str, int]:
        """All of its ports by name; the one that clients use is called `main`."""
        main = {"main": self.port} if self.port else {}
        return main | dict(self.side_ports)

    def used_at(self, port: int) -> str:
        """What a client writes in `uses` to reach it at `port`."""
        (name,) = (name for name, number in self.ports.items() if number == port)
        return self.name if name == "main" else f"{self.name}.{name}"

    @property
    def is_root(self) -> bool:
        return self.user.startswith("0:")

    @property
    def servers(self) -> tuple[str, ...]:
        """The workloads that it uses, whichever of their ports."""
        return tuple(map(server_of, self.uses))

    @property
    def most_replicas(self) -> int:
        """As many as there may be when no release is under way."""
        return self.autoscale.most if self.autoscale else self.replicas

    @property
    def secrets(self) -> frozenset[SecretRef]:
        """Every secret that any of its texts names."""
        reloaded = self.reload.files if self.reload else ()
        values = [*self.env.values(), *(file.content for file in (*self.files, *reloaded))]
        return frozenset(ref for value in values if isinstance(value, Template) for ref in value.secrets())


def server_of(used: str) -> str:
    """The workload in an entry of `uses`, whichever of its ports that names."""
    return used.partition(".")[0]


def digest_of(files: tuple[File, ...]) -> str:
    """Eight hexadecimal digits over names, contents and the generations of the secrets inside."""
    text = json.dumps([asdict(file) for file in files], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
