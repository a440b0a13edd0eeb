"""Real stacks: the real engine, the real plugins, a real Docker engine. What is missing is said by name, and skips."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors
import pytest
import yaml

from groundwork.plan import image_references
from groundwork.stack_file import read_values
from groundwork.system import load_system
from ops.lock import lock_images
from tests.e2e.real_stack import RealStack
from tests.engine.conftest import pulumi  # noqa: F401  the fixture
from tests.engine.stack import ROOT

PLUGINS = ("docker", "random")
SYSTEMS = ("housing", "mindpal")


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The Docker engine that the environment names."""
    try:
        client = docker.from_env(timeout=120)
        client.ping()
    except docker.errors.DockerException:
        pytest.skip("not run: no Docker engine answers here")
    yield client
    client.close()


@pytest.fixture(scope="session")
def plugins() -> Path:
    """The folder of plugins, or any folder when they are on PATH."""
    home = ROOT / ".groundwork/home"
    missing = [
        name
        for name in PLUGINS
        if not shutil.which(f"pulumi-resource-{name}") and not list(home.glob(f"plugins/resource-{name}-v*"))
    ]
    if missing:
        pytest.skip(f"not run: no Pulumi plugin for {' and '.join(missing)}, on PATH or in .groundwork/home/plugins")
    return home


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> str:
    """A folder of systems/."""
    return str(request.param)


@pytest.fixture
def real_stack(
    request: pytest.FixtureRequest,
    system: str,
    pulumi: Path,  # noqa: F811
    plugins: Path,
    engine: docker.DockerClient,
    tmp_path: Path,
) -> Iterator[RealStack]:
    """`system` as a stack with the name in the module's STACK, not yet up; what is left of it is removed."""
    work = tmp_path / "real"
    work.mkdir()
    config = {
        "groundwork:keep_data": False,
        "groundwork:target": {"kind": "docker", "memory_mib": 8192},
        "groundwork:entry": {"http_port": free_port(), "requests_per_second": 5000, "burst": 5000},
    }
    stack_file = tmp_path / f"Pulumi.{request.module.STACK}.yaml"
    stack_file.write_text(yaml.safe_dump({"config": config}))
    references = image_references(load_system(ROOT, system), read_values(config, "e2e").settings)
    lock_images(ROOT, references.values())
    stack = RealStack(pulumi, ROOT / "systems" / system, stack_file, work, {"PULUMI_HOME": str(plugins)})
    stack.remove_leftovers(engine)
    stack.init()
    yield stack
    stack.destroy()
    stack.remove_leftovers(engine)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
