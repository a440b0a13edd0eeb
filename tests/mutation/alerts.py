"""`make mutation`: are the tests of alerts worth their name? Each threshold, duration and comparison of each rule is
changed, one at a time; a change that its test does not notice survives.

Ends with 1 where fewer than 95 % are noticed, or where one survives whose reason is not told here.
"""

from __future__ import annotations

import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.monitoring.all_cases import CASES
from tests.monitoring.mutants import Mutant, mutants
from tests.monitoring.programs import FOLDER, install
from tests.monitoring.promtool import Case, judged, write
from tests.monitoring.reference import ALERTS

LEAST = 0.95
FLOAT = "1 - 0.85 by way of two rates is no exact number: nothing lies at the threshold itself"
EXTRAPOLATED = "143 intervals stand for a day of 144: nothing lies at the threshold itself"
ONE_BYTE = "a forecast of less than a byte below zero is the same as zero"
ALWAYS = "any value of a vector fires"
REASONS = {
    "LatencyBudgetBurns.1d.system: < at 121 becomes <=": FLOAT,
    "LatencyBudgetBurns.1d.system: < at 253 becomes <=": FLOAT,
    "DiskFullSoon.4.host: 0 at 115 becomes -1": ONE_BYTE,
    "DiskFullSoon.24.host: 0 at 116 becomes -1": ONE_BYTE,
    "LogsNearBound.loki: > at 69 becomes >=": EXTRAPOLATED,
    "Watchdog.monitoring: 1 at 7 becomes 2": ALWAYS,
    "Watchdog.monitoring: 1 at 7 becomes 0": ALWAYS,
}
"""Why a survivor is no fault of the test, by `<alert>: <change>`."""


def killed(case: Case, mutant: Mutant) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        return judged(FOLDER / "promtool", [write(Path(folder), mutant.alert, case)]).returncode != 0


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
    told = zip(pairs, noticed, strict=True)
    survivors = [f"{case.alert}: {mutant.what}" for (case, mutant), died in told if not died]
    for survivor in survivors:
        print(f"survived  {survivor}\n          {REASONS.get(survivor, 'NOBODY SAID WHY')}")
    share = sum(noticed) / len(pairs)
    print(f"{sum(noticed)} of {len(pairs)} changes of {len(ALERTS)} alerts were noticed: {share:.1%}")
    return 1 if share < LEAST or set(survivors) - REASONS.keys() else 0


if __name__ == "__main__":
    sys.exit(main())
