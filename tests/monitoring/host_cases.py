"""Edges of the alerts about machines."""

from __future__ import annotations

from tests.monitoring.promtool import Case, Fires, Series
from tests.monitoring.series import LONG, counted, level, steady

NODE = 'job="node-exporter",instance="n",machine="app-1"'
DISK = f'{NODE},device="/dev/vda1",fstype="ext4",mountpoint="/"'
NODE_LABELS = {"job": "node-exporter", "instance": "n", "machine": "app-1"}
DISK_LABELS = {**NODE_LABELS, "device": "/dev/vda1", "fstype": "ext4", "mountpoint": "/"}


def unseen(value: str) -> Series:
    return {f'node_filesystem_device_error{{{DISK},device_error="permission denied"}}': value}


def idle(*rates: str) -> Series:
    return {f'node_cpu_seconds_total{{{NODE},cpu="{cpu}",mode="idle"}}': rate for cpu, rate in enumerate(rates)}


def memory(available: str) -> Series:
    return {
        f"node_memory_MemAvailable_bytes{{{NODE}}}": available,
        f"node_memory_MemTotal_bytes{{{NODE}}}": level(1000),
    }


def disk(free: str, kind: str = DISK) -> Series:
    return {f"node_filesystem_avail_bytes{{{kind}}}": free, f"node_filesystem_size_bytes{{{kind}}}": level(1e9)}


def clock(offset: str, error: str, synchronized: str) -> Series:
    return {
        f"node_timex_offset_seconds{{{NODE}}}": offset,
        f"node_timex_maxerror_seconds{{{NODE}}}": error,
        f"node_timex_sync_status{{{NODE}}}": synchronized,
    }


