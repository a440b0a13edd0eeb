"""Lines from Loki, by a small server that answers as it does; and what is done where it does not answer."""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from ops import logs, stored
from ops.checkout import open_stack
from ops.place import Line, Tunnel, Wanted
from ops.running import Running
from tools.engine.checkout import UserError

NOW = 1_795_548_010_123_456_789
Entry = tuple[str, int, str]
"""Workload, time in nanoseconds and text."""


class Loki(BaseHTTPRequestHandler):
    entries: list[Entry]
    status = 200

    def do_GET(self) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        wanted = asked["query"].removeprefix('{workload=~"').removesuffix('"}').replace("\\\\", "").split("|")
        backward = asked["direction"] == "backward"
        found = [
            one for one in self.entries if one[0] in wanted and int(asked["start"]) <= one[1] < int(asked["end"])
        ]
        found = sorted(found, key=lambda one: one[1], reverse=backward)[: int(asked["limit"])]
        streams = [
            {
                "stream": {"workload": name, "machine": "app-1", "container": f"shop-test-{name}-0", "level": "info"},
                "values": [[str(when), text]],
            }
            for name, when, text in found
        ]
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(json.dumps({"data": {"result": streams}}).encode() if self.status == 200 else b"too busy\n")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def loki(entries: list[Entry], status: int = 200) -> Iterator[int]:
    handler = type("Handler", (Loki,), {"entries": entries, "status": status})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()


NAMES = "api", "w-1"
ENTRIES: list[Entry] = [(name, NOW - 10 * number, f"{name} {number}") for number in range(1, 6) for name in NAMES]


def test_the_last_lines_of_each_workload_are_merged_by_time() -> None:
    with loki(ENTRIES) as port:
        found = list(stored.read(port, ["api", "w-1"], Wanted(tail=2), named=False, now=lambda: NOW))
    assert [line.text for line in found] == ["api 2", "w-1 2", "api 1", "w-1 1"]
    assert found[-1] == Line(
        time="2026-11-24T19:20:10.123456779Z", container="shop-test-w-1-0", workload="w-1", text="w-1 1"
    )


def test_lines_are_asked_for_since_a_moment_and_named_by_machine() -> None:
    with loki([*ENTRIES, ("api", NOW - 100 * 10**9, "old")]) as port:
        since = Wanted(since=NOW // 10**9 - 50)
        found = list(stored.read(port, ["api"], since, named=True, now=lambda: NOW))
        every = list(stored.read(port, ["api"], Wanted(), named=True, now=lambda: NOW))
    assert len(every) == len(found) + 1 and every[0].text == "old"
    assert {line.machine for line in found} == {"app-1"}


def test_following_shows_each_line_once_also_one_that_comes_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "POLL_SECONDS", 0.01)
    clock = itertools.count(NOW, 10**8)
    entries: list[Entry] = [("api", NOW - 5, "before")]
    with loki(entries) as port:
        lines = stored.read(port, ["api"], Wanted(follow=True), named=False, now=lambda: next(clock))
        assert next(lines).text == "before"
        entries.append(("api", NOW + 2 * 10**8, "second"))
        assert next(lines).text == "second"
        entries += [("api", NOW + 10**8, "late"), ("api", NOW + 3 * 10**8, "third")]
        assert [next(lines).text, next(lines).text] == ["late", "third"]


def running(port: int | None, *names: str) -> Running:
    """A stack that is up, with a place that leads to Loki at `port` or nowhere."""

    class There:
        prefix = "housing-dev-"

        @contextmanager
        def tunnel(self, *_: object) -> Iterator[Tunnel]:
            if port is None:
                raise UserError("No way to loki.")
            yield Tunnel(port=port, ended=str)

        def lines(self, workload: str, wanted: Wanted) -> Iterator[Line]:
            yield Line(time="2026-11-24T19:20:10.0Z", container="c", workload=workload, text="of the engine")

    class Up(Running):
        def place(self) -> Any:
            return There()

    entries = [{"name": f"x-{name}", "workload": name, "role": "app", "release": "1"} for name in names]
    stack = open_stack("dev", "housing")
    settings = stack.configuration.settings
    monitored = type(settings).model_validate(settings.model_dump(exclude_unset=True) | {"monitoring": {}})
    configuration = type(stack.configuration)(monitored, stack.configuration.secrets)
    outputs = {"simulated": False, "urls": {}, "containers": entries}
    return Up(stack=replace(stack, configuration=configuration), system="housing", outputs=outputs, environment={})


def shown(one: Running, workload: str, wanted: Wanted = Wanted()) -> list[str]:  # noqa: B008 # it is frozen
    known = {entry["workload"] for entry in one.outputs["containers"]}
    return [line.text for line in logs.found(one, one.place(), known, workload, wanted)]


def test_a_stack_without_loki_is_read_from_its_engine(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(running(None, "api"), "api") == ["of the engine"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("workload", ["loki", "shipper"])
def test_what_carries_logs_is_read_from_its_engine(workload: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(running(None, "api", "loki", "shipper"), workload) == ["of the engine"]
    assert capsys.readouterr().err == ""


def test_loki_is_read_where_it_is() -> None:
    with loki([("api", time.time_ns() - 10**9, "of loki"), ("loki", time.time_ns() - 10**9, "its own")]) as port:
        assert shown(running(port, "api", "loki", "shipper"), "api") == ["of loki"]
        assert shown(running(port, "api", "loki", "shipper"), "") == ["of loki"]


@pytest.mark.parametrize(
    ("entries", "status", "why"),
    [
        (None, 0, r"Loki does not answer \(No way to loki\.\): these are the engine's own lines, as they were"),
        ([], 200, "Loki has no such lines: these are the engine's own lines"),
        ([], 503, r"Loki does not answer \(status 503: too busy\): these are the engine's own lines"),
    ],
)
def test_where_loki_has_nothing_the_engine_is_read_and_one_line_says_so(
    entries: list[Entry] | None, status: int, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if entries is None:
        assert shown(running(None, "api", "loki"), "api") == ["of the engine"]
    else:
        with loki(entries, status) as port:
            assert shown(running(port, "api", "loki"), "api") == ["of the engine"]
    said = capsys.readouterr().err
    assert re.match(why, said) and said.count("\n") == 1


def test_a_loki_that_ends_while_it_is_followed_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "POLL_SECONDS", 0.01)
    with loki([("api", time.time_ns() - 10**9, "of loki")]) as port:
        one = running(port, "api", "loki")
        lines = logs.found(one, cast(Any, one.place()), {"api", "loki"}, "api", Wanted(follow=True))
        assert next(lines).text == "of loki"
    with pytest.raises(UserError, match=r"^Loki does not answer any more\.$"):
        next(lines)
