"""All objects of one stack, each behind those it needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..deployment import Deployment
from ..settings import Settings
from ..targets import KubernetesTarget
from .exposure import exposed
from .files import Carried, pull_secret
from .manifest import Manifest, Place, key_of
from .namespace import around
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
    general = [*around(place), *network_policies(place)]
    registry = settings.registry
    if registry and registry.username and deployment.pull_password:
        general.append(pull_secret(place, registry.host, registry.username, deployment.pull_password))
    namespace = key_of("Namespace", place.namespace)
    found = [one if one.key == namespace else behind(one, namespace) for one in general]
    # Pods are refused or unprotected as long as one of these is missing.
    everywhere = tuple(one.key for one in found if one.kind in FOR_EVERY_POD or one.name in (CLOSED, DNS))
    for workload in deployment.workloads:
        carried = Carried(place=place, workload=workload)
        own = [behind(one, namespace) for one in belongings(settings, carried)]
        policy = key_of("NetworkPolicy", workload.name)
        before = tuple(controller_key(deployment.workload(name)) for name in workload.after)
        needed = (*everywhere, policy, *(one.key for one in own), *before)
        found += [*own, controller(place, carried, needed)]
        if workload.autoscale:
            found.append(autoscaler(place, workload, workload.autoscale))
    return tuple(found)


def behind(manifest: Manifest, key: str) -> Manifest:
    return replace(manifest, after=(key, *manifest.after))


def belongings(settings: Settings, carried: Carried) -> Iterator[Manifest]:
    """What a workload has beside its controller."""
    place, workload = carried.place, carried.workload
    yield service_account(place, workload)
    yield from carried.manifests()
    for volume in workload.volumes:
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
