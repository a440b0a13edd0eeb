"""What makes each alert of the reference fire, and what just does not: thresholds and durations at their edges.

`first` and `over` are known from the rule: when the share is beyond the threshold, and so much later as it must hold.
A rate over five minutes, with a sample a minute, is made of five samples and of what is between them.
"""

from __future__ import annotations

from tests.monitoring.promtool import Case, Fires, Series
from tests.monitoring.series import LONG, counted, level, steady

ENDS = 'probe_ssl_earliest_cert_expiry{job="certificate",instance="shop"}'
GATEWAYS = [f'up{{job="gateway",instance="g",machine="app-{number}"}}' for number in (1, 2)]
READY = 'job="ready",instance="http://web:8080/ready",workload="web"'
MIB = 1024**2


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
