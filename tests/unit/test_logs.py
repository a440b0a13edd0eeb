"""Logs in the plan: what is read, of whom, how entries are split, masked and levelled; how much may be kept."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from groundwork.monitoring.entries import CONTINUING, ENDINGS, cri_beginning, docker_beginning
from groundwork.monitoring.levels import FORMS, LEVELS, TRACE, UNKNOWN
from groundwork.monitoring.loki import SLACK_DAYS, day_bytes
from groundwork.workload import Workload
from tests.monitoring.level_cases import LEVELLED
from tests.monitoring.log_programs import text_of
from tests.monitoring.masking_cases import KEPT, MASKED, masked
from tests.sample import ROOT, planned
from tests.unit.test_monitoring import CLUSTER, ON, jobs

DOCKER = re.compile(docker_beginning(), re.MULTILINE | re.ASCII)
CRI = re.compile(cri_beginning(), re.MULTILINE | re.ASCII)
PARTS = "Value", "Err", ": ", ":", "a", "Tr", "Trace", "The", " ", "7", "中", '"', "\\", "x.y"
PIECES = st.sampled_from([*CONTINUING, *ENDINGS, *PARTS])
ANYTHING = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
LINES = st.one_of(st.lists(PIECES, max_size=5).map("".join), ANYTHING)


def config(workload: Workload, name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text_of(workload, name))
    return found


def continues(line: str) -> bool:
    """Whether a line continues the entry before it, said plainly."""
    word = re.match(r"([A-Za-z_][\w.]*)(:|\r|$)", line)
    named = word is not None and any(word[1] != one and word[1].endswith(one) for one in ENDINGS)
    return not line or line.startswith(CONTINUING) or named


@given(LINES)
def test_an_entry_begins_where_a_line_continues_nothing_on_an_engine(line: str) -> None:
    line = line.replace("\n", " ")
    entry = {"log": f"{line}\n", "stream": "stdout", "time": "2026"}
    written = json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
    assert bool(DOCKER.match(written)) is not continues(line)


@given(LINES)
def test_an_entry_begins_where_a_line_continues_nothing_on_a_cluster(line: str) -> None:
    line = line.replace("\n", " ")
    found = CRI.match(f"2026-11-24T19:20:04.201000000Z stdout F {line}\n")
    assert bool(found) is not continues(line)
    # The next one must begin behind it.
    assert not found or not found[0].endswith("\n")


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_a_pattern_is_the_same_in_every_run(seed: str) -> None:
    told = "from groundwork.monitoring.entries import *; print(docker_beginning(), cri_beginning())"
    environment = os.environ | {"PYTHONHASHSEED": seed}
    done = subprocess.run([sys.executable, "-c", told], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == f"{docker_beginning()} {cri_beginning()}", "or every `up` would be a release"


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("ValueError: 7", True),
        ("shop.errors.PaymentError", True),
        ("Error: connect ECONNREFUSED", False),
        ("ERROR: x", False),
        ("Traceback (most recent call last):", True),
        ("Traceback of yesterday", False),
        ("    raise x", True),
        ("", True),
        ("line 7", False),
    ],
)
def test_lines_of_a_stack_trace_continue_the_one_before(line: str, is_one: bool) -> None:
    assert continues(line) is is_one


@pytest.mark.parametrize(("written", "stored"), MASKED)
def test_personal_data_and_secrets_are_masked(written: str, stored: str) -> None:
    assert masked(written) == stored
    assert masked(stored) == stored, "what is masked stays as it is"


@pytest.mark.parametrize("text", KEPT)
def test_what_only_looks_like_it_is_kept(text: str) -> None:
    assert masked(text) == text


def level_of(text: str) -> str:
    hits = (re.search(form.pattern, text) for form in FORMS if re.search(form.hint, text))
    found = next((hit["level"] for hit in hits if hit), "")
    level = next((name for name, words in LEVELS.items() if found.lower() in words), UNKNOWN)
    return "error" if re.search(TRACE, text) and level not in ("error", "fatal") else level


@pytest.mark.parametrize(("text", "level"), [(text, level) for text, level in LEVELLED if '"status"' not in text])
def test_a_level_is_the_word_of_whoever_wrote(text: str, level: str) -> None:
    assert level_of(text) == level


def test_no_word_has_two_levels() -> None:
    words = [word for some in LEVELS.values() for word in some]
    assert len(words) == len(set(words))
    assert all(level in words for level, words in LEVELS.items())


def test_only_lines_of_this_stack_are_read_and_none_of_what_carries_them() -> None:
    (receiver,) = config(planned(ON).workload("shipper"), "shipper.yml")["receivers"].values()
    dropped = receiver["operators"][0]
    assert dropped["type"] == "filter"
    for part in ("project\\\":\\\"shop", "stack\\\":\\\"test"):
        assert f'not (body contains "\\"groundwork.{part}\\"")' in dropped["expr"]
    for name in ("loki", "shipper"):
        assert f'or body contains "\\"groundwork.workload\\":\\"{name}\\""' in dropped["expr"]


def test_on_a_cluster_only_the_stacks_namespaces_are_read() -> None:
    shipper = planned(ON | CLUSTER).workload("shipper")
    (receiver,) = config(shipper, "shipper.yml")["receivers"].values()
    assert receiver["include"] == [f"/machine/logs/{name}_*/*/*.log*" for name in ("shop-test", "shop-test-machines")]
    (exporter,) = config(shipper, "shipper.yml")["exporters"].values()
    assert exporter["endpoint"] == "http://loki.shop-test:3100/otlp", "it runs in the namespace of machines"
    assert jobs(planned(ON | CLUSTER))["shipper"]["dns_sd_configs"][0]["names"] == ["shipper.shop-test-machines"]


def test_who_reads_logs_is_root_without_rights_and_sees_no_more_than_logs() -> None:
    shipper = planned(ON).workload("shipper")
    assert (shipper.user, shipper.per_machine, dict(shipper.machine_paths)) == (
        "0:0", True, {"container_logs": "/machine/logs"},
    )  # fmt: skip
    assert shipper.uses == ("loki",) and not shipper.egress and not shipper.secrets


def test_what_is_read_and_not_sent_is_on_disk_and_nothing_is_read_beyond_its_room() -> None:
    (exporter,) = config(planned(ON).workload("shipper"), "shipper.yml")["exporters"].values()
    queue = exporter["sending_queue"]
    assert queue["storage"] == "file_storage" and queue["block_on_overflow"] is True
    assert queue["sizer"] == "bytes" and queue["queue_size"] == 128 * 1024**2
    assert exporter["retry_on_failure"]["max_elapsed_time"] == 0, "for ever"
    # An entry is on disk before the place in its file is kept.
    assert "--feature-gates=stanza.synchronousLogEmitter" in planned(ON).workload("shipper").command


@pytest.mark.parametrize(("days", "gib"), [(30, 10), (7, 1), (365, 200)])
def test_what_may_come_in_so_many_days_is_within_the_bound(days: int, gib: int) -> None:
    values = {"monitoring": {"logs": {"retention_days": days, "retention_gib": gib}}}
    loki = planned(values).workload("loki")
    limits = config(loki, "loki.yml")["limits_config"]
    assert limits["retention_period"] == f"{days * 24}h"
    burst, day = limits["ingestion_burst_size_mb"], limits["ingestion_rate_mb"] * 86_400
    assert day == pytest.approx(day_bytes(days, gib * 1024**3) / 1024**2, rel=0.01)
    # A burst after a start, every day's share, and a day's for what waits to be deleted.
    assert burst + day * (days + 1) < gib * 1024
    assert SLACK_DAYS == 2
    assert [volume.size_gib for volume in loki.volumes] == [gib]


def test_logs_can_be_left_out() -> None:
    without = planned({"monitoring": {"logs": {"enabled": False}}})
    names = {workload.name for workload in without.workloads}
    assert "prometheus" in names and not names & {"loki", "shipper"}
    prometheus = without.workload("prometheus")
    assert not [file.name for file in prometheus.files if file.name == "rules/logs.yml"]


def test_alerts_about_logs_are_prometheus_and_those_about_what_is_in_them_lokis() -> None:
    deployment = planned(ON)
    rules = {name: yaml.safe_load(text_of(deployment.workload(of), name))["groups"][0]["rules"] for of, name in (
        ("prometheus", "rules/logs.yml"), ("loki", "rules/fake/logs.yml"),
    )}  # fmt: skip
    told = {name: [rule["alert"] for rule in found] for name, found in rules.items()}
    assert told == {
        "rules/logs.yml": ["ShipperSilent", "LogsDropped", "LogsDelayed", "LogsNearBound", "LogRulesFail"],
        "rules/fake/logs.yml": ["LogErrorBurst"],
    }
    ruler = config(deployment.workload("loki"), "loki.yml")["ruler"]
    assert ruler["alertmanager_url"] == "http://alertmanager:9093"
    assert ruler["external_labels"] == {"system": "shop", "stack": "test"}
    assert ("loki", "alertmanager") in {(one.client, one.server) for one in deployment.connections}
