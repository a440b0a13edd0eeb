"""The real Loki and the real collector with the plan's own configuration: every line arrives once, masked and known."""

from __future__ import annotations

import json
import os
import random
import signal
import string
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from groundwork.monitoring.log_rules import BURST
from groundwork.monitoring.logs import USUAL
from groundwork.monitoring.loki import TENANT, day_bytes, loki_config
from groundwork.workload import Workload
from tests.monitoring.content_cases import expected, fired, given
from tests.monitoring.level_cases import LEVELLED
from tests.monitoring.log_programs import (
    Container,
    Shipper,
    Store,
    built,
    loki_running,
    shipper_running,
    shipping,
    text_of,
)
from tests.monitoring.log_programs import loki as stopped_loki
from tests.monitoring.masking_cases import KEPT, MASKED
from tests.monitoring.reference import CONTENTS
from tests.sample import planned

MONITORED = planned({"monitoring": {}})
CLUSTER = {"kind": "kubernetes", "kubeconfig": "~/.kube/config", "context": "test"}
LOKI, SHIPPER = MONITORED.workload("loki"), MONITORED.workload("shipper")
ON_NODES = planned({"monitoring": {}, "target": CLUSTER}).workload("shipper")
MIB = 1024**2


def labels(workload: str, project: str = "shop", stack: str = "test", replica: int = 0) -> dict[str, str]:
    """As components/docker_engine.py has the engine add them."""
    named = {"groundwork.project": project, "groundwork.stack": stack, "groundwork.workload": workload}
    return named | {"tag": f"{project}-{stack}-{workload}-{replica}"}


@dataclass(kw_only=True)
class Running:
    store: Store
    shipper: Shipper

    def container(self, workload: str, **other: Any) -> Container:
        name = f"{random.getrandbits(256):064x}"
        return Container(folder=self.shipper.logs / name, labels=labels(workload, **other))

    def arrived(self, query: str, wanted: int, seconds: float = 20) -> list[tuple[dict[str, str], int, str]]:
        """Entries as soon as there are so many; fails where they are not in time."""
        until = time.monotonic() + seconds
        while True:
            found = self.store.lines(query)
            if len(found) >= wanted:
                return found
            said = f"{len(found)} of {wanted} after {seconds} s\n{self.shipper.said()[-2000:]}"
            assert time.monotonic() < until, said
            time.sleep(0.3)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("logs")
    with loki_running(folder, LOKI) as store, shipper_running(folder, SHIPPER, store.port) as shipper:
        yield Running(store=store, shipper=shipper)


