"""One machine, by node exporter, and what programs of all machines tell of themselves."""

from __future__ import annotations

from collections.abc import Mapping

from ..host_rules import DISKS, NODE, busy_share, free_disk_share, used_memory_share
from ..objectives import Objectives
from ..system_rules import NEAR_LIMIT, memory_shares
from .panels import RATE, Dashboard, Panel, Query, Row, Variable, falling, rising
from .shared import SHARE, warned

UID = "groundwork-host"
ONE = 'machine=~"$machine", instance="$instance"'
CHOSEN = f"{NODE}, {ONE}"
CHOSEN_DISKS = f"{DISKS}, {ONE}"


def host_dashboard(objectives: Objectives, limits_mib: Mapping[str, int]) -> Dashboard:
    return Dashboard(
        uid=UID,
        title="Machine",
        text="One machine: its processor, memory and disks, and what waits for them.",
        tags=("host",),
        variables=(
            Variable(
                name="machine",
                title="Machine",
                text="By its name, where the stack has machines: addresses of containers are the same on some.",
                label="machine",
                of=f"node_uname_info{{{NODE}}}",
                many=True,
            ),
            Variable(
                name="instance",
                title="Address",
                text="Of its node exporter.",
                label="instance",
                of=f'node_uname_info{{{NODE}, machine=~"$machine"}}',
            ),
        ),
        filled=filled(objectives),
        rows=(
            Row(title="Now", panels=_now(objectives)),
            Row(title="Processor and memory", panels=_work(objectives)),
            Row(title="Disks", panels=_disks(objectives)),
            Row(title="Clock", panels=_clock()),
            *([Row(title="Programs of every machine", panels=_programs(limits_mib))] if limits_mib else []),
        ),
    )


def disk(labels: str) -> str:
    return f"1 - min by (machine, instance, mountpoint) ({free_disk_share(labels)})"


def filled(objectives: Objectives) -> tuple[Query, ...]:
    """Of every machine, for the overview."""
    limits = (objectives.cpu_percent, objectives.memory_percent, objectives.disk_percent)
    shares = (
        (busy_share(NODE), "{{machine}} {{instance}}: processor"),
        (used_memory_share(NODE), "{{machine}} {{instance}}: memory"),
        (disk(DISKS), "{{machine}} {{instance}}: {{mountpoint}}"),
    )
    return tuple(
        Query(expr=expr, legend=legend, steps=warned(limit / 100))
        for (expr, legend), limit in zip(shares, limits, strict=True)
    )


def _now(objectives: Objectives) -> tuple[Panel, ...]:
    shares = (
        (
            "Processor in use", busy_share(CHOSEN), objectives.cpu_percent, "HostCpuHigh",
            "find the container that takes it",
        ),
        (
            "Memory in use", used_memory_share(CHOSEN), objectives.memory_percent, "HostMemoryHigh",
            "beyond it the kernel ends a process, mostly the database",
        ),
        (
            "Fullest disk", f"max({disk(CHOSEN_DISKS)})", objectives.disk_percent, "DiskUsageHigh",
            "find what grows before databases stop",
        ),
    )  # fmt: skip
    return (
        *(
            Panel(
                kind="number",
                title=title,
                unit=SHARE,
                text=f"Above {limit:g} % for 5 minutes somebody is told: {what}.",
                queries=(Query(expr=expr),),
                steps=warned(limit / 100),
                width=4,
                height=4,
                most=1,
                runbooks=(alert,),
            )
            for title, expr, limit, alert, what in shares
        ),
        Panel(
            kind="number",
            title="Ended for want of memory",
            unit="short",
            text="Processes that the kernel ended in an hour. None is normal: the limits of all containers fit.",
            queries=(Query(expr=f"increase(node_vmstat_oom_kill{{{CHOSEN}}}[1h])"),),
            steps=rising(1),
            width=4,
            height=4,
            runbooks=("HostOutOfMemory",),
        ),
        Panel(
            kind="number",
            title="Clock is off by",
            unit="s",
            text="Above 0.05 s tokens count as expired and logs are out of order: look whether time is synchronized.",
            queries=(Query(expr=f"abs(node_timex_offset_seconds{{{CHOSEN}}})"),),
            steps=rising(0.05, 0.01),
            width=4,
            height=4,
            runbooks=("HostClockWrong",),
        ),
        Panel(
            kind="number",
            title="Running for",
            unit="s",
            text="Short although nobody asked for it: updates start it again at night, and a crash at any time.",
            queries=(Query(expr=f"node_time_seconds{{{CHOSEN}}} - node_boot_time_seconds{{{CHOSEN}}}"),),
            steps=falling(600, 3600),
            width=4,
            height=4,
            runbooks=("HostRestarted",),
        ),
    )


