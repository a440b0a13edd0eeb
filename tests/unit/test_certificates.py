"""Certificates by ACME: what is planned for them, what they touch, and where they are refused."""

from __future__ import annotations

from typing import Any

import pytest

from groundwork.certificates import MOUNTED, NAME, PORT, SERVED, USER, VOLUME
from groundwork.deployment import Connection, Deployment
from groundwork.faults import FaultsError
from groundwork.gateway import USER as GATEWAY_USER
from groundwork.images import ImageLock
from groundwork.plan import image_references
from groundwork.workload import Published, Volume
from tests.sample import CERTIFICATE, SHOP, configured, planned

ACME = {"email": "ops@example.net"}
ENTRY = {"acme": ACME, "server_names": ["shop.example.com", "www.example.com"], "http_port": 80, "https_port": 443}


def with_acme(**more: Any) -> Deployment:
    return planned({"entry": ENTRY | more})


def routes(deployment: Deployment) -> str:
    reload = deployment.workload("gateway").reload
    assert reload
    (file,) = reload.files
    assert isinstance(file.content, str)
    return file.content


def test_without_it_nothing_of_it_is_planned() -> None:
    assert NAME not in {workload.name for workload in planned().workloads}
    assert "certificates" not in routes(planned())


def test_the_client_is_one_more_workload_and_the_gateway_alone_is_changed_by_it() -> None:
    before, after = planned({"entry": ENTRY | {"acme": None}}), with_acme()
    releases = [{one.name: one.release for one in deployment.workloads} for deployment in (before, after)]
    assert releases[1].keys() - releases[0].keys() == {NAME}
    assert {name for name in releases[0] if releases[0][name] != releases[1][name]} == {"gateway"}


def test_it_alone_reaches_the_authority_and_the_gateway_alone_reaches_it() -> None:
    deployment = with_acme()
    assert deployment.workload(NAME).egress == ("acme-v02.api.letsencrypt.org:443",)
    assert [one for one in deployment.connections if NAME in (one.client, one.server)] == [
        Connection(client="gateway", server=NAME, port=PORT)
    ]
    joined = {network.name: (set(network.members), network.internal) for network in deployment.networks_of(NAME)}
    assert joined == {NAME: ({"gateway", NAME}, True), f"{NAME}-egress": ({NAME}, False)}
    assert not deployment.workload(NAME).published


def test_it_and_the_gateway_share_one_volume_which_the_gateway_only_reads() -> None:
    deployment = with_acme()
    holders = {one.name for one in deployment.workloads if VOLUME in {volume.name for volume in one.volumes}}
    assert holders == {"gateway", NAME}
    assert Volume(name=VOLUME, path=MOUNTED, read_only=True) in deployment.workload("gateway").volumes
    (own,) = deployment.workload(NAME).volumes
    assert not own.read_only


def test_the_gateway_is_another_user_of_the_same_group() -> None:
    (user, group), (gateways, gateways_group) = USER.split(":"), GATEWAY_USER.split(":")
    assert user != gateways and group == gateways_group and int(user) > 0


def test_it_starts_behind_the_gateway_through_which_it_is_asked() -> None:
    deployment = with_acme()
    assert deployment.workload(NAME).after == ("gateway",)
    assert NAME not in deployment.workload("gateway").after


def test_the_gateway_has_both_ports_and_its_url_is_https() -> None:
    deployment = with_acme(address="0.0.0.0")
    assert deployment.workload("gateway").published == (
        Published(address="0.0.0.0", port=80, target=8080),
        Published(address="0.0.0.0", port=443, target=8443),
    )
    assert deployment.urls["system"] == "https://shop.example.com/"
    assert f"{MOUNTED}/{SERVED}" in routes(deployment)


def test_another_name_switches_the_gateway_and_releases_nothing_but_the_client() -> None:
    before, after = with_acme(), with_acme(server_names=["shop.example.com", "api.example.com"])
    changed = {one.name for one in after.workloads if one.release != before.workload(one.name).release}
    assert changed == {NAME}
    assert routes(before) != routes(after)


def test_a_private_authoritys_certificate_is_a_file_and_said_to_the_client() -> None:
    client = with_acme(acme=ACME | {"ca_certificate": CERTIFICATE, "directory": "https://ca.example.net:9000/acme/dir"})
    workload = client.workload(NAME)
    assert {file.name: file.content for file in workload.files}["ca.pem"] == CERTIFICATE.strip()
    assert workload.env["LEGO_CA_CERTIFICATES"] == "/etc/groundwork/ca.pem"
    assert workload.egress == ("ca.example.net:9000",)


def test_its_image_is_resolved_like_every_other() -> None:
    values = {"entry": ENTRY, "registry": {"prefix": "harbor.example.com/hub"}}
    references = image_references(SHOP, configured(values).settings)
    assert references[NAME] == "harbor.example.com/hub/goacme/lego:v4.35.2"
    with pytest.raises(FaultsError, match=r"image of certificates: images.lock has no digest for `goacme/lego"):
        planned({"entry": ENTRY}, lock=ImageLock({}, "refuse"))


AWS = {
    "account": "123456789012",
    "region": "eu-west-1",
    "network": {"zones": ["eu-west-1a", "eu-west-1b"]},
}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDp1bnQgZ3JvdW5kd29yayBrZXkgZm9yIGRvY3MgMTIzNDU2"


def on_aws(zones: list[str], role: str = "app", *, public: bool = False) -> dict[str, Any]:
    """Machines with a gateway; those of the role `app` have their services on others."""
    machine = {"vcpus": 2, "memory_gib": 8}
    others = {} if role == "all" else {one: machine | {"zones": ["eu-west-1a"]} for one in ("data", "cache")}
    return {
        "aws": AWS,
        "machines": {
            "kind": "aws",
            "deployers": [KEY],
            "roles": {role: machine | {"zones": zones, "public": public}} | others,
        },
    }


