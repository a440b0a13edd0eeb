"""mindpal with its monitoring on a real engine: what is broken is told to a webhook, in time, and that it is over.

GROUNDWORK_WRITE_DOCS=1 python -m pytest tests/e2e/test_alerts.py        writes the table of docs/monitoring.md

It takes 25 minutes: alerts wait before they fire, and Alertmanager before it says one is over.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.e2e.monitored import Monitored, brought_up, lasting
from tests.e2e.page import write_part
from tests.e2e.real_stack import RealStack
from tests.e2e.receiver import PORT, Receiver, Told, receiving
from tests.engine.stack import ROOT

STACK = "alerts"
PAGE = ROOT / "docs" / "monitoring.md"
LEVELS = ("p0", "p1", "p2", "p3")
FIRES_SECONDS, ENDS_SECONDS = 16 * 60, 25 * 60
"""The longest wait of an alert here is ten minutes; what is over is told at most ten minutes later, and a rate over
five minutes takes those to come down."""
HOARD = """
import os, time, urllib.parse, pymysql
url = urllib.parse.urlsplit(open(os.environ["DATABASE_URL_FILE"]).read())
login = dict(host=url.hostname, port=url.port, user=url.username, password=url.password)
held = [pymysql.connect(**login)]
asked = held[0].cursor()
def number(what):
    asked.execute(what)
    return int(asked.fetchone()[1])
most = number("SHOW VARIABLES LIKE 'max_connections'")
while True:
    if number("SHOW STATUS LIKE 'Threads_connected'") < most * 0.9:
        held.append(pymysql.connect(**login))
    else:
        time.sleep(1)
"""
"""Leaves a tenth: where none is left the exporter does not get in either, and MysqlDown says so."""


@dataclass(frozen=True)
class Trial:
    """`broken` breaks something until it is left; then `alert` about `service` is told with `severity`, and ends."""

    what: str
    alert: str
    service: str
    severity: str
    broken: Callable[[], Any]


@dataclass(frozen=True)
class Row:
    """Seconds until it was told, and until it was told that it is over."""

    trial: Trial
    told: float
    over: float


@dataclass(frozen=True)
class Watched(Monitored):
    """With a receiver of everything."""

    receiver: Receiver


@pytest.fixture
def system() -> str:
    return "mindpal"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Where a disk of 64 MiB is mounted; that takes root. Not in `tmp_path`, which is closed to others: they could not
    even ask how full it is."""
    image, folder = tmp_path / "disk", Path(tempfile.mkdtemp(prefix="groundwork-", dir="/var/tmp"))
    with image.open("wb") as file:
        file.truncate(64 * 1024**2)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
        folder.rmdir()


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """To nineteen parts of twenty."""
    free = os.statvfs(disk)
    ballast = disk / "ballast"
    ballast.write_bytes(b"0" * int(free.f_frsize * (free.f_bavail - 0.05 * free.f_blocks)))
    try:
        yield
    finally:
        ballast.unlink()


@pytest.fixture
def watched(real_stack: RealStack, engine: docker.DockerClient, tmp_path: Path, small_disk: Path) -> Iterator[Watched]:
    """Up, with every severity sent to one webhook. What is mounted later the machine's exporter would not see."""
    address = f"{STACK}-receiver:{PORT}"
    real_stack.change(
        monitoring={
            "scrape_seconds": 5,
            "receivers": {"test": {"kind": "webhook", "server": address}},
            "routing": {level: ["test"] for level in LEVELS},
        },
        secret_alert_test_url=f"http://{address}/",
    )
    lasting(real_stack, tmp_path, days=2)
    brought_up(real_stack)
    network = f"{real_stack.project_name}-{STACK}-alertmanager-egress"
    image = real_stack.containers(engine, "api")[0].image.id
    with receiving(engine, network, f"{STACK}-receiver", image) as receiver:
        yield Watched(real_stack, engine, receiver)


@contextmanager
def stopped(watched: Watched, workload: str) -> Iterator[None]:
    """As by a person's `docker stop`: no restart policy brings it back."""
    container = watched.container(workload)
    container.stop(timeout=10)
    try:
        yield
    finally:
        container.start()


@contextmanager
def slow(watched: Watched) -> Iterator[None]:
    """Two clients who wait two seconds for every answer."""
    ended = threading.Event()

    def client() -> None:
        with watched.client() as link:
            while not ended.is_set():
                link.get("/api/slow?ms=2000")

    clients = [threading.Thread(target=client) for _ in range(2)]
    for one in clients:
        one.start()
    try:
        yield
    finally:
        ended.set()
        for one in clients:
            one.join()


@contextmanager
def hoarded(watched: Watched) -> Iterator[None]:
    """Somebody takes nine tenths of the connections that the database gives."""
    api = watched.container("api")
    image, networks = api.image.id, list(api.attrs["NetworkSettings"]["Networks"])
    mounts = {one["Name"]: {"bind": one["Destination"], "mode": "ro"} for one in api.attrs["Mounts"]}
    variables = [one for one in api.attrs["Config"]["Env"] if one.startswith("DATABASE_URL")]
    (network,) = [name for name in networks if name.endswith("-mysql")]
    made = watched.engine.containers.run(
        image, entrypoint=["python3", "-c", HOARD], environment=variables, volumes=mounts, network=network, detach=True
    )
    try:
        yield
    finally:
        made.remove(force=True)


