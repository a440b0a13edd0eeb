"""Whether monitoring itself works (D3): what Prometheus says of its targets, its rules and Alertmanager."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any

from groundwork.deployment import Deployment
from groundwork.monitoring.programs import PROMETHEUS
from ops.checkout import lock_of
from ops.request import Answer, fetch
from ops.result import Result
from ops.running import Running
from tools.engine.checkout import UserError

TARGETS, RULES, RECEIVERS = "every target is measured", "every rule can be evaluated", "alerts reach Alertmanager"

SETTLE_SECONDS = 75
"""Everything is looked at every minute at the latest (`monitoring.scrape_seconds`)."""
Job = tuple[str, str]
"""A machine, and the name of what is measured there."""
Healths = list[tuple[str, str]]
"""Names, with `up` or `ok`, `down` or `err`, or `unknown`."""


def monitoring_results(running: Running) -> list[Result]:
    """Asked through a tunnel, as a person would: nothing of monitoring is public."""
    deployment = running.stack.deployment(lock_of(running.stack))
    server = deployment.workload(PROMETHEUS)
    assert server.port
    try:
        with running.place().tunnel(deployment, server, server.port, 0) as tunnel:
            return list(judged(tunnel.port, jobs_of(deployment)))
    except (UserError, OSError, http.client.HTTPException) as error:
        return [Result(check="monitoring answers", outcome="failed", detail=str(error) or type(error).__name__)]


def jobs_of(deployment: Deployment) -> list[Job]:
    """What is to be measured on each machine; nothing where there are none."""
    return [
        (share.machine.name, workload.name)
        for share in deployment.shares
        for workload in share.workloads
        if share.machine and workload.metrics
    ]


def judged(port: int, jobs: Collection[Job] = ()) -> Iterator[Result]:
    """`port` of this machine leads to Prometheus, which is told of `jobs` by the agents of their machines."""
    if jobs:
        # Its own targets are those of its own machine.
        answer, targets = settled(port, "query?query=up", lambda data: measured(data, jobs))
    else:
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


def measured(data: Any, jobs: Collection[Job]) -> Healths:
    """Of each job, whether one of its replicas is measured. Nothing may be heard yet of one that has just started."""
    seen: dict[Job, set[str]] = {}
    for one in data["result"]:
        seen.setdefault((one["metric"].get("machine", ""), one["metric"]["job"]), set()).add(one["value"][1])
    return [
        (f"{job} on {machine}", "unknown" if not found else "up" if "1" in found else "down")
        for machine, job in jobs
        for found in [seen.get((machine, job), set())]
    ]


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
