"""The judgement of the isolation table, without an engine: what it excuses, and what it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from groundwork.deployment import Deployment
from groundwork.images import ImageLock
from groundwork.plan import plan
from groundwork.stack_file import read_values
from tests.e2e.isolation import FORWARDED, INCOMING, PEERS, faults, reason
from tests.e2e.isolation_system import SYSTEM
from tests.e2e.reach import Answer, Kind, Row, Target


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    values = {"groundwork:target": {"memory_mib": 8192}}
    return plan(SYSTEM, read_values(values, "dev"), ImageLock({}, "mark"), project="isolation", stack="dev")


def inside(server: str, network: str, port: int) -> Target:
    return Target(kind="container", server=server, address="10.0.0.1", port=port, network=network)


def around(kind: Kind) -> Target:
    return Target(kind=kind, server=kind, address="10.0.0.1", port=80)


@pytest.mark.parametrize(
    ("client", "target", "why"),
    [
        ("api", inside("mysql", "mysql", 3306), "uses"),
        ("gateway", inside("api", "edge", 8000), "route"),
        ("mailer", inside("api", "cache", 8000), PEERS),
        ("cache", inside("api", "cache", 8000), FORWARDED),
        ("api", inside("mysql", "mysql", 9999), FORWARDED),
        ("web", inside("api", "edge", 8000), FORWARDED),
        ("mailer", inside("mailer", "mailer-egress", 8000), FORWARDED),
        ("mailer", inside("mysql", "mysql", 3306), None),
        ("mailer", inside("web", "edge", 8080), None),
        ("web", inside("cache", "cache", 6379), None),
        ("gateway", inside("mysql", "mysql", 3306), None),
        ("outside", inside("gateway", "public", 8080), None),
        ("mailer", inside("gateway", "public", 8080), None),
        ("mailer", around("outside"), "egress"),
        ("mailer", around("metadata"), FORWARDED),
        ("mailer", around("machine"), INCOMING),
        ("gateway", around("bridge"), INCOMING),
        ("gateway", around("metadata"), None),
        ("gateway", around("outside"), None),
        ("mailer", around("stranger"), None),
        ("mailer", around("nobody"), None),
        ("api", around("outside"), None),
        ("api", around("bridge"), None),
        ("cache", around("metadata"), None),
    ],
)
def test_reason(deployment: Deployment, client: str, target: Target, why: str | None) -> None:
    assert reason(deployment, client, target) == why


def test_a_network_with_a_member_too_many_is_no_excuse(deployment: Deployment) -> None:
    """The plan itself may be what is wrong."""
    networks = tuple(
        replace(network, members=network.members | {"web"}) if network.name == "mysql" else network
        for network in deployment.networks
    )
    wrong = replace(deployment, shares=(replace(deployment.shares[0], networks=networks),))
    assert reason(wrong, "web", inside("mysql", "mysql", 3306)) is None


@pytest.mark.parametrize(
    ("answer", "target", "fault"),
    [
        ("open", inside("web", "edge", 8080), "open: mailer-1 reaches container web"),
        ("refused", inside("web", "edge", 9999), "open: mailer-1 reaches container web"),
        ("silent", inside("cache", "cache", 6379), "closed: mailer-1 does not reach container cache"),
        ("refused", inside("cache", "cache", 6379), "closed: mailer-1 does not reach container cache"),
        ("silent", around("outside"), "closed: mailer-1 does not reach outside"),
    ],
)
def test_fault(deployment: Deployment, answer: Answer, target: Target, fault: str) -> None:
    good = Row(client="mailer", container="mailer-0", target=inside("cache", "cache", 6379), answer="open")
    assert faults(deployment, [good]) == []
    found = faults(deployment, [good, Row(client="mailer", container="mailer-1", target=target, answer=answer)])
    assert len(found) == 1
    assert found[0].startswith(fault)


def test_a_server_that_was_not_even_tried_is_a_fault(deployment: Deployment) -> None:
    row = Row(client="mailer", container="mailer-0", target=around("outside"), answer="open")
    assert faults(deployment, [row]) == ["closed: cache has no address in cache, where mailer looks for it"]
