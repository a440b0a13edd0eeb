"""What makes the alerts about machines fire, and what just does not."""

from __future__ import annotations

from tests.monitoring.cases import READY
from tests.monitoring.promtool import Case, Fires, Series
from tests.monitoring.series import LONG, counted, level

AGENT = 'job="prometheus-agent",instance="127.0.0.1:9090",machine="data-1"'
SENDS = f'{AGENT},remote_name="prometheus",url="http://10.9.0.41:24249/api/v1/write"'
AGENT_LABELS = {"job": "prometheus-agent", "instance": "127.0.0.1:9090", "machine": "data-1"}
SENDS_LABELS = AGENT_LABELS | {"remote_name": "prometheus", "url": "http://10.9.0.41:24249/api/v1/write"}
ALWAYS = level(1)


def heard(values: str, *machines: str) -> Series:
    return {f'up{{job="prometheus-agent",instance="127.0.0.1:9090",machine="{name}"}}': values for name in machines}


def gap(steps: int) -> str:
    """The last that is heard is at 2 m 30 s, a step is 15 s: two minutes after it, it is missed."""
    return f"1x10 _x{steps} 1x{LONG}"


def silent(carries: str, machine: str, *others: str) -> Case:
    all_others = heard(ALWAYS, *others)
    return Case(
        alert=f"MachineSilent.{carries}.each",
        interval="15s",
        end="1h",
        fires=(
            Fires(series={**heard(gap(29), machine), **all_others}, first="5m30s", over="10m"),
            # Never heard of.
            *(Fires(series={**heard(ALWAYS, machine), **heard(gap(29), other)}, first="5m30s") for other in others),
            Fires(series={"other": "1", **all_others}, first="1m"),
        ),
        quiet=(
            {**heard(gap(10), machine), **all_others},
            {**heard(gap(11), machine), **all_others},
            # That it measures others in vain is said of them.
            {**heard(level(0), machine), **all_others},
        ),
        labels={"job": "prometheus-agent", "machine": machine, "service": machine},
        summary=f"Nothing is heard of {machine}",
        description="Its agent passed nothing on for 3 minutes: the machine, its network or the agent is down.",
    )


def lost(failed: str) -> Series:
    return {f"prometheus_remote_storage_samples_failed_total{{{SENDS}}}": failed}


def behind(retried: str, desired: str) -> Series:
    return {
        f"prometheus_remote_storage_samples_retried_total{{{SENDS}}}": retried,
        f"prometheus_remote_storage_shards_desired{{{SENDS}}}": desired,
        f"prometheus_remote_storage_shards_max{{{SENDS}}}": level(4),
    }


def two(first: str, second: str, probed: str = READY) -> Series:
    return {
        f'probe_success{{{probed},machine="app-1"}}': first,
        f'probe_success{{{probed},machine="app-2"}}': second,
    }


MACHINES = (
    silent("only", "data-1", "cache-1"),
    silent("spare", "app-2"),
    silent("nothing", "monitoring-2"),
    Case(
        alert="AgentLosesSamples.monitoring",
        fires=(Fires(series=lost(counted((10, 0), (1, 1), (60, 0))), first="16m", over="25m"),),
        quiet=(lost(level(7)),),
        labels=SENDS_LABELS,
        summary="Measurements of data-1 are lost",
        description="Prometheus refused 1 of them for good in 15 minutes.",
    ),
    Case(
        alert="AgentBehind.monitoring",
        fires=(
            Fires(series=behind(counted((10, 0), (20, 1), (60, 0)), level(1)), first="26m", over="34m"),
            Fires(series=behind(level(0), level(1, 5, 5, 1)), first="25m", over="30m"),
        ),
        quiet=(
            behind(level(7), level(4)),
            behind(counted((10, 0), (10, 1), (60, 0)), level(9, 1)),
        ),
        labels=SENDS_LABELS,
        summary="data-1 can hardly pass on what it measures",
        description="For 15 minutes its agent had to send again, or would send more at once than it may.",
    ),
    Case(
        alert="NotReadyOnMachine.each",
        fires=(
            Fires(series=two(level(1, 0, 0, 1), level(1)), first="20m", over="30m"),
            Fires(series=two(level(1), level(1, 0, 0, 1), 'job="entry",workload="gateway"'), first="20m", over="30m"),
        ),
        quiet=(
            # Nowhere: NotReady's.
            two(level(0), level(0)),
            two(level(0, 1), level(1)),
            two(level(0), level(1), 'job="certificate",workload="gateway"'),
        ),
        labels={
            "job": "ready",
            "instance": "http://web:8080/ready",
            "workload": "web",
            "service": "web",
            "machine": "app-1",
        },
        summary="web is not ready on app-1",
        description="On app-1 it did not answer as it should for 10 minutes; others go on for it.",
    ),
)
