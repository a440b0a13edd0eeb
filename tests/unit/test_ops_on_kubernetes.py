"""What a cluster says of a stack, as rows and lines; and how kubectl is called, by a program that stands for it."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from groundwork.workload import Workload
from ops.on_kubernetes import OnKubernetes, cluster_of
from ops.on_kubernetes.logs import line_of
from ops.on_kubernetes.status import mib_of, rows_of
from ops.on_kubernetes.tunnel import tunnel_to
from ops.place import Wanted, newest_ready
from tests.sample import ROOT, planned
from tools.engine.checkout import UserError
from tools.engine.namespace import sorted_out
from tools.kubectl import Kubectl

API = {"name": "Deployment/api", "workload": "api", "role": "app", "release": "1a2b3c4d"}
JOB = {"name": "Job/api-release-1a2b3c4d", "workload": "api-release", "role": "job", "release": "1a2b3c4d"}
RUNNING = {"running": {"startedAt": "2026-01-02T03:04:05Z"}}


def pod(name: str, state: dict[str, Any], **other: Any) -> dict[str, Any]:
    labels = {
        "app.kubernetes.io/name": other.get("workload", "api"),
        "app.kubernetes.io/version": other.get("release", "1a2b3c4d"),
    }
    ready = "True" if other.get("ready", "running" in state) else "False"
    return {
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels, **({"deletionTimestamp": "x"} if other.get("ending") else {})},
        "spec": {"containers": [{"resources": {"limits": {"memory": "192Mi"}}}]},
        "status": {
            "phase": other.get("phase", "Running"),
            "startTime": other.get("started", "2026-01-02T03:04:00Z"),
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"state": state, "restartCount": 2, "started": other.get("begun", True)}],
        },
    }


def deployment(replicas: int = 1, ready: int = 1, **status: Any) -> dict[str, Any]:
    return {
        "kind": "Deployment", "metadata": {"name": "api"}, "spec": {"replicas": replicas},
        "status": {"readyReplicas": ready, **status},
    }  # fmt: skip


def job(**status: Any) -> dict[str, Any]:
    return {"kind": "Job", "metadata": {"name": "api-release-1a2b3c4d"}, "spec": {}, "status": status}


def test_a_pod_that_is_ready_tells_everything_of_itself() -> None:
    (row,) = rows_of([deployment(), pod("api-1", RUNNING)], [API], {"api-1": 57.5})
    assert (row.container, row.state, row.ok, row.health) == ("api-1", "running", True, "healthy")
    assert (row.restarts, row.since, row.memory_mib, row.limit_mib) == (2, "2026-01-02T03:04:05Z", 57.5, 192.0)


@pytest.mark.parametrize(
    ("state", "other", "word", "ok", "health"),
    [
        (RUNNING, {"ready": False}, "running", False, "unhealthy"),
        (RUNNING, {"ready": False, "begun": False}, "running", False, "starting"),
        (RUNNING, {"release": "0ld0ld0l"}, "old release", False, ""),
        (RUNNING, {"ending": True}, "ending", True, ""),
        ({"waiting": {"reason": "CrashLoopBackOff"}}, {}, "CrashLoopBackOff", False, ""),
        ({}, {"phase": "Pending"}, "pending", False, ""),
        ({"terminated": {"exitCode": 137}}, {}, "exited (137)", False, ""),
    ],
)
def test_what_is_wrong_with_a_pod_has_its_own_word(
    state: dict[str, Any], other: dict[str, Any], word: str, ok: bool, health: str
) -> None:
    row = rows_of([deployment(ready=0), pod("api-1", state, **other)], [API], {})[0]
    assert (row.state, row.ok, row.health) == (word, ok, health)


def test_pods_that_can_not_be_made_are_rows_with_the_reason() -> None:
    refused = {"conditions": [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}]}
    rows = rows_of([deployment(3, 1, **refused), pod("api-1", RUNNING)], [API], {})
    assert [row.state for row in rows] == ["running", "FailedCreate", "FailedCreate"]


def test_what_is_not_there_at_all_is_missing_and_what_was_scaled_down_says_so() -> None:
    assert [(row.state, row.container) for row in rows_of([], [API], {})] == [("missing", "Deployment/api")]
    assert [(row.state, row.ok) for row in rows_of([deployment(0, 0)], [API], {})] == [("scaled to 0", False)]


def test_what_was_evicted_and_replaced_is_no_fault() -> None:
    rows = rows_of([deployment(), pod("api-1", RUNNING), pod("api-0", {}, phase="Failed")], [API], {})
    assert [row.container for row in rows] == ["api-1"]


def test_pods_of_nothing_that_the_outputs_name_are_in_no_state() -> None:
    rows = rows_of([deployment(), pod("api-1", RUNNING), pod("left-1", RUNNING, workload="left")], [API], {})
    assert [(row.container, row.state, row.ok) for row in rows[1:]] == [("left-1", "in no state", False)]


def test_a_job_is_judged_by_its_last_try() -> None:
    tries = [
        pod("release-a", {"terminated": {"exitCode": 1}}, workload="api-release", started="2026-01-02T03:04:00Z"),
        pod("release-b", {"terminated": {"exitCode": 0}}, workload="api-release", started="2026-01-02T03:05:00Z"),
    ]
    (row,) = rows_of([job(succeeded=1), *tries], [JOB], {})
    assert (row.container, row.state, row.ok) == ("release-b", "done", True)
    (row,) = rows_of([job(failed=1), tries[0]], [JOB], {})
    assert (row.state, row.ok) == ("failed (1)", False)
    (row,) = rows_of([job(succeeded=1)], [JOB], {})
    assert (row.state, row.ok) == ("done", True)


@pytest.mark.parametrize(("quantity", "mib"), [("128Mi", 128), ("1Gi", 1024), ("131072Ki", 128), ("134217728", 128)])
def test_quantities_are_read_in_every_unit(quantity: str, mib: float) -> None:
    assert mib_of(quantity) == mib


def test_times_of_log_lines_sort_as_text() -> None:
    lines = [line_of(("a", "api"), f"2026-01-02T03:04:{second} text") for second in ("05Z", "05.1Z", "05.123456789Z")]
    assert [line.time for line in lines] == sorted(line.time for line in lines)
    assert {len(line.time) for line in lines} == {30}


@pytest.fixture
def cluster(tmp_path: Path) -> OnKubernetes:
    """kubectl is a program of ours: it notes how it is called, and answers from files."""
    program = tmp_path / "bin/kubectl"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, pathlib, sys, time\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "with (here / 'calls').open('a') as calls: calls.write(json.dumps(sys.argv[1:]) + '\\n')\n"
        "words = [word for word in sys.argv[1:] if not word.startswith('-')]\n"
        "if words[0] == 'get': print((here / 'pods.json').read_text())\n"
        "if words[0] == 'logs':\n"
        "    stamp = '2026-01-02T03:04:05.5Z' if '--follow' in sys.argv else '2026-01-02T03:04:05.1Z'\n"
        "    print(stamp, words[1], flush=True)\n"
        "    if '--follow' in sys.argv: time.sleep(60)\n"
        "if words[0] == 'port-forward':\n"
        "    if 'refused' in words[1]: sys.exit('error: no such pod')\n"
        "    print('Forwarding from 127.0.0.1:41234 -> 5432', flush=True)\n"
        "    time.sleep(60)\n"
    )
    program.chmod(0o755)
    (tmp_path / "pods.json").write_text(json.dumps({"items": [pod("api-1", RUNNING), pod("api-2", RUNNING)]}))
    kubectl = Kubectl(
        program=str(program), kubeconfig=tmp_path / "config", context="lab", namespace="shop-k8s",
        environment=dict(os.environ),
    )  # fmt: skip
    return OnKubernetes(kubectl=kubectl, instance="shop-k8s")


def calls(cluster: OnKubernetes) -> list[list[str]]:
    file = cluster.kubectl.kubeconfig.with_name("calls")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_every_call_says_context_and_namespace(cluster: OnKubernetes) -> None:
    cluster.replicas("api")
    list(cluster.lines("api", Wanted()))
    for call in calls(cluster):
        assert {"--context=lab", "--namespace=shop-k8s"} <= set(call)
    assert "--selector=app.kubernetes.io/instance=shop-k8s,app.kubernetes.io/name=api" in calls(cluster)[0]


def test_logs_of_all_pods_are_merged_and_then_followed(cluster: OnKubernetes) -> None:
    assert [line.text for line in cluster.lines("api", Wanted())] == ["api-1", "api-2"]
    lines = cluster.lines("api", Wanted(follow=True))
    found = list(itertools.islice(lines, 4))
    assert sorted(line.text for line in found) == ["api-1", "api-1", "api-2", "api-2"]
    assert {line.time[-10:] for line in found[2:]} == {"500000000Z"}
    lines.close()  # type: ignore[attr-defined]


def test_a_command_inside_has_a_terminal_only_where_there_is_one(cluster: OnKubernetes) -> None:
    replica = newest_ready(cluster.replicas("api"))
    assert replica is not None
    command, _ = cluster.inside(replica, ["id"], terminal=False)
    assert command[-4:] == ["--quiet", replica.name, "--", "id"]
    command, _ = cluster.inside(replica, ["id"], terminal=True)
    assert command[-4:] == ["--tty", replica.name, "--", "id"]


def test_the_newest_of_those_that_are_ready_is_looked_into(cluster: OnKubernetes) -> None:
    pods = [
        pod("old", RUNNING, started="2026-01-01T00:00:00Z"),
        pod("new", RUNNING, started="2026-01-03T00:00:00Z"),
        pod("newest", RUNNING, started="2026-01-04T00:00:00Z", ready=False),
        pod("ending", RUNNING, started="2026-01-05T00:00:00Z", ending=True),
    ]
    cluster.kubectl.kubeconfig.with_name("pods.json").write_text(json.dumps({"items": pods}))
    found = newest_ready(cluster.replicas("api"))
    assert found is not None and found.name == "new"


def test_a_tunnel_gives_its_port_and_ends_its_kubectl(cluster: OnKubernetes) -> None:
    with tunnel_to(cluster.kubectl, "postgres-0", 5432, 0) as tunnel:
        assert tunnel.port == 41234
    assert calls(cluster)[-1][-2:] == ["pod/postgres-0", ":5432"]
    with pytest.raises(UserError, match="no such pod"), tunnel_to(cluster.kubectl, "refused", 5432, 0):
        pass


def test_a_tunnel_ends_with_the_process_that_holds_it_even_killed(cluster: OnKubernetes) -> None:
    kubectl = cluster.kubectl
    code = (
        "import pathlib, time; from tools.kubectl import Kubectl; from ops.on_kubernetes.tunnel import tunnel_to\n"
        f"k = Kubectl(program={kubectl.program!r}, kubeconfig=pathlib.Path({str(kubectl.kubeconfig)!r}),"
        " context='lab', namespace='n', environment={'PATH': '/usr/bin'})\n"
        "with tunnel_to(k, 'postgres-0', 5432, 0) as t: print(t.port, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and holder.stdout.readline() == "41234\n"
        children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()
        holder.kill()
    assert len(children) == 1
    until = time.monotonic() + 5
    while Path(f"/proc/{children[0]}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{children[0]}").exists()


def test_without_a_pod_there_is_no_tunnel(cluster: OnKubernetes) -> None:
    cluster.kubectl.kubeconfig.with_name("pods.json").write_text('{"items": []}')
    workload: Workload = planned().workload("postgres")
    with pytest.raises(UserError, match="No pod of postgres runs"):
        cluster.tunnel(planned(), workload, 5432, 0)


def test_without_kubectl_there_is_one_message(tmp_path: Path) -> None:
    from groundwork.targets import KubernetesTarget

    config = tmp_path / "config"
    config.write_text("contexts: [{name: lab}]\n")
    target = KubernetesTarget(kind="kubernetes", context="lab", kubeconfig=str(config))
    with pytest.raises(UserError, match="`kubectl` is not on PATH"):
        cluster_of(target, "shop-k8s", {"PATH": str(tmp_path)})
    with pytest.raises(UserError, match="no context `lab2`"):
        cluster_of(KubernetesTarget(kind="kubernetes", context="lab2", kubeconfig=str(config)), "x", {})


def test_after_down_what_stays_on_purpose_is_told_from_what_should_have_gone() -> None:
    def thing(kind: str, name: str, **metadata: Any) -> dict[str, Any]:
        return {"kind": kind, "metadata": {"name": name, **metadata}}

    things = [
        thing("PersistentVolumeClaim", "data", namespace="shop-k8s"),
        thing("Namespace", "shop-k8s"),
        thing("Service", "api", namespace="shop-k8s"),
        thing("Pod", "api-1", namespace="shop-k8s", deletionTimestamp="x"),
    ]
    kept, left = sorted_out(things, frozenset({"shop-k8s", "shop-k8s/data"}))
    assert kept == ["persistentvolumeclaim/data", "namespace/shop-k8s"]
    assert left == ["service/api"]
