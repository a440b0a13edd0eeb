"""mindpal on five Docker engines, placed by role and reached by ssh, behind HAProxy: it works, a release loses nothing,
the loss of an app machine loses no request once the balancer has seen it, and every machine is measured.

The engines are on this machine (tests/e2e/fleet.py). Not run, and saying so, without root, an engine or the plugins.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
import yaml

from groundwork.deployment import Deployment
from groundwork.images import ImageLock
from groundwork.plan import image_references, plan
from groundwork.stack_file import read_values
from groundwork.system import load_system
from ops.lock import lock_images
from ops.on_docker.machines import OnMachines
from ops.watching import jobs_of, judged, measured
from tests.e2e.conftest import free_port
from tests.e2e.fleet import NETWORK, Fleet, Node, NoFleet, answers, fleet, waited
from tests.e2e.real_stack import RealStack
from tests.engine.stack import ROOT

STACK = "placed"
ROLES = ("app", "data", "cache", "monitoring")
MACHINES = {"app-1": 11, "app-2": 12, "data-1": 21, "cache-1": 31, "monitoring-1": 41}
SCRAPE_SECONDS = 15
RATE = 100
CHECK_SECONDS, FALL = 1, 2
BALANCER_SECONDS = FALL * 2 * CHECK_SECONDS + 1
"""When the balancer has seen the loss: as many checks as it takes, each with its pause and its time-out; and a second
for processors that all of this shares."""
STOP_SECONDS = 5
"""The probe application closes its listener 2 s after it is told to stop."""
REGISTRY = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: false}}}}
http: {{addr: "{address}", relativeurls: true}}
"""
BALANCER = """\
defaults
    mode http
    timeout connect 1s
    timeout client 120s
    timeout server 120s
    timeout tunnel 1h
    timeout check {check}s
    # A connection that could not be made is tried at another gateway; a request that was sent is never sent again.
    retries 2
    option redispatch 1
    # A reload of nginx ends connections that are idle, and one that is kept may be taken at that very moment (seen: one
    # POST of 8,473). New ones are always accepted.
    option http-server-close
    retry-on conn-failure
    option forwardfor
frontend entry
    bind 127.0.0.1:{port}
    default_backend gateways
backend gateways
    balance roundrobin
    option httpchk GET /health
    default-server check inter {check}s fall {fall} rise 2 on-marked-down shutdown-sessions
{servers}
"""


@dataclass
class Placed:
    """The stack, its machines, and where the balancer listens."""

    stack: RealStack
    machines: Fleet
    deployment: Deployment
    url: str
    push: str
    """Where this machine's engine pushes images; machines pull them from `NETWORK.1:5000`."""

    def asked(self, expression: str) -> Any:
        """What Prometheus says to a query, at the door that the agents use."""
        (door,) = self.deployment.workload("prometheus").published
        url = f"http://{door.address}:{door.port}/api/v1/query"
        return httpx.get(url, params={"query": expression}, timeout=15).json()["data"]

    def unheard(self) -> list[str]:
        """What should be measured on some machine, and is not."""
        found = measured(self.asked("up"), jobs_of(self.deployment))
        return [name for name, health in found if health != "up"]

    def api_on(self, node: Node) -> list[Any]:
        labels = self.stack.labels("groundwork.workload=api")
        return list(node.client.containers.list(filters=labels))


@pytest.fixture(scope="module")
def machines() -> Iterator[Fleet]:
    """Five machines, below /run: a deploying user may not look into this checkout."""
    folder = Path("/run/groundwork-fleet")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(mode=0o755)
        context = contextlib.ExitStack()
        made = context.enter_context(fleet(folder, MACHINES))
    except (NoFleet, OSError) as missing:
        pytest.skip(f"not run: no five engines here: {missing}")
    with context:
        yield made


def pushed(engine: docker.DockerClient, image: str, registry: str, name: str) -> str:
    """`image` of this engine in the registry; its name for the machines, by digest."""
    repository = f"{registry}/{name}"
    engine.images.get(image).tag(repository, "test")
    lines = list(engine.images.push(repository, "test", stream=True, decode=True))
    digests = [line["aux"]["Digest"] for line in lines if "Digest" in line.get("aux", {})]
    engine.images.remove(f"{repository}:test", noprune=True)
    assert digests, lines[-1]
    return f"{NETWORK}.1:5000/{name}:test@{digests[0]}"


