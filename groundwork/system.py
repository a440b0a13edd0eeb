"""What a system file (`systems/<name>/system.py`) may say: the system itself, the same in every environment."""

from __future__ import annotations

import importlib
import traceback
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError, model_validator

from .catalog import BackingService
from .faults import Fault, FaultsError, nearest
from .model import Cpus, ImageReference, Memory, Model, Name, Port, model_faults, model_named
from .monitoring.logs import IMAGES as OF_LOGS
from .monitoring.objectives import Objectives
from .monitoring.programs import AGENT, GRAFANA, IMAGES
from .settings import AutoscaleSettings, SettingName

HttpPath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._~/-]*$")]
SecretName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


CronSchedule = Annotated[
    str, StringConstraints(pattern=r"^([0-9*/,-]+( [0-9*/,-]+){4})?$"), Field(examples=["0 2 * * *"])
]


class AppVolume(Model):
    """Data of an app that outlives its releases. The image must have `path`, owned by the app's user."""

    name: Name
    """Its name within the app."""
    path: Annotated[str, StringConstraints(pattern=r"^/[a-z][A-Za-z0-9._/-]*$")]
    """Where the app sees it."""
    size_gib: Annotated[int, Field(ge=1, le=65_536)] = 1
    """What is asked for on Kubernetes, in GiB."""
    shared: bool = False
    """All replicas write it at once, old and new releases as well. What is not shared needs a singleton."""


class App(Model):
    """Code of the system's own, in an image: it serves http on `port`, or works without one."""

    name: Name
    """Its name, in routes, in the stack file and in the network."""
    image: ImageReference | None = None
    """The image; a stack file usually names the release of its environment."""
    image_of: Name | None = None
    """Instead: runs the image of that app, also where a stack file names another one, and starts behind its release
    command."""
    command: tuple[str, ...] = ()
    """Instead of the image's own command."""
    port: Port | None = None
    """The port on which it serves http. Without one, `live_command` and `ready_command` say how it does."""
    user: Annotated[str, StringConstraints(pattern=r"^[1-9]\d*:[1-9]\d*$")] = "10001:10001"
    """Numeric user and group of the process; never root."""
    live_path: HttpPath = "/health/live"
    """Answers as long as the process works; when it does not, the process is ended and started again."""
    ready_path: HttpPath = "/health/ready"
    """Answers when the app can take traffic. It tells of the app itself, not of what the app uses."""
    metrics_path: HttpPath | None = None
    """Where the app tells Prometheus about itself, such as `/metrics`, if it does."""
    live_command: str = ""
    """Shell, instead of `live_path`. It runs every three seconds, so it should start nothing large."""
    ready_command: str = ""
    """Shell, instead of `ready_path`."""
    startup_seconds: Annotated[int, Field(ge=1, le=900)] = 60
    """How long a start may take before it counts as failed."""
    grace_seconds: Annotated[int, Field(ge=1, le=900)] = 40
    """Requests and uploads that are shorter than this finish when a release replaces the app."""
    uses: tuple[Name, ...] = ()
    """Backing services: gives their connection settings, opens exactly that path, and starts after them."""
    settings: dict[SettingName, str] = Field(default_factory=dict)
    """The names under which the code expects its settings, each with a template such as
    `postgresql://{postgres.username}:{postgres.password}@{postgres.host}:{postgres.port}/{postgres.database}`
    or `{secret.jwt_key}`."""
    secret_settings: Literal["file", "environment"] = "file"
    """How a setting with a secret in it arrives: `DATABASE_URL_FILE` with the path of a file, or `DATABASE_URL` itself
    (which everybody who may inspect the container can read)."""
    egress: tuple[str, ...] = ()
    """Where the app goes outside, such as `api.example.com:443`; without any, the way out is closed."""
    release_command: tuple[str, ...] = ()
    """Runs to its end in the new image before the new release starts: migrations. Must be safe to repeat."""
    release_timeout_seconds: Annotated[int, Field(ge=5, le=3600)] = 120
    """How long the release command may take."""
    replicas: Annotated[int, Field(ge=1, le=12)] | None = None
    """How many run side by side: where nobody says, 2 on Kubernetes and 1 on a Docker engine."""
    autoscale: AutoscaleSettings | None = None
    """Instead of `replicas`, where the target can."""
    singleton: bool = False
    """Never runs twice: it stops before its next release starts. For schedulers."""
    schedule: CronSchedule = ""
    """Runs `command` to its end at these times, in the stack's time zone: five fields of cron. Kubernetes only."""
    volumes: tuple[AppVolume, ...] = ()
    """Data that outlives releases."""
    memory_mib: Memory = 128
    """Limit of the memory of one replica, in MiB."""
    cpus: Cpus = 1
    """Limit of the processor time of one replica, in cores."""
    tmp_mib: Annotated[int, Field(ge=1, le=65_536)] = 16
    """Size of /tmp in MiB, held in memory: the only place beside its volumes where the app may write."""

    @model_validator(mode="after")
    def _can_run(self) -> App:
        if (self.image is None) == (self.image_of is None):
            raise ValueError(f"app {self.name}: needs either `image` or `image_of`; give one of them")
        commands = [name for name in ("live_command", "ready_command") if getattr(self, name)]
        if self.schedule and (commands or self.port or self.singleton or self.volumes or not self.command):
            raise ValueError(
                f"app {self.name}: runs to its end on a schedule; it needs `command`, and can have no port, probes, "
                "volumes or singleton"
            )
        if not self.schedule and len(commands) != (0 if self.port else 2):
            raise ValueError(
                f"app {self.name}: is probed by http or by commands; give `port`, or both `live_command` and "
                "`ready_command`"
            )
        if self.metrics_path and not self.port:
            raise ValueError(f"app {self.name}: metrics_path is asked for at `port`; give one, or take it out")
        if (self.singleton or self.schedule) and ((self.replicas or 1) > 1 or self.autoscale):
            raise ValueError(f"app {self.name}: never runs twice at once; take `replicas` and `autoscale` out")
        for volume in self.volumes:
            if not volume.shared and not self.singleton:
                what = f"app {self.name}: volume {volume.name} has one writer"
                raise ValueError(f"{what}; say `shared=True` there, or `singleton=True`")
        return self


