"""The assembly, and the only file that knows all the others: `plan(system, configuration) -> Deployment`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .addressing import subnets
from .catalog import BackingService, Sizing
from .deployment import Connection, Deployment, Network
from .faults import Fault, FaultsError, nearest
from .gateway import Upstream, gateway_workload
from .images import ImageLock, with_prefix
from .model import known_name
from .scripts import with_scripts
from .settings import AppSettings, ServiceSettings, Settings
from .stack_file import SECRET_PREFIX, Configuration
from .system import App, System
from .templates import fill, placeholders
from .workload import File, HttpGet, Image, Probes, Resources, SecretRef, Template, Value, Workload

PLAIN_SECRETS = frozenset({"tls_key", "registry_password"})
"""Secrets that Groundwork itself knows; all others belong to the system."""


def plan(system: System, configuration: Configuration, lock: ImageLock, *, project: str, stack: str) -> Deployment:
    """What one environment of `system` runs. Pure: the same arguments give the same Deployment.

    Raises FaultsError with every setting that does not fit the system, or a stack that does not fit its machine.
    """
    faults = list(misfits(system, configuration))
    if faults:
        raise FaultsError(f"stack {stack}", faults)
    settings = configuration.settings
    images = resolve_images(system, settings, lock, stack)
    secrets = system_secrets(system, configuration)
    sizings = {service.name: sizing_of(service, settings, images) for service in system.services}

    services = [with_scripts(service.workload(sizings[service.name])) for service in system.services]
    jobs = [service.jobs(sizings[service.name]) for service in system.services]
    variables = {
        **{service.name: service.connection(sizings[service.name].generation) for service in system.services},
        "secret": {ref.name: ref for ref in secrets},
    }
    bare = [workload_of(app, settings, images[app.name], variables) for app in system.apps]
    releases = [
        release_job(app, workload) for app, workload in zip(system.apps, bare, strict=True) if app.release_command
    ]
    apps = [with_scripts(workload) for workload in bare]
    routed = {route.app for route in system.routes}
    upstreams = {
        app.name: Upstream(release=workload.alias, port=app.port)
        for app, workload in zip(system.apps, apps, strict=True)
        if app.name in routed
    }
    tls_key = next((ref for ref in secrets if ref.name == "tls_key"), None)
    gateway = with_scripts(
        gateway_workload(settings.entry, settings.gateway, images["gateway"], system.routes, upstreams, tls_key)
    )
    workloads = (
        *services,
        *(with_scripts(before) for before, _ in jobs),
        *map(with_scripts, releases),
        *apps,
        gateway,
        *(with_scripts(after) for _, after in jobs if after),
    )
    ports = {workload.name: workload.port for workload in workloads if workload.port}
    connections = tuple(
        Connection(client=workload.name, server=server, port=ports[server])
        for workload in workloads
        for server in (*workload.uses, *(upstreams if workload is gateway else ()))
    )
    deployment = Deployment(
        project=project,
        stack=stack,
        system=system.name,
        time_zone=settings.time_zone,
        keep_data=settings.keep_data,
        workloads=workloads,
        connections=connections,
        networks=networks_of(workloads, connections, settings, f"{project}/{stack}"),
        secrets=secret_sources(workloads, secrets),
        urls=urls_of(settings),
    )
    fault = memory_fault(deployment, settings)
    if fault:
        raise FaultsError(f"stack {stack}", [fault])
    return deployment


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
    for app in system.apps:
        yield from template_misfits(app, system, settings.apps.get(app.name, AppSettings()))


def secret_misfits(system: System, configuration: Configuration) -> Iterator[Fault]:
    given = configuration.secrets.keys()
    known = PLAIN_SECRETS | {*system.required_secrets, *system.generated_secrets}
    for name in given - known:
        yield Fault(f"groundwork:secret_{name}", "is a secret that nobody uses", nearest(name, known))
    settings = configuration.settings
    needed = dict.fromkeys(system.required_secrets, "the system needs it")
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
    for name in needed.keys() - given:
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


def sizing_of(service: BackingService, settings: Settings, images: Mapping[str, Image]) -> Sizing:
    chosen = settings.services.get(service.name, ServiceSettings())
    default = service.default_resources
    return Sizing(
        image=images[service.name],
        version=chosen.version or service.default_version,
        resources=Resources(memory_mib=chosen.memory_mib or default.memory_mib, cpus=chosen.cpus or default.cpus),
        generation=chosen.credentials,
    )


def image_references(system: System, settings: Settings) -> dict[str, str]:
    """The image reference of each app, service and the gateway, behind the registry's prefix."""
    wanted = {"gateway": settings.gateway.image}
    for service in system.services:
        chosen = settings.services.get(service.name, ServiceSettings())
        wanted[service.name] = chosen.image or service.versions[chosen.version or service.default_version]
    for app in system.apps:
        wanted[app.name] = settings.apps.get(app.name, AppSettings()).image or app.image
    prefix = settings.registry.prefix if settings.registry else None
    return {name: with_prefix(reference, prefix) for name, reference in wanted.items()}