def test_loki_takes_its_configuration(tmp_path: Path) -> None:
    store = stopped_loki(tmp_path, LOKI)
    done = subprocess.run([*store.command, "-verify-config"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("workload", [SHIPPER, ON_NODES], ids=["docker", "kubernetes"])
def test_the_collector_takes_its_configuration(workload: Workload, tmp_path: Path) -> None:
    others = {"loki.shop-test:3100": "127.0.0.1:1"} if workload is ON_NODES else {"loki:3100": "127.0.0.1:1"}
    config = text_of(workload, "shipper.yml")
    for old, new in others.items():
        assert old in config
        config = config.replace(old, new)
    (tmp_path / "shipper.yml").write_text(config)
    command = [str(built("otelcol-contrib")), "validate", f"--config={tmp_path}/shipper.yml", workload.command[2]]
    done = subprocess.run(command, env=os.environ | {"MACHINE": "m"}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_lokitool_finds_nothing_in_the_rules(tmp_path: Path) -> None:
    rules = tmp_path / "logs.yml"
    rules.write_text(text_of(LOKI, f"rules/{TENANT}/logs.yml"))
    for words in (["lint", "--dry-run"], ["check"]):
        command = [str(built("lokitool")), "rules", *words, str(rules)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_phone_number_is_found_masked_within_ten_seconds(running: Running) -> None:
    running.container("web").write("call me at 13912345678\n")
    (entry,) = running.arrived('{workload="web"} |= "call me"', 1, seconds=10)
    assert entry[2] == "call me at [phone]"
    known = {"stack": "test", "workload": "web", "machine": "m-1", "container": "shop-test-web-0", "stream": "stdout"}
    assert entry[0] == known | {"level": "unknown"}
    holding = [path for path in running.store.folder.rglob("*") if path.is_file() and b"139123" in path.read_bytes()]
    # The engine's file itself, and its first bytes by which the shipper knows it again.
    assert {path.name for path in holding if path.suffix != ".log"} == {"receiver_filelog_"}


def test_personal_data_and_secrets_are_masked_and_nothing_else(running: Running) -> None:
    container = running.container("masks")
    for text in (*(before for before, _ in MASKED), *KEPT):
        container.write(f"{text}\n")
    found = [text for _, _, text in running.arrived('{workload="masks"}', len(MASKED) + len(KEPT))]
    assert found == [*(after for _, after in MASKED), *KEPT]


def test_levels_are_those_of_the_programs_that_wrote(running: Running) -> None:
    for text, _ in LEVELLED:
        # Of its own, or a trace would belong to the line before.
        container = running.container("levels")
        for line in text.split("\n"):
            container.write(f"{line}\n")
    found = running.arrived('{workload="levels"}', len(LEVELLED))
    assert [(text, known["level"]) for known, _, text in found] == list(LEVELLED)


TRACE = """\
ERROR:shop:order 7 failed
Traceback (most recent call last):
  File "shop.py", line 3, in pay
    raise ValueError("no money")
ValueError: no money

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "shop.py", line 9, in <module>
    pay()
shop.errors.PaymentError: order 7"""
JAVA = """\
2026-11-24 ERROR it broke
java.lang.IllegalStateException: x
\tat a.B.c(B.java:1)
Caused by: y
\tat d.E.f(E.java:2)"""


def test_a_stack_trace_is_one_entry_and_lines_around_it_are_others(running: Running) -> None:
    container = running.container("traces")
    entries = ["before", TRACE, "between", JAVA, "after"]
    for text in entries:
        for line in text.split("\n"):
            container.write(f"{line}\n", stream="stderr")
    found = running.arrived('{workload="traces"}', len(entries))
    assert [text for _, _, text in found] == entries
    assert [known["level"] for known, _, _ in found] == ["unknown", "error", "unknown", "error", "unknown"]


def test_a_line_that_the_engine_cut_is_whole_again(running: Running) -> None:
    container = running.container("long")
    text = "".join(random.choices(string.ascii_letters, k=40_000))
    for start in (0, 16_384):
        container.write(text[start : start + 16_384])
    container.write(f"{text[32_768:]}\n")
    container.write("next\n")
    found = [entry for _, _, entry in running.arrived('{workload="long"}', 2)]
    assert found == [text, "next"]


def test_lines_of_other_stacks_and_of_logs_themselves_are_not_shipped(running: Running) -> None:
    for workload, other in (
        ("api", {"project": "bank"}),
        ("api", {"stack": "prod"}),
        ("loki", {}),
        ("shipper", {}),
    ):
        running.container(workload, **other).write(f"of {other or workload}\n")
    unlabelled = Container(folder=running.shipper.logs / "plain", labels={})
    unlabelled.write('said "groundwork.project":"shop" and "groundwork.stack":"test"\n')
    running.container("api").write("ours\n")
    running.arrived('{workload="api"}', 1)
    time.sleep(2)
    assert [text for _, _, text in running.store.lines('{workload=~"api|loki|shipper"}')] == ["ours"]
    assert not running.store.lines('{stack=~".+"} |= "groundwork.project"')


def test_pods_of_the_stacks_namespaces_are_read_by_their_folders(running: Running, tmp_path: Path) -> None:
    config = text_of(ON_NODES, "shipper.yml").replace("loki.shop-test:3100", "loki:3100")
    pods = shipping(tmp_path, _with(ON_NODES, config), running.store.port)
    for namespace, text in (("shop-test", "ours"), ("shop-test-machines", "machines"), ("shop-test2", "theirs")):
        folder = pods.logs / f"{namespace}_cart-{text}_6b1c" / "cart"
        folder.mkdir(parents=True)
        lines = [f"F ERROR:{text}", "F Traceback (most recent call last):", "F   File x", "F ValueError: 7"]
        lines += ["P " + "a" * 100, "F " + "b" * 100, "F 13912345678"]
        stamps = [f"2026-11-24T19:20:{number:02}.{number:09}Z stderr" for number in range(len(lines))]
        now = time.strftime("%Y-%m-%dT%H:%M", time.gmtime())
        dated = [stamp.replace("2026-11-24T19:20", now) for stamp in stamps]
        (folder / "0.log").write_text("".join(f"{stamp} {line}\n" for stamp, line in zip(dated, lines, strict=True)))
    pods.start()
    try:
        found = running.arrived('{workload="cart"}', 6)
    finally:
        pods.end()
    ours = ("ours", "machines")
    assert sorted(text for _, _, text in found) == sorted(
        2 * ["a" * 100 + "b" * 100, "[phone]"]
        + [f"ERROR:{text}\nTraceback (most recent call last):\n  File x\nValueError: 7" for text in ours]
    )
    assert {known["container"] for known, _, _ in found} == {"cart-ours", "cart-machines"}


def _with(workload: Workload, config: str) -> Workload:
    return replace(workload, files=tuple(replace(file, content=config) for file in workload.files))


BURST_LINES = 200_000
PAUSE_EVERY = 4_000


def test_of_a_burst_every_number_is_stored(tmp_path: Path) -> None:
    """200,000 lines in files that the engine rotates, with the shipper killed and Loki away in the middle of it."""
    with loki_running(tmp_path, LOKI) as store:
        shipper = shipping(tmp_path, SHIPPER, store.port)
        shipper.start()
        shipper.wait()
        both = Running(store=store, shipper=shipper)
        container = both.container("burst")
        held: list[float] = []
        started = time.monotonic()
        for number in range(BURST_LINES):
            container.write(f'{{"level":"info","message":"number {number} of a burst","path":"/api/items/17"}}\n')
            if number % PAUSE_EVERY == 0:
                # As fast as one that reads can follow, since the engine waits for nobody.
                time.sleep(0.4)
                held.append(shipper.own_mib() if shipper.process else 0)
            if number in (60_000, 120_000):
                shipper.end(signal.SIGKILL)
                time.sleep(2)
                shipper.start()
            if number == 80_000:
                store.end(signal.SIGKILL)
            if number == 110_000:
                store.start()
        took = time.monotonic() - started
        store.wait(120)
        until = time.monotonic() + 180
        while (count := stored(store)) < BURST_LINES and time.monotonic() < until:
            time.sleep(1)
        dropped = shipper.metric("otelcol_exporter_send_failed_log_records_total") + store.metric(
            "loki_discarded_samples_total"
        )
        kept = store.own_mib()
        print(f"written in {took:.0f} s; stored {count}, dropped {dropped:.0f}; shipper {max(held):.0f} MiB, "
              f"Loki {kept:.0f} MiB")  # fmt: skip
        # A line may be there twice: what was sent and not yet noted when the shipper was killed is sent again.
        while len(seen := numbers(store)) < BURST_LINES and time.monotonic() < until:
            time.sleep(1)
        shipper.end()
    assert count >= len(seen) == BURST_LINES - dropped
    assert dropped == 0
    assert seen == set(range(BURST_LINES))
    assert max(held) < USUAL["shipper"].memory_mib * 0.9 and kept < USUAL["loki"].memory_mib * 0.9
    assert container.path.with_name(f"{container.path.name}.3").exists(), "it was rotated"


def stored(store: Store) -> int:
    (*found,) = store.query('sum(count_over_time({workload="burst"}[1h]))')
    return int(found[0]["value"][1]) if found else 0


def numbers(store: Store) -> set[int]:
    return {int(text.split("number ")[1].split()[0]) for _, _, text in store.lines('{workload="burst"}')}


def noise(size: int) -> str:
    """What no compression makes smaller than three quarters."""
    return "".join(random.choices(string.ascii_letters + string.digits + "+/", k=size))


def test_the_disk_stays_in_its_bound_whatever_is_written(tmp_path: Path) -> None:
    bound = 96 * MIB
    small = _bounded(1, bound)
    accepted = refused = 0
    with loki_running(tmp_path, small) as store:
        until = time.monotonic() + 45
        while time.monotonic() < until and accepted + refused < 3 * bound:
            lines = [(time.time(), noise(1000)) for _ in range(500)]
            answer = store.push({"stack": "test", "workload": "noise"}, lines)
            assert answer.status_code in (204, 429), answer.text
            if answer.status_code == 204:
                accepted += 500_000
            else:
                refused += 500_000
        store.end()
        used = sum(path.stat().st_size for path in (tmp_path / "loki").rglob("*") if path.is_file())
        print(f"accepted {accepted / MIB:.1f} MiB, refused {refused / MIB:.1f} MiB, on disk {used / MIB:.1f} MiB")
        store.start()
        store.wait()
    assert refused > 2 * accepted > 0, "more was written than a day may bring"
    # Half a day's share at once, and then a day's a day.
    assert accepted <= day_bytes(1, bound) * 0.55
    assert used < bound


def _bounded(days: int, bound: int) -> Workload:
    config = loki_config(days, bound, alertmanager="127.0.0.1:9", labels={}, memory_mib=256)
    files = [replace(file, content=config) if file.name == "loki.yml" else file for file in LOKI.files]
    return replace(LOKI, files=tuple(files))


def test_what_is_older_than_its_days_is_deleted(tmp_path: Path) -> None:
    # Only how often it looks is another than the plan's.
    sooner = {
        "compaction_interval: 10m": "compaction_interval: 2s",
        "retention_delete_delay: 30m": "retention_delete_delay: 1s",
        "reject_old_samples_max_age: 24h": "reject_old_samples_max_age: 240h",
    }
    with loki_running(tmp_path, _bounded(1, 1024 * MIB), sooner) as store:
        now = time.time()
        for age in (30 * 3600, 600):
            lines = [(now - age + number / 10, noise(200)) for number in range(1000)]
            assert store.push({"stack": "test", "workload": f"age-{age}"}, lines).status_code == 204
        store.end()
        store.start()
        store.wait()
        chunks = tmp_path / "loki" / "chunks" / TENANT
        before = len(list(chunks.rglob("*")))
        until = time.monotonic() + 90
        while len(list(chunks.rglob("*"))) >= before and time.monotonic() < until:
            time.sleep(1)
        assert len(list(chunks.rglob("*"))) < before
        query = 'sum by (workload) (count_over_time({stack="test"}[40h]))'
        assert [one["metric"]["workload"] for one in store.query(query)] == ["age-600"]


# What is in logs: rules that Loki itself judges


ERROR_BURST = CONTENTS["LogErrorBurst.each"]


def test_a_burst_of_errors_is_told_beyond_its_edges_and_not_below(tmp_path: Path) -> None:
    with loki_running(tmp_path, LOKI) as store:
        moment = given(store)
        assert fired(store, ERROR_BURST.expr, moment) == expected()


def test_loki_tells_alertmanager(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []

    class Alertmanager(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Alertmanager)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    others = {"alertmanager:9093": f"127.0.0.1:{server.server_port}"}
    try:
        with loki_running(tmp_path, LOKI, others) as store:
            now = time.time()
            lines = [(now - 20 + number / 100, f"no {number}") for number in range(BURST * 2)]
            store.push({"stack": "test", "workload": "api", "level": "error"}, lines)
            until = time.monotonic() + 150
            while not told and time.monotonic() < until:
                time.sleep(1)
    finally:
        server.shutdown()
    assert told, "nothing came in two evaluations"
    known = {"alertname": "LogErrorBurst", "workload": "api", "service": "api", "severity": "P2"}
    assert told[0]["labels"] == known | {"system": "shop", "stack": "test"}
    assert told[0]["annotations"]["summary"] == "api logs many errors"
    assert told[0]["annotations"]["runbook"] == ERROR_BURST.runbook