@contextmanager
def unworked(watched: Watched) -> Iterator[None]:
    """A job, and nobody who does it."""
    with stopped(watched, "worker"):
        with watched.client() as link:
            assert link.post("/api/jobs/slow?ms=10").status_code == 202
        yield


@contextmanager
def expiring(watched: Watched, folder: Path) -> Iterator[None]:
    """It was from the beginning; a new certificate ends that."""
    yield
    lasting(watched.stack, folder, days=90)
    done = watched.stack.up()
    assert done.code == 0, done.output


def phases(watched: Watched, folder: Path, disk: Path) -> tuple[tuple[Trial, ...], ...]:
    """What can be broken at once without one hiding another; each phase ends before the next begins."""
    out = partial(stopped, watched)
    return (
        (
            Trial("a certificate with two days left", "CertificateExpires", "gateway", "P1",
                  partial(expiring, watched, folder)),
            Trial("every answer takes 2 s", "LatencyHigh", "api", "P2", partial(slow, watched)),
            Trial("a small disk filled", "DiskUsageHigh", "host", "P1", partial(filled, disk)),
            Trial("nine tenths of the database's connections taken", "MysqlConnectionsHigh", "mysql", "P1",
                  partial(hoarded, watched)),
            Trial("an exporter stopped", "ExporterDown", "cache-exporter", "P2", partial(out, "cache-exporter")),
            Trial("the shipper stopped", "ExporterDown", "shipper", "P2", partial(out, "shipper")),
            Trial("the worker stopped, a job waits", "RabbitmqNoConsumers", "rabbitmq", "P1",
                  partial(unworked, watched)),
        ),
        (
            Trial("the cache stopped", "RedisDown", "cache", "P0", partial(out, "cache")),
            Trial("Redis stopped", "RedisDown", "results", "P0", partial(out, "results")),
            Trial("RabbitMQ stopped", "ServiceDown", "rabbitmq", "P0", partial(out, "rabbitmq")),
            Trial("MySQL stopped", "MysqlDown", "mysql", "P0", partial(out, "mysql")),
        ),
        (
            Trial("the app stopped", "NotReady", "api", "P0", partial(out, "api")),
            Trial("the gateway stopped", "ServiceDown", "gateway", "P0", partial(out, "gateway")),
        ),
    )  # fmt: skip


def until_told(watched: Watched, trial: Trial, status: str, since: float, seconds: float) -> Told:
    """The first word of it since then, or a failure that says what was told instead."""
    until = time.monotonic() + seconds
    heard: list[Told] = []
    while time.monotonic() < until:
        heard = [told for told in watched.receiver.told() if at(told) >= since and told.status == status]
        for told in heard:
            if (told.name, told.service) == (trial.alert, trial.service):
                return told
        time.sleep(2)
    raise AssertionError(f"{trial.what}: {trial.alert} of {trial.service} is not {status}; told were {heard}")


def at(told: Told) -> float:
    return datetime.fromisoformat(f"{told.moment[:26]}+00:00").timestamp()


def tried(watched: Watched, trials: Sequence[Trial]) -> Iterator[Row]:
    with ExitStack() as until_told_of_all:
        began = []
        for trial in trials:
            began.append(time.time())
            until_told_of_all.enter_context(trial.broken())
        fired = [
            until_told(watched, trial, "firing", since, FIRES_SECONDS)
            for trial, since in zip(trials, began, strict=True)
        ]
        assert [told.severity for told in fired] == [trial.severity for trial in trials]
        mended = time.time()
    for trial, since, told in zip(trials, began, fired, strict=True):
        over = until_told(watched, trial, "resolved", mended, ENDS_SECONDS)
        yield Row(trial, at(told) - since, at(over) - mended)


def test_what_breaks_is_told_and_so_is_its_end(watched: Watched, tmp_path: Path, small_disk: Path) -> None:
    rows = []
    for trials in phases(watched, tmp_path, small_disk):
        for row in tried(watched, trials):
            rows.append(row)
            print(as_table([row]).splitlines()[-1], flush=True)
    write_part(PAGE, "tried", f"`mindpal` on Docker {watched.engine.version()['Version']}:\n\n{as_table(rows)}")
    # Nothing that was not broken was told, but for what is true of the machine that runs this.
    expected = {(row.trial.alert, row.trial.service) for row in rows} | CONSEQUENCES
    told = {(one.name, one.service) for one in watched.receiver.told() if one.service != "host"}
    # Who misses a service says so in its log.
    assert {(name, service) for name, service in told if name != "LogErrorBurst"} <= expected
    after = watched.stack.preview("--expect-no-changes")
    assert after.code == 0, after.output


CONSEQUENCES = {
    # All words of it go to the one receiver, at P3 as well.
    ("Watchdog", "monitoring"),
    # Two clients who wait are all the traffic there is.
    ("LatencyBudgetBurns", "system"),
    # An app that tells about itself is measured besides being asked.
    ("ServiceDown", "api"),
}


def as_table(rows: Sequence[Row]) -> str:
    lines = ["| broken | alert | about | severity | told after | over told after |", "|---|---|---|---|---|---|"]
    for row in rows:
        one = row.trial
        lines.append(
            f"| {one.what} | {one.alert} | {one.service} | {one.severity} | {row.told:.0f} s | {row.over:.0f} s |"
        )
    return "\n".join(lines)
