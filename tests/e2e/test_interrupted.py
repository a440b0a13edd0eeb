"""`kill -9` of the engine at ten moments of an `up`: the next `make up` needs no help and leaves nothing behind.

About ten minutes, on a copy of the checkout that is a project of its own. Not run, and saying so, without a Docker
engine and the plugins.
"""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors
import pytest

from tests.e2e.conftest import free_port
from tests.e2e.healing import until_whole
from tests.e2e.interrupted import KINDS, Anonymous, Clone, Moment, in_state, labelled, load_on, processes_of

NAME = "interrupted"
API = r"Container mindpal-docker-api-[0-9a-f]{8}-0"
FIRST_UP = (
    Moment(r"Network .* created", 0, "everything"),
    Moment(r"Container mindpal-docker-mysql creat", 1.5, "engine"),
    Moment(r"Container mindpal-docker-mysql-accounts creat", 0.5, "everything"),
    Moment(rf"{API} creat", 1.5, "engine"),
    Moment(r"Container mindpal-docker-gateway-switch creat", 1, "everything"),
)
RELEASE = (
    Moment(r"Container mindpal-docker-api-release (creat|replac)", 0.5, "engine"),
    Moment(rf"{API} creat", 1, "everything"),
    Moment(r"Container mindpal-docker-gateway-switch (creat|replac)", 2, "engine"),
    Moment(rf"{API} delet", 0.5, "everything"),
)
RECREATED = Moment(r"Container mindpal-docker-mysql (delet|replac)", 0.5, "engine")


@pytest.fixture
def clone(pulumi: Path, plugins: Path, engine: docker.DockerClient, tmp_path: Path) -> Iterator[Clone]:
    made = Clone.make(tmp_path / "checkout", pulumi, NAME, free_port())
    remove_leftovers(engine, made)
    yield made
    remove_leftovers(engine, made)


def remove_leftovers(engine: docker.DockerClient, clone: Clone) -> None:
    for container in engine.containers.list(all=True, filters=clone.labels()):
        with contextlib.suppress(docker.errors.NotFound):
            container.remove(force=True, v=True)
    for network in engine.networks.list(filters=clone.labels()):
        network.remove()
    for volume in engine.volumes.list(filters=clone.labels()):
        volume.remove(force=True)


def test_a_killed_engine_leaves_nothing_that_the_next_up_does_not_clear(
    clone: Clone, engine: docker.DockerClient, tmp_path: Path
) -> None:
    # As an engine leaves it that dies before it can note what it made: a volume is never removed, so it must be taken.
    engine.volumes.create(f"{NAME}-dev-mysql-data", labels=clone.marks)
    with Anonymous().watched(engine, clone) as anonymous:
        for moment in FIRST_UP:
            interrupt_and_repair(clone, engine, moment, anonymous)
            if moment is not FIRST_UP[-1]:
                down(clone, engine)
        assert anonymous.seen, "no container was given an anonymous volume: this test watches nothing"
        item = written(clone.url)
        report = tmp_path / "load.json"
        with load_on(clone.url, report):
            for number, moment in enumerate(RELEASE):
                clone.change(apps={"api": {"settings": {"INTERRUPTED": str(number)}}})
                interrupt_and_repair(clone, engine, moment, anonymous, kills=2 if number == 1 else 1)
                assert read(clone.url, item) == "kept"
        clone.change(services={"mysql": {"memory_mib": 640}})
        interrupt_and_repair(clone, engine, RECREATED, anonymous)
        assert read(clone.url, item) == "kept"
        down(clone, engine)
        assert anonymous.left(engine) == set()
    result = json.loads(report.read_text())
    print({key: result[key] for key in ("requests", "failures", "failures_by_kind")}, result["failure_details"][:10])
    assert result["failures"] == 0, result["failure_details"][:10]


def interrupt_and_repair(
    clone: Clone, engine: docker.DockerClient, moment: Moment, anonymous: Anonymous, kills: int = 1
) -> None:
    """Kills `up` at a moment, `kills` times in a row, and looks at everything after the next, undisturbed one."""
    for _ in range(kills):
        killed = clone.make_target("up", moment)
        assert killed.killed and killed.code != 0, killed.output
    repaired = clone.make_target("up")
    said = [line for line in repaired.output.splitlines() if line.startswith(("Cleared", "Removed", "Ended"))]
    print(f"\n{moment}", *said, sep="\n  ", flush=True)
    assert repaired.code == 0, repaired.output
    deployment = clone.exported()
    assert not deployment.get("pending_operations")
    for kind in KINDS:
        assert labelled(engine, clone, kind) == in_state(deployment, kind), f"{kind}s after {moment}"
    assert processes_of(clone) == []
    assert until_whole(lambda: deep(clone.url) == 200, 15) is not None
    assert anonymous.left(engine) == set(), f"anonymous volumes after {moment}"


def down(clone: Clone, engine: docker.DockerClient) -> None:
    """`make down` leaves no container, network or volume of the stack."""
    done = clone.make_target("down")
    assert done.code == 0, done.output
    assert {kind: left for kind in KINDS if (left := labelled(engine, clone, kind))} == {}


def deep(url: str) -> int:
    try:
        with urllib.request.urlopen(f"{url}/health/deep", timeout=5) as answer:
            return int(answer.status)
    except OSError:
        return 0


def written(url: str) -> int:
    """The number of a new row in the database."""
    request = urllib.request.Request(
        f"{url}/api/items", json.dumps({"name": "kept"}).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return int(json.load(answer)["id"])


def read(url: str, item: int) -> str:
    # The list: single items may come from the cache.
    with urllib.request.urlopen(f"{url}/api/items", timeout=10) as answer:
        return str({row["id"]: row["name"] for row in json.load(answer)}.get(item))
