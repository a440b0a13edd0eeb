"""What users notice: budgets of errors and slowness, and whatever of the system does not answer at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .alerts import Alert, Severity, number
from .objectives import Objectives

WORKBOOK = "SRE workbook, chapter 5 (multiwindow, multi-burn-rate)"
SLOW_BUDGET = 0.05
"""Of the requests: latency is promised for 95 of 100."""
PLACE = "{{ with $labels.instance }} at {{ . }}{{ end }}{{ with $labels.machine }} on {{ . }}{{ end }}"
"""Behind the name of what it is about. Containers of two machines may have the same address."""
APPS = 'app!=""'
"""Without what the gateway answers itself, such as redirects to https."""


@dataclass(frozen=True, kw_only=True)
class Burn:
    """So much faster than planned is the budget used up, seen over two windows: the short one ends the alert soon."""

    rate: float
    long: str
    short: str
    hold: str
    """Only so that a restart of Prometheus, after which rates are wild, wakes nobody."""
    spent: str
    severity: Severity
    slow_severity: Severity
    """Slow is less than broken: S3 counts it as P1 at most."""


BURNS = (
    Burn(rate=14.4, long="1h", short="5m", hold="2m", spent="2 %", severity="P0", slow_severity="P1"),
    Burn(rate=6, long="6h", short="30m", hold="15m", spent="5 %", severity="P1", slow_severity="P2"),
    Burn(rate=3, long="1d", short="2h", hold="1h", spent="10 %", severity="P2", slow_severity="P3"),
    Burn(rate=1, long="3d", short="6h", hold="3h", spent="10 %", severity="P3", slow_severity="P3"),
)


def budget_alerts(objectives: Objectives) -> tuple[Alert, ...]:
    """Availability and latency over the whole system, each at four speeds."""
    return tuple(alert for burn in BURNS for alert in (_errors(objectives, burn), _slow(objectives, burn)))


def _errors(objectives: Objectives, burn: Burn) -> Alert:
    limit = number(burn.rate * objectives.error_budget)
    return Alert(
        name="AvailabilityBudgetBurns",
        labels={"window": burn.long},
        expr=_both(burn, error_share("", burn.long), error_share("", burn.short), f"> {limit}", objectives),
        hold=burn.hold,
        severity=burn.severity,
        service="system",
        summary=f"Errors use up the availability budget {burn.rate:g} times too fast",
        description=f"{{{{ $value | humanizePercentage }}}} of requests failed in the last {burn.long}; "
        f"{objectives.availability_percent:g} % availability allows {objectives.error_budget * 100:g} %.",
        why=f"Users meet errors, which cost {burn.spent} of the month's budget in {burn.long}.",
        reason=f"{burn.rate:g} times the {objectives.error_budget * 100:g} % that may fail",
        source=WORKBOOK,
    )


def _slow(objectives: Objectives, burn: Burn) -> Alert:
    limit = number(1 - burn.rate * SLOW_BUDGET)
    seconds = objectives.latency_seconds
    return Alert(
        name="LatencyBudgetBurns",
        labels={"window": burn.long},
        expr=_both(burn, quick_share(seconds, burn.long), quick_share(seconds, burn.short), f"< {limit}", objectives),
        hold=burn.hold,
        severity=burn.slow_severity,
        service="system",
        summary=f"Slow answers use up the latency budget {burn.rate:g} times too fast",
        description=f"{{{{ $value | humanizePercentage }}}} of requests took at most {seconds:g} s in the last "
        f"{burn.long}; 95 % are promised.",
        why=f"Users wait, which costs {burn.spent} of the month's budget in {burn.long}.",
        reason=f"{burn.rate:g} times the 5 % that may be slow",
        source=WORKBOOK,
    )


def _both(burn: Burn, long: str, short: str, limit: str, objectives: Objectives) -> str:
    least = number(objectives.minimum_requests_per_second)
    traffic = f"sum(rate(gateway_requests_total{{{APPS}}}[{burn.long}]))"
    return f"{long} {limit}\nand {short} {limit}\nand {traffic} > {least}"


def error_share(by: str, window: str) -> str:
    """PromQL: the share of requests that were answered with 5xx."""
    failed = f'sum{by} (rate(gateway_requests_total{{{APPS}, status="5xx"}}[{window}]))'
    return f"{failed}\n/ sum{by} (rate(gateway_requests_total{{{APPS}}}[{window}]))"


def quick_share(seconds: float, window: str) -> str:
    """PromQL: the share of requests that took no longer. Prometheus 3 stores the bound 1 as `1.0`."""
    quick = f'sum(rate(gateway_request_seconds_bucket{{{APPS}, le="{float(seconds)}"}}[{window}]))'
    return f"{quick}\n/ sum(rate(gateway_request_seconds_count{{{APPS}}}[{window}]))"


def app_alerts(objectives: Objectives) -> tuple[Alert, ...]:
    """What one app does to its users, too small as it may be for the whole system's budget."""
    least = number(objectives.minimum_requests_per_second)
    traffic = f"sum by (app) (rate(gateway_requests_total{{{APPS}}}[5m])) > {least}"
    buckets = f"sum by (app, le) (rate(gateway_request_seconds_bucket{{{APPS}}}[5m]))"
    return (
        Alert(
            name="ErrorRateHigh",
            expr=f"{error_share(' by (app)', '5m')} > {number(objectives.error_percent / 100)}\nand {traffic}",
            hold="5m",
            severity="P1",
            service="{{ $labels.app }}",
            summary="{{ $labels.app }} answers with errors",
            description="{{ $value | humanizePercentage }} of its requests in 5 minutes got a 5xx; the limit is "
            f"{objectives.error_percent:g} %.",
            why="Some users can't do what they came for.",
            reason="the system's own figure, for five minutes: a release or a restart is shorter",
            source="S2 (10 % for 5 min), S5 (5 %), S1 (1 %)",
        ),
        Alert(
            name="LatencyHigh",
            expr=f"histogram_quantile(0.95, {buckets}) > {number(objectives.p95_seconds)}\nand {traffic}",
            hold="5m",
            severity="P2",
            service="{{ $labels.app }}",
            summary="{{ $labels.app }} is slow",
            description="5 of 100 requests took longer than {{ $value | humanizeDuration }}; the limit is "
            f"{objectives.p95_seconds:g} s.",
            why="Users wait; slow is what a failure looks like before it is one.",
            reason="the system's own figure, for five minutes",
            source="S1, S2 (P95 > 1 s for 5 min), S5 (0.5 s)",
        ),
    )


