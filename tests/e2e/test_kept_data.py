"""Data that a stack keeps is there again for the next one, although every credential is new."""

from __future__ import annotations

import docker
import httpx

from tests.e2e.real_stack import RealStack

STACK = "kept"
KEPT = {
    "housing": ("postgres-data", "redis-data"),
    "mindpal": ("beat-schedule", "cache-data", "mysql-data", "rabbitmq-data", "results-data"),
}


def test_kept_data_is_there_again_after_the_stack_was_destroyed(
    real_stack: RealStack, engine: docker.DockerClient
) -> None:
    real_stack.change(keep_data=True)
    assert real_stack.up().code == 0
    item = httpx.post(f"{real_stack.url}/api/items", json={"name": "kept"}, timeout=10).raise_for_status().json()
    before = real_stack.outputs(show_secrets=True)["credentials"]

    assert real_stack.destroy().code == 0
    assert real_stack.containers(engine) == []
    kept = {volume.name for volume in engine.volumes.list(filters=real_stack.labels())}
    assert kept == {f"{real_stack.project_name}-kept-{name}" for name in KEPT[real_stack.project_name]}

    again = real_stack.up()
    assert again.code == 0, again.messages
    after = real_stack.outputs(show_secrets=True)["credentials"]
    assert not set(before.values()) & set(after.values())
    assert httpx.get(f"{real_stack.url}/api/items/{item['id']}", timeout=10).json()["name"] == "kept"
    assert httpx.get(f"{real_stack.url}/health/deep", timeout=10).status_code == 200

    real_stack.change(keep_data=False)
    assert real_stack.up().code == 0
    assert real_stack.destroy().code == 0
    assert engine.volumes.list(filters=real_stack.labels()) == []