def resolve_images(system: System, settings: Settings, lock: ImageLock, stack: str) -> dict[str, Image]:
    images, faults = {}, []
    for name, reference in image_references(system, settings).items():
        try:
            images[name] = lock.resolve(reference)
        except LookupError:
            faults.append(Fault(f"image of {name}", f"images.lock has no digest for `{reference}`", "run `make lock`"))
    if faults:
        raise FaultsError(f"stack {stack}", faults)
    return images


def system_secrets(system: System, configuration: Configuration) -> dict[SecretRef, str | None]:
    """Each secret that is not a service's, with the configuration key that holds it, or None: generated."""
    given = configuration.secrets
    names = [*system.generated_secrets, *system.required_secrets, *(PLAIN_SECRETS & given.keys())]
    return {
        SecretRef(owner="system", name=name, generation=given.get(name, "1")): f"{SECRET_PREFIX}{name}"
        if name in given
        else None
        for name in names
    }


def secret_sources(
    workloads: tuple[Workload, ...], known: Mapping[SecretRef, str | None]
) -> dict[SecretRef, str | None]:
    """Every secret that some workload is given, with its source."""
    used = {ref for workload in workloads for ref in workload.secrets}
    return {ref: known.get(ref) for ref in sorted(used, key=lambda ref: (ref.owner, ref.name, ref.generation))}


def workload_of(
    app: App, settings: Settings, image: Image, variables: Mapping[str, Mapping[str, str | SecretRef]]
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
    return Workload(
        name=app.name,
        role="app",
        image=image,
        command=app.command,
        user=app.user,
        env=env,
        files=tuple(as_files.values()),
        tmpfs={"/tmp": app.tmp_mib},
        port=app.port,
        uses=app.uses,
        egress=app.egress,
        resources=Resources(memory_mib=chosen.memory_mib or app.memory_mib, cpus=chosen.cpus or app.cpus),
        probes=Probes(
            liveness=HttpGet(port=app.port, path=app.live_path),
            readiness=HttpGet(port=app.port, path=app.ready_path),
            startup_seconds=app.startup_seconds,
        ),
        replicas=chosen.replicas or app.replicas,
        strategy="surge",
        grace_seconds=app.grace_seconds,
        timeout_seconds=app.startup_seconds,
        after=(f"{app.name}-release",) if app.release_command else tuple(f"{used}-accounts" for used in app.uses),
    )


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
        after=tuple(f"{used}-accounts" for used in app.uses),
    )


def networks_of(
    workloads: tuple[Workload, ...], connections: tuple[Connection, ...], settings: Settings, owner: str
) -> tuple[Network, ...]:
    """One internal network per server that something connects to, one for the gateway and what it routes to, one
    outward network for the gateway, and one for each app that goes outside."""
    members: dict[str, set[str]] = {}
    for connection in connections:
        name = "edge" if connection.client == "gateway" else connection.server
        members.setdefault(name, set()).update((connection.client, connection.server))
    outward = {f"{workload.name}-egress": {workload.name} for workload in workloads if workload.egress}
    outward["public"] = {"gateway"}
    ranges = subnets(settings.target.subnets, owner, members | outward)
    return tuple(
        Network(name=name, subnet=ranges[name], members=frozenset(joined), internal=name in members)
        for name, joined in sorted((members | outward).items())
    )


def urls_of(settings: Settings) -> dict[str, str]:
    """What a user opens: the system, and the gateway's own health."""
    entry = settings.entry
    wildcard = entry.address.is_unspecified
    host = entry.server_names[0] if entry.server_names else "127.0.0.1" if wildcard else str(entry.address)
    scheme, port, usual = ("https", entry.https_port, 443) if entry.certificate else ("http", entry.http_port, 80)
    base = f"{scheme}://{host}" + ("" if port == usual else f":{port}")
    return {"system": f"{base}/", "health": f"{base}/health"}


def memory_fault(deployment: Deployment, settings: Settings) -> Fault | None:
    """A stack whose containers, with the surge of a release, do not fit their machine."""
    have, need = settings.target.memory_mib, deployment.memory_mib
    if need <= have:
        return None
    largest = max(deployment.workloads, key=lambda workload: workload.resources.memory_mib * workload.replicas)
    return Fault(
        "groundwork:target.memory_mib",
        f"the machine gives {have} MiB, its containers need {need} MiB while a release is under way",
        f"give at least {need}, or lower memory_mib or replicas; the largest is {largest.name} "
        f"with {largest.replicas} x {largest.resources.memory_mib} MiB",
    )