def forecast(hours: int, share: float, falls: int, first: str, bend_first: str, free: str) -> Case:
    """Space that goes evenly is gone 36 hours and some minutes after the beginning; the alert knows so many hours
    before, and waits for one more. Where it goes within `falls` steps, from the twelfth hour on, the 6 hours it looks
    back show this in part."""
    whole = [2 * round(5e7 * (1 - place / 432.5)) for place in range(433)]
    left = [str(free) for free in whole]
    bent = [f"{1e8 * max(0, min(1, 1 - (place - 144) / falls)):.10g}" for place in range(505)]
    sizes = [free * 10 // round(share * 10) for free in whole]
    name = f"node_filesystem_size_bytes{{{DISK}}}"
    return Case(
        alert=f"DiskFullSoon.{hours}.host",
        interval="5m",
        end="36h",
        fires=(
            Fires(series=disk(" ".join(left)), first=first),
            Fires(series=disk(" ".join(bent)), first=bend_first),
            # As before, of a file system of which hardly less than the share is left.
            Fires(
                series=dict(disk(" ".join(left))) | {name: " ".join(f"{size * 1.01:.10g}" for size in sizes)},
                first=first,
            ),
        ),
        quiet=(
            disk(f"1e8x{LONG}"),
            dict(disk(" ".join(left))) | {name: " ".join(map(str, sizes))},
            # Full, yet with nothing to come: DiskUsageHigh's.
            disk(f"0x{LONG}"),
            disk(" ".join(left), DISK.replace("ext4", "tmpfs")),
        ),
        labels=DISK_LABELS,
        summary=f"/ of app-1 will be full within {hours} hours",
        description=f"Used as in the last 6 hours, {free}B of it will be free in {hours} hours.",
    )


HOST = (
    Case(
        alert="HostCpuHigh.host",
        fires=(
            Fires(series=idle(steady(12), steady(11.9)), first="6m"),
            Fires(series=idle(counted((20, 60), (10, 0), (60, 60))), first="29m", over="31m"),
        ),
        quiet=(
            idle(steady(12), steady(12)),
            # Busy with one of two.
            idle(steady(0), steady(60)),
            {f'node_cpu_seconds_total{{{NODE},cpu="0",mode="user"}}': steady(0)},
        ),
        labels={"instance": "n", "machine": "app-1"},
        summary="app-1 has little processor time left",
        description="80.08% of it is in use; the limit is 80 %.",
    ),
    Case(
        alert="HostMemoryHigh.host",
        fires=(Fires(series=memory(level(900, 149, 900)), first="15m", over="20m"),),
        quiet=(memory(level(150)), memory(level(100, 900, each=5))),
        labels=NODE_LABELS,
        summary="app-1 has little memory left",
        description="85.1% of it is in use; the limit is 85 %.",
    ),
    Case(
        alert="HostOutOfMemory.host",
        fires=(Fires(series={f"node_vmstat_oom_kill{{{NODE}}}": level(0, 1)}, first="10m", over="19m"),),
        quiet=({f"node_vmstat_oom_kill{{{NODE}}}": level(5)},),
        labels=NODE_LABELS,
        summary="app-1 ended a process for want of memory",
        description="The kernel ended 1 processes in 10 minutes.",
    ),
    Case(
        alert="DiskUsageHigh.host",
        fires=(Fires(series=disk(level(9e8, 9.9e7, 9e8)), first="15m", over="20m"),),
        quiet=(
            disk(level(1e8)),
            disk(level(1e7, 9e8, each=5)),
            disk(level(0), DISK.replace("ext4", "squashfs")),
        ),
        labels=DISK_LABELS,
        summary="/ of app-1 is nearly full",
        description="90.1% of it is in use; the limit is 90 %.",
    ),
    forecast(4, 0.2, 60, "1985m", "980m", "-2.756Mi"),
    forecast(24, 0.4, 300, "785m", "1055m", "-2.756Mi"),
    Case(
        alert="DiskReadOnly.host",
        fires=(Fires(series={f"node_filesystem_readonly{{{DISK}}}": level(0, 1, 0)}, first="12m", over="20m"),),
        quiet=(
            {f"node_filesystem_readonly{{{DISK}}}": level(0, 1, 0, each=2)},
            {f"node_filesystem_readonly{{{DISK}}}".replace("ext4", "squashfs"): level(1)},
        ),
        labels=DISK_LABELS,
        summary="/ of app-1 can't be written",
        description="The kernel has mounted /dev/vda1 read-only, as it does after errors of the disk.",
    ),
    Case(
        alert="DiskNotMeasured.host",
        fires=(Fires(series=unseen(level(0, 1, 1, 0)), first="20m", over="30m"),),
        quiet=(unseen(level(0, 1, 0)),),
        labels=DISK_LABELS | {"device_error": "permission denied"},
        summary="Nobody knows how full / of app-1 is",
        description="Node exporter can't look at /dev/vda1: permission denied.",
    ),
    Case(
        alert="HostClockWrong.host",
        fires=(
            Fires(series=clock(level(0, -0.051, -0.051, 0), level(0), level(1)), first="20m", over="30m"),
            Fires(series=clock(level(0.051), level(0), level(1)), first="10m"),
            Fires(series=clock(level(0), level(0, 16, 16, 0), level(0)), first="20m", over="30m"),
        ),
        quiet=(
            clock(level(0.05), level(0), level(1)),
            clock(level(-0.05), level(15.9), level(0)),
            clock(level(0), level(16), level(1)),
            clock(level(1, 0), level(16, 0), level(0)),
        ),
        labels=NODE_LABELS,
        summary="The clock of app-1 is wrong or not synchronized",
        description="app-1: 0.051 s off, or so uncertain, for 10 minutes.",
    ),
    Case(
        alert="HostRestarted.host",
        fires=(
            Fires(
                # On one engine: it has no name of its own.
                series={
                    'node_time_seconds{job="node-exporter",instance="n"}': f"10000+60x{LONG}",
                    'node_boot_time_seconds{job="node-exporter",instance="n"}': level(1, 10_550),
                },
                first="10m",
                over="20m",
            ),
        ),
        quiet=(
            {
                f"node_time_seconds{{{NODE}}}": f"10000+60x{LONG}",
                f"node_boot_time_seconds{{{NODE}}}": f"9400+60x{LONG}",
            },
        ),
        labels={"job": "node-exporter", "instance": "n"},
        summary="n has started again",
        description="It runs for 50s.",
    ),
)
