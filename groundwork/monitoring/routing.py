"""Alertmanager's configuration: who is told what, how often, and what is kept quiet because something else says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..yaml_text import as_yaml
from .receivers import Quiet, Receiver, Routing, secret_file, secret_name

NOBODY = "nobody"
QUIET = "quiet"

TIMING: Mapping[str, Mapping[str, str]] = {
    "P0": {"group_wait": "10s", "group_interval": "1m", "repeat_interval": "15m"},
    "P1": {"group_wait": "30s", "group_interval": "5m", "repeat_interval": "1h"},
    "P2": {"group_wait": "1m", "group_interval": "10m", "repeat_interval": "4h"},
    "P3": {"group_wait": "10m", "group_interval": "6h", "repeat_interval": "24h"},
}
"""Repeated after the time within which it should be answered (M3). Waits collect what comes together: seconds where
minutes count. P3's interval is shorter than the day between quiet hours, since a group is looked at only so often."""

CAUSES = "ServiceDown|PostgresDown|MysqlDown|RedisDown"
"""A part of the system that is down."""
CONSEQUENCES = "ErrorRateHigh|LatencyHigh|AvailabilityBudgetBurns|LatencyBudgetBurns"
"""What users notice of it; somebody is at work already."""

UNHEARD = "ExporterDown|ReplicaDown"
"""What is said of every part of a machine of which nothing is heard."""


def alertmanager_config(receivers: Mapping[str, Receiver], routing: Routing, time_zone: str) -> str:
    """YAML for Alertmanager. Each severity has one receiver, made of all that it is sent to."""
    targets = {level.upper(): getattr(routing, level) for level in ("p0", "p1", "p2", "p3")}
    targets |= {"heartbeat": routing.heartbeat}
    if routing.escalation:
        targets |= {"escalation": routing.escalation.to}
    config: dict[str, Any] = {
        "route": {
            "receiver": NOBODY,
            "group_by": ["alertname", "service"],
            "routes": [*_routes(routing, targets)],
        },
        "inhibit_rules": _inhibitions(),
        "receivers": [
            {"name": NOBODY},
            *(_receiver(name, names, receivers) for name, names in targets.items() if names),
        ],
    }
    if routing.quiet:
        config["time_intervals"] = [_quiet_hours(routing.quiet, time_zone)]
    return as_yaml(config)


def _routes(routing: Routing, targets: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    def sent_to(name: str) -> str:
        return name if targets[name] else NOBODY

    watchdog = {
        "matchers": ['alertname="Watchdog"'],
        "receiver": sent_to("heartbeat"),
        "group_wait": "0s",
        "group_interval": "1m",
        "repeat_interval": "5m",
    }
    routes: list[dict[str, Any]] = [watchdog]
    if routing.escalation:
        routes.append(
            {
                "matchers": ['severity="P0"'],
                "receiver": "escalation",
                # Every alert waits for itself. One that is silenced or over by then is not sent.
                "group_by": ["..."],
                "group_wait": f"{routing.escalation.minutes}m",
                "group_interval": "1m",
                "repeat_interval": "1h",
                "continue": True,
            }
        )
    for severity, timing in TIMING.items():
        route: dict[str, Any] = {"matchers": [f'severity="{severity}"'], "receiver": sent_to(severity), **timing}
        if severity == "P3":
            # One mail for all of them.
            route["group_by"] = ["severity"]
        if routing.quiet and (severity == "P3" or (severity == "P2" and routing.quiet.p2)):
            route["mute_time_intervals"] = [QUIET]
        routes.append(route)
    return routes


def _receiver(name: str, names: Sequence[str], receivers: Mapping[str, Receiver]) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name}
    for one in names:
        receiver = receivers[one]
        files = {secret: secret_file(secret_name(one, secret)) for secret in receiver.secrets}
        kind, settings = receiver.settings(files)
        made.setdefault(kind, []).append(settings)
    return made


def _inhibitions() -> list[dict[str, Any]]:
    """What is not sent while something else is. Everything has a label `service`, so that equal means the same one."""
    same = ["alertname", "service", "machine"]
    return [
        # An alert with several thresholds says its worst.
        _inhibition('severity="P0"', 'severity=~"P1|P2|P3"', same),
        _inhibition('severity="P1"', 'severity=~"P2|P3"', same),
        _inhibition('severity="P2"', 'severity="P3"', same),
        # Whoever mends a service needs no details of it.
        _inhibition('severity="P0"', 'severity=~"P2|P3"', ["service"]),
        # Of a machine of which nothing is heard, nothing is known of its parts either.
        _inhibition('alertname="MachineSilent"', f'alertname=~"{UNHEARD}"', ["machine"]),
        _inhibition(f'alertname=~"{CAUSES}"', f'alertname=~"{CONSEQUENCES}"', []),
        _inhibition(['alertname="ServiceDown"', 'service="gateway"'], 'alertname="EntryDown"', []),
    ]


def _inhibition(source: str | list[str], target: str, equal: list[str]) -> dict[str, Any]:
    sources = [source] if isinstance(source, str) else source
    made: dict[str, Any] = {"source_matchers": sources, "target_matchers": [target]}
    return made | ({"equal": equal} if equal else {})


def _quiet_hours(quiet: Quiet, time_zone: str) -> dict[str, Any]:
    """Alertmanager knows no range across midnight."""
    if quiet.begin < quiet.end:
        ranges = [(quiet.begin, quiet.end)]
    else:
        ranges = [(quiet.begin, "24:00"), *([("00:00", quiet.end)] if quiet.end != "00:00" else [])]
    times = [{"start_time": start, "end_time": end} for start, end in ranges]
    return {"name": QUIET, "time_intervals": [{"times": times, "location": time_zone}]}
