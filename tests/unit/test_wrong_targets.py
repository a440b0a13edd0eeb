"""What does not fit a target: each rule by hand, with the whole message a person reads."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clusters import EVERYTHING
from tests.sample import CERTIFICATE, locked

from .test_wrong_combinations import refused_plan

BEHIND = {"kind": "ingress", "controller": "traefik", "namespace": "traefik"}


def on_cluster(exposure: dict[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    target = {"kind": "kubernetes", "context": "test"} | ({"exposure": exposure} if exposure else {})
    return {"target": target, "secret_smtp": "s", **values}


def wrong_exposure(message: str, **exposure: Any) -> tuple[dict[str, Any], str]:
    return on_cluster(exposure), f"  1. groundwork:target.exposure: {message}"


WRONG_TARGETS: dict[str, tuple[dict[str, Any], str]] = {
    "a target of a kind that there is not": (
        {"target": {"kind": "swarm"}},
        "  1. groundwork:target.kind: `swarm` can't be used\n    it should be `docker` or `kubernetes`",
    ),
    "a cluster without a context": (
        {"target": {"kind": "kubernetes"}},
        "  1. groundwork:target.context: is missing\n    it should be text such as `admin@production`",
    ),
    "a context without the kind of target": (
        {"target": {"context": "production"}},
        "  1. groundwork:target.kind: is missing\n    it should be `kubernetes`",
    ),
    "a key of one target in the other": (
        {"target": {"kind": "docker", "namespace": "shop"}},
        "  1. groundwork:target.namespace: there is no key `namespace`\n    known here: kind, memory_mib, subnets",
    ),
    "an ingress of an unknown controller": wrong_exposure(
        "kind ingress needs `controller`\n    say which one the cluster has", kind="ingress", namespace="traefik"
    ),
    "an ingress that anybody may pass by": wrong_exposure(
        "kind ingress needs `namespace`\n    say which one the cluster has", kind="ingress", controller="traefik"
    ),
    "a gateway without its class": wrong_exposure(
        "kind gateway needs `class_name`\n    `kubectl get gatewayclass` lists them", kind="gateway", namespace="entry"
    ),
    "a gateway with the controller of an ingress": wrong_exposure(
        "kind gateway has no `controller`\n    class_name names it",
        kind="gateway",
        namespace="entry",
        class_name="cilium",
        controller="traefik",
    ),
    "an issuer where nothing asks for a certificate": wrong_exposure(
        "kind load_balancer has no `issuer`\n    take it out, or say kind: ingress",
        kind="load_balancer",
        issuer="letsencrypt",
    ),
    "a namespace for what comes from anywhere": wrong_exposure(
        "kind node_port has no `namespace`\n    take it out, or say kind: ingress",
        kind="node_port",
        namespace="traefik",
    ),
    "two certificates": wrong_exposure(
        "issuer and tls_secret are both given\n    keep the one that has the certificate",
        **BEHIND,
        issuer="letsencrypt",
        tls_secret="shop-tls",
    ),
    "an entry without a host name": (
        on_cluster(BEHIND),
        "  1. groundwork:entry.server_names: is missing\n    name the hosts that the cluster's entry serves",
    ),
    "a certificate behind the end of TLS": (
        on_cluster(
            BEHIND, entry={"server_names": ["shop.example.com"], "certificate": CERTIFICATE}, secret_tls_key="k"
        ),
        "  1. groundwork:entry.certificate: TLS ends in front of the gateway\n"
        "    give target.exposure.issuer or target.exposure.tls_secret",
    ),
    "two gateways on one machine": (
        {"gateway": {"replicas": 2}, "secret_smtp": "s"},
        "  1. groundwork:target.kind: `docker` can't run report on a schedule\n"
        "    give a target of the kind kubernetes\n"
        "  2. groundwork:gateway.replicas: two gateways can't hold the same ports of one machine\n    take it out",
    ),
    "an image for an app that runs another's": (
        on_cluster(apps={"worker": {"image": "example/worker:1"}}),
        "  1. groundwork:apps.worker.image: it runs the image of api\n    name it in groundwork:apps.api.image",
    ),
    "a singleton twice": (
        on_cluster(apps={"beat": {"replicas": 2}}),
        "  1. groundwork:apps.beat.replicas: beat never runs twice at once\n    take it out",
    ),
    "a singleton by load": (
        on_cluster(apps={"beat": {"autoscale": {}}}),
        "  1. groundwork:apps.beat.autoscale: beat never runs twice at once\n    take it out",
    ),
    "a scheduled app twice": (
        on_cluster(apps={"report": {"replicas": 3}}),
        "  1. groundwork:apps.report.replicas: report never runs twice at once\n    take it out",
    ),
    "two numbers": (
        on_cluster(apps={"api": {"replicas": 3, "autoscale": {}}}),
        "  1. groundwork:apps.api: replicas and autoscale are both given\n    keep one of them",
    ),
    "more at least than at most": (
        on_cluster(apps={"api": {"autoscale": {"least": 5, "most": 3}}}),
        "  1. groundwork:apps.api.autoscale: least is 5 and most is 3\n    exchange them",
    ),
}


@pytest.mark.parametrize("case", WRONG_TARGETS)
def test_what_does_not_fit_the_target_is_told_likewise(case: str) -> None:
    values, message = WRONG_TARGETS[case]
    assert refused_plan(values, EVERYTHING) == message


def test_an_image_of_this_machine_alone_is_refused_on_a_cluster() -> None:
    lock = locked("example/web:1", origin="local")
    assert refused_plan(on_cluster(), EVERYTHING, lock) == (
        "  1. image of web: only this machine's engine has `example/web:1`\n"
        "    push it to a registry that the cluster reaches, and name it there"
    )
