"""The pictures of a Deployment: everything is in them, nothing overlaps, Mermaid's text is as reviewed."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest

from groundwork.deployment import Deployment
from groundwork.plan import plan
from groundwork.stack_file import read_stack_file
from groundwork.system import App, load_system
from groundwork.views.draw import mermaid, svg
from groundwork.views.layout import Box, arrange
from tests.sample import API, MARK, ROOT, SHOP, WEB, changed, planned

SNAPSHOTS = Path(__file__).parent / "snapshots"
LONG_HOST = f"{'x' * 60}.example.com:443"
WORKER = App(
    name="end",
    image="example/worker:1",
    port=9000,
    uses=("redis",),
    replicas=3,
    egress=("api.example.com:443",),
)
BIG = changed(SHOP, apps=(WEB, changed(API, egress=("mail.example.com:587", LONG_HOST)), WORKER))
"""An app without a route, with replicas and a name that is a word of Mermaid's; ways outside; long names."""


def housing(stack: str) -> Deployment:
    configuration = read_stack_file(ROOT / f"systems/housing/Pulumi.{stack}.yaml")
    return plan(load_system(ROOT, "housing"), configuration, MARK, project="housing", stack=stack)


DEPLOYMENTS = {
    "housing-dev": housing("dev"),
    "housing-prod": housing("prod"),
    "big": planned(system=BIG),
    "rotated": planned({"services": {"postgres": {"credentials": 2}}}),
}
each = pytest.mark.parametrize("deployment", DEPLOYMENTS.values(), ids=DEPLOYMENTS)


def overlap(one: Box, other: Box) -> bool:
    apart = one.right <= other.x or other.right <= one.x or one.bottom <= other.y or other.bottom <= one.y
    return not apart


def inside(inner: Box, outer: Box) -> bool:
    across = outer.x <= inner.x and inner.right <= outer.right
    return across and outer.y <= inner.y and inner.bottom <= outer.bottom


@each
def test_nothing_overlaps(deployment: Deployment) -> None:
    picture = arrange(deployment)
    for one, other in combinations(picture.cards, 2):
        assert not overlap(one.box, other.box), (one.name, other.name)
    for one_area, other_area in combinations(picture.areas, 2):
        assert not overlap(one_area.box, other_area.box), (one_area.title, other_area.title)
    for card in picture.cards:
        for area in picture.areas:
            assert inside(card.box, area.box) or not overlap(card.box, area.box), (card.name, area.title)


@each
def test_everything_is_on_the_page(deployment: Deployment) -> None:
    picture = arrange(deployment)
    page = Box(x=0, y=0, width=picture.width, height=picture.height)
    assert all(inside(card.box, page) for card in picture.cards)
    assert all(inside(area.box, page) for area in picture.areas)


@each
def test_a_card_stands_in_the_area_of_a_network_that_it_joins(deployment: Deployment) -> None:
    picture = arrange(deployment)
    members = {f"network {network.name}": network.members for network in deployment.networks}
    names = {workload.name for workload in deployment.workloads}
    for area in picture.areas:
        for card in picture.cards:
            if card.name in names and inside(card.box, area.box):
                assert card.name in members[area.title]


@each
def test_every_workload_is_drawn_with_its_memory_and_every_network_with_its_subnet(
    deployment: Deployment,
) -> None:
    text = "\n".join(element.text or "" for element in ElementTree.fromstring(svg(deployment)).iter())
    for workload in deployment.workloads:
        assert workload.name in text
        assert f"{workload.resources.memory_mib:,} MiB" in text
    for network in deployment.networks:
        assert f"network {network.name}" in text
    for connection in deployment.connections:
        assert f":{connection.port}" in text


@each
def test_each_connection_is_one_line_but_for_jobs_beside_their_service(deployment: Deployment) -> None:
    picture = arrange(deployment)
    drawn = {(wire.start, wire.end) for wire in picture.wires}
    at = {card.name: card.box for card in picture.cards}
    for connection in deployment.connections:
        client, server = at[connection.client], at[connection.server]
        beside = client.x == server.x and deployment.workload(connection.client).role == "job"
        assert beside or (client, server) in drawn, connection


def test_no_line_of_a_card_is_longer_than_the_card() -> None:
    picture = arrange(DEPLOYMENTS["big"])
    # 6.6 px is the widest average of system-ui at 11.5 px; 16 px of the card are its left edge.
    assert all(16 + 6.6 * len(line) <= card.box.width for card in picture.cards for line in card.lines)
    assert any("…" in line for card in picture.cards for line in card.lines)


def test_the_picture_loads_nothing_and_knows_dark_mode() -> None:
    text = svg(DEPLOYMENTS["housing-dev"])
    assert "prefers-color-scheme: dark" in text
    assert "<script" not in text
    assert re.findall(r"https?://[^\s\"<]+", text.replace("http://www.w3.org/2000/svg", "")) == [
        "http://127.0.0.1:8080/",
        "http://127.0.0.1:8080/",
    ]


def test_text_of_a_user_stays_text() -> None:
    deployment = planned({"entry": {"server_names": ["shop.example.com"]}, "time_zone": "Asia/Shanghai"})
    ElementTree.fromstring(svg(deployment))
    assert "http://shop.example.com:8080/" in svg(deployment)


def test_mermaid_gives_words_of_its_own_no_meaning() -> None:
    text = mermaid(DEPLOYMENTS["big"])
    assert "w_end[" in text
    assert re.search(r"^ +end\b(?!$)", text, re.MULTILINE) is None


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_mermaid_of_housing_is_as_reviewed(stack: str) -> None:
    """After a wanted change: python -m tests.unit.test_draw"""
    assert mermaid(housing(stack)) == (SNAPSHOTS / f"housing-{stack}.mmd").read_text()


if __name__ == "__main__":
    for name in ("dev", "prod"):
        (SNAPSHOTS / f"housing-{name}.mmd").write_text(mermaid(housing(name)))
