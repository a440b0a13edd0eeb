"""The assembly, and the only file that knows all the others: `plan(system, configuration) -> Deployment`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .addressing import subnets
from .apps import account_jobs, release_job, workload_of
from .catalog import BackingService, Sizing
from .certificates import NAME as CERTIFICATES
from .certificates import certificates_workload
from .connections import connections_of, local_networks
from .deployment import Connection, Deployment, Network, Share
from .faults import Fault, FaultsError
from .gateway import gateway_workload
from .images import ImageLock, with_prefix
from .machines import APP_ROLES
from .misfits import PLAIN_SECRETS, memory_fault, misfits
from .monitoring.around import Around
from .monitoring.assembly import images_of, monitoring_workloads
from .nginx import Upstream
from .placement import (
    Own,
    memory_faults,
    openings_of,
    placement_faults,
    placement_of,
    shares_of,
)
from .settings import AppSettings, Entry, ServiceSettings, Settings
from .stack_file import SECRET_PREFIX, Configuration
from .system import System
from .targets import DockerTarget, KubernetesTarget, Target
from .workload import (
    Image,
    Resources,
    SecretRef,
    Workload,
)


def plan(system: System, configuration: Configuration, lock: ImageLock, *, project: str, stack: str) -> Deployment:
    """What one environment of `system` runs. Pure: the same arguments give the same Deployment.

    Raises FaultsError with every setting that does not fit the system, or a stack that does not fit its machine.
    """
    settings = configuration.settings
    faults = [*misfits(system, configuration), *placement_faults(system, settings)]
    if faults:
        raise FaultsError(f"stack {stack}", faults)
    placement = placement_of(system, settings, f"{project}/{stack}")
    images = resolve_images(system, settings, lock, stack)
    secrets = system_secrets(system, configuration)
    sizings = {service.name: sizing_of(service, settings, images) for service in system.services}

    services = [
        placement.opened(service_workload(service, sizings[service.name], settings)) for service in system.services
    ]
    jobs = [service.jobs(sizings[service.name]) for service in system.services]
    variables: dict[str, Mapping[str, str | SecretRef]] = {
        **{
            service.name: {
                **service.connection(sizings[service.name].generation),
                **placement.variables(service.name),
            }
            for service in system.services
        },
        "secret": {ref.name: ref for ref in secrets},
    }
    behind = waiting_for(system)
    usual = len(placement.app_machines) or settings.target.usual_replicas
    apps = [workload_of(app, settings, images[app.name], variables, behind[app.name], usual) for app in system.apps]
    releases = [
        release_job(app, workload) for app, workload in zip(system.apps, apps, strict=True) if app.release_command
    ]
    routed = {route.app for route in system.routes}
    upstreams = {
        workload.name: Upstream(release=release_name(workload, settings), port=workload.port)
        for workload in apps
        if workload.name in routed and workload.port
    }
    tls_key, pull_password = (system_secret(name, secrets) for name in ("tls_key", "registry_password"))
    replicas = {workload.name: workload.replicas for workload in apps}
    gateways = {
        machine.name: gateway_workload(
            settings,
            images["gateway"],
            system.routes,
            placement.upstreams(machine, upstreams, replicas),
            tls_key,
            machine,
            placement.peers(machine),
            metrics=settings.monitoring is not None,
        )
        for machine in placement.app_machines
    }
    if gateways:
        gateway = replace(next(iter(gateways.values())), replicas=len(gateways))
    else:
        gateway = gateway_workload(
            settings, images["gateway"], system.routes, upstreams, tls_key, metrics=settings.monitoring is not None
        )
    workloads = (
        *services,
        *(before for before, _ in jobs),
        *releases,
        *apps,
        gateway,
        *(certificates_workload(settings, acme, images[CERTIFICATES]) for acme in [settings.entry.acme] if acme),
        *(after for _, after in jobs if after),
    )
    own: Own = {"gateway": gateways}
    if settings.monitoring:
        around = Around(
            system=system,
            settings=settings,
            monitoring=settings.monitoring,
            placement=placement,
            sizings=sizings,
            images=images,
            secrets={ref.name: ref for ref in secrets},
            project=project,
            stack=stack,
        )
        watching = monitoring_workloads(around, workloads, own)
        workloads, own = (*workloads, *watching.workloads), {**own, **watching.own}
        # Apps and gateways are already: others know the names of their releases.
        workloads = tuple(replace(workload, monitored=True) for workload in workloads)
        own = {
            name: {machine: replace(one, monitored=True) for machine, one in ones.items()} for name, ones in own.items()
        }
    connections = connections_of(workloads, workloads, upstreams)
    if placement.machines and isinstance(settings.target, DockerTarget):
        shares = shares_of(placement, workloads, own, upstreams, settings.target)
    else:
        networks = networks_of(workloads, connections, settings.target, f"{project}/{stack}")
        shares = (Share(machine=None, workloads=workloads, networks=networks),)
    deployment = Deployment(
        project=project,
        stack=stack,
        system=system.name,
        time_zone=settings.time_zone,
        keep_data=settings.keep_data,
        workloads=workloads,
        connections=connections,
        shares=shares,
        openings=openings_of(placement, shares, settings),
        secrets=secret_sources(workloads, secrets, pull_password),
        pull_password=pull_password,
        urls=urls_of(settings, f"{project}-{stack}"),
    )
    short = [*memory_faults(shares)] if placement.machines else [*memory_fault(deployment, settings.target)]
    if short:
        raise FaultsError(f"stack {stack}", short)
    return deployment


def waiting_for(system: System) -> dict[str, tuple[str, ...]]:
    """The jobs behind which each app starts: of the services it uses, and of the release whose image it runs."""
    released = {app.name for app in system.apps if app.release_command}
    owners = {app.name: app.image_of or app.name for app in system.apps}
    return {
        app.name: (f"{owners[app.name]}-release",) if owners[app.name] in released else account_jobs(app)
        for app in system.apps
    }


def release_name(workload: Workload, settings: Settings) -> str:
    """Where the gateway finds it: on a Docker engine every release has a name; a cluster's Service leads to the one
    that is ready."""
    return workload.alias if isinstance(settings.target, DockerTarget) else workload.name


def sizing_of(service: BackingService, settings: Settings, images: Mapping[str, Image]) -> Sizing:
    chosen = settings.services.get(service.name, ServiceSettings())
    default = service.default_resources
    return Sizing(
        image=images[service.name],
        version=chosen.version or service.default_version,
        resources=Resources(memory_mib=chosen.memory_mib or default.memory_mib, cpus=chosen.cpus or default.cpus),
        generation=chosen.credentials,
        monitored=settings.monitoring is not None,
    )


def service_workload(service: BackingService, sizing: Sizing, settings: Settings) -> Workload:
    """The service itself, with its volumes in the size that the environment gives."""
    chosen = settings.services.get(service.name, ServiceSettings())
    workload = service.workload(sizing)
    size = chosen.disk_gib or service.default_disk_gib
    return replace(workload, volumes=tuple(replace(volume, size_gib=size) for volume in workload.volumes))


def image_references(system: System, settings: Settings) -> dict[str, str]:
    """The image reference of each app, service and the gateway, behind the registry's prefix."""
    wanted = {"gateway": settings.gateway.image}
    if settings.entry.acme:
        wanted[CERTIFICATES] = settings.entry.acme.image
    if settings.monitoring:
        wanted |= images_of(settings, settings.monitoring, system.services)
    for service in system.services:
        chosen = settings.services.get(service.name, ServiceSettings())
        wanted[service.name] = chosen.image or service.versions[chosen.version or service.default_version]
    for app in sorted(system.apps, key=lambda app: app.image is None):
        wanted[app.name] = settings.apps.get(app.name, AppSettings()).image or app.image or wanted[app.image_of or ""]
    prefix = settings.registry.prefix if settings.registry else None
    return {name: with_prefix(reference, prefix) for name, reference in wanted.items()}


