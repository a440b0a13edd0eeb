"""What makes each alert of the reference fire, and what just does not: thresholds and durations at their edges.

`first` and `over` are known from the rule: when the share is beyond the threshold, and so much later as it must hold.
A rate over five minutes, with a sample a minute, is made of five samples and of what is between them.
"""

from __future__ import annotations

from tests.monitoring.promtool import Case, Fires, Series

ENDS = 'probe_ssl_earliest_cert_expiry{job="certificate",instance="shop"}'
GATEWAYS = [f'up{{job="gateway",instance="g",machine="app-{number}"}}' for number in (1, 2)]
READY = 'job="ready",instance="http://web:8080/ready",workload="web"'
MIB = 1024**2
LONG = 520
"""Steps; longer than any test."""


def level(*values: float, each: int = 10) -> str:
    """A gauge that takes each value for ten steps, and keeps the last."""
    return " ".join([*(f"{value:.10g}x{each - 1}" for value in values[:-1]), f"{values[-1]:.10g}x{LONG}"])


def steady(rate: float) -> str:
    """A counter."""
    return f"0+{rate:.10g}x{LONG}"


def counted(*parts: tuple[int, float], times: int = 1) -> str:
    """A counter that grows by so much for so many steps, and so on."""
    total, values = 0.0, ["0"]
    for count, growth in parts * times:
        for _ in range(count):
            total += growth
            values.append(f"{total:.10g}")
    return " ".join(values)


def requests(good: str, bad: str, app: str = "api") -> Series:
    return {
        f'gateway_requests_total{{app="{app}",status="2xx"}}': good,
        f'gateway_requests_total{{app="{app}",status="5xx"}}': bad,
    }


def answers(total: str, quick: str) -> Series:
    return {
        'gateway_requests_total{app="api",status="2xx"}': total,
        'gateway_request_seconds_count{app="api"}': total,
        'gateway_request_seconds_bucket{app="api",le="0.5"}': quick,
    }


def resident(job: str, used: str) -> Series:
    """Of the reference's limits, 100 MiB are `api`'s and 50 `postgres-exporter`'s. In bytes."""
    return {f'process_resident_memory_bytes{{job="{job}",instance="a"}}': used}


def burns(long: str, share: float, minutes: int, samples: int, bad: int, *texts: str, scale: float = 1) -> Case:
    """Ten thousand requests a step, of which `share` fail at the threshold. `samples` are in the long window, so that
    its rate is what happens in one step less: all of it in `bad` steps, in the first quiet case."""
    period, every, limit, least = samples - 1, 10_000 * scale, 10_000 * scale * share, 3.0 * minutes
    wild = limit * period / bad
    steady_first, step_first, over, more_over, traffic_first, summary, text = texts
    return Case(
        alert=f"AvailabilityBudgetBurns.{long}.system",
        interval=f"{minutes}m",
        end=f"{period * 3 * minutes}m",
        fires=(
            Fires(series=requests(steady(every - limit * 1.001), steady(limit * 1.001)), first=steady_first),
            Fires(
                series=requests(
                    counted((2 * samples, every), (samples, every * 0.9)),
                    counted((2 * samples, 0), (samples, every * 0.1)),
                ),
                first=step_first,
            ),
            # What happened leaves the short window.
            Fires(
                series=requests(counted((20, 0), (60, every - limit)), counted((20, every), (60, limit))),
                first=steady_first,
                over=over,
            ),
            # The same, with less after it than the threshold.
            Fires(
                series=requests(counted((20, 0), (60, every - limit * 0.9)), counted((20, every), (60, limit * 0.9))),
                first=steady_first,
                over=over,
            ),
            # As many fail, and more succeed.
            Fires(
                series=requests(
                    counted((20, every - limit * 1.5), (60, every * 2.5 - limit * 1.5)), steady(limit * 1.5)
                ),
                first=steady_first,
                over=more_over,
            ),
            Fires(series=requests(steady(0), steady(least * 1.02)), first=traffic_first),
        ),
        quiet=(
            requests(
                counted((period - bad, every), (bad, every - wild), times=4),
                counted((period - bad, 0), (bad, wild), times=4),
            ),
            requests(steady(0), steady(least)),
        ),
        summary=summary,
        description=f"{text} of requests failed in the last {long}; 99.9 % availability allows 0.1 %.",
    )


