"""What is measured, and how Prometheus finds it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from groundwork.deployment import Deployment
from groundwork.faults import FaultsError
from groundwork.monitoring.probes import modules
from groundwork.settings import Entry
from groundwork.system import App, System
from groundwork.workload import Metrics, Template
from ops.on_docker.tunnel import network_to
from tests.sample import API, CERTIFICATE, SHOP, planned

ON: dict[str, Any] = {"monitoring": {}}
CLUSTER: dict[str, Any] = {"target": {"kind": "kubernetes", "kubeconfig": "~/.kube/config", "context": "test"}}
TELLS = SHOP.model_copy(update={"apps": (SHOP.apps[0], API.model_copy(update={"metrics_path": "/metrics"}))})


def prometheus(deployment: Deployment) -> dict[str, Any]:
    (text,) = (file.content for file in deployment.workload("prometheus").files if file.name == "prometheus.yml")
    assert isinstance(text, str)
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def jobs(deployment: Deployment) -> dict[str, dict[str, Any]]:
    return {job["job_name"]: job for job in prometheus(deployment)["scrape_configs"]}


def test_without_the_key_there_is_no_monitoring_and_nothing_else_changes() -> None:
    without, with_it = planned({}, TELLS), planned(ON, TELLS)
    assert not [workload for workload in without.workloads if workload.role == "monitoring"]
    # What changes has another release, since it is in further networks.
    for workload in without.workloads:
        joined = {network.name for network in without.networks_of(workload.name)}
        now = {network.name for network in with_it.networks_of(workload.name)}
        if joined != now and workload.strategy == "surge":
            assert with_it.workload(workload.name).release != workload.release, workload.name


def test_every_workload_that_tells_about_itself_is_measured() -> None:
    deployment = planned(ON, TELLS)
    telling = {workload.name: workload.metrics for workload in deployment.workloads if workload.metrics}
    assert "api" in telling and "alertmanager" in telling
    found = jobs(deployment)
    for name, metrics in telling.items():
        assert name in found, f"{name} is not measured"
        if name != "prometheus":
            (where,) = found[name]["dns_sd_configs"]
            assert (where["names"], where["port"]) == ([name], metrics.port)
            asked = urlencode(found[name].get("params", {}), doseq=True, safe="/")
            assert f"{found[name]['metrics_path']}?{asked}".rstrip("?") == metrics.path
            assert name in {one.server for one in deployment.connections if one.client == "prometheus"}


@pytest.mark.parametrize("values", [ON, ON | CLUSTER], ids=["docker", "kubernetes"])
def test_every_app_with_a_port_is_asked_whether_it_is_ready(values: dict[str, Any]) -> None:
    deployment = planned(values, SHOP)
    asked = {one["labels"]["workload"]: one["targets"] for one in jobs(deployment)["ready"]["static_configs"]}
    assert asked == {"web": ["http://web:8080/health/ready"], "api": ["http://api:8000/health/ready"]}
    reached = {(one.server, one.port) for one in deployment.connections if one.client == "blackbox"}
    assert reached == {("web", 8080), ("api", 8000), ("gateway", 8080)}


def test_both_targets_measure_the_same() -> None:
    docker, cluster = jobs(planned(ON, TELLS)), jobs(planned(ON | CLUSTER, TELLS))
    assert docker.keys() == cluster.keys()
    # On a cluster, what several pods share has a further name that leads to each of them.
    assert cluster["api"]["dns_sd_configs"][0]["names"] == ["api-replicas"]
    assert docker["api"]["dns_sd_configs"][0]["names"] == ["api"]


def test_the_certificate_is_looked_at_where_there_is_one() -> None:
    assert "certificate" not in jobs(planned(ON))
    names = {"server_names": ["shop.example.com"], "certificate": CERTIFICATE}
    probed = modules(Entry.model_validate(names))["modules"]
    tls = {job: probed[job]["http"].get("tls_config") for job in probed}
    assert tls == {
        "entry": {"server_name": "shop.example.com", "ca_file": "/etc/groundwork/trusted.pem"},
        # What is over must still say since when.
        "certificate": {"server_name": "shop.example.com", "insecure_skip_verify": True},
        "ready": None,
    }


def test_measurements_are_bounded_by_time_and_size() -> None:
    server = planned({"monitoring": {"retention_days": 7, "retention_gib": 2}}).workload("prometheus")
    assert "--storage.tsdb.retention.time=7d" in server.command
    assert "--storage.tsdb.retention.size=2GB" in server.command
    assert [volume.size_gib for volume in server.volumes] == [3]


def test_a_program_can_have_another_image_and_other_limits() -> None:
    other = {"image": "mirror/prometheus:v3.14.0", "memory_mib": 512, "cpus": 2}
    server = planned({"monitoring": {"programs": {"prometheus": other}}}).workload("prometheus")
    assert (server.image.reference, server.resources.memory_mib) == ("mirror/prometheus:v3.14.0", 512)


def test_nothing_of_monitoring_is_public_and_nothing_leads_outside() -> None:
    deployment = planned(ON)
    for workload in deployment.workloads:
        if workload.role == "monitoring":
            assert not workload.published and not workload.egress, workload.name
            assert all(network.internal for network in deployment.networks_of(workload.name)), workload.name


def test_a_tunnel_leads_to_every_program() -> None:
    deployment = planned(ON)
    for workload in deployment.workloads:
        if workload.role == "monitoring":
            assert network_to(deployment, workload) == workload.name


def test_a_program_that_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(FaultsError, match=r"(?s)monitoring\.programs\.promtheus.*did you mean `prometheus`"):
        planned({"monitoring": {"programs": {"promtheus": {"memory_mib": 64}}}})


TOLD: dict[str, Any] = {
    "receivers": {
        "chat": {"kind": "webhook", "server": "im.example.com:443"},
        "duty": {"kind": "on_call", "address": "https://events.example.com:8443/v2/enqueue"},
        "team": {
            "kind": "mail",
            "to": ["ops@example.com"],
            "sender": "alerts@example.com",
            "server": "mail.example.com:587",
            "username": "alerts",
        },
    },
    "routing": {"p0": ["duty", "chat"], "p1": ["duty"], "p2": ["chat"], "p3": ["team"]},
}
SECRETS = {"secret_alert_chat_url": "u", "secret_alert_duty_key": "k", "secret_alert_team_password": "p"}


def test_credentials_of_receivers_are_files_and_their_servers_the_only_ways_out() -> None:
    told = planned({"monitoring": TOLD} | SECRETS).workload("alertmanager")
    files = {file.name: file.content for file in told.files}
    assert {f"secrets/{name.removeprefix('secret_')}" for name in SECRETS} == files.keys() - {"alertmanager.yml"}
    assert all(isinstance(content, Template) for name, content in files.items() if name != "alertmanager.yml")
    assert told.egress == ("im.example.com:443", "events.example.com:8443", "mail.example.com:587")
    assert not any(isinstance(value, Template) for value in told.env.values())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"monitoring": TOLD, **SECRETS, "secret_alert_duty_key": None},
            "groundwork:secret_alert_duty_key: is missing; a receiver of alerts needs it\n"
            "    run `pulumi config set --secret groundwork:secret_alert_duty_key`",
        ),
        (
            {"monitoring": {"routing": {"p0": ["chta"]}, "receivers": {"chat": TOLD["receivers"]["chat"]}}, **SECRETS},
            "groundwork:monitoring.routing.p0: there is no receiver `chta`\n    did you mean `chat`?",
        ),
        (
            {"monitoring": {"receivers": {"chat": TOLD["receivers"]["chat"]}}, "secret_alert_chat_url": "u"},
            "groundwork:monitoring.receivers.chat: nothing is sent to it\n    name it in `routing`, or take it out",
        ),
        (
            {"secret_alert_chat_url": "u"},
            "groundwork:secret_alert_chat_url: is a secret that nobody uses",
        ),
    ],
    ids=["no credentials", "no such receiver", "a receiver nobody names", "a secret left over"],
)
def test_what_does_not_fit_is_told_with_what_to_write(values: dict[str, Any], message: str) -> None:
    with pytest.raises(FaultsError) as told:
        planned({key: value for key, value in values.items() if value is not None})
    assert message in str(told.value)


def test_an_app_without_a_port_has_nowhere_to_tell() -> None:
    with pytest.raises(ValueError, match="metrics_path is asked for at `port`"):
        App(
            name="worker", image="x:1", command=("work",), live_command="true", ready_command="true",
            metrics_path="/metrics",
        )  # fmt: skip


@pytest.mark.parametrize(
    "name", ["prometheus", "prometheus-agent", "alertmanager", "blackbox", "node-exporter", "grafana"]
)
def test_names_of_monitoring_are_taken(name: str) -> None:
    with pytest.raises(ValueError, match=f"the name `{name}` is taken"):
        System(name="shop", apps=(App(name=name, image="x:1", port=80),))


def test_a_port_is_used_by_its_name() -> None:
    server = planned(ON).workload("prometheus")
    assert server.used_at(9090) == "prometheus" and server.metrics == Metrics(port=9090)


def test_what_sees_all_of_a_machine_is_nobody_and_runs_on_each() -> None:
    (measuring,) = (one for one in planned(ON, TELLS).workloads if "root" in one.machine_paths)
    assert measuring.name == "node-exporter" and measuring.per_machine
    assert measuring.user == "65534:65534" and not measuring.volumes and not measuring.egress


def test_on_a_cluster_it_is_found_in_the_namespace_of_machines() -> None:
    deployment = planned(ON | CLUSTER, TELLS)
    (where,) = jobs(deployment)["node-exporter"]["dns_sd_configs"]
    assert where["names"] == ["node-exporter.shop-test-machines"]


def test_memory_is_told_by_the_limit_of_each_program() -> None:
    values = {"monitoring": {"programs": {"prometheus": {"memory_mib": 400}}}, "apps": {"api": {"memory_mib": 352}}}
    files = {file.name: str(file.content) for file in planned(values, TELLS).workload("prometheus").files}
    (group,) = yaml.safe_load(files["rules/processes.yml"])["groups"]
    (near,) = (rule["expr"] for rule in group["rules"] if rule["alert"] == "MemoryNearLimit")
    for job, limit in (("api", 352), ("prometheus", 400)):
        assert f'process_resident_memory_bytes{{job="{job}"}} / {limit * 1024**2}' in near