@pytest.fixture(scope="module")
def placed(
    pulumi: Path, plugins: Path, engine: docker.DockerClient, machines: Fleet, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Placed]:
    """mindpal, up, and HAProxy in front of its gateways."""
    if not shutil.which("pulumi-resource-command") and not list(plugins.glob("plugins/resource-command-v*")):
        pytest.skip("not run: no Pulumi plugin for command, on PATH or in .groundwork/home/plugins")
    folder = tmp_path_factory.mktemp("placed")
    push, entry = f"127.0.0.1:{free_port()}", free_port()
    for name, address in (("push", push), ("pull", f"{NETWORK}.1:5000")):
        settings = folder / f"registry-{name}.yml"
        settings.write_text(REGISTRY.format(folder=folder / "images", address=address))
        program = str(machines.program("docker-registry"))
        machines.processes.append(machines.start([program, "serve", str(settings)], f"registry-{name}"))
    host, _, port = push.partition(":")
    waited("the registry", lambda: answers(host, int(port)) and answers(f"{NETWORK}.1", 5000))

    system = load_system(ROOT, "mindpal")
    references = image_references(system, read_values({"groundwork:monitoring": {}}, "none").settings)
    lock_images(ROOT, references.values())
    images = {
        name: pushed(engine, reference.replace("build:probe", "groundwork/probe:local"), push, name)
        for name, reference in references.items()
        if name not in ("worker", "beat")
    }
    config = configuration(machines, images)
    stack_file = folder / f"Pulumi.{STACK}.yaml"
    stack_file.write_text(yaml.safe_dump({"config": config}))
    (folder / "work").mkdir()
    environment = {"PULUMI_HOME": str(plugins), **machines.agent}
    stack = RealStack(pulumi, ROOT / "systems/mindpal", stack_file, folder / "work", environment)
    stack.init()
    servers = [
        f"    server {node.name} {node.address}:8080" for node in machines.nodes.values() if node.name.startswith("app")
    ]
    balancer = folder / "haproxy.cfg"
    balancer.write_text(BALANCER.format(port=entry, check=CHECK_SECONDS, fall=FALL, servers="\n".join(servers)))
    try:
        first = stack.up()
        assert first.code == 0, first.output[-4000:]
        command = [str(machines.program("haproxy")), "-db", "-f", str(balancer)]
        machines.processes.append(machines.start(command, "haproxy"))
        url = f"http://127.0.0.1:{entry}"
        waited("the system behind the balancer", lambda: status(f"{url}/health/ready") == 200)
        deployment = plan(system, read_values(config, STACK), ImageLock({}, "refuse"), project="mindpal", stack=STACK)
        yield Placed(stack, machines, deployment, url, push)
    finally:
        down = stack.destroy()
    assert down.code == 0, down.output[-2000:]
    for node in machines.nodes.values():
        assert not node.client.containers.list(all=True, filters=stack.labels()), node.name


def configuration(machines: Fleet, images: dict[str, str]) -> dict[str, Any]:
    """The stack file: existing machines by role, images of the registry by digest."""

    def hosts(role: str) -> list[dict[str, str]]:
        return [
            {"address": node.address, "private_address": node.address, "host_key": node.host_key}
            for node in machines.nodes.values()
            if node.name.startswith(f"{role}-")
        ]

    apps = {name: {"image": image} for name, image in images.items() if name == "api"}
    system = load_system(ROOT, "mindpal")
    names = {service.name for service in system.services}
    services = {name: {"image": image} for name, image in images.items() if name in names}
    watching = {name: {"image": images[name]} for name in images.keys() - names - {"api", "gateway"}}
    return {
        "groundwork:keep_data": False,
        "groundwork:machines": {
            "kind": "existing",
            "roles": {role: {"memory_mib": 4096, "hosts": hosts(role)} for role in ROLES},
        },
        "groundwork:entry": {
            "requests_per_second": 5000,
            "burst": 5000,
            "trusted_proxies": [f"{NETWORK}.1/32"],
        },
        "groundwork:gateway": {"image": images["gateway"]},
        "groundwork:apps": apps,
        "groundwork:services": services,
        "groundwork:monitoring": {"programs": watching, "scrape_seconds": SCRAPE_SECONDS},
    }


def status(url: str) -> int:
    try:
        return httpx.get(url, timeout=15).status_code
    except httpx.HTTPError:
        return 0


