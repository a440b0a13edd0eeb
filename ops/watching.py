"""Whether monitoring itself works (D3): what Prometheus says of its targets, its rules and Alertmanager."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from groundwork.monitoring.programs import PROMETHEUS
from ops.checkout import lock_of
from ops.request import Answer, fetch
from ops.result import Result
from ops.running import Running
from tools.engine.checkout import UserError

TARGETS, RULES, RECEIVERS = "every target is measured", "every rule can be evaluated", "alerts reach Alertmanager"

SETTLE_SECONDS = 75
"""Everything is looked at every minute at the latest (`monitoring.scrape_seconds`)."""
Healths = list[tuple[str, str]]
"""Names, with `up` or `ok`, `down` or `err`, or `unknown`."""


def monitoring_results(running: Running) -> list[Result]:
    """Asked through a tunnel, as a person would: nothing of monitoring is public."""
    deployment = running.stack.deployment(lock_of(running.stack))
    server = deployment.workload(PROMETHEUS)
    assert server.port
    try:
        with running.place().tunnel(deployment, server, server.port, 0) as tunnel:
            return list(judged(tunnel.port))
    except (UserError, OSError, http.client.HTTPException) as error:
        return [Result(check="monitoring answers", outcome="failed", detail=str(error) or type(error).__name__)]


def judged(port: int) -> Iterator[Result]:
    """`port` of this machine leads to Prometheus."""
    answer, targets = settled(port, "targets?state=active", targets_of)
    yield result(TARGETS, answer, [job for job, health in targets if health != "up"], f"{len(targets)} targets")
    answer, rules = settled(port, "rules", rules_of)
    yield result(RULES, answer, [name for name, health in rules if health != "ok"], f"{len(rules)} rules")
    answer, data = asked(port, "alertmanagers")
    there = len(data["activeAlertmanagers"])
    yield result(RECEIVERS, answer, [] if there else ["it knows none"], f"{there} known")


def settled(port: int, what: str, read: Callable[[Any], Healths]) -> tuple[Answer, Healths]:
    """A server that has just started has not looked at everything yet."""
    until = time.monotonic() + SETTLE_SECONDS
    while True:
        answer, data = asked(port, what)
        found = read(data)
        if all(health != "unknown" for _, health in found) or time.monotonic() > until:
            return answer, found
        time.sleep(1)


def targets_of(data: Any) -> Healths:
    return [(target["labels"]["job"], target["health"]) for target in data["activeTargets"]]


def rules_of(data: Any) -> Healths:
    return [(rule["name"], rule["health"]) for group in data["groups"] for rule in group["rules"]]


def asked(port: int, what: str) -> tuple[Answer, Any]:
    answer = fetch(f"http://127.0.0.1:{port}/api/v1/{what}")
    return answer, json.loads(answer.body)["data"]


def result(check: str, answer: Answer, wrong: list[str], right: str) -> Result:
    """`wrong` are the names of what is not as it should be."""
    return Result(
        check=check,
        outcome="failed" if wrong else "ok",
        detail=", ".join(sorted(set(wrong))) or right,
        milliseconds=answer.milliseconds,
    )