def resolve_images(system: System, settings: Settings, lock: ImageLock, stack: str) -> dict[str, Image]:
    images, faults = {}, []
    elsewhere = isinstance(settings.target, KubernetesTarget) or bool(settings.stack_machines)
    place = "cluster" if isinstance(settings.target, KubernetesTarget) else "machines"
    for name, reference in image_references(system, settings).items():
        try:
            # Elsewhere a digest is that of a registry; what only this engine has must not be taken for such a thing.
            images[name] = (lock.of_registries() if elsewhere and "@" in reference else lock).resolve(reference)
        except LookupError:
            faults.append(Fault(f"image of {name}", f"images.lock has no digest for `{reference}`", "run `make lock`"))
            continue
        if images[name].origin == "local" and elsewhere:
            reach = "reaches" if place == "cluster" else "reach"
            instead = f"push it to a registry that the {place} {reach}, and name it there"
            faults.append(Fault(f"image of {name}", f"only this machine's engine has `{reference}`", instead))
    if faults:
        raise FaultsError(f"stack {stack}", faults)
    return images


def system_secrets(system: System, configuration: Configuration) -> dict[SecretRef, str | None]:
    """Each secret that is not a service's, with the configuration key that holds it, or None: generated."""
    given = configuration.secrets
    told = configuration.settings.alert_secrets
    names = [*system.generated_secrets, *system.required_secrets, *(PLAIN_SECRETS & given.keys()), *told]
    return {
        SecretRef(owner="system", name=name, generation=given.get(name, "1")): f"{SECRET_PREFIX}{name}"
        if name in given
        else None
        for name in names
    }


