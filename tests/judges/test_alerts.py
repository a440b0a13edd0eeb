"""Every alert fires beyond its edges and not below, and each is fit for a person who is woken by it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from groundwork.monitoring.alerts import ANSWER, Alert, rule_files
from groundwork.monitoring.objectives import Objectives
from groundwork.system import load_system
from tests.monitoring.all_cases import CASES
from tests.monitoring.known import known_metrics
from tests.monitoring.mutants import metrics_of
from tests.monitoring.promtool import Case, judged, write
from tests.monitoring.reference import ALERTS, CONTENTS, GROUPS, OTHER, SERVICES, groups_of, groups_of_system
from tests.sample import ROOT

from .conftest import HERE, MADE, alone, run_go

HEADINGS = ["What it means", "Look at", "Do", "Over when"]
every_alert = pytest.mark.parametrize("alert", ALERTS.values(), ids=ALERTS)
WRITTEN = ALERTS | CONTENTS
every_written = pytest.mark.parametrize("alert", WRITTEN.values(), ids=WRITTEN)


def test_every_alert_has_a_case_and_every_case_an_alert() -> None:
    assert sorted(case.alert for case in CASES) == sorted(ALERTS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_has_a_side_that_fires_and_one_that_does_not(case: Case) -> None:
    assert case.fires and case.summary and case.description
    assert case.quiet or case.alert == "Watchdog.monitoring"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_fires_beyond_its_edges_and_not_below(promtool: Path, case: Case, tmp_path: Path) -> None:
    done = judged(promtool, [write(tmp_path, ALERTS[case.alert], case)])
    assert done.returncode == 0, done.stdout + done.stderr


@every_written
def test_an_alert_says_who_answers_by_when_and_why(alert: Alert) -> None:
    assert alert.severity in ANSWER
    assert min(map(len, (alert.service, alert.summary, alert.description, alert.why, alert.reason, alert.source))) > 3
    assert alert.why.endswith(".") and alert.description.endswith(".") and not alert.summary.endswith(".")


@every_written
def test_an_alert_has_a_runbook_with_what_a_person_needs(alert: Alert) -> None:
    page = (ROOT / alert.runbook).read_text()
    assert page.startswith(f"# {alert.name}\n")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == HEADINGS


def test_every_runbook_is_an_alerts() -> None:
    pages = {str(page.relative_to(ROOT)) for page in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert pages == {alert.runbook for alert in WRITTEN.values()}


@every_alert
def test_an_alert_asks_only_for_metrics_that_somebody_has(alert: Alert) -> None:
    named = metrics_of(alert.expr)
    assert named or alert.name == "Watchdog"
    assert named <= known_metrics()


def test_names_of_metrics_are_found_wherever_they_stand() -> None:
    expr = 'sum by (job) (rate(a_total{b="c_d"}[5m])) / on (job) max(e) > 0.5e3\n'
    expr += 'or absent(f{g=~"h|i"}) unless time() < k'
    assert metrics_of(expr) == {"a_total", "e", "f", "k"}


def written(folder: Path) -> Path:
    """The rules of the reference and of both systems, a folder each."""
    systems = {name: groups_of_system(load_system(ROOT, name)) for name in ("mindpal", "housing")}
    for name, groups in {"reference": GROUPS, **systems}.items():
        for file, text in rule_files(groups).items():
            path = folder / name / file
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    return folder


def test_promtool_finds_nothing_in_the_rules(promtool: Path, tmp_path: Path) -> None:
    files = sorted(written(tmp_path).rglob("*.yml"))
    assert len(files) > 20
    command: list[str | Path] = [promtool, "check", "rules", "--lint=all", "--lint-fatal", *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pint_finds_nothing_in_the_rules(pint: Path, tmp_path: Path) -> None:
    written(tmp_path)
    shutil.copy(HERE / "pint" / "pint.hcl", tmp_path / ".pint.hcl")
    command: list[str | Path] = [pint, "--no-color", "--offline", "lint", "--min-severity=info", "--fail-on=info", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Checking Prometheus rules" in done.stderr


@pytest.mark.parametrize("name", Objectives.model_fields)
def test_an_objective_moves_the_threshold_of_some_alert(name: str) -> None:
    changed = Objectives.model_validate({name: OTHER[name]})
    assert {alert.expr for group in groups_of(changed, SERVICES) for alert in group.alerts} != {
        alert.expr for alert in ALERTS.values()
    }


@pytest.mark.parametrize("name", ["latency_seconds", "p95_seconds"])
def test_a_latency_that_the_gateway_does_not_measure_is_refused_with_those_it_does(name: str) -> None:
    with pytest.raises(ValidationError, match=r"one of the gateway's measures: 0\.05, 0\.1, 0\.2"):
        Objectives.model_validate({name: 0.7})


def test_the_systems_have_the_thresholds_of_their_documents() -> None:
    exprs = {
        name: {alert.key: alert.expr for group in groups_of_system(load_system(ROOT, name)) for alert in group.alerts}
        for name in ("mindpal", "housing")
    }
    assert "> 0.01\n" in exprs["mindpal"]["ErrorRateHigh.each"]
    assert "> 0.1\n" in exprs["housing"]["ErrorRateHigh.each"]
    assert 'le="0.2"' in exprs["mindpal"]["LatencyBudgetBurns.1h.system"]
    for rules in exprs.values():
        assert "> 1\n" in rules["LatencyHigh.each"]
        assert rules["HostCpuHigh.host"].endswith("> 0.8")
        assert rules["HostMemoryHigh.host"].endswith("> 0.85")
        assert rules["DiskUsageHigh.host"].endswith("> 0.9")
    assert "RedisMemoryHigh.results" in exprs["mindpal"] and "RedisMemoryHigh.cache" not in exprs["mindpal"]


@pytest.fixture(scope="session")
def pint() -> Path:
    """Built as the other judges are, by a newer Go, which Go gets itself where there is none."""
    program = MADE / "pint"
    with alone("pint"):
        wanted = (HERE / "pint" / "go.sum").read_bytes()
        mark = program.with_suffix(".sum")
        if not program.exists() or not mark.exists() or mark.read_bytes() != wanted:
            package = "github.com/cloudflare/pint/cmd/pint"
            done = run_go("build", "-o", str(program), package, module=HERE / "pint", toolchain="auto")
            assert done.returncode == 0, done.stderr
            mark.write_bytes(wanted)
    return program