class Route(Model):
    """Requests below `path` go to `app`. The longest path wins."""

    path: HttpPath
    """What a request's path begins with."""
    app: Name
    """The app that answers."""
    websocket: bool = False
    """Connections here may be upgraded, and stay open for an hour without traffic."""
    timeout_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    """Longest silence of the app before the gateway answers 504."""


TAKEN = ("gateway", "certificates", AGENT, *IMAGES, *OF_LOGS, GRAFANA)
"""Workloads that every system may have."""


class System(Model):
    """Apps, the backing services they use, the routes to them, and secrets that come from outside."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    """The name of its folder below `systems/`."""
    apps: tuple[App, ...]
    """The system's own code."""
    services: tuple[BackingService, ...] = ()
    """The backing services, from `groundwork.catalog`."""
    routes: tuple[Route, ...] = ()
    """Which requests go to which app."""
    generated_secrets: tuple[SecretName, ...] = ()
    """Secrets of the system's own that nobody needs to choose, such as a signing key."""
    required_secrets: tuple[SecretName, ...] = ()
    """Secrets that only the user has, such as the key of a provider: `groundwork:secret_<name>`."""
    objectives: Objectives = Objectives()
    """What the system promises, and from where on somebody is told."""

    @model_validator(mode="after")
    def _names_fit(self) -> System:
        names = [app.name for app in self.apps] + [service.name for service in self.services]
        names += [f"{service.name}-exporter" for service in self.services]
        for name in names:
            if names.count(name) > 1 or name in TAKEN:
                raise ValueError(f"the name `{name}` is taken; apps and services need names of their own")
        apps, services = {app.name: app for app in self.apps}, {service.name for service in self.services}
        owners = {app.name for app in self.apps if app.image}
        for app in self.apps:
            for used in app.uses:
                if used not in services:
                    raise ValueError(f"app {app.name}: uses `{used}`, which is no service; {nearest(used, services)}")
            if app.image_of and app.image_of not in owners:
                near = nearest(app.image_of, owners)
                raise ValueError(f"app {app.name}: `{app.image_of}` is no app with an image; {near}")
        volumes = [f"{app.name}-{volume.name}" for app in self.apps for volume in app.volumes]
        volumes += [f"{service}-data" for service in services]
        for name in volumes:
            if volumes.count(name) > 1:
                raise ValueError(f"two volumes would be called `{name}`; give one another name")
        for route in self.routes:
            if route.app not in apps:
                raise ValueError(f"route {route.path}: there is no app `{route.app}`; {nearest(route.app, apps)}")
            if apps[route.app].port is None:
                raise ValueError(f"route {route.path}: app {route.app} has no port; give it one")
        paths = [route.path for route in self.routes]
        if len(set(paths)) < len(paths):
            raise ValueError("two routes have the same path; keep one of them")
        return self


def load_system(root: Path, name: str) -> System:
    """`SYSTEM` from `systems/<name>/system.py` below `root`; FaultsError when it is not there or says what it can't."""
    known = {file.parent.name for file in (root / "systems").glob("*/system.py")}
    where = f"systems/{name}/system.py"
    if name not in known:
        fault = Fault("groundwork:system", f"there is no system `{name}`", nearest(name, known))
        raise FaultsError("The stack", [fault])
    try:
        system = vars(importlib.import_module(f"systems.{name}.system")).get("SYSTEM")
    except ValidationError as error:
        raise FaultsError(where, model_faults(error, model_named(error.title), error.title)) from None
    except SyntaxError as error:
        raise FaultsError(where, [Fault(f"line {error.lineno}", str(error.msg), "it is a Python file")]) from None
    except Exception as error:
        raise FaultsError(where, [own_mistake(error, root / where)]) from None
    if not isinstance(system, System):
        what = "is missing" if system is None else "is no System"
        raise FaultsError(where, [Fault("SYSTEM", what, "end the file with `SYSTEM = System(…)`")])
    return system


def own_mistake(error: Exception, path: Path) -> Fault:
    """Python's words for an error in a system file, at the last line of that file that led there."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    where = f"line {lines[-1]}" if lines else "the file"
    return Fault(where, f"{type(error).__name__}: {error}", "it is a Python file, and ends with `SYSTEM = System(…)`")
