"""Lines of several containers in the order of time, from streams that break anywhere."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import ANY

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests import ConnectionError

from ops import logs
from ops.checkout import open_stack
from ops.logs import printed, seconds_of
from ops.on_docker.logs import followed, lines_of, written
from ops.place import Line, Wanted
from ops.running import Running
from tools.engine.checkout import UserError

LOG = b"2026-01-02T03:04:05.000000001Z first\n2026-01-02T03:04:05.000000003Z third\r\n2026-01-02T03:04:06.0Z \xff last"


def container(name: str, *chunks: bytes, status: str = "running", workload: str = "api") -> Any:
    """Stands for a container of the Docker SDK: its whole log as bytes, or as a stream of chunks."""

    def read(stream: bool = False, **_: object) -> Any:
        return iter(chunks) if stream else b"".join(chunks)

    return SimpleNamespace(name=name, labels={"groundwork.workload": workload}, logs=read, status=status)


@given(st.lists(st.integers(0, len(LOG)), max_size=6))
def test_lines_are_whole_wherever_chunks_end(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(LOG)]
    chunks = [LOG[start:end] for start, end in itertools.pairwise(places)]
    found = [(line.time, line.text) for line in lines_of(container("a"), chunks)]
    assert found == [
        ("2026-01-02T03:04:05.000000001Z", "first"),
        ("2026-01-02T03:04:05.000000003Z", "third"),
        ("2026-01-02T03:04:06.0Z", "� last"),
    ]


def test_lines_of_several_containers_stand_in_the_order_of_time() -> None:
    other = container("b", b"2026-01-02T03:04:05.000000002Z second\n")
    assert [line.text for line in written([container("a", LOG), other], {})][:3] == ["first", "second", "third"]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86_400)])
def test_durations_have_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["10", "m", "-5m", "4y", "1h30m"])
def test_other_durations_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(UserError, match="such as 90s"):
        seconds_of(text)


def running(simulated: bool) -> Running:
    names = {"api": "app", "postgres": "service"}
    entries = [{"name": f"x-{name}", "workload": name, "role": role, "release": "1"} for name, role in names.items()]
    outputs = {"simulated": simulated, "urls": {}, "containers": entries}
    return Running(stack=open_stack("dev", "housing"), system="housing", outputs=outputs, environment={})


@pytest.mark.parametrize(("machine", "name"), [("app-2", "app-2/api-0"), ("", "api-0")])
def test_a_line_names_its_container_and_the_machine_where_there_are_some(machine: str, name: str) -> None:
    moment = "2026-01-02T03:04:05.1Z"
    line = Line(time=moment, container="shop-test-api-0", workload="api", text="hello", machine=machine)
    assert printed(line, "shop-test-", "cyan").plain.split() == [ANY, name, "hello"]


def test_an_unknown_workload_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UserError, match=r"no workload `postgers` in housing/dev; did you mean `postgres`\?"):
        logs.show(cast(Any, None), running(simulated=False), "postgers", Wanted(), as_json=False)


def test_a_simulated_stack_wrote_no_logs() -> None:
    with pytest.raises(UserError, match="SIMULATED: nothing was started"):
        logs.show(cast(Any, None), running(simulated=True), "api", Wanted(), as_json=False)


def test_following_shows_each_line_once_and_takes_in_containers_that_start() -> None:
    old = container("old", b"2026-01-02T03:04:05.1Z before\n")
    fresh = container("new", b"2026-01-02T03:04:07.1Z hello\n")

    def events(**_: object) -> Iterator[dict[str, Any]]:
        yield {"id": "new", "time": int(time.time())}
        threading.Event().wait()

    engine = SimpleNamespace(events=events, containers=SimpleNamespace(get=lambda _: fresh))
    # The stream begins with the line that was shown already.
    old.logs = lambda stream=False, **_: (
        iter([b"2026-01-02T03:04:05.1Z before\n2026-01-02T03:04:06.1Z after\n"])
        if stream
        else b"2026-01-02T03:04:05.1Z before\n"
    )
    found = list(itertools.islice(followed(cast(Any, engine), [old], [], {}), 3))
    assert found[0].text == "before"
    assert sorted(line.text for line in found[1:]) == ["after", "hello"]


def test_following_ends_with_the_engine_and_says_so() -> None:
    def lost(**_: object) -> Iterator[dict[str, Any]]:
        raise ConnectionError("Connection reset by peer")

    engine = SimpleNamespace(events=lost)
    with pytest.raises(UserError, match=r"^The Docker engine does not answer any more\.$"):
        list(followed(cast(Any, engine), [], [], {}))
