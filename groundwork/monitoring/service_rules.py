"""What is the same alert for every backing service, whatever its metric is called."""

from __future__ import annotations

from .alerts import Alert


def down(name: str, up: str, service: str, *, why: str, reason: str) -> Alert:
    """`up` is the exporter's metric that is 0 where it could not log in."""
    return Alert(
        name=name,
        expr=f'{up}{{job="{service}-exporter"}} == 0',
        hold="1m",
        severity="P0",
        service=service,
        summary=f"{service} lets nobody in",
        description=f"The exporter of {service} could not log in for a minute.",
        why=why,
        reason=reason,
        source="S2 (ServiceDown)",
    )


def restarts(name: str, uptime: str, service: str, *, why: str) -> Alert:
    """`uptime` is a series that counts the seconds since the start."""
    return Alert(
        name=name,
        expr=f"resets({uptime}[1h]) > 1",
        severity="P1",
        service=service,
        summary=f"{service} starts again and again",
        description="It started {{ $value }} times in an hour.",
        why=why,
        reason="one may be an `up` that changed its limits; two in an hour are a crash",
        source="S5 (HighRestartRate)",
    )
