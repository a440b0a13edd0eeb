"""Dashboards: every panel says what it shows and what to do with it, and shows what somebody measures."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from groundwork.monitoring.alerts import runbook_of
from groundwork.monitoring.dashboards import stack
from groundwork.monitoring.dashboards.panels import Dashboard, Panel, falling, logql_of, promql_of, rising
from groundwork.monitoring.dashboards.render import MOST_LINES, rendered
from groundwork.monitoring.dashboards.stack import dashboards_of
from groundwork.monitoring.objectives import Objectives
from groundwork.system import load_system
from tests.monitoring.asked import asked
from tests.monitoring.known import known_metrics
from tests.monitoring.mutants import metrics_of
from tests.monitoring.reference import ALERTS, DASHBOARDS, OTHER, SERVICES, shown
from tests.sample import ROOT

ZONE = "Asia/Shanghai"
FILES: dict[str, dict[str, Any]] = {uid: json.loads(rendered(one, ZONE)) for uid, one in DASHBOARDS.items()}
PANELS = {f"{uid}: {panel.title}": panel for uid, one in DASHBOARDS.items() for panel in one.panels}
every_dashboard = pytest.mark.parametrize("uid", DASHBOARDS)
every_panel = pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)


def panels(uid: str) -> list[dict[str, Any]]:
    """As Grafana reads them, without headings."""
    return [panel for panel in FILES[uid]["panels"] if panel["type"] != "row"]


def test_the_addresses_of_dashboards_stay_as_they_are() -> None:
    assert list(DASHBOARDS) == [
        "groundwork-overview",
        "groundwork-gateway",
        "service-postgres",
        "service-mysql",
        "service-cache",
        "service-results",
        "service-rabbitmq",
        "groundwork-host",
        "groundwork-logs",
    ]


@every_dashboard
def test_a_dashboard_has_an_address_that_grafana_takes(uid: str) -> None:
    assert FILES[uid]["uid"] == uid and re.fullmatch(r"[a-z0-9-]{8,40}", uid)


def test_a_service_of_the_longest_name_has_an_address_too() -> None:
    found = SERVICES[0].model_copy(update={"name": "p" * 31}).dashboard(Objectives())
    assert found and len(found.uid) <= 40


@every_dashboard
def test_a_dashboard_looks_again_every_30_seconds_in_the_zone_of_the_stack_and_lists_the_others(uid: str) -> None:
    file = FILES[uid]
    assert (file["refresh"], file["timezone"], file["editable"]) == ("30s", ZONE, False)
    assert file["description"] and "groundwork" in file["tags"]
    (link,) = file["links"]
    assert (link["type"], link["tags"], link["keepTime"]) == ("dashboards", ["groundwork"], True)
    assert "placement" not in link, "hidden in a menu"


@every_dashboard
def test_every_panel_in_the_file_has_a_title_a_unit_words_a_source_and_a_query(uid: str) -> None:
    for panel in panels(uid):
        assert panel["title"] and panel["fieldConfig"]["defaults"]["unit"] and panel["targets"], panel["title"]
        assert len(panel["description"]) > 40, panel["title"]
        for target in panel["targets"]:
            kind = target.get("datasource", panel["datasource"])
            assert kind in ({"type": "prometheus", "uid": "prometheus"}, {"type": "loki", "uid": "loki"})
            assert target["expr"] and target["refId"]
        letters = [target["refId"] for target in panel["targets"]]
        assert len(letters) == len(set(letters))


UNITS = {"Bps", "bool_yes_no", "bytes", "none", "ops", "percentunit", "pps", "reqps", "s", "short"}
"""Each looked up among the formats of @grafana/data 13.2.3. Grafana shows the number of one it does not know, bare."""


@every_panel
def test_a_unit_is_one_that_grafana_knows(panel: Panel) -> None:
    assert panel.unit in UNITS


@every_panel
def test_a_panel_says_in_sentences_what_to_do(panel: Panel) -> None:
    assert panel.text.endswith(".") and panel.text[0] in "`" + panel.text[0].upper()
    assert not panel.title.endswith(".")


@every_dashboard
def test_no_two_panels_of_a_dashboard_are_called_the_same(uid: str) -> None:
    titles = [panel.title for panel in DASHBOARDS[uid].panels]
    assert len(titles) == len(set(titles))


@every_dashboard
def test_no_two_panels_overlap_and_none_leaves_the_grid(uid: str) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in FILES[uid]["panels"]:
        at = panel["gridPos"]
        assert at["x"] >= 0 and at["w"] > 0 and at["h"] > 0 and at["x"] + at["w"] <= 24, panel["title"]
        for cell in itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])):
            assert cell not in taken, f"{panel['title']} is over {taken[cell]}"
            taken[cell] = panel["title"]
    numbers = [panel["id"] for panel in FILES[uid]["panels"]]
    assert len(numbers) == len(set(numbers))


@every_panel
def test_a_panels_runbooks_are_pages_of_alerts_that_there_are(panel: Panel) -> None:
    names = {alert.name for alert in ALERTS.values()}
    for name in panel.runbooks:
        assert name in names and (ROOT / runbook_of(name)).exists()


@every_panel
def test_a_panel_leads_to_a_dashboard_that_there_is(panel: Panel) -> None:
    assert not panel.leads_to or panel.leads_to in DASHBOARDS


@every_dashboard
def test_a_dashboard_asks_only_for_metrics_that_somebody_has(uid: str) -> None:
    for expr in asked(DASHBOARDS[uid], instance="x"):
        named = metrics_of(expr)
        assert named and named <= known_metrics(), expr


@every_dashboard
def test_a_query_uses_only_variables_that_a_person_can_choose(uid: str) -> None:
    known = {variable.name for variable in DASHBOARDS[uid].variables} | {"__rate_interval", "__auto"}
    used = {name for expr in (*promql_of(DASHBOARDS[uid]), *logql_of(DASHBOARDS[uid])) for name in variables_in(expr)}
    assert used <= known
    assert {variable.name for variable in DASHBOARDS[uid].variables} <= used


def variables_in(expr: str) -> list[str]:
    return re.findall(r"\$(\w+)", expr)


def test_every_alert_of_services_apps_and_machines_has_a_panel_that_shows_it() -> None:
    shown_on_panels = {name for panel in PANELS.values() for name in panel.runbooks}
    assert {alert.name for alert in ALERTS.values()} - shown_on_panels == {
        # Of monitoring itself, which tells them by alerts alone.
        "Watchdog",
        "RulesFail",
        "AlertsNotSent",
        "NotificationsFail",
        "ConfigReloadFailed",
        "MetricsNearBound",
        "MetricsNotStored",
        "ScrapeSlow",
        "MachineSilent",
        "AgentBehind",
        "AgentLosesSamples",
        "ShipperSilent",
        "LogsDropped",
        "LogsDelayed",
        "LogsNearBound",
        "LogRulesFail",
        # Seen when nothing can be written any more, which no picture tells better.
        "DiskReadOnly",
    }


LIMITS = {name: value for name, value in OTHER.items() if name != "minimum_requests_per_second"}


def test_every_objective_but_the_least_traffic_is_a_limit_in_some_picture() -> None:
    assert Objectives.model_fields.keys() - LIMITS.keys() == {"minimum_requests_per_second"}


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_of_the_system_is_the_one_in_its_pictures(name: str) -> None:
    other = Objectives.model_validate({name: LIMITS[name]})
    found = {one.uid: one for one in dashboards_of(shown(other))}
    moved = [uid for uid, one in DASHBOARDS.items() if steps_of(found[uid]) != steps_of(one) or said(found[uid], one)]
    assert moved


def steps_of(dashboard: Dashboard) -> list[Any]:
    return [(panel.steps, *(query.steps for query in panel.queries)) for panel in dashboard.panels]


def said(one: Dashboard, other: Dashboard) -> bool:
    """The latency that is promised is part of the question, not a step."""
    return list(promql_of(one)) != list(promql_of(other))


def test_steps_are_in_order() -> None:
    assert rising(0.9, 0.8) == ((None, "green"), (0.8, "orange"), (0.9, "red"))
    assert falling(0.9, 0.95) == ((None, "red"), (0.9, "orange"), (0.95, "green"))
    for panel in PANELS.values():
        for steps in (panel.steps, *(query.steps for query in panel.queries)):
            values = [value for value, _ in steps[1:]]
            assert not steps or steps[0][0] is None
            assert values == sorted(values, key=lambda value: value or 0), panel.title


def test_the_overview_has_what_the_issue_asks_for() -> None:
    titles = [panel.title for panel in DASHBOARDS["groundwork-overview"].panels]
    for wanted in (
        "Users get in", "Firing alerts", "Requests that worked, 30 days", "Error budget left of 30 days",
        "Requests a second", "Share of requests that fail", "Time within which 95 of 100 are answered", "Used up",
        "What fires", "Last backup", "Last archive", "Last proven restore",
    ):  # fmt: skip
        assert wanted in titles


def test_what_is_used_up_is_compared_with_its_own_limit() -> None:
    (bars,) = (panel for panel in panels("groundwork-overview") if panel["title"] == "Used up")
    red = {
        target["legendFormat"]: override["properties"][0]["value"]["steps"][-1]["value"]
        for target, override in zip(bars["targets"], bars["fieldConfig"]["overrides"], strict=True)
        if override["matcher"] == {"id": "byFrameRefID", "options": target["refId"]}
    }
    assert red == {
        "postgres: connections": 0.8,
        "mysql: connections": 0.8,
        "results: memory": 0.9,
        "rabbitmq: memory": 1,
        "{{machine}} {{instance}}: processor": 0.8,
        "{{machine}} {{instance}}: memory": 0.85,
        "{{machine}} {{instance}}: {{mountpoint}}": 0.9,
    }


def test_panels_about_what_nobody_tells_are_not_there() -> None:
    full = shown()
    less = replace(full.watched, hosts=False, limits_mib={}, backups=(), entry=False)
    found = {one.uid: one for one in dashboards_of(replace(full, watched=less, certificate=False, logs=False))}
    assert "groundwork-host" not in found and "groundwork-logs" not in found
    exprs = "\n".join(expr for one in found.values() for expr in promql_of(one))
    for word in ("groundwork_", "node_", "container_", "probe_"):
        assert word not in exprs
    assert any("groundwork_" in expr for one in dashboards_of(full) for expr in promql_of(one))


def test_the_budget_is_one_of_the_days_that_are_kept() -> None:
    (overview, *_) = dashboards_of(replace(shown(), retention_days=7))
    assert "Error budget left of 7 days" in [panel.title for panel in overview.panels]
    assert "[30d]" not in "".join(promql_of(overview)) and stack.BUDGET_DAYS == 30


@pytest.mark.parametrize(
    ("name", "services"),
    [("housing", {"service-postgres", "service-redis"}),
     ("mindpal", {"service-mysql", "service-cache", "service-results", "service-rabbitmq"})],
)  # fmt: skip
def test_a_system_has_a_dashboard_for_each_service_it_has_and_no_other(name: str, services: set[str]) -> None:
    system = load_system(ROOT, name)
    found = dashboards_of(shown(system.objectives, system.services))
    assert {one.uid for one in found if one.uid.startswith("service-")} == services


def test_a_cache_is_never_too_full_and_a_store_may_be() -> None:
    cache, store = (
        {panel.title: panel for panel in DASHBOARDS[f"service-{name}"].panels} for name in ("cache", "results")
    )
    assert not cache["Memory used"].steps and store["Memory used"].steps
    assert "Writes its data to the disk" in store and "Writes its data to the disk" not in cache


def test_logs_are_asked_for_by_the_labels_that_they_have() -> None:
    exprs = list(logql_of(DASHBOARDS["groundwork-logs"]))
    assert len(exprs) == 4 and not list(promql_of(DASHBOARDS["groundwork-logs"]))
    for expr in exprs:
        (selector,) = re.findall(r"\{([^}]*)\}", expr)
        assert set(re.findall(r"(\w+)=~", selector)) <= {"stack", "workload", "machine", "level"}
        # Loki wants one matcher that an absent label does not meet.
        assert 'stack=~".+"' in selector
    assert [one for uid in DASHBOARDS if uid != "groundwork-logs" for one in logql_of(DASHBOARDS[uid])] == []
    (lines,) = (panel for panel in panels("groundwork-logs") if panel["type"] == "logs")
    assert lines["targets"][0]["maxLines"] == MOST_LINES


def test_the_same_dashboard_gives_the_same_file() -> None:
    for one in DASHBOARDS.values():
        assert rendered(one, ZONE) == rendered(one, ZONE)


WITHOUT = """
import sys
from tests.sample import planned
planned({values})
print(sorted({{name.split(".")[0] for name in sys.modules}} & {{"grafana_foundation_sdk"}}))
"""


@pytest.mark.parametrize(
    ("values", "imported"),
    [({}, "[]"), ({"monitoring": {}}, "[]"), ({"monitoring": {"grafana": {}}}, "['grafana_foundation_sdk']")],
    ids=["no monitoring", "no Grafana", "Grafana"],
)
def test_grafanas_library_is_imported_where_it_is_used_and_nowhere_else(values: Any, imported: str) -> None:
    command = [sys.executable, "-c", WITHOUT.format(values=values)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, imported), done.stderr
