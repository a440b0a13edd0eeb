"""Machines, by node exporter (`job="node-exporter"`)."""

from __future__ import annotations

from .alerts import Alert, Severity, number
from .objectives import Objectives

NODE = 'job="node-exporter"'
DISKS = f'{NODE}, fstype=~"ext[234]|xfs|btrfs|zfs"'
"""What holds data: file systems in memory and images that are read-only by nature are always full or always so."""
MIXIN = "node-exporter's mixin"
HOST = "{{ or $labels.machine $labels.instance }}"
"""What a person calls it."""


FORECASTS: tuple[tuple[int, float, Severity, str], ...] = (
    (4, 0.2, "P1", "It stops the databases before the day is over."),
    (24, 0.4, "P2", "It stops the databases before tomorrow."),
)


def busy_share(labels: str) -> str:
    """PromQL: of the processor."""
    return f'1 - avg by (machine, instance) (rate(node_cpu_seconds_total{{{labels}, mode="idle"}}[5m]))'


def used_memory_share(labels: str) -> str:
    return f"1 - node_memory_MemAvailable_bytes{{{labels}}} / node_memory_MemTotal_bytes{{{labels}}}"


def free_disk_share(labels: str) -> str:
    """PromQL: of each disk that the labels choose, what is free for everybody."""
    return f"node_filesystem_avail_bytes{{{labels}}} / node_filesystem_size_bytes{{{labels}}}"


def host_alerts(objectives: Objectives) -> tuple[Alert, ...]:
    return (
        Alert(
            name="HostCpuHigh",
            expr=f"{busy_share(NODE)} > {number(objectives.cpu_percent / 100)}",
            hold="5m",
            severity="P2",
            service="host",
            summary=f"{HOST} has little processor time left",
            description="{{ $value | humanizePercentage }} of it is in use; the limit is "
            f"{objectives.cpu_percent:g} %.",
            why="Answers get slower for everybody on the machine.",
            reason="the system's own figure, for five minutes",
            source="S1, S2 (80 % for 5 min), S3 (80 %), S5 (85 %)",
        ),
        Alert(
            name="HostMemoryHigh",
            expr=f"{used_memory_share(NODE)} > {number(objectives.memory_percent / 100)}",
            hold="5m",
            severity="P2",
            service="host",
            summary=f"{HOST} has little memory left",
            description="{{ $value | humanizePercentage }} of it is in use; the limit is "
            f"{objectives.memory_percent:g} %.",
            why="The kernel will end a process, and chooses it by size: mostly the database.",
            reason="the system's own figure, for five minutes",
            source="S1, S2 (85 % for 5 min), S3 (85 %), S5 (90 %)",
        ),
        Alert(
            name="HostOutOfMemory",
            expr=f"increase(node_vmstat_oom_kill{{{NODE}}}[10m]) > 0",
            severity="P2",
            service="host",
            summary=f"{HOST} ended a process for want of memory",
            description="The kernel ended {{ $value | humanize }} processes in 10 minutes.",
            why="A container lost its work, and will again.",
            reason="none is normal: every container has a limit that was planned",
            source=MIXIN,
        ),
        *disk_alerts(objectives),
        Alert(
            name="HostClockWrong",
            expr=f"abs(node_timex_offset_seconds{{{NODE}}}) > 0.05\n"
            f"or node_timex_maxerror_seconds{{{NODE}}} >= 16 and node_timex_sync_status{{{NODE}}} == 0",
            hold="10m",
            severity="P2",
            service="host",
            summary=f"The clock of {HOST} is wrong or not synchronized",
            description=f"{HOST}: {{{{ $value }}}} s off, or so uncertain, for 10 minutes.",
            why="Tokens count as expired, schedules run at the wrong time, and logs can't be put in order.",
            reason="0.05 s is a hundred times what NTP keeps; 16 s is the kernel's own sign for never synchronized",
            source=f"{MIXIN} (NodeClockSkewDetected, NodeClockNotSynchronising)",
        ),
        Alert(
            name="HostRestarted",
            expr=f"node_time_seconds{{{NODE}}} - node_boot_time_seconds{{{NODE}}} < 600",
            severity="P3",
            service="host",
            summary=f"{HOST} has started again",
            description="It runs for {{ $value | humanizeDuration }}.",
            why="Nobody may have asked for it; then there is a cause to find.",
            reason="10 minutes: seen by forty scrapes, and gone by itself",
            source="Groundwork",
        ),
    )


def disk_alerts(objectives: Objectives) -> tuple[Alert, ...]:
    free = f"node_filesystem_avail_bytes{{{DISKS}}}"
    share = free_disk_share(DISKS)
    return (
        Alert(
            name="DiskUsageHigh",
            expr=f"1 - {share} > {number(objectives.disk_percent / 100)}",
            hold="5m",
            severity="P1",
            service="host",
            summary=f"{{{{ $labels.mountpoint }}}} of {HOST} is nearly full",
            description="{{ $value | humanizePercentage }} of it is in use; the limit is "
            f"{objectives.disk_percent:g} %.",
            why="A full disk stops the databases at once, and then nobody can log in to help.",
            reason="the system's own figure, for five minutes",
            source="S1, S2 (90 % for 5 min, critical), S3 (90 %)",
        ),
        *(
            Alert(
                name="DiskFullSoon",
                labels={"hours": str(hours)},
                expr=f"predict_linear({free}[6h], {hours} * 3600) < 0\nand {share} < {number(left)}",
                hold="1h",
                severity=severity,
                service="host",
                summary=f"{{{{ $labels.mountpoint }}}} of {HOST} will be full within {hours} hours",
                description=f"Used as in the last 6 hours, {{{{ $value | humanize1024 }}}}B of it will be free in "
                f"{hours} hours.",
                why=why,
                reason=f"6 hours show a trend, an hour rules out one large file, and above {left:.0%} free a trend "
                "is no danger yet",
                source=f"{MIXIN} (NodeFilesystemSpaceFillingUp)",
            )
            for hours, left, severity, why in FORECASTS
        ),
        Alert(
            name="DiskReadOnly",
            expr=f"node_filesystem_readonly{{{DISKS}}} == 1",
            hold="2m",
            severity="P1",
            service="host",
            summary=f"{{{{ $labels.mountpoint }}}} of {HOST} can't be written",
            description="The kernel has mounted {{ $labels.device }} read-only, as it does after errors of the disk.",
            why="Nothing is saved from now on, and data may already be damaged.",
            reason="it is so or not; 2 minutes leave time for a mount that somebody makes by hand",
            source=f"{MIXIN} (NodeFilesystemReadOnly)",
        ),
        Alert(
            name="DiskNotMeasured",
            expr=f"node_filesystem_device_error{{{DISKS}}} == 1",
            hold="10m",
            severity="P3",
            service="host",
            summary=f"Nobody knows how full {{{{ $labels.mountpoint }}}} of {HOST} is",
            description="Node exporter can't look at {{ $labels.device }}: {{ $labels.device_error }}.",
            why="It may fill up, and no other alert will say so.",
            reason="it is so or not; 10 minutes leave time for a disk that is being mounted",
            source="Groundwork",
        ),
    )