def system_secret(name: str, secrets: Mapping[SecretRef, str | None]) -> SecretRef | None:
    return next((ref for ref in secrets if ref.name == name), None)


def secret_sources(
    workloads: tuple[Workload, ...], known: Mapping[SecretRef, str | None], pull_password: SecretRef | None
) -> dict[SecretRef, str | None]:
    """Every secret that some workload or the registry is given, with its source."""
    used = {ref for workload in workloads for ref in workload.secrets} | ({pull_password} if pull_password else set())
    return {ref: known.get(ref) for ref in sorted(used, key=lambda ref: (ref.owner, ref.name, ref.generation))}


def networks_of(
    workloads: tuple[Workload, ...],
    connections: tuple[Connection, ...],
    target: Target,
    owner: str,
) -> tuple[Network, ...]:
    """One internal network per server that something connects to, one for the gateway and what it routes to, one
    outward network for the gateway, and one for each app that goes outside. A cluster has one network for all, in which
    policies close what is in no connection."""
    if isinstance(target, KubernetesTarget):
        return ()
    members = local_networks(connections, workloads)
    outward = {f"{workload.name}-egress": {workload.name} for workload in workloads if workload.egress}
    outward["public"] = {"gateway"}
    ranges = subnets(target.subnets, owner, members | outward)
    return tuple(
        # A published port needs an outward network, which need not lead further.
        Network(
            name=name,
            subnet=ranges[name],
            members=frozenset(joined),
            internal=name in members,
            masquerade=name != "public",
        )
        for name, joined in sorted((members | outward).items())
    )


def urls_of(settings: Settings, owner: str) -> dict[str, str]:
    """What a user opens: the system, and the gateway's own health."""
    if isinstance(settings.target, DockerTarget):
        base = balancer_url(settings.entry) if settings.edge else machine_url(settings)
    else:
        base = cluster_url(settings.target, settings.entry, settings.target.namespace_of(owner))
    return {"system": f"{base}/", "health": f"{base}/health"}


def balancer_url(entry: Entry) -> str:
    return f"https://{entry.server_names[0]}"


def machine_url(settings: Settings) -> str:
    entry, machines = settings.entry, settings.stack_machines
    host = "127.0.0.1" if entry.address.is_unspecified else str(entry.address)
    if machines and (entry.address.is_unspecified or entry.address.is_loopback):
        host = str(next(machine.address for machine in machines if machine.role in APP_ROLES))
    host = entry.server_names[0] if entry.server_names else host
    scheme, port, usual = ("https", entry.https_port, 443) if entry.has_tls else ("http", entry.http_port, 80)
    return f"{scheme}://{host}" + ("" if port == usual else f":{port}")


def cluster_url(target: KubernetesTarget, entry: Entry, namespace: str) -> str:
    """The host name that the cluster's entry serves; without one, the Service as pods of the cluster see it."""
    exposure = target.exposure
    scheme = "https" if exposure.ends_tls or entry.certificate else "http"
    if exposure.kind == "cluster" or not entry.server_names:
        return f"{scheme}://gateway.{namespace}.svc"
    return f"{scheme}://{entry.server_names[0]}" + (f":{exposure.port}" if exposure.kind == "node_port" else "")
