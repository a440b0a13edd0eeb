"""Images from a private registry: pulled by digest, with the stack's own credentials.

Needs Debian's docker-registry and htpasswd (apache2-utils); where one is missing the test is not run and says so.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import docker.errors
import httpx
import pytest
import yaml

from groundwork.images import LOCK
from ops.lock import lock_images
from tests.e2e.conftest import free_port
from tests.e2e.real_stack import RealStack
from tests.e2e.test_releases import checkout  # noqa: F401  the fixture

STACK = "registry"
pytestmark = pytest.mark.parametrize("system", ["housing"])
QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
USER, PASSWORD = "deploy", "a password of this test"
IMAGES = {
    "nginx:1.30": "library/nginx:1.30",
    "postgres:17": "library/postgres:17",
    "redis:8": "library/redis:8",
    "groundwork/probe:local": "housing/api:1.0",
    "groundwork/web:local": "housing/web:1.0",
}


@pytest.fixture
def registry(engine: docker.DockerClient, tmp_path: Path) -> Iterator[str]:
    """The address of a registry that lets only USER in, and has IMAGES; the engine has none of them under its name."""
    missing = [name for name in ("docker-registry", "htpasswd") if not shutil.which(name)]
    if missing:
        pytest.skip(f"not run: no {' and no '.join(missing)}")
    address = f"127.0.0.1:{free_port()}"
    hashed = subprocess.run(["htpasswd", "-Bbn", USER, PASSWORD], capture_output=True, text=True, check=True).stdout
    (tmp_path / "htpasswd").write_text(hashed)
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
        "http": {"addr": address},
        "auth": {"htpasswd": {"realm": "test", "path": str(tmp_path / "htpasswd")}},
    }
    (tmp_path / "registry.yml").write_text(yaml.safe_dump(settings))
    process = subprocess.Popen(["docker-registry", "serve", str(tmp_path / "registry.yml")], **QUIET)
    try:
        wait_for(f"http://{address}/v2/")
        for name, stored in IMAGES.items():
            engine.images.get(name).tag(f"{address}/{stored}")
            pushed = engine.images.push(f"{address}/{stored}", auth_config={"username": USER, "password": PASSWORD})
            assert '"error"' not in pushed, pushed
        yield address
    finally:
        forget(engine, address)
        process.terminate()
        process.wait(10)


def wait_for(url: str) -> None:
    """Until it answers that it wants to know who asks."""
    for _ in range(100):
        try:
            assert httpx.get(url).status_code == 401
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(url)


def forget(engine: docker.DockerClient, address: str) -> None:
    """Takes all names of that registry from the engine, so that it must pull."""
    for image in engine.images.list():
        for name in {*image.tags, *image.attrs["RepoDigests"]}:
            if name.startswith(address):
                with contextlib.suppress(docker.errors.ImageNotFound):  # a tag takes its digest along
                    engine.images.remove(name, force=True)


def test_images_are_pulled_by_digest_with_the_stacks_own_credentials(
    real_stack: RealStack, engine: docker.DockerClient, registry: str, checkout: Path  # noqa: F811
) -> None:
    lock_images(checkout, [f"{registry}/{stored}" for stored in IMAGES.values()])
    assert set(yaml.safe_load((checkout / LOCK).read_text())) == {f"{registry}/{name}" for name in IMAGES.values()}
    forget(engine, registry)
    stack = replace(real_stack, project=checkout / "systems/housing")
    stack.change(
        registry={"prefix": registry, "username": USER},
        secret_registry_password="not the password",
        apps={"api": {"image": "housing/api:1.0"}, "web": {"image": "housing/web:1.0"}},
    )
    refused = stack.up()
    assert refused.code != 0
    assert "unauthorized" in refused.messages or "no basic auth" in refused.messages, refused.messages

    stack.change(secret_registry_password=PASSWORD)
    allowed = stack.up()
    assert allowed.code == 0, allowed.messages
    assert httpx.get(f"{stack.url}/health/deep", timeout=10).status_code == 200
    assert not stack.preview().changes
