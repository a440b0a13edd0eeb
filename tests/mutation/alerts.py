"""`make mutation`: are the tests of alerts worth their name? Each threshold, duration and comparison of each rule is
changed, one at a time; a change that its test does not notice survives.

Ends with 1 where fewer than 95 % are noticed, or where one survives whose reason is not told here.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.monitoring.all_cases import CASES
from tests.monitoring.content_cases import expected, fired, given
from tests.monitoring.log_programs import loki_running
from tests.monitoring.mutants import Mutant, mutants
from tests.monitoring.programs import FOLDER, install
from tests.monitoring.promtool import Case, judged, write
from tests.monitoring.reference import ALERTS, CONTENTS
from tests.sample import planned

LEAST = 0.95
FLOAT = "1 - 0.85 by way of two rates is no exact number: nothing lies at the threshold itself"
EXTRAPOLATED = "143 intervals stand for a day of 144: nothing lies at the threshold itself"
ONE_BYTE = "a forecast of less than a byte below zero is the same as zero"
ASKED = "Loki is asked at one moment; that it tells at once is tried in tests/judges/test_logs.py"
ALWAYS = "any value of a vector fires"
REASONS = {
    "LatencyBudgetBurns.1d.system: < at 121 becomes <=": FLOAT,
    "LatencyBudgetBurns.1d.system: < at 253 becomes <=": FLOAT,
    "DiskFullSoon.4.host: 0 at 115 becomes -1": ONE_BYTE,
    "DiskFullSoon.24.host: 0 at 116 becomes -1": ONE_BYTE,
    "LogsNearBound.loki: > at 69 becomes >=": EXTRAPOLATED,
    "LogErrorBurst.each: for 0s becomes 300s": ASKED,
    "Watchdog.monitoring: 1 at 7 becomes 2": ALWAYS,
    "Watchdog.monitoring: 1 at 7 becomes 0": ALWAYS,
}
"""Why a survivor is no fault of the test, by `<alert>: <change>`."""


def killed(case: Case, mutant: Mutant) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        return judged(FOLDER / "promtool", [write(Path(folder), mutant.alert, case)]).returncode != 0


def contents_killed(chosen: Sequence[str]) -> Iterator[tuple[str, str, bool]]:
    """The same for rules about what is in logs: which alert, what was changed, and whether it was noticed."""
    rules = [alert for key, alert in CONTENTS.items() if not chosen or key.startswith(tuple(chosen))]
    if not rules:
        return
    loki = planned({"monitoring": {}}).workload("loki")
    with tempfile.TemporaryDirectory() as folder, loki_running(Path(folder), loki) as store:
        moment = given(store)
        for alert in rules:
            for mutant in mutants(alert):
                yield alert.key, mutant.what, fired(store, mutant.alert.expr, moment) != expected()


def main() -> int:
    done = install()
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
        return 1
    chosen = sys.argv[1:]
    pairs = [
        (case, mutant)
        for case in CASES
        if not chosen or case.alert.startswith(tuple(chosen))
        for mutant in mutants(ALERTS[case.alert])
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        noticed = list(pool.map(lambda pair: killed(*pair), pairs))
    told = [(case.alert, mutant.what, died) for (case, mutant), died in zip(pairs, noticed, strict=True)]
    told += contents_killed(chosen)
    survivors = [f"{alert}: {what}" for alert, what, died in told if not died]
    for survivor in survivors:
        print(f"survived  {survivor}\n          {REASONS.get(survivor, 'NOBODY SAID WHY')}")
    count = sum(died for _, _, died in told)
    share = count / len(told)
    print(f"{count} of {len(told)} changes of {len(ALERTS) + len(CONTENTS)} alerts were noticed: {share:.1%}")
    return 1 if share < LEAST or set(survivors) - REASONS.keys() else 0


if __name__ == "__main__":
    sys.exit(main())