def _work(objectives: Objectives) -> tuple[Panel, ...]:
    modes = f'sum by (mode) (rate(node_cpu_seconds_total{{{CHOSEN}, mode!="idle"}}[{RATE}]))'
    cores = f'count(node_cpu_seconds_total{{{CHOSEN}, mode="idle"}})'
    parts = (
        (f"node_memory_MemTotal_bytes{{{CHOSEN}}} - node_memory_MemAvailable_bytes{{{CHOSEN}}}", "in use"),
        (f"node_memory_MemAvailable_bytes{{{CHOSEN}}}", "free, or can be given back"),
    )
    waits = (("cpu", "the processor"), ("memory", "memory"), ("io", "disks"))
    return (
        Panel(
            kind="lines",
            title="Processor",
            unit=SHARE,
            text="`user` is the apps' own work. `iowait` waits for disks; `steal` is what the provider gave to others: "
            "ask for another machine.",
            queries=(Query(expr=f"{modes} / scalar({cores})", legend="{{mode}}"),),
            steps=rising(objectives.cpu_percent / 100),
            stacked=True,
            most=1,
            runbooks=("HostCpuHigh",),
        ),
        Panel(
            kind="lines",
            title="Memory",
            unit="bytes",
            text="When what is in use rises day after day and nobody releases anything, a process leaks.",
            queries=tuple(Query(expr=expr, legend=legend) for expr, legend in parts),
            stacked=True,
            runbooks=("HostMemoryHigh",),
        ),
        Panel(
            kind="lines",
            title="Share of time in which something waits",
            unit=SHARE,
            text="For what is short. Above a tenth users feel it, and that resource is the one to enlarge.",
            queries=tuple(
                Query(
                    expr=f"rate(node_pressure_{name}_waiting_seconds_total{{{CHOSEN}}}[{RATE}])", legend=f"for {word}"
                )
                for name, word in waits
            ),
            steps=rising(0.1),
            most=1,
        ),
    )


def _disks(objectives: Objectives) -> tuple[Panel, ...]:
    free = f"node_filesystem_avail_bytes{{{CHOSEN_DISKS}}}"
    return (
        Panel(
            kind="lines",
            title="Used share of each disk",
            unit=SHARE,
            text="A step is a dump or a log; a slope is use. Enlarge it while that is easy.",
            queries=(Query(expr=disk(CHOSEN_DISKS), legend="{{mountpoint}}"),),
            steps=rising(objectives.disk_percent / 100),
            most=1,
            runbooks=("DiskUsageHigh", "DiskNotMeasured"),
        ),
        Panel(
            kind="lines",
            title="Free in a day, if all goes on",
            unit="bytes",
            text="From the slope of 6 hours. At zero it is full by then: see its runbook for what may be deleted.",
            queries=(
                Query(
                    expr=f"clamp_min(min by (mountpoint) (predict_linear({free}[6h], 24 * 3600)), 0)",
                    legend="{{mountpoint}}",
                ),
            ),
            runbooks=("DiskFullSoon",),
        ),
        Panel(
            kind="lines",
            title="Read and written",
            unit="Bps",
            text="Compare it with what the provider sells. At that limit everything on the disk waits.",
            queries=(
                Query(
                    expr=f"sum by (device) (rate(node_disk_read_bytes_total{{{CHOSEN}}}[{RATE}]))",
                    legend="{{device}} read",
                ),
                Query(
                    expr=f"sum by (device) (rate(node_disk_written_bytes_total{{{CHOSEN}}}[{RATE}]))",
                    legend="{{device}} written",
                ),
            ),
        ),
    )


def _clock() -> tuple[Panel, ...]:
    return (
        Panel(
            kind="lines",
            title="Uncertainty of the clock",
            unit="s",
            text="It grows by half a millisecond a second while nobody synchronizes it, up to 16 s.",
            queries=(Query(expr=f"node_timex_maxerror_seconds{{{CHOSEN}}}", legend="at most"),),
            steps=rising(16),
            runbooks=("HostClockWrong",),
        ),
    )


def _programs(limits_mib: Mapping[str, int]) -> tuple[Panel, ...]:
    return (
        Panel(
            kind="lines",
            title="Memory, of its limit",
            unit=SHARE,
            text="At 100 % the kernel ends it. Give it more in the stack file, or find its leak.",
            queries=(Query(expr=f"max by (job) ({memory_shares(limits_mib)})", legend="{{job}}"),),
            steps=rising(NEAR_LIMIT),
            most=1,
            runbooks=("MemoryNearLimit",),
        ),
        Panel(
            kind="lines",
            title="Processor, in cores",
            unit="short",
            text="Who takes most of the machine. One core and no more: a program with one thread is at its end.",
            queries=(Query(expr=f"sum by (job) (rate(process_cpu_seconds_total[{RATE}]))", legend="{{job}}"),),
        ),
        Panel(
            kind="lines",
            title="Starts in half an hour",
            unit="short",
            text="One is a release. More: it ends by itself; its log says why.",
            queries=(Query(expr="sum by (job) (changes(process_start_time_seconds[30m]))", legend="{{job}}"),),
            steps=rising(3),
            runbooks=("RestartsOften",),
        ),
    )
