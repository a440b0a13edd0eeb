"""Which port, which network and what kind of container; real tunnels are opened in tests/e2e/test_operations.py."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from docker.api.client import APIClient

from groundwork.workload import Workload
from ops.on_docker.tunnel import described, network_to, refuse_remote
from ops.shell import enter
from ops.tunnel import local_port, port_of
from tests.sample import planned
from tests.unit.test_ops_logs import running
from tools.engine.checkout import UserError
from tools.engine.recover import labelled_objects


def queue() -> Workload:
    workload = planned().workload("postgres")
    return Workload(
        name="queue", role="service", image=workload.image, command=(), resources=workload.resources, user="999:999",
        port=5672, side_ports={"management": 15672},
    )  # fmt: skip


@pytest.mark.parametrize(("wanted", "port"), [("", 5672), ("main", 5672), ("management", 15672), ("15672", 15672)])
def test_a_port_has_a_name_and_a_number(wanted: str, port: int) -> None:
    assert port_of(queue(), wanted) == port


def test_another_port_is_answered_with_those_there_are() -> None:
    with pytest.raises(UserError, match=r"queue has no port `admin`; it has main \(5672\), management \(15672\)\."):
        port_of(queue(), "admin")
    with pytest.raises(UserError, match="listens on no port"):
        port_of(planned().workload("api-release"), "")


def test_the_own_number_is_taken_where_it_is_free_and_another_where_not() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert local_port(None, port) == 0
        with pytest.raises(UserError, match="something listens there already"):
            local_port(port, 5432)
    assert local_port(None, port) == port


def test_each_workload_is_found_in_the_network_where_others_find_it() -> None:
    deployment = planned()
    found = {name: network_to(deployment, deployment.workload(name)) for name in ("postgres", "redis", "web", "api")}
    assert found == {"postgres": "postgres", "redis": "redis", "web": "edge", "api": "edge"}
    with pytest.raises(UserError, match="needs no tunnel: http://127"):
        network_to(deployment, deployment.workload("gateway"))


def test_the_container_between_is_as_closed_as_the_others_and_ends_by_itself() -> None:
    deployment = planned()
    made = described(deployment, deployment.workload("postgres"), "x", 5432, 15432, APIClient(version="1.44"))
    host = made["host_config"]
    assert host["ReadonlyRootfs"] and host["AutoRemove"] and host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["PidsLimit"] and host["Memory"] == host["MemorySwap"]
    assert host["PortBindings"] == {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "15432"}]}
    assert not made["user"].startswith("0")
    # The engine closes the input with the one client that holds it, and the container ends with its input.
    assert made["stdin_open"] and not made["detach"]
    assert "server postgres:5432 resolve;" in made["environment"]["CONFIGURATION"]
    assert made["labels"]["groundwork.tunnel"] == "postgres"


def test_the_engine_of_another_machine_is_refused_with_what_to_do() -> None:
    def engine(url: str) -> Any:
        return SimpleNamespace(api=SimpleNamespace(base_url=url))

    refuse_remote(engine("http+docker://localhost"))
    with pytest.raises(UserError, match="ssh -L"):
        refuse_remote(engine("http+docker://ssh"))


def test_a_living_tunnel_is_no_leftover_of_a_killed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def container(name: str, **labels: str) -> dict[str, Any]:
        return {"Id": name, "Names": [f"/{name}"], "Created": 1, "Labels": labels}

    api = SimpleNamespace(
        containers=lambda **_: [container("api"), container("tunnel", **{"groundwork.tunnel": "postgres"})],
        networks=lambda **_: [],
        volumes=lambda **_: {},
    )
    monkeypatch.setattr("docker.from_env", lambda **_: SimpleNamespace(api=api, close=lambda: None))
    assert [entry.name for entry in labelled_objects("shop", "dev", {})] == ["api"]


def test_a_shell_in_an_unknown_workload_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UserError, match=r"no workload `postgers` in housing/dev; did you mean `postgres`\?"):
        enter(running(simulated=False), "postgers", (), terminal=False, say=print)
    with pytest.raises(UserError, match="SIMULATED"):
        enter(running(simulated=True), "api", (), terminal=False, say=print)