def slows(
    long: str,
    share: float,
    minutes: int,
    samples: int,
    bad: int,
    *texts: str,
    scale: float = 1,
    fewer_first: str = "",
    dust: float = 0,
) -> Case:
    """The same for ten thousand requests a step, of which `share` are quick enough at the threshold.

    Where floating point finds fewer, `dust` is added."""
    period, every, quick, least = samples - 1, 10_000 * scale, 10_000 * scale * share, 3.0 * minutes
    wild = every - (every - quick) * period / bad + dust
    steady_first, step_first, over, fewer_over, traffic_first, summary, text = texts
    return Case(
        alert=f"LatencyBudgetBurns.{long}.system",
        interval=f"{minutes}m",
        end=f"{period * 3 * minutes}m",
        fires=(
            Fires(series=answers(steady(every), steady(quick * 0.9999)), first=steady_first),
            Fires(
                series=answers(steady(every), counted((2 * samples, every), (2 * samples, quick / 4))),
                first=step_first,
            ),
            Fires(series=answers(steady(every), counted((20, 0), (60, quick))), first=steady_first, over=over),
            # As many are quick, and the slow ones are gone.
            Fires(
                series=answers(counted((20, every * 1.5), (60, quick)), steady(quick)),
                first=fewer_first or steady_first,
                over=fewer_over,
            ),
            Fires(series=answers(steady(least * 1.02), steady(0)), first=traffic_first),
        ),
        quiet=(
            answers(steady(every), counted((period - bad, every), (bad, wild), times=4)),
            answers(steady(least), steady(0)),
        ),
        summary=summary,
        description=f"{text} of requests took at most 0.5 s in the last {long}; 95 % are promised.",
    )


ERRORS = "Errors use up the availability budget {} times too fast"
SLOW = "Slow answers use up the latency budget {} times too fast"


BUDGETS = (
    burns("1h", 0.0144, 1, 60, 12, "3m", "131m", "25m", "22m", "61m", ERRORS.format("14.4"), "1.441%", scale=3),
    burns("6h", 0.006, 5, 72, 12, "20m", "760m", "130m", "110m", "370m", ERRORS.format("6"), "0.6006%", scale=5),
    burns("1d", 0.003, 15, 96, 15, "75m", "2985m", "420m", "345m", "1485m", ERRORS.format("3"), "0.3003%", scale=3),
    burns("3d", 0.001, 60, 72, 10, "300m", "8880m", "1560m", "1320m", "4440m", ERRORS.format("1"), "0.1001%"),
    slows("1h", 0.28, 1, 60, 48, "3m", "168m", "25m", "22m", "61m", SLOW.format("14.4"), "28%", scale=3),
    slows("6h", 0.7, 5, 72, 30, "20m", "865m", "130m", "120m", "370m", SLOW.format("6"), "69.99%"),
    slows("1d", 0.85, 15, 96, 19, "75m", "3225m", "420m", "390m", "1485m", SLOW.format("3"), "84.99%", dust=0.01),
    slows(
        "3d",
        0.95,
        60,
        72,
        10,
        "300m",
        "9120m",
        "1560m",
        "1500m",
        "4440m",
        SLOW.format("1"),
        "94.99%",
        scale=1.25,
        fewer_first="240m",
    ),
)


def buckets(half: float, one: float, two: float) -> Series:
    bounds = {"0.5": half, "1.0": one, "2.0": two, "+Inf": two}
    return {
        **{f'gateway_request_seconds_bucket{{app="api",le="{le}"}}': steady(rate) for le, rate in bounds.items()},
        'gateway_requests_total{app="api",status="2xx"}': steady(two),
    }


SLOWER = {
    'gateway_request_seconds_bucket{app="api",le="1.0"}': counted((20, 1000), (10, 800), (60, 1000)),
    'gateway_request_seconds_bucket{app="api",le="2.0"}': steady(1000),
    'gateway_request_seconds_bucket{app="api",le="+Inf"}': steady(1000),
    'gateway_requests_total{app="api",status="2xx"}': steady(1000),
}

