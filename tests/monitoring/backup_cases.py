"""What makes each alert of backups fire: a time that lies too far back, or none at all."""

from __future__ import annotations

from groundwork.monitoring.backup_rules import ARCHIVED, BACKED_UP, PROVEN
from tests.monitoring.promtool import Case, Fires, seconds

REMEMBERED = 'prometheus_tsdb_lowest_timestamp_seconds{job="prometheus",instance="x"}'


def late(alert: str, metric: str, edge: str, first: str, step: int, summary: str, description: str) -> Case:
    """`edge` is the age that is still good, and at the age `first` it has been too old for five minutes. `step` are the
    seconds from one sample to the next, few enough that a twentieth more or less makes a difference."""
    good, fires = seconds(edge), seconds(first)
    after = good // step + 20
    known, other = (f'{metric}{{service="{service}"}}' for service in ("postgres", "mysql"))
    always = f"0x{after * 2}"
    # As old all the time, and always new.
    steady, new = (f"{-age}+{step}x{after * 2}" for age in (good, 0))
    again = f"{after * step}x{after}"
    remembered = {REMEMBERED: always}
    return Case(
        alert=alert,
        interval=f"{step}s",
        end=f"{(after + good // step) * step}s",
        fires=(
            Fires(series={known: f"0x{after - 1} {again}"}, first=first, over=f"{after * step}s"),
            # It never was, until it is.
            Fires(series=remembered | {known: f"_x{after} {again}"}, first=first, over=f"{after * step}s"),
            # Another service's is no help.
            Fires(series=remembered | {other: new}, first=first),
        ),
        quiet=(
            remembered | {known: steady},
            {REMEMBERED: steady},
            # The newest counts, whoever tells it.
            {known: always, f'{metric}{{service="postgres",instance="y"}}': new},
            # Late for less than five minutes.
            {known: f"0x{(good + 240) // step} {good + 240 + step}+{step}x{after * 2}"},
        ),
        summary=summary,
        description=description.format(age=_words(fires)),
    )


def _words(age: int) -> str:
    """As Prometheus writes it."""
    days, hours, minutes = age // 86_400, age // 3600 % 24, age // 60 % 60
    begin = f"{days}d {hours}h " if days else f"{hours}h " if hours else ""
    return f"{begin}{minutes}m 0s"


BACKUPS = (
    late(
        "ArchiveOld.postgres",
        ARCHIVED,
        "30m",
        "36m",
        60,
        "postgres does not archive its log",
        "Nothing of it has left the machine for {age}, or longer than anybody remembers; so much is lost with the "
        "disk.",
    ),
    late(
        "BackupOld.postgres",
        BACKED_UP,
        "26h",
        "26h8m",
        120,
        "postgres has no new backup",
        "The newest one that succeeded is {age} old, or there is none that anybody remembers.",
    ),
    late(
        "RestoreTestOld.postgres",
        PROVEN,
        "8d",
        "8d8m",
        120,
        "postgres has backups that nobody has tried",
        "The newest restore that was tried and found its data is {age} old, or there is none that anybody remembers.",
    ),
)
