"""Grafana as a part of a stack: off unless it is asked for, closed, and fed by files alone."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml

from groundwork.deployment import Deployment
from groundwork.faults import FaultsError
from groundwork.kubernetes import manifests
from groundwork.monitoring.grafana import GRAFANA_IMAGE, data_sources, grafana
from groundwork.monitoring.settings import Monitoring
from groundwork.plan import image_references
from groundwork.workload import FILES, Image, Template, Workload
from tests.clusters import judged
from tests.sample import SHOP, configured, planned
from tests.unit.test_monitoring import CLUSTER, ON, jobs

WITH: dict[str, Any] = {"monitoring": {"grafana": {}}}
CONFIG_MAP = 1024 * 1024
"""Bytes that Kubernetes takes in one."""


def found(values: dict[str, Any] | None = None) -> Workload:
    return planned(values or WITH).workload("grafana")


def texts(workload: Workload) -> dict[str, str]:
    return {file.name: file.content for file in workload.files if isinstance(file.content, str)}


def test_grafana_is_there_only_where_the_stack_asks_for_it() -> None:
    without, with_it = planned(ON), planned(WITH)
    assert {one.name for one in with_it.workloads} - {one.name for one in without.workloads} == {"grafana"}
    assert "grafana" not in image_references(SHOP, configured(ON).settings)
    assert image_references(SHOP, configured(WITH).settings)["grafana"] == GRAFANA_IMAGE


def test_switching_it_on_restarts_nothing_but_prometheus() -> None:
    before, after = planned(ON), planned(WITH)
    moved = {one.name for one in before.workloads if one.release != after.workload(one.name).release}
    assert moved == {"prometheus"}
    joined = {one.name for one in before.workloads if networks(before, one.name) != networks(after, one.name)}
    assert joined == {"prometheus"}


def networks(deployment: Deployment, name: str) -> set[str]:
    return {network.name for network in deployment.networks_of(name)}


@pytest.mark.parametrize("values", [WITH, WITH | CLUSTER], ids=["docker", "kubernetes"])
def test_grafana_is_measured_and_reaches_prometheus_and_loki_and_nothing_else(values: dict[str, Any]) -> None:
    deployment = planned(values)
    assert jobs(deployment)["grafana"]["metrics_path"] == "/metrics"
    ways = {(one.client, one.server, one.port) for one in deployment.connections}
    own = {way for way in ways if "grafana" in way}
    reached = {("grafana", "prometheus", 9090), ("grafana", "loki", 3100)}
    assert own == reached | {("prometheus", "grafana", 3000)}
    one = deployment.workload("grafana")
    assert not one.published and not one.egress


def test_one_that_is_not_measured_is_told_by_an_alert() -> None:
    (group,) = yaml.safe_load(texts(planned(WITH).workload("prometheus"))["rules/monitoring.yml"])["groups"]
    (down,) = (rule for rule in group["rules"] if rule["alert"] == "ExporterDown")
    assert 'absent(up{job="grafana"})' in down["expr"]


def test_its_memory_is_what_its_documentation_wants_and_the_plan_counts_it() -> None:
    assert found().resources.memory_mib == 512
    before, after = (sum(share.memory_mib for share in planned(values).shares) for values in (ON, WITH))
    assert after - before == 512
    with pytest.raises(FaultsError, match="memory"):
        planned(WITH | {"target": {"kind": "docker", "memory_mib": before + 500}})


def test_its_image_and_limits_are_said_at_its_own_key() -> None:
    other = {"image": "mirror/grafana:13.2.4", "memory_mib": 768, "cpus": 2}
    one = found({"monitoring": {"grafana": other}})
    assert (one.image.reference, one.resources.memory_mib, one.resources.cpus) == ("mirror/grafana:13.2.4", 768, 2)
    assert one.env["GOMEMLIMIT"] == "576MiB"


def test_who_writes_it_among_the_programs_is_told_where_it_belongs() -> None:
    message = r"monitoring\.programs\.grafana: has a key of its own\n    write it at groundwork:monitoring\.grafana"
    with pytest.raises(FaultsError, match=message):
        planned({"monitoring": {"grafana": {}, "programs": {"grafana": {"memory_mib": 768}}}})


def test_its_password_is_generated_a_file_and_told_by_the_tunnel() -> None:
    deployment = planned(WITH)
    ((ref, source),) = ((ref, key) for ref, key in deployment.secrets.items() if ref.owner == "grafana")
    # What belongs to a workload of that name is named by `ops tunnel`.
    assert (ref.name, source) == ("admin_password", None)
    one = deployment.workload("grafana")
    (file,) = (file for file in one.files if isinstance(file.content, Template))
    assert one.env["GF_SECURITY_ADMIN_PASSWORD__FILE"] == file.path == f"{FILES}/secrets/admin_password"
    assert file.content == Template((ref,))
    assert not any(isinstance(value, Template) for value in one.env.values())


def test_nobody_gets_in_without_a_password_and_nobody_outside_is_asked() -> None:
    env = found().env
    assert {name: env[f"GF_{name}"] for name in (
        "AUTH_ANONYMOUS_ENABLED", "USERS_ALLOW_SIGN_UP", "ANALYTICS_REPORTING_ENABLED", "ANALYTICS_CHECK_FOR_UPDATES",
        "ANALYTICS_CHECK_FOR_PLUGIN_UPDATES", "NEWS_NEWS_FEED_ENABLED", "SNAPSHOTS_EXTERNAL_ENABLED",
        "PLUGINS_PLUGIN_ADMIN_ENABLED", "SECURITY_DISABLE_GRAVATAR", "PLUGINS_PREINSTALL_DISABLED",
    )} == {
        "AUTH_ANONYMOUS_ENABLED": "false", "USERS_ALLOW_SIGN_UP": "false", "ANALYTICS_REPORTING_ENABLED": "false",
        "ANALYTICS_CHECK_FOR_UPDATES": "false", "ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "NEWS_NEWS_FEED_ENABLED": "false", "SNAPSHOTS_EXTERNAL_ENABLED": "false",
        "PLUGINS_PLUGIN_ADMIN_ENABLED": "false", "SECURITY_DISABLE_GRAVATAR": "true",
        "PLUGINS_PREINSTALL_DISABLED": "true",
    }  # fmt: skip


def test_it_writes_only_to_its_volume_and_reads_only_its_files() -> None:
    one = found()
    (volume,) = one.volumes
    for name in ("DATA", "LOGS", "PLUGINS"):
        path = PurePosixPath(str(one.env[f"GF_PATHS_{name}"]))
        assert path.is_relative_to(volume.path)
    assert one.env["GF_PATHS_PROVISIONING"] == f"{FILES}/provisioning"
    assert one.user == "472:0"


def test_the_provider_reads_the_directory_of_the_dashboards_and_one_of_them_is_the_first_page() -> None:
    one = found()
    (provider,) = yaml.safe_load(texts(one)["provisioning/dashboards/groundwork.yml"])["providers"]
    assert (provider["type"], provider["options"]["path"]) == ("file", f"{FILES}/dashboards")
    assert not provider["allowUiUpdates"] and provider["disableDeletion"]
    boards = {f"{FILES}/{name}" for name in texts(one) if name.startswith("dashboards/")}
    assert one.env["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == f"{FILES}/dashboards/groundwork-overview.json"
    assert boards == {
        f"{FILES}/dashboards/{uid}.json"
        for uid in (
            "groundwork-overview", "groundwork-gateway", "groundwork-host", "groundwork-logs", "service-postgres",
            "service-redis",
        )
    }
    for name, text in texts(one).items():
        if name.startswith("dashboards/"):
            assert name == f"dashboards/{json.loads(text)['uid']}.json"


def test_dashboards_name_data_sources_that_there_are() -> None:
    one = found({"monitoring": {"grafana": {}, "scrape_seconds": 30}})
    source, logs = yaml.safe_load(texts(one)["provisioning/datasources/groundwork.yml"])["datasources"]
    assert (source["uid"], source["type"], source["url"]) == ("prometheus", "prometheus", "http://prometheus:9090")
    assert source["isDefault"] and not source["editable"] and source["jsonData"]["timeInterval"] == "30s"
    used = {uid for text in texts(one).values() if text.startswith("{") for uid in uids_of(json.loads(text))}
    assert used == {"prometheus", "loki"}
    assert (logs["uid"], logs["type"], logs["url"]) == ("loki", "loki", "http://loki:3100")


def uids_of(node: Any) -> set[str]:
    """Of every data source that is named anywhere in it."""
    if isinstance(node, list):
        return {uid for one in node for uid in uids_of(one)}
    if not isinstance(node, dict):
        return set()
    own = {node["datasource"]["uid"]} if isinstance(node.get("datasource"), dict) else set()
    return own | {uid for one in node.values() for uid in uids_of(one)}


def test_loki_is_a_data_source_where_there_are_logs() -> None:
    sources = data_sources(Monitoring(), logs=True)["datasources"]
    assert isinstance(sources, list)
    assert [(one["uid"], one["type"], one["url"]) for one in sources] == [
        ("prometheus", "prometheus", "http://prometheus:9090"),
        ("loki", "loki", "http://loki:3100"),
    ]
    image = Image(reference="x:1", digest="sha256:" + "0" * 64, origin="simulated")
    one = grafana(Monitoring(), image, {"a": "{}"}, "UTC", logs=True)
    assert one.uses == one.after == ("prometheus", "loki")


def test_the_time_zone_is_the_stacks() -> None:
    one = found(WITH | {"time_zone": "Asia/Shanghai"})
    assert one.env["TZ"] == one.env["GF_DATE_FORMATS_DEFAULT_TIMEZONE"] == "Asia/Shanghai"
    assert all(
        json.loads(text)["timezone"] == "Asia/Shanghai" for text in texts(one).values() if text.startswith("{")
    )


def test_its_files_fit_into_a_config_map() -> None:
    stack = judged()["everything, monitored"]
    maps = [one.body for one in manifests(stack.deployment, stack.settings) if one.body["kind"] == "ConfigMap"]
    (own,) = (one for one in maps if one["metadata"]["name"].startswith("grafana-files"))
    size = sum(len(name) + len(text.encode()) for name, text in own["data"].items())
    # Half of it, so that a system with many services fits as well.
    assert 0 < size < CONFIG_MAP / 2


def test_both_targets_have_the_same_files() -> None:
    assert texts(found()) == texts(found(WITH | CLUSTER))
