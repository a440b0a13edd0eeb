"""What users ask of the system and get, as the gateway counts it."""

from __future__ import annotations

from ..objectives import Objectives
from ..system_rules import APPS, SLOW_BUDGET
from .panels import RATE, Dashboard, Panel, Query, Row, Variable, falling, rising
from .shared import DAY, SHARE, YES_NO

UID = "groundwork-gateway"
CHOSEN = f'{APPS}, app=~"$app"'


def gateway_dashboard(objectives: Objectives, *, entry: bool, certificate: bool) -> Dashboard:
    """`entry` and `certificate`: the blackbox exporter asks for the gateway's address and its certificate."""
    return Dashboard(
        uid=UID,
        title="Gateway",
        text="Requests of users: how many, how many failed, how long they took.",
        tags=("gateway",),
        variables=(
            Variable(
                name="app",
                title="App",
                text="Whose requests are shown; all of them to begin with.",
                label="app",
                of=f"gateway_requests_total{{{APPS}}}",
                many=True,
            ),
        ),
        rows=(
            Row(title="Requests", panels=_requests(objectives)),
            Row(title="Time", panels=_times(objectives)),
            Row(title="The gateway itself", panels=_itself()),
            *([Row(title="From outside", panels=_outside(certificate=certificate))] if entry else []),
        ),
    )


def errors_by_app(objectives: Objectives, labels: str) -> Panel:
    failed = f'sum by (app) (rate(gateway_requests_total{{{labels}, status="5xx"}}[{RATE}]))'
    return Panel(
        kind="lines",
        title="Share of requests that fail",
        unit=SHARE,
        text=f"Answered with 5xx. Above {objectives.error_percent:g} % for 5 minutes somebody is told: look at the "
        "app's log first, then at what it uses.",
        queries=(
            Query(
                expr=f"{failed} / sum by (app) (rate(gateway_requests_total{{{labels}}}[{RATE}]))", legend="{{app}}"
            ),
        ),
        steps=rising(objectives.error_percent / 100),
        width=8,
        empty="no requests",
        runbooks=("ErrorRateHigh", "AvailabilityBudgetBurns"),
    )


def slowness_by_app(objectives: Objectives, labels: str) -> Panel:
    buckets = f"sum by (app, le) (rate(gateway_request_seconds_bucket{{{labels}}}[{RATE}]))"
    return Panel(
        kind="lines",
        title="Time within which 95 of 100 are answered",
        unit="s",
        text=f"P95 of each app. Above {objectives.p95_seconds:g} s for 5 minutes somebody is told: see whether the "
        "database, the processor or another service is what it waits for.",
        queries=(Query(expr=f"histogram_quantile(0.95, {buckets})", legend="{{app}}"),),
        steps=rising(objectives.p95_seconds),
        width=8,
        empty="no requests",
        runbooks=("LatencyHigh", "LatencyBudgetBurns"),
    )


def traffic_by_app(labels: str) -> Panel:
    return Panel(
        kind="lines",
        title="Requests a second",
        unit="reqps",
        text="A sudden drop is as telling as a peak: users can't get in, or a client has stopped.",
        queries=(Query(expr=f"sum by (app) (rate(gateway_requests_total{{{labels}}}[{RATE}]))", legend="{{app}}"),),
        width=8,
        runbooks=("EntryDown",),
    )


def _requests(objectives: Objectives) -> tuple[Panel, ...]:
    by_status = f"sum by (status) (rate(gateway_requests_total{{{CHOSEN}}}[{RATE}])) > 0"
    return (
        traffic_by_app(CHOSEN),
        Panel(
            kind="lines",
            title="Requests a second by answer",
            unit="reqps",
            text="4xx are the client's fault: many after a release are an address that moved; 5xx are ours.",
            queries=(Query(expr=by_status, legend="{{status}}"),),
            stacked=True,
            empty="no requests",
        ),
        errors_by_app(objectives, CHOSEN),
    )


