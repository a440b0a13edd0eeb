"""Releases under load lose nothing: new images, bad releases, a route, an environment, rotated credentials.

200 requests/s for as long as it takes (about nine minutes), half of them POST, a WebSocket and a 100 MB upload open,
no retry in the client. Not run, and saying so, without a Docker engine and the plugins.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest

from groundwork.system import load_system
from ops.lock import lock_images
from tests.e2e.jobs import Sent, missed_or_repeated, sending
from tests.e2e.real_stack import RealStack
from tests.engine.stack import ROOT

STACK = "releases"
RELEASES = 10
STARTUP_SECONDS = 15
"""How long a release may take here before it counts as bad; the system's own figure is four times as much."""
UP_SECONDS = 90
"""What an `up` takes besides on a busy machine. A bad release is red in the end, and not at some time-out of ours."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the program, whose system a test may change."""
    copy = tmp_path / "checkout"
    copy.mkdir()
    shutil.copy(ROOT / "__main__.py", copy)
    for folder in ("groundwork", "components", "systems"):
        shutil.copytree(ROOT / folder, copy / folder)
    return copy


def edit(stack: RealStack, before: str, after: str) -> None:
    """Changes the system file of a stack in a copy of the checkout."""
    path = stack.project / "system.py"
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))


@contextmanager
def load_on(url: str, report: Path) -> Iterator[None]:
    """200 requests a second until the block ends; its report is in `report`."""
    command = [sys.executable, str(ROOT / "tests/e2e/load.py"), "--url", url, "--rate", "200"]
    command += ["--seconds", "3000", "--json", str(report)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as load:
        time.sleep(5)
        assert load.poll() is None
        try:
            yield
        finally:
            time.sleep(5)
            load.send_signal(signal.SIGTERM)
            load.wait(60)


@contextmanager
def jobs_on(stack: RealStack) -> Iterator[Sent | None]:
    """Jobs all the time, where the system has a worker."""
    if "worker" not in {app.name for app in load_system(ROOT, stack.project_name).apps}:
        yield None
        return
    with sending(stack.url) as sent:
        yield sent


def new_image(engine: docker.DockerClient, checkout: Path, number: int) -> str:
    """The probe application as another image, known to the checkout's lock."""
    tag = f"groundwork/probe:release-{number}"
    container = engine.containers.create("groundwork/probe:local", labels={"groundwork.test": "release"})
    container.commit(*tag.split(":"), changes=f"LABEL number={number}-{time.time()}")
    container.remove()
    lock_images(checkout, [tag], refresh=True)
    return tag


def version(url: str) -> dict[str, Any]:
    answer: dict[str, Any] = httpx.get(f"{url}/api/version", timeout=10).raise_for_status().json()
    return answer


def test_ten_releases_two_bad_ones_a_route_and_rotated_secrets_lose_no_request(
    real_stack: RealStack, engine: docker.DockerClient, checkout: Path, tmp_path: Path
) -> None:
    stack = replace(real_stack, project=checkout / "systems" / real_stack.project.name)
    edit(
        stack,
        'release_command=("python"',
        f'startup_seconds={STARTUP_SECONDS},\n            release_command=("python"',
    )
    shutil.copytree(
        ROOT / ".groundwork", checkout / ".groundwork", ignore=lambda _, names: set(names) - {"images.lock"}
    )
    first = stack.up()
    assert first.code == 0, first.messages
    assert httpx.get(f"{stack.url}/health/deep", timeout=10).status_code == 200
    again = stack.preview("--expect-no-changes")
    assert again.code == 0, again.output

    report = tmp_path / "load.json"
    seen = [version(stack.url)["release"]]
    try:
        with load_on(stack.url, report), jobs_on(stack) as sent:
            for number in range(RELEASES):
                stack.change(apps={"api": {"image": new_image(engine, checkout, number)}})
                assert_ok(stack)
                seen.append(version(stack.url)["release"])
            good = {"image": f"groundwork/probe:release-{RELEASES - 1}"}

            for fault in ("not_ready", "not_listening"):
                stack.change(apps={"api": good | {"settings": {"PROBE_FAULT": fault}}})
                for attempt in range(3):
                    started = time.monotonic()
                    bad = stack.up()
                    assert bad.code != 0, f"{fault}, attempt {attempt}: green"
                    assert time.monotonic() - started < STARTUP_SECONDS + UP_SECONDS
                    assert "did not become healthy" in bad.messages and "last 15 lines" in bad.messages, bad.messages
                    assert version(stack.url)["release"] == seen[-1]
                stack.change(apps={"api": good})
                assert_ok(stack)
                assert version(stack.url)["release"] == seen[-1]

            edit(stack, "    routes=(\n", '    routes=(\n        Route(path="/echo/", app="api"),\n')
            routed = assert_ok(stack)
            assert not routed.names("create") & {f"{stack.project_name}-docker-api-{seen[-1]}-0"}
            assert httpx.get(f"{stack.url}/echo/x", timeout=10).headers["x-release"] == seen[-1]

            stack.change(apps={"api": good | {"settings": {"GREETING": "changed"}}})
            assert_ok(stack)
            seen.append(version(stack.url)["release"])

            key = version(stack.url)["jwt_key_id"]
            stack.change(secret_jwt_key="a key of the user's own")
            assert_ok(stack)
            assert version(stack.url)["jwt_key_id"] != key
            seen.append(version(stack.url)["release"])

            services = [service.name for service in load_system(ROOT, stack.project_name).services]
            stack.change(services={name: {"credentials": 2} for name in services})
            assert_ok(stack)
            seen.append(version(stack.url)["release"])
            assert httpx.get(f"{stack.url}/health/deep", timeout=10).status_code == 200
    finally:
        for number in range(RELEASES):
            remove_image(engine, f"groundwork/probe:release-{number}")
    if sent:
        assert sent.refused == []
        done = sent.done()
        assert (done["jobs"], done["repeated"]) == (sent.taken, 0)
        assert missed_or_repeated(stack.url, sent.since) == []
        print(f"{sent.taken} jobs, each done once; one tick in each period of {time.time() - sent.since:.0f} s")
    result = json.loads(report.read_text())
    assert len(set(seen)) == len(seen)
    assert result["failures"] == 0, json.dumps(result["failure_details"][:20], indent=1)
    assert result["requests"] > 30_000
    assert result["uploads"]["ok"] > 5
    assert set(result["releases"]) == set(seen)
    assert set(result["websocket"]["closes"]) <= {"1001", "1012", "end of the run"}
    print(json.dumps({key: result[key] for key in ("requests", "failures", "latency_ms", "websocket", "uploads")}))


def assert_ok(stack: RealStack) -> Any:
    run = stack.up()
    assert run.code == 0, run.messages
    return run


def remove_image(engine: docker.DockerClient, tag: str) -> None:
    try:
        engine.images.remove(tag, force=True)
    except docker.errors.DockerException:
        print(f"{tag} stays: a container still uses it")
