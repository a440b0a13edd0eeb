"""Logs as Loki keeps them: also of containers that are gone, for as many days as the stack says, and masked."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from groundwork.monitoring.logs import NOT_CARRIED
from groundwork.monitoring.programs import LOKI
from ops.checkout import lock_of
from ops.place import Line, Wanted
from ops.request import fetch
from ops.running import Running
from tools.engine.checkout import UserError

DAYS = 7
"""How far back the last lines are looked for, where nobody says since when."""
POLL_SECONDS = 1.0
LATE_SECONDS = 15
"""So late a line may come in, behind others, and is still shown to who follows."""
MOST = 5000
"""Of one answer; Loki itself gives at most twice as many."""
BODY_BYTES = 256 * 1_048_576
NANO = 10**9


class Away(Exception):
    """Loki does not answer, or has nothing: why."""


def is_kept(known: Collection[str], workload: str) -> bool:
    """Whether Loki has the lines of a workload, or of all (""), of a stack that runs the workloads `known`."""
    return LOKI in known and workload not in NOT_CARRIED


def lines(running: Running, known: Collection[str], workload: str, wanted: Wanted) -> Iterator[Line]:
    """Through a tunnel, in the order of time. Away before the first line is there; with `follow` it ends with the
    caller, or with UserError once Loki is gone."""
    deployment = running.stack.deployment(lock_of(running.stack))
    server = next((one for one in deployment.workloads if one.name == LOKI), None)
    if server is None or server.port is None:
        raise Away("is in no plan of this checkout any more")
    asked = [workload] if workload else sorted(set(known) - set(NOT_CARRIED))
    begun = False
    try:
        with running.place().tunnel(deployment, server, server.port, 0) as tunnel:
            for line in read(tunnel.port, asked, wanted, named=bool(running.machines)):
                begun = True
                yield line
    except (UserError, OSError, http.client.HTTPException) as error:
        if begun:
            raise UserError("Loki does not answer any more.") from None
        raise Away(f"does not answer ({str(error) or type(error).__name__})") from None


def read(
    port: int, workloads: Sequence[str], wanted: Wanted, *, named: bool, now: Callable[[], int] = time.time_ns
) -> Iterator[Line]:
    """`port` of this machine leads to Loki; `named` lines say on which machine they were written."""
    end = now()
    start = wanted.since * NANO if wanted.since else end - DAYS * 86_400 * NANO
    found = sorted(
        line for name in workloads for line in asked(port, selector([name]), start, end, wanted.tail, named=named)
    )
    if not found and not wanted.follow:
        raise Away("has no such lines")
    yield from found
    if wanted.follow:
        yield from followed(port, workloads, set(found), end, named=named, now=now)


def followed(
    port: int, workloads: Sequence[str], shown: set[Line], end: int, *, named: bool, now: Callable[[], int]
) -> Iterator[Line]:
    """What comes in, once each. Several machines' lines come in when they come: their order is nearly that of time."""
    first = end
    while True:
        time.sleep(POLL_SECONDS)
        start, end = max(first, now() - LATE_SECONDS * NANO), now()
        found = asked(port, selector(workloads), start, end, MOST, named=named, forward=True)
        fresh = sorted(set(found) - shown)
        shown.update(fresh)
        oldest = moment(start)
        shown = {line for line in shown if line.time >= oldest}
        yield from fresh


def selector(workloads: Sequence[str]) -> str:
    return f'{{workload=~"{"|".join(map(re.escape, workloads))}"}}'.replace("\\", "\\\\")


def asked(
    port: int, query: str, start: int, end: int, limit: int, *, named: bool, forward: bool = False
) -> list[Line]:
    """The last lines between two moments in nanoseconds, or the first ones."""
    if not limit:
        return []
    words = {
        "query": query, "start": start, "end": end, "limit": min(limit, MOST),
        "direction": "forward" if forward else "backward",
    }  # fmt: skip
    answer = fetch(f"http://127.0.0.1:{port}/loki/api/v1/query_range?{urlencode(words)}", timeout=60, most=BODY_BYTES)
    if answer.status != 200:
        raise OSError(f"status {answer.status}: {answer.body[:200].decode(errors='replace').strip()}")
    streams: list[dict[str, Any]] = json.loads(answer.body)["data"]["result"]
    return [
        line_of(one["stream"], int(when), text, named=named) for one in streams for when, text, *_ in one["values"]
    ]


def line_of(labels: dict[str, str], when: int, text: str, *, named: bool) -> Line:
    workload = labels.get("workload", "")
    return Line(
        time=moment(when), container=labels.get("container", workload), workload=workload, text=text,
        machine=labels.get("machine", "") if named else "",
    )  # fmt: skip


def moment(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, NANO)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"
