"""What outlives an app, a stack or a killed engine on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import grpc
import pytest

from sim.values import Properties
from tests.engine.conftest import Program, rewrite
from tests.engine.stack import ROOT, Run, Stack, simulated_providers
from tests.engine.test_housing import assert_ok
from tests.provider_client import connected

CLAIM = "kubernetes:core/v1:PersistentVolumeClaim"
PREFIX = "shop-kubernetes-"
TICKER = """App(
    name="ticker", image="example/ticker:1", singleton=True, live_command="true", ready_command="true",
    volumes=(AppVolume(name="ticks", path="/ticks"),), memory_mib=32,
)"""


def program_of(*, ticker: bool, keep_data: bool = True, disk_gib: int = 10) -> str:
    return f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from components.environment import Environment, EnvironmentArgs
from groundwork.plan import plan
from groundwork.system import App, AppVolume
from tests.sample import MARK, SHOP, changed, configured

configuration = configured({{
    "target": {{"kind": "kubernetes", "context": "test"}},
    "keep_data": {keep_data},
    "services": {{"postgres": {{"disk_gib": {disk_gib}}}}},
}})
system = changed(SHOP, apps=(*SHOP.apps, *({TICKER},) * {ticker}))
deployment = plan(system, configuration, MARK, project="shop", stack="dev")
Environment("shop", EnvironmentArgs(settings=configuration.settings, deployment=deployment, simulated=True))
"""


@pytest.fixture
def stack(program: Program) -> Iterator[Stack]:
    """Nothing yet, before a cluster that remembers."""
    with simulated_providers() as providers:
        yield replace(program(program_of(ticker=True)), providers=providers)


def deleted(run: Run) -> set[str]:
    return {name.removeprefix(PREFIX) for name in run.names("delete")}


def claims(stack: Stack) -> set[str]:
    return {one["urn"].split("::")[-1].removeprefix(PREFIX) for one in stack.resources() if one["type"] == CLAIM}


def exists(stack: Stack, claim: str) -> bool:
    """Whether the cluster has a claim: it takes no other of its name."""
    port = dict(part.split(":") for part in stack.providers.split(","))["kubernetes"]
    metadata: Properties = {"namespace": "shop-dev", "name": claim}
    given: Properties = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata}
    with connected(f"127.0.0.1:{port}") as client:
        client.configure(context="test")
        try:
            identity, _ = client.create(CLAIM, client.check(CLAIM, given)[0])
        except grpc.RpcError as error:
            assert "already exists" in str(error.details())
            return True
        client.delete(CLAIM, identity)
        return False


def test_an_app_that_is_taken_out_takes_all_its_own_along_but_its_data(stack: Stack) -> None:
    assert_ok(stack.up())
    rewrite(stack, program_of(ticker=False))
    run = assert_ok(stack.up())
    own = {name for name in deleted(run) if "ticker" in name}
    assert {name.split("-")[0] for name in own} >= {"statefulset", "serviceaccount", "networkpolicy"}
    assert deleted(run) == own
    assert exists(stack, "ticker-ticks")
    assert claims(stack) == {"persistentvolumeclaim-postgres-data", "persistentvolumeclaim-redis-data"}
    rewrite(stack, program_of(ticker=True))
    assert f"{PREFIX}persistentvolumeclaim-ticker-ticks" in assert_ok(stack.up()).names("create")
    assert not assert_ok(stack.up()).changes


def test_kept_data_is_found_again_by_a_new_stack(stack: Stack) -> None:
    first = assert_ok(stack.up())
    assert_ok(stack.destroy())
    assert stack.resources() == []
    assert exists(stack, "postgres-data")
    # A conflict, if the provider did not use force.
    rewrite(stack, program_of(ticker=True, disk_gib=20))
    again = assert_ok(stack.up())
    assert again.names("create") == first.names("create")
    assert len(claims(stack)) == 3


def test_data_that_is_not_kept_goes_with_its_app(stack: Stack) -> None:
    rewrite(stack, program_of(ticker=True, keep_data=False))
    assert_ok(stack.up())
    rewrite(stack, program_of(ticker=False, keep_data=False))
    assert "persistentvolumeclaim-ticker-ticks" in deleted(assert_ok(stack.up()))
    assert not exists(stack, "ticker-ticks") and exists(stack, "postgres-data")


@pytest.mark.parametrize("number", [1, 12, 40])
def test_an_interrupted_up_is_completed_by_the_next(program: Program, number: int) -> None:
    stack = program(program_of(ticker=True))
    assert stack.up(f"die:create:{number}").code != 0
    assert_ok(stack.up())
    assert not assert_ok(stack.up()).changes
    assert not stack.export()["deployment"].get("pending_operations")


def test_what_a_killed_engine_could_not_note_is_taken_over(stack: Stack) -> None:
    """All objects are there, and the state knows of none; it has the passwords that are in them."""
    assert_ok(stack.up())
    exported = stack.export()
    known = exported["deployment"]["resources"]
    exported["deployment"]["resources"] = [one for one in known if not one["type"].startswith("kubernetes:")]
    stack.import_(exported)
    assert assert_ok(stack.up()).changes["create"] > 40
    assert not assert_ok(stack.up()).changes