def serving_alerts(jobs: Sequence[str], machines: Mapping[str, Sequence[str]]) -> tuple[Alert, ...]:
    """Of everything that serves: `jobs` are the workloads that are scraped themselves, exporters not among them.
    `machines` are those that each is on."""
    if not jobs:
        return ()
    known = "|".join(sorted(jobs))
    spread = {job: names for job, names in machines.items() if len(names) > 1 and job in jobs}
    some = f"sum by (job) (up{{job=~\"{known}\"}}) > 0"
    gone = f"\nor ({absent(sorted(spread), spread).removeprefix('or ')})\nand on (job) {some}" if spread else ""
    return (
        Alert(
            name="ServiceDown",
            expr=f'sum by (job) (up{{job=~"{known}"}}) == 0\n{absent(jobs, {})}',
            hold="2m",
            severity="P0",
            service="{{ $labels.job }}",
            summary="{{ $labels.job }} does not answer",
            description="No replica of {{ $labels.job }} could be scraped for 2 minutes, or none is found at all.",
            why="Whatever needs it fails for every user.",
            reason="2 minutes: a start takes up to one, and a release replaces replicas one by one",
            source="S2 (ServiceDown, 2 min)",
        ),
        Alert(
            name="ReplicaDown",
            expr=f'up{{job=~"{known}"}} == 0\nand on (job) {some}{gone}',
            hold="10m",
            severity="P2",
            service="{{ $labels.job }}",
            summary="A replica of {{ $labels.job }} does not answer",
            description=f"{{{{ $labels.job }}}}{PLACE} could not be scraped for 10 minutes; others can.",
            why="Nobody notices yet, and the next failure is an outage.",
            reason="10 minutes: what heals by itself (a restart, a slow start of up to 15 minutes) mostly has by then",
            source="S5 (PodUnhealthy), Groundwork",
        ),
    )


def absent(jobs: Sequence[str], machines: Mapping[str, Sequence[str]]) -> str:
    """PromQL: or a job has no target at all, which `up == 0` does not see; none on one of its `machines`, if it has
    some."""
    wheres = [
        f'job="{job}"' + (f', machine="{machine}"' if machine else "")
        for job in sorted(jobs)
        for machine in machines.get(job, ("",))
    ]
    return "\n".join(f"or absent(up{{{where}}})" for where in wheres)


def process_alerts(limits_mib: Mapping[str, int]) -> tuple[Alert, ...]:
    """What programs tell of their own process. `limits_mib` are those of their containers, by job."""
    return (
        *((_memory(limits_mib),) if limits_mib else ()),
        Alert(
            name="RestartsOften",
            expr="changes(process_start_time_seconds[30m]) > 2",
            severity="P2",
            service="{{ $labels.job }}",
            summary="{{ $labels.job }} starts again and again",
            description=f"{{{{ $labels.job }}}}{PLACE} started {{{{ $value }}}} times in 30 minutes.",
            why="Requests under way are lost each time, and it soon stays down.",
            reason="more than two: one may be a release and one more its rollback; S5's 0.1/s would be 30 in 5 minutes",
            source="S5 (HighRestartRate), with a figure that can happen",
        ),
    )