SYSTEM = (
    Case(
        alert="ErrorRateHigh.each",
        fires=(
            Fires(series=requests(steady(949), steady(51)), first="6m"),
            Fires(
                series=requests(counted((20, 1000), (10, 750), (60, 1000)), counted((20, 0), (10, 250), (60, 0))),
                first="26m",
                over="34m",
            ),
            Fires(series=requests(steady(0), steady(3.06)), first="10m"),
            # Much traffic that ends: the rate over five minutes goes below the least at once.
            Fires(series=requests(steady(0), counted((20, 4), (60, 2))), first="9m", over="22m"),
        ),
        quiet=(
            requests(steady(2850), steady(150)),
            requests(steady(0), steady(3)),
            # Another app's errors are not this one's.
            {**requests(steady(1000), steady(40)), **requests(steady(1000), steady(0), app="web")},
        ),
        labels={"app": "api", "service": "api"},
        summary="api answers with errors",
        description="5.1% of its requests in 5 minutes got a 5xx; the limit is 5 %.",
    ),
    Case(
        alert="LatencyHigh.each",
        fires=(
            Fires(series=buckets(0, 949, 1000), first="6m"),
            Fires(series=SLOWER, first="27m", over="33m"),
            Fires(series=buckets(0, 0, 3.06), first="10m"),
            Fires(
                series={
                    name: counted((20, 4), (60, 2)) if "1.0" not in name else steady(0)
                    for name in buckets(0, 0, 1)
                    if "0.5" not in name
                },
                first="9m",
                over="22m",
            ),
        ),
        quiet=(buckets(0, 950, 1000), buckets(0, 0, 3)),
        labels={"app": "api", "service": "api"},
        summary="api is slow",
        description="5 of 100 requests took longer than 1.02s; the limit is 1 s.",
    ),
    Case(
        alert="ServiceDown.each",
        fires=(
            Fires(
                series={
                    'up{job="api",instance="a"}': level(1, 0, 1),
                    GATEWAYS[0]: level(1),
                },
                first="12m",
                over="20m",
            ),
            # None is found at all.
            Fires(series={GATEWAYS[0]: level(1)}, first="2m"),
            Fires(series={'up{job="api",instance="a"}': level(1)}, first="2m"),
        ),
        quiet=(
            # One of two still answers.
            {
                'up{job="api",instance="a"}': level(0),
                'up{job="api",instance="b"}': level(1),
                GATEWAYS[0]: level(0),
                GATEWAYS[1]: level(1),
                'up{job="other",instance="o"}': level(0),
            },
            # A minute is a restart.
            {
                'up{job="api",instance="a"}': level(1, 0, 1, each=2),
                GATEWAYS[0]: level(1),
            },
        ),
        labels={"job": "api", "service": "api"},
        summary="api does not answer",
        description="No replica of api could be scraped for 2 minutes, or none is found at all.",
    ),
    Case(
        alert="ReplicaDown.each",
        fires=(
            Fires(
                series={'up{job="api",instance="a"}': level(0, 0, 1), 'up{job="api",instance="b"}': level(1)},
                first="10m",
                over="20m",
            ),
            # One that is not found on its machine, while the other answers.
            Fires(series={GATEWAYS[0]: level(1)}, first="10m"),
            Fires(series={GATEWAYS[1]: level(1)}, first="10m"),
        ),
        quiet=(
            {GATEWAYS[0]: level(1), GATEWAYS[1]: level(1)},
            {GATEWAYS[0]: level(1), GATEWAYS[1]: f"_x9 1x{LONG}"},
            # All of them: ServiceDown's.
            {GATEWAYS[0]: level(0)},
            {'up{job="api",instance="a"}': level(0), 'up{job="api",instance="b"}': level(0)},
            {'up{job="api",instance="a"}': level(0, 1, each=10), 'up{job="api",instance="b"}': level(1)},
            {'up{job="other",instance="a"}': level(0), 'up{job="other",instance="b"}': level(1)},
        ),
        labels={"job": "api", "instance": "a", "service": "api"},
        summary="A replica of api does not answer",
        description="api at a could not be scraped for 10 minutes; others can.",
    ),
    Case(
        alert="RestartsOften.each",
        fires=(
            Fires(
                series={'process_start_time_seconds{job="api",instance="a"}': level(1, 2, 3, 4, each=9)},
                first="27m",
                over="38m",
            ),
        ),
        quiet=({'process_start_time_seconds{job="api",instance="a"}': level(1, 2, 3, each=2)},),
        labels={"job": "api", "instance": "a", "service": "api"},
        summary="api starts again and again",
        description="api at a started 3 times in 30 minutes.",
    ),
    Case(
        alert="MemoryNearLimit.each",
        fires=(
            Fires(series=resident("api", level(1, 91 * MIB, 91 * MIB, 1)), first="20m", over="30m"),
            # Another limit.
            Fires(series=resident("postgres-exporter", level(1, 46 * MIB, 46 * MIB, 1)), first="20m", over="30m"),
        ),
        quiet=(
            resident("api", level(90 * MIB)),
            resident("api", level(99 * MIB, 1)),
            resident("postgres-exporter", level(45 * MIB)),
        ),
        labels={"job": "api", "instance": "a", "service": "api"},
        summary="api is near its memory limit",
        description="api at a uses 91% of it.",
    ),
    Case(
        alert="EntryDown.gateway",
        fires=(
            Fires(series={'probe_success{job="entry",instance="shop"}': level(1, 0, 1)}, first="12m", over="20m"),
            Fires(series={"other": "1"}, first="2m"),
        ),
        quiet=(
            {'probe_success{job="entry",instance="shop"}': level(1, 0, 1, each=2)},
            # Another gateway answers.
            {
                'probe_success{job="entry",instance="shop",machine="app-1"}': level(0),
                'probe_success{job="entry",instance="shop",machine="app-2"}': level(1),
            },
        ),
        labels={"job": "entry", "instance": "shop"},
        summary="The system can't be reached",
        description="The gateway did not answer as it should for 2 minutes, or nobody asks it any more.",
    ),
    Case(
        alert="NotReady.each",
        fires=(Fires(series={f"probe_success{{{READY}}}": level(1, 0, 1)}, first="12m", over="20m"),),
        quiet=(
            {f"probe_success{{{READY}}}": level(1, 0, 1, each=2)},
            # It is on another machine.
            {
                f'probe_success{{{READY},machine="app-1"}}': level(0),
                f'probe_success{{{READY},machine="app-2"}}': level(1),
            },
        ),
        labels={"job": "ready", "instance": "http://web:8080/ready", "workload": "web", "service": "web"},
        summary="web is not ready",
        description="No replica of web said for 2 minutes that it takes requests.",
    ),
    *(
        Case(
            alert=f"CertificateExpires.{days}.gateway",
            fires=(
                # It ends so many days and 20 minutes after the beginning.
                Fires(
                    series={ENDS: level(days * 86_400 + 1200)},
                    first="31m",
                ),
            ),
            quiet=(
                {
                    ENDS: f"{days * 86_400}+60x{LONG}",
                },
                # Renewed within ten minutes.
                {
                    ENDS: level(
                        days * 86_400 - 1, days * 90_000
                    ),
                },
            ),
            labels={"instance": "shop"},
            summary=f"The certificate ends in less than {days} days",
            description=f"That of shop ends in {days - 1}d 23h 49m 0s.",
        )
        for days in (20, 3)
    ),
)

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