@contextlib.contextmanager
def load_on(placed: Placed, report: Path, *more: str) -> Iterator[None]:
    """RATE requests a second until the block ends, never tried again; its report is in `report`."""
    command = [sys.executable, str(ROOT / "tests/e2e/load.py"), "--url", placed.url, "--rate", str(RATE)]
    command += ["--seconds", "3000", "--json", str(report), *more]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as load:
        time.sleep(5)
        assert load.poll() is None
        try:
            yield
        finally:
            time.sleep(5)
            load.send_signal(signal.SIGTERM)
            load.wait(60)


def lost(report: dict[str, Any], since: float) -> list[float]:
    """For each failed request, how many seconds after `since` it was sent."""
    seconds = []
    for detail in report["failure_details"]:
        start = datetime.fromisoformat(detail["at"]).timestamp() - detail["second"]
        seconds.append(round(start + detail.get("number", 0) / RATE - since, 2))
    assert len(seconds) == report["failures"], "more failures than details"
    return seconds


def told(what: str, report: dict[str, Any], seconds: list[float]) -> None:
    figures = {key: report[key] for key in ("requests", "failures", "failures_by_kind", "latency_ms")}
    print(f"{what}: lost at {min(seconds, default=0)} to {max(seconds, default=0)} s; {json.dumps(figures)}")


PATIENT = ("--timeout-seconds", "60")
"""Engines, balancer and client share the processors of one machine, where slow is not lost."""
BARE = (*PATIENT, "--no-websocket", "--upload-mib", "0")
"""Requests alone: what is open to a machine that is lost is lost with it."""


def test_every_engine_runs_its_share_and_the_system_works(placed: Placed) -> None:
    for share in placed.deployment.shares:
        assert share.machine
        wanted = Counter({workload.name: workload.replicas for workload in share.workloads})
        wanted += Counter(f"{workload.name}-switch" for workload in share.workloads if workload.reload)
        client = placed.machines.nodes[share.machine.name].client
        made = client.containers.list(all=True, filters=placed.stack.labels("groundwork.workload"))
        switches = {one.id for one in made if str(one.name).endswith("-switch")}
        names = [one.labels["groundwork.workload"] + ("-switch" if one.id in switches else "") for one in made]
        assert Counter(names) == wanted, share.machine.name
        networks = {str(network.name).removeprefix("mindpal-placed-") for network in client.networks.list()}
        assert networks - {"bridge", "host", "none"} == {network.name for network in share.networks}
    told_of = placed.stack.outputs()["containers"]
    assert {one["machine"] for one in told_of} == MACHINES.keys()
    waited("the system as a whole", lambda: status(f"{placed.url}/health/deep") == 200)
    assert httpx.get(f"{placed.url}/health/deep", timeout=15).json()


def test_a_second_preview_changes_nothing(placed: Placed) -> None:
    again = placed.stack.preview("--expect-no-changes")
    assert again.code == 0, again.output[-3000:]


def test_both_gateways_serve_and_know_the_client(placed: Placed) -> None:
    for name in ("app-1", "app-2"):
        address = placed.machines.nodes[name].address
        assert status(f"http://{address}:8080/health/ready") == 200
        (door,) = [one.port for one in placed.deployment.openings[name] if "balancer" not in one.sources]
        # Only another gateway comes in there.
        assert status(f"http://{address}:{door}/health/ready") == 403


def test_what_runs_on_every_machine_is_measured(placed: Placed) -> None:
    waited("all measurements", lambda: not placed.unheard(), 90)
    memory = placed.asked('node_memory_MemTotal_bytes{job="node-exporter"}')["result"]
    assert {one["metric"]["machine"] for one in memory} == MACHINES.keys()
    assert not placed.asked('ALERTS{alertname=~"MachineSilent|AgentLosesSamples", alertstate="firing"}')["result"]


def test_tunnels_lead_to_monitoring_where_no_gateway_is(placed: Placed) -> None:
    machines = placed.stack.outputs()["machines"]
    environment = {**os.environ, **placed.machines.agent}
    place = OnMachines(machines=machines, project="mindpal", stack=STACK, environment=environment)
    deployment = placed.deployment
    with place.tunnel(deployment, deployment.workload("prometheus"), 9090, 0) as way:
        found = {one.check: (one.outcome, one.detail) for one in judged(way.port, jobs_of(deployment))}
    assert {outcome for outcome, _ in found.values()} == {"ok"}, found
    for name, port, path in (("alertmanager", 9093, "-/ready"), ("mysql-exporter", 9104, "metrics")):
        with place.tunnel(deployment, deployment.workload(name), port, 0) as way:
            assert status(f"http://127.0.0.1:{way.port}/{path}") == 200, name


