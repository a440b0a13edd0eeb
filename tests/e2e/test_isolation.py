"""What can reach what in a real stack, tried from every container. docs/isolation.md has the table.

With GROUNDWORK_WRITE_DOCS=1 the table there is made anew.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from groundwork.deployment import Deployment
from groundwork.images import read_lock
from groundwork.plan import image_references, plan
from groundwork.stack_file import read_values
from ops.lock import lock_images
from tests.e2e.conftest import free_port
from tests.e2e.decoys import decoys
from tests.e2e.isolation import faults, labels, markdown, name_faults, nobody_answers, scan
from tests.e2e.isolation_system import SYSTEM
from tests.e2e.reach import ADDRESSES, PYTHON_IMAGE, Place, Row, place_of, places, run_inside
from tests.e2e.real_stack import RealStack
from tests.engine.stack import ROOT

DOCS = ROOT / "docs/isolation.md"
STACK = "isolation"
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__")
TABLE = re.compile(r"(<!-- table -->\n).*(<!-- end of table -->\n)", re.DOTALL)


@dataclass(frozen=True)
class Scanned:
    stack: RealStack
    deployment: Deployment
    table: list[Row]


@pytest.fixture(scope="module")
def scanned(
    pulumi: Path, plugins: Path, engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scanned]:
    """A copy of the checkout with one system more, up and tried."""
    folder = tmp_path_factory.mktemp("isolation")
    checkout = folder / "checkout"
    shutil.copytree(ROOT, checkout, ignore=LEFT_OUT)
    project = checkout / "systems" / STACK
    project.mkdir()
    shutil.copy(ROOT / "tests/e2e/isolation_system.py", project / "system.py")
    text = (ROOT / "systems/housing/Pulumi.yaml").read_text()
    (project / "Pulumi.yaml").write_text(text.replace("name: housing", f"name: {STACK}"))
    config: dict[str, Any] = {
        "groundwork:keep_data": False,
        "groundwork:entry": {"http_port": free_port()},
        "groundwork:target": {"kind": "docker", "memory_mib": 8192},
        "groundwork:apps": {"api": {"replicas": 2}, "mailer": {"replicas": 2}},
    }
    stack_file = folder / f"Pulumi.{STACK}.yaml"
    stack_file.write_text(yaml.safe_dump({"config": config}))
    configuration = read_values(config, STACK)
    lock_images(checkout, image_references(SYSTEM, configuration.settings).values())
    deployment = plan(SYSTEM, configuration, read_lock(checkout, "refuse"), project=STACK, stack=STACK)
    work = folder / "work"
    work.mkdir()
    stack = RealStack(pulumi, project, stack_file, work, {"PULUMI_HOME": str(plugins)})
    stack.remove_leftovers(engine)
    stack.init()
    try:
        up = stack.up()
        assert up.code == 0, up.output
        hold_jobs(stack, deployment, engine)
        with decoys() as around, stranger(engine) as other:
            table = scan(engine, deployment, around, [other])
        if os.geteuid() != 0 and not nobody_answers(table):
            pytest.skip("not run: the router answers for addresses that nobody has, and only root can stop that")
        yield Scanned(stack, deployment, table)
    finally:
        stack.destroy()
        stack.remove_leftovers(engine)


@contextlib.contextmanager
def stranger(engine: docker.DockerClient) -> Iterator[Place]:
    """A container of somebody else's, on the engine's default network, that listens."""
    command = ["python3", "-m", "http.server", "8000"]
    container = engine.containers.run(PYTHON_IMAGE, command, entrypoint="", detach=True, init=True)
    try:
        for _ in range(100):
            container.reload()
            place = replace(place_of(engine, container, ""), name="stranger", workload="stranger")
            if place.listeners:
                break
            time.sleep(0.1)
        assert place.listeners, container.logs().decode()
        yield place
    finally:
        container.remove(force=True, v=True)


def hold_jobs(stack: RealStack, deployment: Deployment, engine: docker.DockerClient) -> None:
    """Jobs that are over run once more, and stay: a paused container keeps its network."""
    for job in [workload.name for workload in deployment.workloads if workload.role == "job"]:
        for container in stack.containers(engine, job):
            container.start()
            for _ in range(300):
                container.reload()
                if container.attrs["State"].get("Health", {}).get("Status") == "healthy":
                    break
                time.sleep(0.2)
            assert container.status == "running", f"{job}: {container.logs().decode()}"
            container.pause()


def test_nothing_else_is_open_and_nothing_closed_that_must_be_open(scanned: Scanned) -> None:
    clients = {row.client for row in scanned.table}
    assert clients >= {workload.name for workload in scanned.deployment.workloads}
    assert faults(scanned.deployment, scanned.table) == []


def test_names_are_known_where_there_is_a_way(scanned: Scanned, engine: docker.DockerClient) -> None:
    assert name_faults(engine, scanned.deployment) == []


def test_no_container_has_an_ipv6_address(scanned: Scanned, engine: docker.DockerClient) -> None:
    """The table tries IPv4; this is why that is all."""
    for place in places(engine, scanned.deployment.prefix, labels(scanned.deployment)):
        assert run_inside(engine, place.id, ADDRESSES) == [], place.name


def test_metadata_and_outside(scanned: Scanned) -> None:
    """Of all that goes outside, only what `egress` says comes about; the rest waits for host rules."""
    if os.geteuid() != 0:
        pytest.skip("not run: a metadata service and servers outside take root to set up")
    kinds = ("metadata", "outside", "neighbour")
    around = [row for row in scanned.table if row.target.kind in kinds]
    assert {row.client for row in around} == {workload.name for workload in scanned.deployment.workloads}
    reached = {(row.client, row.target.kind) for row in around if row.answer != "silent"}
    only_host_rules_close = {("mailer", "metadata"), ("gateway", "neighbour")}
    assert reached - only_host_rules_close == {("mailer", "outside"), ("mailer", "neighbour")}


def test_a_stranger_and_the_outside_reach_no_container(scanned: Scanned) -> None:
    tried = [row for row in scanned.table if row.client in ("stranger", "outside") and row.target.network]
    assert {row.client for row in tried} == {"stranger", "outside"} if os.geteuid() == 0 else {"stranger"}
    assert {row.answer for row in tried} == {"silent"}


def test_a_container_in_one_network_too_many_is_seen(scanned: Scanned, engine: docker.DockerClient) -> None:
    deployment = scanned.deployment
    edge = engine.networks.get(f"{deployment.prefix}-edge")
    mailer = scanned.stack.containers(engine, "mailer")[0]
    edge.connect(mailer)
    try:
        with decoys() as around:
            found = faults(deployment, scan(engine, deployment, around))
    finally:
        edge.disconnect(mailer)
    assert any("reaches container web" in fault and "in edge" in fault for fault in found), found
    assert all("mailer" in fault for fault in found), found


def test_a_cut_connection_is_seen(scanned: Scanned, engine: docker.DockerClient) -> None:
    deployment = scanned.deployment
    network = engine.networks.get(f"{deployment.prefix}-cache")
    mailer = scanned.stack.containers(engine, "mailer")[0]
    network.disconnect(mailer)
    try:
        with decoys() as around:
            found = faults(deployment, scan(engine, deployment, around))
    finally:
        network.connect(mailer)
    assert len(found) == 1, found
    assert re.fullmatch(r"closed: mailer-\w+-\d does not reach container cache at \S+:6379 in cache", found[0]), found


def test_the_table_in_the_docs(scanned: Scanned, engine: docker.DockerClient) -> None:
    """The docs' table is this run's, but for the numbers of attempts, which depend on the machine."""
    made = markdown(scanned.deployment, scanned.table)
    if os.environ.get("GROUNDWORK_WRITE_DOCS"):
        when = f"Made on {date.today():%d %B %Y} with Docker {engine.version()['Version']}.\n\n"
        DOCS.write_text(TABLE.sub(lambda found: f"{found[1]}\n{when}{made}\n{found[2]}", DOCS.read_text()))
    elif os.geteuid() != 0:
        pytest.skip("not run: the table has rows that only root can try")
    assert made.split("\n\n")[0] in DOCS.read_text()
