"""housing with its logs on a real engine: what its containers wrote is in Loki, masked, and ops reads it there."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import docker
import httpx
import pytest

from groundwork.deployment import Deployment
from groundwork.monitoring.logs import NOT_CARRIED
from ops import stored
from ops.on_docker import engine_of
from ops.place import Line, Wanted
from tests.e2e.monitored import brought_up, planned
from tests.e2e.real_stack import RealStack
from tests.monitoring.masking_cases import masked

STACK = "logged"
ARRIVE_SECONDS = 10
MOST_MIB = 600


@pytest.fixture
def system() -> str:
    return "housing"


@pytest.fixture
def logged(real_stack: RealStack) -> Iterator[RealStack]:
    real_stack.change(monitoring={})
    brought_up(real_stack)
    yield real_stack


def lines_of(deployment: Deployment, workload: str) -> list[Line]:
    """What Loki has of it, by the way of `ops logs`."""
    place, server = engine_of("housing", STACK, os.environ), deployment.workload("loki")
    assert server.port
    with place.tunnel(deployment, server, server.port, 0) as tunnel:
        try:
            return list(stored.read(tunnel.port, [workload], Wanted(tail=5000), named=False))
        except stored.Away:
            return []


def used_mib(container: Any) -> float:
    """As `docker stats` counts: without what the kernel can give back."""
    memory = container.stats(stream=False)["memory_stats"]
    cache = memory["stats"].get("total_inactive_file", memory["stats"].get("inactive_file", 0))
    return float((memory["usage"] - cache) / 1024**2)


def test_what_containers_write_is_kept_masked_and_read_by_ops(logged: RealStack, engine: docker.DockerClient) -> None:
    deployment = planned(logged)
    again = logged.up()
    assert again.code == 0 and not again.changes, again.output

    asked = time.time()
    answer = httpx.get(f"{logged.url}/of/13912345678", timeout=10)
    assert answer.status_code < 500
    found: list[Line] = []
    while not found and time.time() < asked + ARRIVE_SECONDS:
        found = [line for line in lines_of(deployment, "gateway") if '"path":"/of/' in line.text]
    assert found and '"path":"/of/[phone]"' in found[0].text, found
    assert found[0].container.startswith(f"housing-{STACK}-gateway")

    # Every line of the engine's is there; what continues one stands below it.
    time.sleep(5)
    missing: list[tuple[str, str]] = []
    for container in logged.containers(engine):
        workload = container.labels.get("groundwork.workload", "")
        if not workload or workload in NOT_CARRIED or container.status == "created":
            continue
        written = [line.strip() for line in container.logs().decode().splitlines() if line.strip()]
        kept = {part.strip() for line in lines_of(deployment, workload) for part in line.text.splitlines()}
        missing += [(workload, line) for line in written[:-5] if masked(line) not in kept]
    assert not missing

    memory = {
        one.labels["groundwork.workload"]: used_mib(one)
        for one in logged.containers(engine)
        if one.labels.get("groundwork.role") == "monitoring" and one.status == "running"
    }
    print({name: round(size) for name, size in memory.items()}, round(sum(memory.values())))
    assert {"loki", "shipper", "prometheus"} <= memory.keys()
    assert sum(memory.values()) < MOST_MIB
