"""One system on both targets: what is planned, and what is made of it, is the same but for each target's own ways."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from components.environment import Environment, EnvironmentArgs
from groundwork.kubernetes.manifest import Object, cores, mebibytes
from groundwork.kubernetes.pods import DEFAULT_SHM_MIB, DRAIN_SECONDS
from groundwork.kubernetes.render import filled
from groundwork.stack_file import NAMESPACE
from groundwork.workload import FILES, SecretRef
from tests.clusters import CLUSTER, ENGINE, EVERYTHING, Stack, exposed, stack_at
from tests.recorder import Recording, Registration, record
from tests.sample import ROOT, changed, stack_files

OF_A_TARGET = {"replicas", "autoscale", "reload", "published", "side_ports", "probes", "files", "volumes", "strategy"}
OF_A_TARGET.add("grace_seconds")
"""What only the gateway has otherwise, and how many there are."""
BY_PLACE = {"prometheus", "shipper"}
"""Prometheus finds everything by its name, which on a cluster is another one for what has several pods or runs on each
node; the shipper reads logs where each target has them."""
SCRIPTS = {"probe.sh", "job.sh"}
"""How a Docker engine asks and runs; a cluster has words for it."""


def everything(exposure: str) -> Stack:
    """Without what only a cluster can do."""
    apps = tuple(app for app in EVERYTHING.apps if not app.schedule)
    return exposed(exposure, changed(EVERYTHING, apps=apps))


@cache
def stacks() -> dict[str, Stack]:
    return {str(path.relative_to(ROOT)): stack_at(path) for path in stack_files()} | {
        "everything": everything("cluster"),
        "everything with TLS": everything("load balancer"),
    }


each = pytest.mark.parametrize("name", stacks())


# The two plans


@each
def test_the_same_runs_on_both(name: str) -> None:
    engine, cluster = (stacks()[name].on(target).deployment for target in (ENGINE, CLUSTER))
    assert [one.name for one in engine.workloads] == [one.name for one in cluster.workloads]
    for one, other in zip(engine.workloads, cluster.workloads, strict=True):
        mine, others = vars(one), vars(other)
        different = {key for key in mine if mine[key] != others[key]}
        allowed = OF_A_TARGET if one.role == "gateway" else {"replicas", "autoscale"}
        assert different - ({"files"} if one.name in BY_PLACE else set()) <= allowed, one.name
    assert engine.connections == cluster.connections
    assert engine.secrets == cluster.secrets
    assert engine.networks and not cluster.networks


def routes(stack: Stack) -> tuple[dict[str, list[str]], dict[str, set[str]]]:
    """What each location of the gateway does, and at which ports the apps behind it are looked for."""
    gateway = stack.deployment.workload("gateway")
    (text,) = [
        file.content
        for file in (*gateway.files, *(gateway.reload.files if gateway.reload else ()))
        if file.name.endswith("routes.conf")
    ]
    assert isinstance(text, str)
    locations: dict[str, list[str]] = {}
    for path, block in re.findall(r"location ([^{]+) \{\n(.*?)\n    \}", text, re.DOTALL):
        # Only where TLS ends in front of it.
        block = re.sub(r" +# TLS ends.*\n +if .*\n.*\n +\}\n", "", f"{block}\n")
        locations[path] = [line.strip() for line in block.splitlines()]
    del locations["= /version"]
    ports = {
        app: set(re.findall(r"server \S+:(\d+)", block))
        for app, block in re.findall(r"upstream (\S+) \{\n(.*?)\n\}", text, re.DOTALL)
    }
    return locations, ports


@each
def test_the_gateway_leads_to_the_same_apps(name: str) -> None:
    stack = stacks()[name]
    engine, cluster = (routes(stack.on(target)) for target in (ENGINE, CLUSTER))
    assert engine == cluster
    locations, ports = engine
    assert {route.path for route in stack.system.routes} <= locations.keys()
    for route in stack.system.routes:
        assert f"proxy_pass http://{route.app};" in locations[route.path]
        (app,) = [app for app in stack.system.apps if app.name == route.app]
        assert ports[route.app] == {str(app.port)}


@each
def test_the_gateway_alone_is_exposed_on_both_at_the_same_ports(name: str) -> None:
    engine, cluster = (stacks()[name].on(target) for target in (ENGINE, CLUSTER))
    published = {one.name: {port.target for port in one.published} for one in engine.deployment.workloads}
    open_ports = {one: ports for one, ports in published.items() if ports}
    gateway = cluster.deployment.workload("gateway")
    # Where it counts requests, only Prometheus comes.
    sides = {port for name, port in gateway.side_ports.items() if name != "metrics"}
    assert open_ports == {"gateway": {gateway.port, *sides}}
    entries = [
        one for one in cluster.manifests if one.kind in ("Service", "Ingress", "Gateway") and one.name == "gateway"
    ]
    targets = {port["targetPort"] for port in entries[0].body["spec"]["ports"]}
    assert targets == open_ports["gateway"]


# What is made of them


@dataclass(frozen=True, kw_only=True)
class Made:
    """One container, as either target was asked for it."""

    command: list[str]
    user: str
    memory: str
    cpus: str
    env: dict[str, str]
    files: dict[str, str]
    volumes: dict[str, str]
    in_memory: dict[str, str]
    grace_seconds: int
    asked: tuple[str, str] | None = field(compare=False, default=None)
    """Liveness and readiness: on an engine the script in which they are."""


def value(stack: Stack) -> Callable[[SecretRef], str]:
    """Secrets as the recorder makes them up."""
    sources = stack.deployment.secrets

    def of(ref: SecretRef) -> str:
        generated = f"password-of-stack-credentials-{ref.owner}-{ref.name}-{ref.generation}"
        return f"given-{sources[ref]}" if sources[ref] else generated

    return of


@cache
def recording(name: str) -> Recording:
    stack = stacks()[name].on(ENGINE)
    keys = [key for key in stack.deployment.secrets.values() if key]
    config = {f"{NAMESPACE}:{key}": f"given-{key}" for key in [*keys, "secret_registry_password"]}
    arguments = EnvironmentArgs(settings=stack.settings, deployment=stack.deployment, simulated=True)
    return record(lambda: Environment("stack", arguments), config=config, secret_keys=frozenset(config))


def on_engine(run: Recording) -> dict[str, Made]:
    containers = [one for one in run.of_type(":Container") if one.plain.get("start") is not False]
    loaders = [one for one in run.of_type(":Container") if one.plain.get("start") is False]
    carried = {mount["volumeName"]: one for one in loaders for mount in one.plain["volumes"]}
    found = {}
    for one in containers:
        said = one.plain
        if not one.name.endswith("-switch"):
            found[label(one, "workload")] = made_on_engine(said, carried)
    return found


def label(one: Registration, name: str) -> str:
    return str(next(item["value"] for item in one.plain["labels"] if item["label"] == f"groundwork.{name}"))


def made_on_engine(said: dict[str, Any], carried: dict[str, Registration]) -> Made:
    mounts = said.get("volumes", [])
    files: dict[str, str] = {}
    for mount in mounts:
        if mount["volumeName"] in carried:
            uploads = carried[mount["volumeName"]].plain["uploads"]
            files |= {upload["file"].removeprefix(f"{FILES}/"): upload["content"] for upload in uploads}
    command = [*(said.get("entrypoints") or []), *(said.get("command") or [])]
    probe = files.pop("probe.sh", None)
    tmpfs = {path: mebibytes(int(re.findall(r"size=(\d+)m", text)[0])) for path, text in said["tmpfs"].items()}
    return Made(
        command=command[2:] if command[1:2] == [f"{FILES}/job.sh"] else command,
        user=said["user"],
        memory=mebibytes(int(said["memory"])),
        cpus=cores(said["cpuQuota"] / said["cpuPeriod"]),
        # On a cluster each node has its own name, which only a pod there knows.
        env={name: text for name, text in (one.split("=", 1) for one in said["envs"]) if name != "MACHINE"},
        files={name: text for name, text in files.items() if name not in SCRIPTS},
        volumes={mount["containerPath"]: mount["volumeName"] for mount in mounts if mount["volumeName"] not in carried},
        in_memory=tmpfs | ({"/dev/shm": mebibytes(int(said["shmSize"]))} if said["shmSize"] > DEFAULT_SHM_MIB else {}),
        grace_seconds=int(said["destroyGraceSeconds"]),
        asked=(probe, probe) if probe else None,
    )


def on_cluster(stack: Stack) -> dict[str, Made]:
    objects = [filled(one, value(stack)) for one in stack.manifests]
    data = {
        (one["kind"], one["metadata"]["name"]): one.get("data") or one["stringData"]
        for one in objects
        if one["kind"] in ("ConfigMap", "Secret")
    }
    kinds = ("Deployment", "StatefulSet", "DaemonSet", "Job")
    pods = [one["spec"]["template"]["spec"] for one in objects if one["kind"] in kinds]
    return {pod["containers"][0]["name"]: made_on_cluster(pod, data) for pod in pods}


def made_on_cluster(pod: Object, data: dict[tuple[str, str], dict[str, str]]) -> Made:
    (said,) = pod["containers"]
    limits = said["resources"]["limits"]
    context = pod["securityContext"]
    volumes = {one["name"]: one for one in pod["volumes"]}
    files: dict[str, str] = {}
    for source in volumes.get("files", {}).get("projected", {}).get("sources", []):
        ((kind, given),) = source.items()
        texts = data[("ConfigMap" if kind == "configMap" else "Secret", given["name"])]
        files |= {item["path"]: texts[item["key"]] for item in given["items"]}
    env = {}
    for one in said["env"]:
        key = one.get("valueFrom", {}).get("secretKeyRef")
        own = one.get("valueFrom", {}).get("fieldRef")
        if own is None:
            env[one["name"]] = data[("Secret", key["name"])][key["key"]] if key else one["value"]
    command = said.get("command", [])
    return Made(
        command=command[4:] if command[:2] == ["/bin/sh", "-c"] and command[3:4] == ["sh"] else command,
        user=f"{context['runAsUser']}:{context['runAsGroup']}",
        memory=limits["memory"],
        cpus=limits["cpu"],
        env=env,
        files=files,
        volumes={
            mount["mountPath"]: volumes[mount["name"]]["persistentVolumeClaim"]["claimName"]
            for mount in said["volumeMounts"]
            if "persistentVolumeClaim" in volumes[mount["name"]]
        },
        in_memory={
            mount["mountPath"]: volumes[mount["name"]]["emptyDir"]["sizeLimit"]
            for mount in said["volumeMounts"]
            if "emptyDir" in volumes[mount["name"]]
        },
        grace_seconds=pod["terminationGracePeriodSeconds"] - (DRAIN_SECONDS if "lifecycle" in said else 0),
        asked=(question(said["livenessProbe"]), question(said["readinessProbe"])) if "livenessProbe" in said else None,
    )


def question(probe: Object) -> str:
    if "exec" in probe:
        return str(probe["exec"]["command"][-1])
    return f"http://127.0.0.1:{probe['httpGet']['port']}{probe['httpGet']['path']}"


def without_names(files: dict[str, str]) -> dict[str, str]:
    """What Prometheus is given, but for the names by which it finds things."""
    found = re.sub(r"(?<=^    - )\S+$", "NAME", files["prometheus.yml"], flags=re.MULTILINE)
    assert "NAME" in found
    return files | {"prometheus.yml": found}


@each
def test_every_container_is_given_the_same(name: str) -> None:
    stack = stacks()[name]
    prefix = f"{stack.project}-{stack.name}-"
    engine, cluster = on_engine(recording(name)), on_cluster(stack.on(CLUSTER))
    assert engine.keys() == cluster.keys()
    for workload in engine.keys() - {"gateway", *BY_PLACE}:
        one, other = vars(engine[workload]), vars(cluster[workload])
        volumes = {path: volume.removeprefix(prefix) for path, volume in one["volumes"].items()}
        assert one | {"volumes": volumes, "asked": None} == other | {"asked": None}, workload
    for workload in engine.keys() & {"gateway", *BY_PLACE}:
        for key in ("user", "memory", "cpus", "command", "in_memory"):
            assert vars(engine[workload])[key] == vars(cluster[workload])[key], workload
    if "prometheus" in engine:
        one, other = (without_names(found["prometheus"].files) for found in (engine, cluster))
        assert one == other


@each
def test_every_container_is_asked_the_same(name: str) -> None:
    engine, cluster = on_engine(recording(name)), on_cluster(stacks()[name].on(CLUSTER))
    shells = {one.name for one in stacks()[name].on(ENGINE).deployment.workloads if one.engine_check is None}
    asked = {workload: made.asked for workload, made in cluster.items() if made.asked and workload in shells}
    assert asked.keys() == {workload for workload, made in engine.items() if made.asked}
    for workload, (liveness, readiness) in asked.items():
        script = (engine[workload].asked or ("", ""))[0]
        live, ready = (re.search(rf"^{part}\(\) {{\n(.*?)\n}}", script, re.M | re.S) for part in ("live", "ready"))
        assert live and ready
        assert liveness in live[1], workload
        if workload != "gateway":
            # On a cluster the gateway is asked at the port that it serves, from outside of the pod. On an engine who
            # answers is ready, where both ask the same.
            assert readiness in (live[1] if readiness == liveness else ready[1]), workload
