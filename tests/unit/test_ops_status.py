"""How containers, URLs and the state become a report, without an engine."""

from __future__ import annotations

import io
import json
import socket
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from ops import status
from ops.checkout import open_stack
from ops.entry import Way
from ops.on_docker.machines import OnMachines
from ops.on_docker.status import row_of, verdict
from ops.place import Row
from ops.request import Answer
from ops.running import Running
from ops.status import Report, age

ENTRY = {"name": "housing-dev-api-1a2b3c4d-0", "workload": "api", "role": "app", "release": "1a2b3c4d"}


def running(simulated: bool, port: int = 8080) -> Running:
    url = f"http://127.0.0.1:{port}/"
    outputs = {"simulated": simulated, "urls": {"system": url}, "containers": [ENTRY]}
    return Running(stack=open_stack("dev", "housing"), system="housing", outputs=outputs, environment={})


class Still:
    """Stands for a place: it has these rows."""

    prefix = "housing-dev-"

    def __init__(self, rows: list[Row]) -> None:
        self.found = rows

    def rows(self, _: object) -> list[Row]:
        return self.found


def inspected(status: str = "running", health: str | None = "healthy", **other: Any) -> dict[str, Any]:
    state: dict[str, Any] = {
        "Status": status,
        "ExitCode": other.get("exit_code", 0),
        "StartedAt": "2026-01-02T03:04:05.123456789Z",
        "FinishedAt": "2026-01-02T04:04:05.123456789Z",
    }
    if health:
        state["Health"] = {"Status": health}
    policy = {"Name": other.get("policy", "unless-stopped")}
    return {"State": state, "HostConfig": {"RestartPolicy": policy, "Memory": 192 * 1_048_576}, "RestartCount": 2}


@pytest.mark.parametrize(
    ("state", "health", "code", "once", "expected"),
    [
        ("running", "healthy", 0, False, ("running", True)),
        ("running", "", 0, False, ("running", True)),
        ("running", "starting", 0, False, ("running", False)),
        ("running", "unhealthy", 0, False, ("running", False)),
        ("restarting", "starting", 1, False, ("restarting", False)),
        ("paused", "healthy", 0, False, ("paused", False)),
        ("exited", "", 0, False, ("exited (0)", False)),
        ("exited", "", 0, True, ("done", True)),
        ("exited", "", 3, True, ("failed (3)", False)),
        ("running", "healthy", 0, True, ("done", True)),
        ("running", "starting", 0, True, ("running", False)),
    ],
)
def test_a_service_must_run_and_a_job_must_have_ended_well(
    state: str, health: str, code: int, once: bool, expected: tuple[str, bool]
) -> None:
    assert verdict(state, health, code, once) == expected


def test_a_row_tells_memory_restarts_and_since_when() -> None:
    row = row_of(ENTRY, inspected(), {ENTRY["name"]: 57.5})
    assert row == Row(
        workload="api", role="app", release="1a2b3c4d", container=ENTRY["name"], state="running", ok=True,
        health="healthy", restarts=2, since="2026-01-02T03:04:05.123456789Z", memory_mib=57.5, limit_mib=192.0,
    )  # fmt: skip


def test_a_container_that_has_ended_says_when_it_ended() -> None:
    row = row_of(ENTRY, inspected("exited", "unhealthy", exit_code=137), {})
    assert (row.state, row.since, row.health) == ("exited (137)", "2026-01-02T04:04:05.123456789Z", "")


def test_a_container_that_the_engine_does_not_have_is_missing() -> None:
    row = row_of(ENTRY, None, {})
    assert (row.state, row.ok) == ("missing", False)


@pytest.mark.parametrize(
    ("since", "text"),
    [
        ("2026-01-02T03:04:05.1Z", "5 s"),
        ("2026-01-02T02:57:10.123456789Z", "7 min"),
        ("2026-01-02T00:04:10Z", "3 h"),
        ("2025-12-21T00:04:10Z", "12 d"),
        ("0001-01-01T00:00:00Z", ""),
        (None, ""),
    ],
)
def test_ages_are_told_in_the_largest_unit(since: str | None, text: str) -> None:
    assert age(since, datetime(2026, 1, 2, 3, 4, 10, tzinfo=UTC)) == text


def test_a_simulated_stack_is_healthy_and_says_first_that_nothing_was_started() -> None:
    report = status.look(running(simulated=True))
    assert report.healthy
    assert {row.state for row in report.rows} == {"simulated"}
    text = shown(report)
    assert text.startswith("SIMULATED: nothing was started for housing/dev.")
    assert "api-1a2b3c4d-0" in text


def test_the_machine_of_a_container_is_told_where_there_are_some() -> None:
    placed = running(simulated=True)
    placed.outputs["containers"][:] = [ENTRY, ENTRY | {"machine": "app-2"}]
    assert "Machine" in shown(status.look(placed)) and "app-2" in shown(status.look(placed))
    assert "Machine" not in shown(status.look(running(simulated=True)))


def test_the_place_is_every_machine_where_the_outputs_name_some(monkeypatch: pytest.MonkeyPatch) -> None:
    one = running(simulated=False)
    described = {"app-1": {"role": "app", "address": "10.0.0.1", "host": "ssh://groundwork@a", "ssh_options": []}}
    placed = Running(stack=one.stack, system="housing", outputs={**one.outputs, "machines": described}, environment={})
    found = placed.place()
    assert isinstance(found, OnMachines) and (found.prefix, list(found.machines)) == ("housing-dev-", ["app-1"])
    monkeypatch.setattr("ops.on_docker.engine_of", lambda *_: "the one engine")
    assert str(one.place()) == "the one engine"


def test_a_url_that_does_not_answer_makes_the_stack_ill(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setattr(Running, "place", lambda _: Still([row_of(ENTRY, inspected(), {})]))
    report = status.look(running(simulated=False, port=port))
    assert [row.ok for row in report.rows] == [True]
    assert not report.healthy
    assert "refused" in report.urls[0].answer


@pytest.mark.parametrize(("code", "ok"), [(200, True), (308, True), (404, True), (502, False)])
def test_a_system_without_anything_at_its_root_is_well(monkeypatch: pytest.MonkeyPatch, code: int, ok: bool) -> None:
    answer = Answer(status=code, headers={}, body=b"", milliseconds=1.0)
    monkeypatch.setattr(status, "fetch", lambda *_, **__: answer)
    assert status.reached(Way(), "system", "http://127.0.0.1:1/").ok is ok


def test_the_log_of_what_is_ill_is_the_next_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Running, "place", lambda _: Still([row_of(ENTRY, None, {})]))
    report = status.look(running(simulated=False))
    assert report.next[0].endswith("-m ops logs api --system housing")


def test_the_report_is_data_too() -> None:
    data = json.loads(json.dumps(status.look(running(simulated=True)).data()))
    assert data["healthy"] is True
    assert data["rows"][0]["container"] == ENTRY["name"]


def shown(report: Report) -> str:
    console = Console(file=io.StringIO(), width=80)
    status.show(console, report)
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()
