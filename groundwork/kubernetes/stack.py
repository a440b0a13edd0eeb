"""All objects of one stack, each behind those it needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..deployment import Deployment
from ..settings import Registry, Settings
from ..targets import KubernetesTarget
from .exposure import exposed
from .files import Carried, pull_secret
from .manifest import Manifest, Place, key_of
from .namespace import around, namespace
from .network import CLOSED, DNS, network_policies
from .running import (
    autoscaler,
    claim,
    controller,
    controller_key,
    controller_of,
    disruption_budget,
    replicas_service,
    service,
    service_account,
)

FOR_EVERY_POD = ("PriorityClass", "Secret", "LimitRange", "ResourceQuota")


def manifests(deployment: Deployment, settings: Settings) -> tuple[Manifest, ...]:
    """The objects of `deployment` on the cluster that `settings.target` names. Pure.

    Raises TypeError where the target is no cluster.
    """
    if not isinstance(settings.target, KubernetesTarget):
        raise TypeError(f"the target of {deployment.prefix} is {settings.target.kind}")
    place = Place(deployment=deployment, target=settings.target)
    found = [*general(place, around(place), settings.registry)]
    machines = replace(place, of_machines=True)
    if machines.workloads:
        found += general(machines, [namespace(machines, "privileged")], settings.registry)
    # Pods are refused or unprotected as long as one of these is missing.
    closing = [one.named(name) for one in (place, machines) for name in (CLOSED, DNS)]
    everywhere = tuple(one.key for one in found if one.kind in FOR_EVERY_POD or one.name in closing)
    for workload in deployment.workloads:
        carried = Carried(place=place.of(workload), workload=workload)
        own = [behind(one, namespace_key(carried.place)) for one in belongings(settings, carried)]
        policy = key_of("NetworkPolicy", workload.name)
        before = tuple(controller_key(deployment.workload(name)) for name in workload.after)
        needed = (*everywhere, policy, *(one.key for one in own), *before)
        found += [*own, controller(carried.place, carried, needed)]
        if workload.autoscale:
            found.append(autoscaler(place, workload, workload.autoscale))
    return tuple(found)


def general(place: Place, around_it: Iterable[Manifest], registry: Registry | None) -> Iterator[Manifest]:
    """A namespace, and what holds for everything in it."""
    objects = [*around_it, *network_policies(place)]
    password = place.deployment.pull_password
    if registry and registry.username and password:
        objects.append(pull_secret(place, registry.host, registry.username, password))
    first = namespace_key(place)
    return (one if one.key == first else behind(one, first) for one in objects)


def namespace_key(place: Place) -> str:
    return key_of("Namespace", place.namespace)


def behind(manifest: Manifest, key: str) -> Manifest:
    return replace(manifest, after=(key, *manifest.after))


def belongings(settings: Settings, carried: Carried) -> Iterator[Manifest]:
    """What a workload has beside its controller."""
    place, workload = carried.place, carried.workload
    yield service_account(place, workload)
    yield from carried.manifests()
    for volume in () if workload.per_machine else workload.volumes:
        yield claim(place, workload, volume)
    if workload.role == "gateway":
        yield from exposed(place, settings.entry, workload)
    else:
        found = service(place, workload)
        if found:
            yield found
    every = replicas_service(place, workload)
    if every:
        yield every
    if controller_of(workload) in ("Deployment", "StatefulSet"):
        yield disruption_budget(place, workload)
