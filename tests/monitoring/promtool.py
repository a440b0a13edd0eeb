"""Tests of rules as promtool reads them: one file an alert, which holds that rule alone."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from groundwork.monitoring.alerts import Alert, Group, rule_files

Series = Mapping[str, str]
"""Values by series, in promtool's notation: `1x5` is 1 six times, `0+10x5` counts up."""
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
FIRING = 'count(ALERTS{alertstate="firing"})'


@dataclass(frozen=True, kw_only=True)
class Fires:
    """Beyond the threshold: `first` is the first evaluation at which it fires, `over` the first at which it no longer
    does."""

    series: Series
    first: str
    over: str = ""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Both sides of one alert's edges. The first of `fires` tells the whole alert: labels beside those of the rule,
    and the annotations as a person gets them. `quiet` never fires within `end`."""

    alert: str
    fires: tuple[Fires, ...]
    quiet: tuple[Series, ...]
    summary: str
    description: str
    labels: Mapping[str, str] = field(default_factory=dict)
    interval: str = "1m"
    end: str = "3h"


def seconds(duration: str) -> int:
    """Of `1h30m`."""
    return sum(int(count) * UNITS[unit] for count, unit in re.findall(r"(\d+)([smhdw])", duration))


def document(alert: Alert, case: Case, rules: str) -> dict[str, Any]:
    """A test file for the rule in the file `rules`."""
    tests = [*_fires(alert, case), *_quiet(case)]
    return {"rule_files": [rules], "evaluation_interval": case.interval, "tests": tests}


def _fires(alert: Alert, case: Case) -> Iterator[dict[str, Any]]:
    step = seconds(case.interval)
    for place, one in enumerate(case.fires):
        first = seconds(one.first)
        checks = [_firing(first, 1)]
        if first:
            checks.append(_firing(first - step, 0))
        if one.over:
            checks += [_firing(seconds(one.over) - step, 1), _firing(seconds(one.over), 0)]
        test = {"interval": case.interval, "input_series": _input(one.series), "promql_expr_test": checks}
        if place == 0:
            expected = {
                "exp_labels": {"severity": alert.severity, "service": alert.service, **alert.labels, **case.labels},
                "exp_annotations": {
                    "summary": case.summary,
                    "description": case.description,
                    "runbook": alert.runbook,
                },
            }
            test["alert_rule_test"] = [{"eval_time": f"{first}s", "alertname": alert.name, "exp_alerts": [expected]}]
        yield test


def _quiet(case: Case) -> Iterator[dict[str, Any]]:
    ever = f'count(count_over_time(ALERTS{{alertstate="firing"}}[{case.end}]))'
    for series in case.quiet:
        check = {"expr": ever, "eval_time": case.end, "exp_samples": []}
        yield {"interval": case.interval, "input_series": _input(series), "promql_expr_test": [check]}


def _firing(at: int, count: int) -> dict[str, Any]:
    samples = [{"labels": "{}", "value": count}] if count else []
    return {"expr": FIRING, "eval_time": f"{at}s", "exp_samples": samples}


def _input(series: Series) -> list[dict[str, str]]:
    return [{"series": name, "values": values} for name, values in series.items()]


def write(folder: Path, alert: Alert, case: Case) -> Path:
    """The rule and its test as files in `folder`; the test's path."""
    rules = folder / f"{alert.key}.yml"
    (text,) = rule_files([Group(name="tested", alerts=(alert,))]).values()
    rules.write_text(text)
    test = folder / f"{alert.key}.test.yml"
    test.write_text(yaml.safe_dump(document(alert, case, rules.name), sort_keys=False, width=10_000))
    return test


def judged(promtool: Path, tests: Sequence[Path]) -> subprocess.CompletedProcess[str]:
    """What promtool says of test files, which lie in one folder."""
    command: list[str | Path] = [promtool, "test", "rules", *(test.name for test in tests)]
    return subprocess.run(command, cwd=tests[0].parent, capture_output=True, text=True, timeout=600, check=False)
