"""Monitoring of several machines: everything is measured on the machine where it runs, and gathered on one."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
import yaml

from groundwork.deployment import Deployment, Share
from groundwork.faults import FaultsError
from groundwork.machines import Opening
from groundwork.monitoring.agents import KEPT_HOURS
from groundwork.monitoring.programs import LATE_HOURS
from groundwork.paths import outward_of
from groundwork.system import load_system
from groundwork.workload import Workload
from tests.machines import FOUR_ROLES, existing, mindpal, on_machines
from tests.sample import API, ROOT, SHOP, changed, configured, planned

ON: dict[str, Any] = {"monitoring": {}}
TELLS = changed(SHOP, apps=(SHOP.apps[0], changed(API, metrics_path="/metrics")))
FLEETS = {
    "four roles": FOUR_ROLES,
    "three of apps": FOUR_ROLES | {"app": 3},
    "two of monitoring": FOUR_ROLES | {"monitoring": 2},
    "none of monitoring": {"app": 2, "data": 1, "cache": 1},
    "one for all": {"all": 1},
}
every_fleet = pytest.mark.parametrize("counts", FLEETS.values(), ids=FLEETS)


def shares(deployment: Deployment) -> dict[str, Share]:
    return {share.machine.name: share for share in deployment.shares if share.machine}


def here(share: Share) -> dict[str, Workload]:
    return {workload.name: workload for workload in share.workloads}


def measurer(share: Share) -> Workload:
    """The one Prometheus of a machine, whichever kind it is."""
    (one,) = [workload for workload in share.workloads if workload.name in ("prometheus", "prometheus-agent")]
    return one


def configuration(workload: Workload) -> dict[str, Any]:
    (text,) = [file.content for file in workload.files if file.name == "prometheus.yml"]
    found: dict[str, Any] = yaml.safe_load(str(text))
    return found


def jobs(share: Share) -> dict[str, dict[str, Any]]:
    return {job["job_name"]: job for job in configuration(measurer(share))["scrape_configs"]}


def homes(deployment: Deployment) -> list[str]:
    return [name for name, share in shares(deployment).items() if "prometheus" in here(share)]


def rules(deployment: Deployment) -> dict[tuple[str, str], str]:
    """Expressions, by alert and severity."""
    files = deployment.workload("prometheus").files
    groups = [yaml.safe_load(str(file.content))["groups"] for file in files if file.name.startswith("rules/")]
    return {
        (rule["alert"], rule["labels"]["severity"]): rule["expr"]
        for (group,) in groups
        for rule in group["rules"]
    }


@every_fleet
@pytest.mark.parametrize("system", [TELLS, load_system(ROOT, "mindpal")], ids=["shop", "mindpal"])
def test_every_workload_is_measured_on_every_machine_where_it_runs(system: Any, counts: dict[str, int]) -> None:
    large = existing(16384, **counts)
    for name, share in shares(on_machines(system, machines=large, **ON)).items():
        own = measurer(share)
        found = jobs(share)
        telling = {one.name: one for one in share.workloads if one.metrics}
        assert found.keys() - {"entry", "certificate", "ready"} == telling.keys(), name
        for job in telling.keys() - {own.name}:
            metrics = telling[job].metrics
            assert metrics
            (where,) = found[job]["dns_sd_configs"]
            assert (where["names"], where["port"]) == ([job], metrics.port)
            # And it gets there.
            joined = [network.members for network in share.networks if network.internal]
            assert any({own.name, job} <= members for members in joined), (name, job)


@every_fleet
def test_every_app_and_gateway_is_asked_on_every_machine_where_it_runs(counts: dict[str, int]) -> None:
    for name, share in shares(on_machines(TELLS, counts, apps={"api": {"replicas": 1}}, **ON)).items():
        asked = {
            one["labels"]["workload"]
            for job in ("ready", "entry")
            for one in jobs(share).get(job, {"static_configs": []})["static_configs"]
        }
        assert asked == {one.name for one in share.workloads if one.role in ("app", "gateway")}, name
        for workload in asked:
            assert any({"blackbox", workload} <= network.members for network in share.networks), (name, workload)


@every_fleet
def test_every_series_says_its_machine_and_nothing_else_claims_to_know(counts: dict[str, int]) -> None:
    deployment = on_machines(TELLS, counts, **ON)
    for name, share in shares(deployment).items():
        for job in jobs(share).values():
            assert job["relabel_configs"][-1] == {"target_label": "machine", "replacement": name}
        # An alert about all machines would get this label, and be taken for one about the home.
        assert "machine" not in configuration(measurer(share))["global"].get("external_labels", {})
    assert all("relabel_configs" not in job for job in one_engine()["scrape_configs"] if job["job_name"] == "api")


def one_engine() -> dict[str, Any]:
    return configuration(planned(ON, TELLS).workload("prometheus"))


def test_everything_is_gathered_on_the_machine_for_it_or_on_the_first_that_runs_apps() -> None:
    assert {name: homes(on_machines(TELLS, counts, **ON)) for name, counts in FLEETS.items()} == {
        "four roles": ["monitoring-1"],
        "three of apps": ["monitoring-1"],
        "two of monitoring": ["monitoring-1"],
        "none of monitoring": ["app-1"],
        "one for all": ["all-1"],
    }


def test_programs_are_where_they_are_of_use() -> None:
    placed: dict[str, set[str]] = defaultdict(set)
    for name, share in shares(on_machines(TELLS, **ON)).items():
        for workload in share.workloads:
            if workload.role == "monitoring":
                placed[workload.name].add(name)
    every = {"app-1", "app-2", "data-1", "cache-1", "monitoring-1"}
    assert placed == {
        "prometheus": {"monitoring-1"},
        "alertmanager": {"monitoring-1"},
        "loki": {"monitoring-1"},
        "shipper": every,
        "prometheus-agent": every - {"monitoring-1"},
        "node-exporter": every,
        "blackbox": {"app-1", "app-2"},
        "postgres-exporter": {"data-1"},
        "redis-exporter": {"cache-1"},
    }


WITHOUT_LOGS: dict[str, Any] = {"monitoring": {"logs": {"enabled": False}}}


def test_agents_pass_on_by_one_door_that_lets_in_the_stacks_machines_alone() -> None:
    deployment = on_machines(TELLS, **WITHOUT_LOGS)
    found = shares(deployment)
    (door,) = here(found["monitoring-1"])["prometheus"].published
    assert (door.address, door.target) == ("10.9.0.41", 9090)
    assert deployment.openings["monitoring-1"] == (
        Opening(port=door.port, sources=("app-1", "app-2", "cache-1", "data-1")),
    )
    for name in ("app-1", "app-2", "data-1", "cache-1"):
        own = measurer(found[name])
        (way,) = configuration(own)["remote_write"]
        assert way["url"] == f"http://10.9.0.41:{door.port}/api/v1/write"
        (network,) = [one for one in found[name].networks if own.name in one.members and not one.internal]
        assert [(str(one.address), one.port) for one in network.leads_to] == [("10.9.0.41", door.port)]


def test_logs_are_sent_by_a_door_of_their_own_and_on_its_machine_by_name() -> None:
    deployment = on_machines(TELLS, **ON)
    found = shares(deployment)
    (door,) = here(found["monitoring-1"])["loki"].published
    assert (door.address, door.target) == ("10.9.0.41", 3100)
    for name, share in found.items():
        own = here(share)["shipper"]
        (text,) = (str(file.content) for file in own.files)
        (exporter,) = yaml.safe_load(text)["exporters"].values()
        there = "loki:3100" if name == "monitoring-1" else f"10.9.0.41:{door.port}"
        assert exporter["endpoint"] == f"http://{there}/otlp"
        ways = [
            (str(one.address), one.port)
            for network in share.networks
            if "shipper" in network.members
            for one in network.leads_to
        ]
        assert ways == ([] if name == "monitoring-1" else [("10.9.0.41", door.port)])


def test_monitoring_opens_nothing_else_anywhere() -> None:
    without, with_it = on_machines(TELLS).openings, on_machines(TELLS, **ON).openings
    for name in without.keys() - {"monitoring-1"}:
        assert with_it[name] == without[name]
    # Prometheus and Loki, to the stack's other machines.
    assert without["monitoring-1"] == () and len(with_it["monitoring-1"]) == 2
    for opening in with_it["monitoring-1"]:
        assert opening.sources == ("app-1", "app-2", "cache-1", "data-1")


def test_one_machine_has_no_agent_and_no_door() -> None:
    deployment = on_machines(TELLS, {"all": 1}, **ON)
    names = {workload.name for workload in deployment.workloads}
    assert "prometheus-agent" not in names
    server = deployment.workload("prometheus")
    assert not server.published and "--web.enable-remote-write-receiver" not in server.command
    assert server.release != planned(ON, TELLS).workload("prometheus").release


def test_what_an_agent_kept_while_its_home_was_away_is_still_taken() -> None:
    deployment = on_machines(TELLS, **ON)
    own = measurer(shares(deployment)["data-1"])
    assert f"--storage.agent.retention.max-time={KEPT_HOURS}h" in own.command and own.volumes
    home = deployment.workload("prometheus")
    assert configuration(home)["storage"] == {"tsdb": {"out_of_order_time_window": f"{LATE_HOURS}h"}}
    assert "--web.enable-remote-write-receiver" in home.command
    # The log is cut off every two hours, so that it may have more than what it promises.
    assert LATE_HOURS >= KEPT_HOURS + 2


def test_silence_is_as_bad_as_what_the_machine_carries() -> None:
    deployment = on_machines(TELLS, FOUR_ROLES | {"monitoring": 2}, **ON)
    told = {severity: expr for (alert, severity), expr in rules(deployment).items() if alert == "MachineSilent"}
    machines = {
        severity: sorted(name for name in shares(deployment) if f'machine="{name}"' in expr)
        for severity, expr in told.items()
    }
    # Of the home nobody could tell.
    assert machines == {"P0": ["cache-1", "data-1"], "P1": ["app-1", "app-2"], "P2": ["monitoring-2"]}


def test_an_app_machine_with_something_of_its_own_is_missed_more() -> None:
    system = changed(TELLS, apps=(*TELLS.apps, changed(API, name="clock", singleton=True, replicas=None)))
    told = rules(on_machines(system, **ON))
    assert 'machine="app-1"' in told["MachineSilent", "P0"] and 'machine="app-2"' in told["MachineSilent", "P1"]


def test_one_machine_is_never_silent_to_itself() -> None:
    told = {alert for alert, _ in rules(on_machines(TELLS, {"all": 1}, **ON))}
    assert not told & {"MachineSilent", "AgentBehind", "AgentLosesSamples", "NotReadyOnMachine"}
    assert told == {alert for alert, _ in rules(planned(ON, TELLS))}


def test_what_is_gone_is_missed_on_each_of_its_machines() -> None:
    told = rules(on_machines(TELLS, **ON))
    down, replica, exporter = (
        told[key] for key in (("ServiceDown", "P0"), ("ReplicaDown", "P2"), ("ExporterDown", "P2"))
    )
    # Down is what answers nowhere.
    assert 'absent(up{job="api"})' in down and "machine" not in down
    for name in ("app-1", "app-2"):
        assert f'absent(up{{job="api", machine="{name}"}})' in replica
        assert f'absent(up{{job="blackbox", machine="{name}"}})' in exporter
    for name in ("app-1", "data-1", "monitoring-1"):
        assert f'absent(up{{job="node-exporter", machine="{name}"}})' in exporter
    assert 'absent(up{job="postgres-exporter", machine="data-1"})' in exporter
    # That one is gone is said of its machine.
    assert "prometheus-agent" not in exporter


def test_a_further_app_machine_restarts_nothing_but_who_judges() -> None:
    before, after = (on_machines(TELLS, FOUR_ROLES | {"app": count}, **ON) for count in (1, 2))
    for name, old in shares(before).items():
        new = shares(after)[name]
        moved = {
            one.name for one in old.workloads if here(new)[one.name].release != one.release
        }
        assert moved <= {"prometheus"}, name
        assert [(one.name, one.subnet, one.members) for one in old.networks] == [
            (one.name, one.subnet, one.members) for one in new.networks
        ]


def test_switching_it_on_moves_no_door() -> None:
    without, with_it = mindpal(), mindpal(**ON)
    for name in ("mysql", "cache", "results", "rabbitmq"):
        assert with_it.workload(name).published == without.workload(name).published


def test_where_there_is_no_gateway_a_tunnel_ends_in_a_network_of_the_machine() -> None:
    for counts in FLEETS.values():
        for share in shares(on_machines(TELLS, counts, **ON)).values():
            for workload in share.workloads:
                if workload.role == "monitoring":
                    outward = [one for one in share.networks_of(workload.name) if not one.internal]
                    assert "gateway" in here(share) or outward, workload.name


def test_who_tells_people_gets_out_on_the_machine_where_it_is() -> None:
    told: dict[str, Any] = {
        "monitoring": {
            "receivers": {"chat": {"kind": "webhook", "server": "im.example.com:8443"}},
            "routing": {"p0": ["chat"]},
        },
        "secret_alert_chat_url": "u",
    }
    deployment = on_machines(TELLS, **told)
    settings = configured({"machines": existing(**FOUR_ROLES)} | told).settings
    ports = {role: {one.port for one in ways} for role, ways in outward_of(settings, deployment.shares).items()}
    assert [role for role, found in ports.items() if 8443 in found] == ["monitoring"]


def test_an_agent_has_limits_and_an_image_of_its_own_where_it_is_said() -> None:
    other = {"prometheus-agent": {"memory_mib": 200, "image": "mirror/prometheus:v3.13.5"}}
    deployment = on_machines(TELLS, monitoring={"programs": other})
    own = measurer(shares(deployment)["data-1"])
    assert (own.resources.memory_mib, own.image.reference) == (200, "mirror/prometheus:v3.13.5")
    assert deployment.workload("prometheus").image.reference != own.image.reference
    mirrored = on_machines(TELLS, monitoring={"programs": {"prometheus": {"image": "mirror/prometheus:v3.13.5"}}})
    assert measurer(shares(mirrored)["data-1"]).image.reference == "mirror/prometheus:v3.13.5"


def test_an_agent_that_the_stack_does_not_have_can_be_given_no_limits() -> None:
    with pytest.raises(FaultsError, match=r"monitoring\.programs\.prometheus-agent"):
        planned({"monitoring": {"programs": {"prometheus-agent": {"memory_mib": 64}}}})