def test_losing_the_network_of_an_app_machine_loses_no_request_after_the_balancers_interval(
    placed: Placed, tmp_path: Path
) -> None:
    file = tmp_path / "load.json"
    with load_on(placed, file, *BARE):
        since = time.time()
        placed.machines.nodes["app-1"].link("down")
        time.sleep(25)
        assert status(f"{placed.url}/health/ready") == 200
        placed.machines.nodes["app-1"].link("up")
        waited("the machine that is back", lambda: answers(placed.machines.nodes["app-1"].address, 8080))
        time.sleep(10)
    report = json.loads(file.read_text())
    seconds = lost(report, since)
    told("link down", report, seconds)
    # What was measured meanwhile arrives when the network is back.
    waited("what was kept", lambda: longest_gap(placed, since) < 2 * SCRAPE_SECONDS)
    assert report["requests"] > 3000
    assert max(seconds, default=0) <= BALANCER_SECONDS, seconds


def longest_gap(placed: Placed, since: float) -> float:
    """Seconds between two measurements of the machine that was cut off, or from the last until now."""
    minutes = round((time.time() - since) / 60 + 2)
    (series,) = placed.asked(f'up{{job="prometheus-agent", machine="app-1"}}[{minutes}m]')["result"]
    times = [float(at) for at, _ in series["values"]] + [time.time()]
    return max(after - before for before, after in itertools.pairwise(times))


def test_killing_every_container_of_an_app_machine_loses_no_request_after_the_balancers_interval(
    placed: Placed, tmp_path: Path
) -> None:
    file = tmp_path / "load.json"
    node = placed.machines.nodes["app-2"]
    with load_on(placed, file, *BARE):
        since = time.time()
        for container in node.client.containers.list():
            os.kill(container.attrs["State"]["Pid"] or 0, signal.SIGKILL)
        time.sleep(20)
    report = json.loads(file.read_text())
    seconds = lost(report, since)
    told("containers killed", report, seconds)
    assert max(seconds, default=0) <= BALANCER_SECONDS, seconds
    waited("all of it again", lambda: status(f"{placed.url}/health/deep") == 200)
    waited("all measurements again", lambda: not placed.unheard(), 120)


def test_a_gateway_without_replicas_of_its_own_serves_through_its_peer(placed: Placed, tmp_path: Path) -> None:
    """The balancer does not notice. What fails is what lay in the queue of the app's listener when that
    closed, as far as it must not be sent twice; the slower the app, the more."""
    file = tmp_path / "load.json"
    node = placed.machines.nodes["app-1"]
    with load_on(placed, file, *BARE):
        since = time.time()
        (api,) = placed.api_on(node)
        api.stop(timeout=60)
        time.sleep(5)
        answer = httpx.get(f"http://{node.address}:8080/api/version", timeout=10)
        assert answer.status_code == 200
        api.start()
        waited("the replica that is back", lambda: placed.api_on(node)[0].health == "healthy")
    report = json.loads(file.read_text())
    seconds = lost(report, since)
    told("replica stopped", report, seconds)
    assert max(seconds, default=0) <= STOP_SECONDS, seconds
    methods = {detail["what"].split()[0] for detail in report["failure_details"]}
    assert methods <= {"POST"}, report["failures_by_kind"]


def test_a_release_on_both_machines_under_load_loses_nothing(
    placed: Placed, engine: docker.DockerClient, tmp_path: Path
) -> None:
    file = tmp_path / "load.json"
    before = httpx.get(f"{placed.url}/api/version", timeout=10).json()["release"]
    container = engine.containers.create("groundwork/probe:local", labels={"groundwork.test": "placement"})
    container.commit("groundwork/probe", "placement", changes=f"LABEL made={time.time()}")
    container.remove()
    try:
        image = pushed(engine, "groundwork/probe:placement", placed.push, "api")
    finally:
        engine.images.remove("groundwork/probe:placement", noprune=True)
    with load_on(placed, file, *PATIENT):
        placed.stack.change(apps={"api": {"image": image}})
        run = placed.stack.up()
        assert run.code == 0, run.output[-4000:]
    report = json.loads(file.read_text())
    told("release", report, lost(report, 0.0))
    after = httpx.get(f"{placed.url}/api/version", timeout=10).json()["release"]
    assert set(report["releases"]) == {before, after}
    assert report["failures"] == 0, report["failure_details"][:10]
    assert report["requests"] > 1000