NEAR_LIMIT = 0.9


def memory_shares(limits_mib: Mapping[str, int]) -> str:
    """PromQL: the memory of each process as a share of what its container may take."""
    jobs: dict[int, list[str]] = {}
    for job, limit in sorted(limits_mib.items()):
        jobs.setdefault(limit, []).append(job)
    shares = (
        f"process_resident_memory_bytes{{{_any_of(names)}}} / {limit * 1024**2}"
        for limit, names in sorted(jobs.items())
    )
    return "\n  or ".join(shares)


def _memory(limits_mib: Mapping[str, int]) -> Alert:
    return Alert(
        name="MemoryNearLimit",
        expr=f"(\n  {memory_shares(limits_mib)}\n) > {NEAR_LIMIT}",
        hold="10m",
        severity="P2",
        service="{{ $labels.job }}",
        summary="{{ $labels.job }} is near its memory limit",
        description=f"{{{{ $labels.job }}}}{PLACE} uses {{{{ $value | humanizePercentage }}}} of it.",
        why="Beyond the limit the kernel ends it, with all requests under way.",
        reason="a tenth is what a burst of requests takes; 10 minutes rule one out",
        source="Groundwork",
    )


def _any_of(jobs: Sequence[str]) -> str:
    return f'job="{jobs[0]}"' if len(jobs) == 1 else f'job=~"{"|".join(jobs)}"'


def entry_alerts(*, several: bool) -> tuple[Alert, ...]:
    """What the blackbox exporter asks for: `entry` is the gateway's address, `certificate` the same without believing
    what it shows, `ready` each app's own word. On `several` machines each has one, which asks what is there."""
    asked = 'probe_success{job=~"entry|ready"}'
    left = 'min by (instance) (probe_ssl_earliest_cert_expiry{job="certificate"}) - time()'
    return (
        Alert(
            name="EntryDown",
            # By all of its gateways, where there are several.
            expr='max by (job, instance) (probe_success{job="entry"}) == 0\nor absent(probe_success{job="entry"})',
            hold="2m",
            severity="P0",
            service="gateway",
            summary="The system can't be reached",
            description="The gateway did not answer as it should for 2 minutes, or nobody asks it any more.",
            why="No user gets in.",
            reason="2 minutes are 8 failed probes in a row: none of them a lost packet",
            source="S2 (2 min), S3 (P0: the system can't be reached)",
        ),
        Alert(
            name="NotReady",
            expr='max by (job, instance, workload) (probe_success{job="ready"}) == 0',
            hold="2m",
            severity="P0",
            service="{{ $labels.workload }}",
            summary="{{ $labels.workload }} is not ready",
            description="No replica of {{ $labels.workload }} said for 2 minutes that it takes requests.",
            why="Its part of the system fails for every user.",
            reason="2 minutes are 8 failed probes in a row; a release keeps the one before until the next is ready",
            source="S2 (2 min), S5 (PodUnhealthy)",
        ),
        *((_partly(asked),) if several else ()),
        *(
            Alert(
                name="CertificateExpires",
                labels={"days": str(days)},
                expr=f"{left} < {days} * 86400",
                hold="10m",
                severity=severity,
                service="gateway",
                summary=f"The certificate ends in less than {days} days",
                description="That of {{ $labels.instance }} ends in {{ $value | humanizeDuration }}.",
                why=why,
                reason=reason,
                source="issue 6, ACME's usual 90 days with renewal at 30",
            )
            for days, severity, why, reason in CERTIFICATE
        ),
    )


def _partly(asked: str) -> Alert:
    return Alert(
        name="NotReadyOnMachine",
        expr=f"{asked} == 0\nand on (job, workload) max by (job, workload) ({asked}) == 1",
        hold="10m",
        severity="P2",
        service="{{ $labels.workload }}",
        summary="{{ $labels.workload }} is not ready on {{ $labels.machine }}",
        description="On {{ $labels.machine }} it did not answer as it should for 10 minutes; others go on for it.",
        why="Nobody notices yet, and the next failure is an outage.",
        reason="10 minutes, as of a replica: what heals by itself mostly has by then",
        source="S5 (PodUnhealthy), Groundwork",
    )


CERTIFICATE: tuple[tuple[int, Severity, str, str], ...] = (
    (20, "P2", "Renewal fails, and there is time.", "renewal begins at 30 days: ten attempts have failed by then"),
    (3, "P1", "In days every browser refuses the system.", "time for a weekend, and for one attempt with help"),
)
