"""Apps of a system as workloads: what the system says of them, and the environment's own choices."""

from __future__ import annotations

from collections.abc import Mapping

from .settings import AppSettings, AutoscaleSettings, Settings
from .system import App
from .targets import DockerTarget, Target
from .templates import fill
from .workload import (
    Autoscale,
    Check,
    Exec,
    File,
    HttpGet,
    Image,
    Metrics,
    Probes,
    Resources,
    SecretRef,
    Template,
    Value,
    Volume,
    Workload,
)


def workload_of(
    app: App,
    settings: Settings,
    image: Image,
    variables: Mapping[str, Mapping[str, str | SecretRef]],
    after: tuple[str, ...],
    usual: int,
) -> Workload:
    chosen = settings.apps.get(app.name, AppSettings())
    values = {name: fill(template, variables) for name, template in (app.settings | chosen.settings).items()}
    as_files = {
        name: File(name=f"secrets/{name}", content=value)
        for name, value in values.items()
        if isinstance(value, Template) and app.secret_settings == "file"
    }
    env: dict[str, Value] = {"TZ": settings.time_zone}
    for name, value in values.items():
        if name in as_files:
            env[f"{name}_FILE"] = as_files[name].path
        else:
            env[name] = value
    replicas, autoscale = numbers_of(app, chosen, settings.target, usual)
    return Workload(
        name=app.name,
        role="job" if app.schedule else "app",
        schedule=app.schedule,
        image=image,
        command=app.command,
        user=app.user,
        env=env,
        files=tuple(as_files.values()),
        tmpfs={"/tmp": app.tmp_mib},
        volumes=tuple(
            Volume(name=f"{app.name}-{one.name}", path=one.path, size_gib=one.size_gib, shared=one.shared)
            for one in app.volumes
        ),
        port=app.port,
        uses=app.uses,
        egress=app.egress,
        resources=Resources(memory_mib=chosen.memory_mib or app.memory_mib, cpus=chosen.cpus or app.cpus),
        probes=None if app.schedule else probes_of(app),
        replicas=replicas,
        autoscale=autoscale,
        strategy="recreate" if app.singleton or app.schedule else "surge",
        metrics=metrics_of(app, settings),
        monitored=settings.monitoring is not None,
        grace_seconds=app.grace_seconds,
        timeout_seconds=app.startup_seconds,
        after=after,
    )


def metrics_of(app: App, settings: Settings) -> Metrics | None:
    """Where the app tells about itself, if somebody asks."""
    if settings.monitoring is None or app.metrics_path is None:
        return None
    assert app.port, "a system refuses metrics without a port"
    return Metrics(port=app.port, path=app.metrics_path)


def numbers_of(app: App, chosen: AppSettings, target: Target, usual: int) -> tuple[int, Autoscale | None]:
    """How many replicas run to begin with, and between which numbers a target that can may change that. `usual` is for
    an app that nobody gave a number."""
    scale: AutoscaleSettings | None = chosen.autoscale or (None if chosen.replicas else app.autoscale)
    if scale is None:
        return chosen.replicas or app.replicas or (1 if app.singleton or app.schedule else usual), None
    if isinstance(target, DockerTarget):
        return scale.least, None
    return scale.least, Autoscale(**scale.model_dump())


def probes_of(app: App) -> Probes:
    checks: tuple[Check, Check] = Exec(command=app.live_command), Exec(command=app.ready_command)
    if app.port:
        checks = HttpGet(port=app.port, path=app.live_path), HttpGet(port=app.port, path=app.ready_path)
    liveness, readiness = checks
    return Probes(liveness=liveness, readiness=readiness, startup_seconds=app.startup_seconds)


def release_job(app: App, workload: Workload) -> Workload:
    """Runs in the app's new image, with the app's own settings, before the new release starts."""
    return Workload(
        name=f"{app.name}-release",
        role="job",
        image=workload.image,
        command=app.release_command,
        user=workload.user,
        env=workload.env,
        files=workload.files,
        uses=workload.uses,
        resources=workload.resources,
        timeout_seconds=app.release_timeout_seconds,
        after=account_jobs(app),
    )


def account_jobs(app: App) -> tuple[str, ...]:
    return tuple(f"{used}-accounts" for used in app.uses)