OWN = 'job="prometheus",instance="p"'
OWN_LABELS = {"job": "prometheus", "instance": "p"}


def reloads(prometheus: str, alertmanager: str) -> Series:
    return {
        f"prometheus_config_last_reload_successful{{{OWN}}}": prometheus,
        'alertmanager_config_last_reload_successful{job="alertmanager",instance="a"}': alertmanager,
    }


def sent(errors: str, known: str) -> Series:
    return {
        f'prometheus_notifications_errors_total{{{OWN},alertmanager="a"}}': errors,
        f"prometheus_notifications_alertmanagers_discovered{{{OWN}}}": known,
    }


def stored(used: str, bound: str) -> Series:
    return {
        f"prometheus_tsdb_storage_blocks_bytes{{{OWN}}}": used,
        f"prometheus_tsdb_retention_limit_bytes{{{OWN}}}": bound,
    }


OWN_UP = f"up{{{OWN}}}"


def exporters(*values: str) -> Series:
    """Of two machines; without a value it is not there."""
    names = (f'up{{job="node-exporter",instance="n",machine="app-{number}"}}' for number in (1, 2))
    return {name: value for name, value in zip(names, values, strict=True) if value}


FAILED = 'alertmanager_notifications_failed_total{job="alertmanager",instance="a",integration="email",reason="other"}'
MONITORING = (
    Case(
        alert="Watchdog.monitoring",
        fires=(Fires(series={"up": "1"}, first="0m"),),
        # Nothing silences it; its test is that it is there.
        quiet=(),
        summary="Alerts work",
        description="It always fires. A receiver outside raises the alarm when it no longer comes.",
    ),
    Case(
        alert="RulesFail.monitoring",
        fires=(
            Fires(
                series={
                    f'prometheus_rule_evaluation_failures_total{{{OWN},rule_group="host"}}': counted(
                        (10, 0), (10, 1), (30, 0)
                    )
                },
                first="16m",
                over="24m",
            ),
        ),
        quiet=(
            {f'prometheus_rule_evaluation_failures_total{{{OWN},rule_group="host"}}': level(7)},
            {
                f'prometheus_rule_evaluation_failures_total{{{OWN},rule_group="host"}}': counted(
                    (10, 0), (2, 1), (60, 0)
                )
            },
        ),
        labels={**OWN_LABELS, "rule_group": "host"},
        summary="Prometheus can't evaluate a rule",
        description="host: 5 evaluations failed in 5 minutes.",
    ),
    Case(
        alert="AlertsNotSent.monitoring",
        fires=(
            Fires(series=sent(counted((10, 0), (10, 1), (30, 0)), level(1)), first="16m", over="24m"),
            Fires(series=sent(level(0), level(1, 0, 1)), first="15m", over="20m"),
        ),
        quiet=(
            sent(level(7), level(1)),
            sent(level(0), level(0, 1, each=5)),
            sent(counted((10, 0), (2, 1), (60, 0)), level(1)),
        ),
        labels={**OWN_LABELS, "alertmanager": "a"},
        summary="Prometheus can't reach Alertmanager",
        description="No alert arrives as long as this lasts; only the missing Watchdog tells anybody.",
    ),
    Case(
        alert="NotificationsFail.monitoring",
        fires=(Fires(series={FAILED: counted((10, 0), (1, 1), (60, 0))}, first="16m", over="25m"),),
        quiet=({FAILED: level(7)},),
        labels={"integration": "email"},
        summary="Alertmanager can't deliver by email",
        description="1 notifications by email failed in 15 minutes.",
    ),
    Case(
        alert="ConfigReloadFailed.monitoring",
        fires=(
            Fires(series=reloads(level(1, 0, 1), level(1)), first="15m", over="20m"),
            Fires(series=reloads(level(1), level(1, 0, 1)), first="15m", over="20m"),
        ),
        quiet=(reloads(level(1), level(1)), reloads(level(0, 1, each=5), level(0, 1, each=5))),
        labels=OWN_LABELS,
        summary="prometheus refuses its configuration",
        description="It goes on with the one before, and will not start with this one.",
    ),
    Case(
        alert="MetricsNearBound.monitoring",
        fires=(
            Fires(series=stored(level(1, 91, 1, each=70), level(100)), first="130m", over="140m"),
            Fires(series=stored(level(1), level(1)), first="60m"),
        ),
        quiet=(stored(level(90), level(100)), stored(level(99), level(0)), stored(level(99, 1, each=60), level(100))),
        labels=OWN_LABELS,
        summary="Metrics fill the space they are given",
        description="91% of the bound is used; beyond it the oldest days go early.",
    ),
    Case(
        alert="MetricsNotStored.monitoring",
        end="6h",
        fires=(
            Fires(series={f"prometheus_tsdb_compactions_failed_total{{{OWN}}}": level(0, 1)}, first="10m", over="189m"),
        ),
        quiet=({f"prometheus_tsdb_compactions_failed_total{{{OWN}}}": level(7)},),
        labels=OWN_LABELS,
        summary="Prometheus can't write its blocks",
        description="1 compactions failed in 3 hours; the head grows in memory meanwhile.",
    ),
    Case(
        alert="ScrapeSlow.each",
        fires=(
            Fires(
                series={'scrape_duration_seconds{job="api",instance="a"}': level(1, 7.51, 7.51, 1)},
                first="25m",
                over="30m",
            ),
        ),
        quiet=(
            {'scrape_duration_seconds{job="api",instance="a"}': level(7.5)},
            {'scrape_duration_seconds{job="api",instance="a"}': level(9, 1, each=15)},
        ),
        labels={"job": "api", "instance": "a", "service": "api"},
        summary="api takes long to say how it is",
        description="api at a took 7.51s; after 10 s it counts as down.",
    ),
    Case(
        alert="ExporterDown.each",
        fires=(
            Fires(series={**exporters(level(1, 0, 1), level(1)), OWN_UP: level(1)}, first="15m", over="20m"),
            Fires(series={**exporters(level(1), level(0)), OWN_UP: level(1)}, first="5m"),
            # Not found at all, or not on one of its machines.
            Fires(series=exporters(level(1), level(1)), first="5m"),
            Fires(series={**exporters(level(1), ""), OWN_UP: level(1)}, first="5m"),
            Fires(series={**exporters("", level(1)), OWN_UP: level(1)}, first="5m"),
        ),
        quiet=(
            {**exporters(level(0, 1, each=5), level(1)), OWN_UP: level(1)},
            # One of two on the same machine.
            {
                **exporters(level(0), level(1)),
                'up{job="node-exporter",instance="m",machine="app-1"}': level(1),
                OWN_UP: level(1),
            },
        ),
        labels={"job": "node-exporter", "service": "node-exporter", "machine": "app-1"},
        summary="node-exporter tells nothing",
        description="node-exporter on app-1 could not be scraped for 5 minutes, or is not found at all.",
    ),
)

SYSTEM_CASES = (*BUDGETS, *SYSTEM, *HOST, *MONITORING)
