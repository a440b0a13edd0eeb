"""What does not fit: settings to their system, two settings to each other, a stack to its machine."""

from __future__ import annotations

from collections.abc import Iterator

from .backups import ACCESS_KEY, SECRET_KEY
from .certificates import certificate_misfits
from .cloud import CompatibleBackups
from .cloud_misfits import cloud_misfits
from .deployment import Deployment
from .faults import Fault, nearest
from .model import known_name
from .monitoring.assembly import monitoring_misfits
from .settings import AppSettings, Settings
from .stack_file import Configuration
from .system import App, System
from .targets import DockerTarget, KubernetesTarget, Target
from .templates import placeholders

PLAIN_SECRETS = frozenset({"tls_key", "registry_password", ACCESS_KEY, SECRET_KEY})
"""Secrets that Groundwork itself knows; all others belong to the system."""


def misfits(system: System, configuration: Configuration) -> Iterator[Fault]:
    """Where settings name what the system does not have, or two of them can't work together."""
    settings = configuration.settings
    for name in settings.apps:
        yield from known_name(name, {app.name: app for app in system.apps}, f"groundwork:apps.{name}", "app")
    services = {service.name: service for service in system.services}
    for name, chosen in settings.services.items():
        where = f"groundwork:services.{name}"
        yield from known_name(name, services, where, "service")
        if name in services and chosen.version is not None and chosen.version not in services[name].versions:
            yield Fault(
                f"{where}.version",
                f"`{chosen.version}` can't be used",
                nearest(chosen.version, services[name].versions),
            )
        least = services[name].minimum_memory_mib if name in services else 0
        if chosen.memory_mib is not None and chosen.memory_mib < least:
            yield Fault(f"{where}.memory_mib", f"`{chosen.memory_mib}` can't be used", f"{name} needs at least {least}")
    yield from secret_misfits(system, configuration)
    yield from certificate_misfits(settings)
    yield from target_misfits(system, settings)
    yield from cloud_misfits(settings)
    yield from monitoring_misfits(settings, system.services)
    for app in system.apps:
        yield from template_misfits(app, system, settings.apps.get(app.name, AppSettings()))


def target_misfits(system: System, settings: Settings) -> Iterator[Fault]:
    """What the target can't do, or needs."""
    for app in system.apps:
        chosen, where = settings.apps.get(app.name, AppSettings()), f"groundwork:apps.{app.name}"
        if chosen.image and app.image_of:
            instead = f"name it in groundwork:apps.{app.image_of}.image"
            yield Fault(f"{where}.image", f"it runs the image of {app.image_of}", instead)
        if (app.singleton or app.schedule) and ((chosen.replicas or 1) > 1 or chosen.autoscale):
            key = "autoscale" if chosen.autoscale else "replicas"
            yield Fault(f"{where}.{key}", f"{app.name} never runs twice at once", "take it out")
        if app.schedule and isinstance(settings.target, DockerTarget):
            what = f"`docker` can't run {app.name} on a schedule"
            yield Fault("groundwork:target.kind", what, "give a target of the kind kubernetes")
    if isinstance(settings.target, DockerTarget) and (settings.gateway.replicas or 1) > 1:
        what = "two gateways can't hold the same ports of one machine"
        yield Fault("groundwork:gateway.replicas", what, "take it out")
    if isinstance(settings.target, KubernetesTarget):
        exposure = settings.target.exposure
        if exposure.in_front and not settings.entry.server_names:
            yield Fault("groundwork:entry.server_names", "is missing", "name the hosts that the cluster's entry serves")
        if exposure.in_front and settings.entry.certificate:
            instead = "give target.exposure.issuer or target.exposure.tls_secret"
            yield Fault("groundwork:entry.certificate", "TLS ends in front of the gateway", instead)


def secret_misfits(system: System, configuration: Configuration) -> Iterator[Fault]:
    given = configuration.secrets.keys()
    told = configuration.settings.alert_secrets
    known = PLAIN_SECRETS | {*system.required_secrets, *system.generated_secrets, *told}
    for name in sorted(given - known):
        yield Fault(f"groundwork:secret_{name}", "is a secret that nobody uses", nearest(name, known))
    settings = configuration.settings
    needed = dict.fromkeys(system.required_secrets, "the system needs it")
    needed |= dict.fromkeys(told, "a receiver of alerts needs it")
    if settings.entry.certificate:
        needed["tls_key"] = "entry.certificate is given, and a certificate needs its key"
    elif "tls_key" in given:
        yield Fault(
            "groundwork:secret_tls_key", "there is no certificate for this key", "give groundwork:entry.certificate too"
        )
    if settings.registry and settings.registry.username:
        needed["registry_password"] = "registry.username is given, and a user needs a password"
    elif "registry_password" in given:
        yield Fault(
            "groundwork:secret_registry_password", "there is no user for it", "give groundwork:registry.username too"
        )
    for name in (ACCESS_KEY, SECRET_KEY):
        if isinstance(settings.backups, CompatibleBackups):
            needed[name] = "backups of the kind s3_compatible need it"
        elif name in given:
            what, instead = "no backups need it", "give groundwork:backups of the kind s3_compatible, or take it out"
            yield Fault(f"groundwork:secret_{name}", what, instead)
    for name in sorted(needed.keys() - given):
        key = f"groundwork:secret_{name}"
        yield Fault(key, f"is missing; {needed[name]}", f"run `pulumi config set --secret {key}`")


def template_misfits(app: App, system: System, chosen: AppSettings) -> Iterator[Fault]:
    """Placeholders that name a service the app does not use, or a secret that the system does not have."""
    services = {service.name: service.connection(generation=1).keys() for service in system.services}
    secrets = {*system.generated_secrets, *system.required_secrets}
    for name, template in (app.settings | chosen.settings).items():
        where = f"app {app.name}, setting {name}"
        try:
            fields = placeholders(template)
        except ValueError as error:
            yield Fault(
                where, f"`{template}` is no template: {error}", "write a brace that is meant as such twice: {{ or }}"
            )
            continue
        for field in fields:
            owner, _, key = field.partition(".")
            if owner == "secret":
                if key not in secrets:
                    yield Fault(where, f"there is no secret `{key}`", nearest(key, secrets))
            elif owner not in services:
                yield Fault(where, f"`{{{field}}}` names no service", nearest(owner, {*services, "secret"}))
            elif owner not in app.uses:
                yield Fault(
                    where, f"`{{{field}}}` is of a service that the app does not use", f"add `{owner}` to its uses"
                )
            elif key not in services[owner]:
                yield Fault(where, f"`{{{field}}}` is nothing that {owner} gives", nearest(key, services[owner]))


def memory_fault(deployment: Deployment, target: Target) -> Iterator[Fault]:
    """A stack whose containers, with the surge of a release, do not fit their machine. A cluster has its scheduler."""
    if isinstance(target, KubernetesTarget) or deployment.memory_mib <= target.memory_mib:
        return
    have, need = target.memory_mib, deployment.memory_mib
    largest = max(deployment.workloads, key=lambda workload: workload.resources.memory_mib * workload.replicas)
    yield Fault(
        "groundwork:target.memory_mib",
        f"the machine gives {have} MiB, its containers need {need} MiB while a release is under way",
        f"give at least {need}, or lower memory_mib or replicas; the largest is {largest.name} "
        f"with {largest.replicas} x {largest.resources.memory_mib} MiB",
    )
