"""What containers wrote, merged by time and named by container: from Loki where the stack has it, or the engine."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Collection, Iterator
from dataclasses import asdict
from datetime import datetime

from rich.console import Console
from rich.text import Text

from ops import stored
from ops.place import Line, Place, Wanted
from ops.running import Running
from tools.engine.checkout import UserError

COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green", "bright_magenta")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def wanted_of(*, follow: bool, tail: int, since: str) -> Wanted:
    return Wanted(follow=follow, tail=tail, since=int(time.time()) - seconds_of(since) if since else None)


def seconds_of(duration: str) -> int:
    """`90s`, `10m`, `2h` or `1d` in seconds; UserError for anything else."""
    found = re.fullmatch(r"(\d+)([smhd])", duration)
    if not found:
        raise UserError(f"--since {duration}: write a number and a unit, such as 90s, 10m, 2h or 1d.")
    return int(found[1]) * UNITS[found[2]]


def show(console: Console, running: Running, workload: str, wanted: Wanted, *, as_json: bool) -> None:
    """Prints the lines of one workload, or of all. UserError for a workload that the stack does not have."""
    known = {entry["workload"] for entry in running.outputs["containers"]}
    if workload and workload not in known:
        raise running.no_workload(workload, known)
    place = running.place()
    colours: dict[str, str] = {}
    try:
        for line in found(running, place, known, workload, wanted):
            if as_json:
                print(json.dumps(asdict(line)), flush=True)
            else:
                colour = colours.setdefault(f"{line.machine}/{line.container}", COLOURS[len(colours) % len(COLOURS)])
                console.print(printed(line, place.prefix, colour), soft_wrap=True)
    except KeyboardInterrupt:
        # The usual way to end following.
        return


def found(running: Running, place: Place, known: Collection[str], workload: str, wanted: Wanted) -> Iterator[Line]:
    """Loki's lines, or the engine's own, with the reason why."""
    if stored.is_kept(known, workload):
        try:
            yield from stored.lines(running, known, workload, wanted)
            return
        except stored.Away as why:
            print(f"Loki {why}: these are the engine's own lines, as they were written.", file=sys.stderr)
    yield from place.lines(workload, wanted)


def printed(line: Line, prefix: str, colour: str) -> Text:
    clock = datetime.fromisoformat(f"{line.time[:19]}+00:00").astimezone().strftime("%H:%M:%S")
    name = f"{line.machine}/" * bool(line.machine) + line.container.removeprefix(prefix)
    return Text.assemble((f"{clock} ", "dim"), (f"{name:24} ", colour), line.text)