TWO = on_aws(["eu-west-1a", "eu-west-1b"])
EDGE = {"hosted_zone": "example.com"}
NAMED = {"server_names": ["shop.example.com"]}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a certificate that is given and one that is got": (
        {"entry": ENTRY | {"certificate": CERTIFICATE}, "secret_tls_key": "k"},
        "groundwork:entry: certificate and acme are both given\n    keep the one that has the certificate",
    ),
    "no name to get a certificate for": (
        {"entry": {"acme": ACME}},
        "groundwork:entry: acme gets a certificate for server_names, which names none\n    name the hosts there",
    ),
    "both ports the same": (
        {"entry": ENTRY | {"https_port": 80}},
        "groundwork:entry: http_port and https_port are both 80\n    give https_port another number",
    ),
    "a directory without TLS": (
        {"entry": ENTRY | {"acme": ACME | {"directory": "http://ca.example.net/dir"}}},
        "groundwork:entry.acme.directory: `http://ca.example.net/dir` can't be used\n    it should be text, matching ",
    ),
    "no address to write to": (
        {"entry": ENTRY | {"acme": {"email": "nobody"}}},
        "groundwork:entry.acme.email: `nobody` can't be used\n    it should be text such as `ops@example.com`",
    ),
    "an authority's certificate that is none": (
        {"entry": ENTRY | {"acme": ACME | {"ca_certificate": "x"}}},
        "groundwork:entry.acme.ca_certificate: `x` can't be used\n    it should be a certificate chain in PEM",
    ),
    "a cluster": (
        {"entry": ENTRY, "target": {"kind": "kubernetes", "context": "test"}},
        "groundwork:entry.acme: a cluster has cert-manager for that\n"
        "    give groundwork:target.exposure.issuer, or groundwork:entry.certificate",
    ),
    "two gateways": (
        {"entry": ENTRY} | on_aws(["eu-west-1a", "eu-west-1b"], public=True),
        "groundwork:entry.acme: 2 machines have a gateway, and the authority asks any of them\n"
        "    give groundwork:entry.certificate, or groundwork:edge on AWS",
    ),
    "a load balancer that has a certificate already": (
        {"entry": ENTRY, "edge": EDGE} | TWO,
        "groundwork:entry.acme: TLS ends at the load balancer of groundwork:edge, which gets its own certificate\n"
        "    take it out",
    ),
    "a certificate behind a load balancer": (
        {"entry": NAMED | {"certificate": CERTIFICATE}, "secret_tls_key": "k", "edge": EDGE} | TWO,
        "groundwork:entry.certificate: TLS ends at the load balancer of groundwork:edge, which gets its own "
        "certificate\n    take it out",
    ),
    "a load balancer and no machines behind it": (
        {"entry": NAMED, "edge": EDGE},
        "groundwork:edge: stands in front of machines of the kind aws, and there are none\n"
        "    take it out, or give groundwork:machines of the kind aws",
    ),
    "a load balancer without a name": (
        {"edge": EDGE} | TWO,
        "groundwork:entry.server_names: is missing; the certificate of groundwork:edge is for these names\n"
        "    name the hosts that users open",
    ),
    "a name of another zone": (
        {"entry": {"server_names": ["shop.example.net"]}, "edge": EDGE} | TWO,
        "groundwork:entry.server_names: `shop.example.net` is not in groundwork:edge.hosted_zone, example.com\n"
        "    give a name below example.com, or another zone",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_can_not_work_is_refused_with_what_to_write_instead(case: str) -> None:
    values, message = WRONG[case]
    with pytest.raises(FaultsError) as caught:
        planned(values)
    assert f"has 1 fault; nothing was changed.\n  1. {message}" in str(caught.value)


def test_one_machine_may_get_its_own() -> None:
    assert planned({"entry": ENTRY} | on_aws(["eu-west-1a"], "all", public=True)).workload(NAME)


def test_behind_a_load_balancer_the_gateway_believes_its_subnets_alone_and_speaks_http() -> None:
    deployment = planned({"entry": NAMED, "edge": EDGE} | TWO)
    text = routes(deployment)
    assert [line.split()[1] for line in text.splitlines() if line.startswith("set_real_ip_from")] == [
        "10.20.0.0/21;",
        "10.20.8.0/21;",
    ]
    assert "ssl" not in text
    assert text.count("if ($forwarded_proto = http)") == len(SHOP.routes)
    assert {8080, 8443} & {port.target for port in deployment.workload("gateway").published} == {8080}
    assert deployment.urls == {"system": "https://shop.example.com/", "health": "https://shop.example.com/health"}


def test_behind_a_load_balancer_a_connection_ends_at_its_side_first() -> None:
    text = routes(planned({"entry": NAMED, "edge": EDGE | {"idle_seconds": 600}} | TWO))
    (timeout,) = [line for line in text.splitlines() if line.startswith("keepalive_timeout")]
    assert int(timeout.split()[1].rstrip("s;")) > 600


def test_the_gateway_believes_its_load_balancer_and_whoever_stands_in_front_of_that() -> None:
    text = routes(planned({"entry": NAMED | {"trusted_proxies": ["10.9.0.0/24"]}, "edge": EDGE} | TWO))
    assert [line for line in text.splitlines() if line.startswith("set_real_ip_from")] == [
        "set_real_ip_from 10.20.0.0/21;",
        "set_real_ip_from 10.20.8.0/21;",
        "set_real_ip_from 10.9.0.0/24;",
    ]