def _times(objectives: Objectives) -> tuple[Panel, ...]:
    buckets = f"sum by (le) (rate(gateway_request_seconds_bucket{{{CHOSEN}}}[{RATE}]))"
    quick = f'gateway_request_seconds_bucket{{{CHOSEN}, le="{float(objectives.latency_seconds)}"}}'
    every = f"gateway_request_seconds_count{{{CHOSEN}}}"
    within = f"sum by (app) (rate({quick}[{RATE}])) / sum by (app) (rate({every}[{RATE}]))"
    return (
        slowness_by_app(objectives, CHOSEN),
        Panel(
            kind="lines",
            title="Time of all apps that are chosen",
            unit="s",
            text="Where only the 99th rises, a few requests are slow, such as uploads. Where all rise, all wait.",
            queries=tuple(
                Query(expr=f"histogram_quantile({share}, {buckets})", legend=f"{share * 100:g} of 100")
                for share in (0.5, 0.95, 0.99)
            ),
            empty="no requests",
            runbooks=("LatencyHigh",),
        ),
        Panel(
            kind="lines",
            title=f"Share answered within {objectives.latency_seconds:g} s",
            unit=SHARE,
            text="95 % are promised. What lies below uses up the budget of the month.",
            queries=(Query(expr=within, legend="{{app}}"),),
            steps=falling(1 - SLOW_BUDGET),
            most=1,
            empty="no requests",
            runbooks=("LatencyBudgetBurns",),
        ),
    )


def _itself() -> tuple[Panel, ...]:
    own = f'sum by (status) (rate(gateway_requests_total{{app=""}}[{RATE}])) > 0'
    return (
        Panel(
            kind="lines",
            title="Refused: too many requests",
            unit="reqps",
            text="429, since one address asked too often. One client's mistake, an attack, or `requests_per_second` is "
            "too low for people who share an address.",
            queries=(Query(expr=f"sum by (reason) (rate(gateway_refused_total[{RATE}]))", legend="{{reason}}"),),
        ),
        Panel(
            kind="lines",
            title="Answered by the gateway itself",
            unit="reqps",
            text="3xx lead to https. 4xx are addresses that no route has: scanners, or a route that is missing.",
            queries=(Query(expr=own, legend="{{status}}"),),
            empty="none",
        ),
        Panel(
            kind="lines",
            title="Replicas that are measured",
            unit="short",
            text="Fewer than there should be: one does not answer, and the next failure is an outage.",
            queries=(Query(expr='sum(up{job="gateway"})', legend="gateway"),),
            runbooks=("ReplicaDown", "ServiceDown"),
        ),
    )


def _outside(*, certificate: bool) -> tuple[Panel, ...]:
    return (
        Panel(
            kind="lines",
            title="A request from beside, by its phases",
            unit="s",
            text="Asked every scrape, as a user would. `tls` and `connect` that grow: the machine is busy. "
            "`processing`: the gateway is.",
            queries=(
                Query(expr='max by (phase) (probe_http_duration_seconds{job="entry"})', legend="{{phase}}"),
            ),
            stacked=True,
            width=12,
            runbooks=("EntryDown",),
        ),
        Panel(
            kind="bars",
            title="Ready, by app",
            unit=YES_NO,
            text="What each app says of itself. No: it takes no requests; its log says why.",
            queries=(Query(expr='min by (workload) (probe_success{job="ready"})', legend="{{workload}}"),),
            steps=falling(1),
            width=8 if certificate else 12,
            most=1,
            empty="no app tells",
            runbooks=("NotReady", "NotReadyOnMachine",),
        ),
        *([certificate_left(height=8)] if certificate else []),
    )


def certificate_left(*, height: int = 4) -> Panel:
    return Panel(
        kind="number",
        title="Certificate ends in",
        unit="s",
        text="Renewal begins at 30 days. Below 20 it has failed ten times: look at the log of `certificates`.",
        queries=(Query(expr='min(probe_ssl_earliest_cert_expiry{job="certificate"}) - time()'),),
        steps=falling(3 * DAY, 20 * DAY),
        width=4,
        height=height,
        runbooks=("CertificateExpires",),
    )
