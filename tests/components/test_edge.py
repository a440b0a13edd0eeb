"""What AWS is asked for at the entry: names, certificate, balancer, firewall, logs; and what growth changes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import pulumi
import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from components.edge import Edge, EdgeArgs
from groundwork import edge
from groundwork.cloud import Edge as EdgeSettings
from groundwork.settings import Entry
from tests.recorder import STACK, Recording, Registration, record
from tests.sample import planned
from tests.unit.test_certificates import EDGE as EDGE_VALUES
from tests.unit.test_certificates import NAMED, TWO

NAMES = ("shop.example.com", "www.example.com")
ZONES = ("eu-west-1a", "eu-west-1b")
MACHINES = ("app-1", "app-2")
TAGS = {"groundwork:project": "shop", "groundwork:stack": "test"}
NOT_TAGGED = {
    "BucketOwnershipControls",
    "BucketPublicAccessBlock",
    "BucketServerSideEncryptionConfiguration",
    "BucketLifecycleConfiguration",
    "BucketPolicy",
    "CertificateValidation",
    "Record",
    "TargetGroupAttachment",
    "WebAclAssociation",
    "WebAclLoggingConfiguration",
}
"""Types that can have no tags."""
REPLACED_BY = {
    "LoadBalancer": {"internal", "loadBalancerType", "namePrefix"},
    "TargetGroup": {"namePrefix", "port", "protocol", "protocolVersion", "targetType", "vpcId"},
    "TargetGroupAttachment": {"port", "targetGroupArn", "targetId"},
    "Listener": {"loadBalancerArn"},
    "Certificate": {"domainName", "keyAlgorithm", "subjectAlternativeNames", "validationMethod"},
    "WebAcl": {"scope"},
}
"""Inputs that can't be changed in place, in the provider's words."""
OF_AWS = {
    "LoadBalancer": "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "TargetGroup": "AWS::ElasticLoadBalancingV2::TargetGroup",
    "Listener": "AWS::ElasticLoadBalancingV2::Listener",
    "Certificate": "AWS::CertificateManager::Certificate",
    "WebAcl": "AWS::WAFv2::WebACL",
}
IN_THE_PROVIDERS_WORDS = {"Type": "loadBalancerType", "Scheme": "internal", "Name": "namePrefix"}
NOT_SAID = {"IpAddressType", "DomainValidationOptions", "CertificateAuthorityArn", "CertificateExport"}
"""What the component leaves to AWS."""


@cache
def recorded(
    names: tuple[str, ...] = NAMES,
    machines: tuple[str, ...] = MACHINES,
    zones: tuple[str, ...] = ZONES,
    protect: bool = True,
    said: tuple[tuple[str, Any], ...] = (),
) -> Recording:
    def program() -> None:
        made = Edge(
            "shop-edge",
            EdgeArgs(
                settings=EdgeSettings(hosted_zone="example.com", **dict(said)),
                entry=Entry(server_names=names, http_port=80),
                vpc_id="vpc-1",
                subnets={zone: f"subnet-{zone}" for zone in zones},
                security_group="sg-balancer",
                targets={machine: f"i-{machine}" for machine in machines},
                port=80,
                account="123456789012",
                region="eu-west-1",
                protect=protect,
                tags=TAGS,
            ),
        )
        pulumi.export("url", made.url)
        pulumi.export("dns_name", made.dns_name)

    return record(program)


@pytest.fixture(scope="module")
def run() -> Recording:
    return recorded()


def kind(one: Registration) -> str:
    return one.type.rsplit(":", 1)[1]


def children(run: Recording) -> dict[str, Registration]:
    """Everything but the component, by name without the component's."""
    made = [one for one in run.registrations if one.type != STACK and not one.type.startswith("groundwork:")]
    return {one.name.removeprefix("shop-edge-"): one for one in made}


def said(run: Recording, name: str) -> dict[str, Any]:
    return children(run)[name].plain


# The component


def test_everything_is_a_child_named_after_it_and_the_outputs_are_registered(run: Recording) -> None:
    component = run.named("shop-edge")
    assert component.type == "groundwork:aws:Edge" and component.outputs
    assert len(children(run)) > 15
    for one in children(run).values():
        assert one.parent == component.urn and one.name.startswith("shop-edge-"), one.urn


def test_whatever_can_be_tagged_is(run: Recording) -> None:
    tagged = {kind(one) for one in children(run).values() if one.plain.get("tags") == TAGS}
    assert {kind(one) for one in children(run).values()} - tagged == NOT_TAGGED


def test_it_says_where_users_go_and_the_balancers_own_name(run: Recording) -> None:
    assert run.outputs["url"] == "https://shop.example.com"
    assert run.outputs["dns_name"] == "shop-edge-balancer.elb.amazonaws.com"


def test_nothing_is_named_by_its_place_in_a_list(run: Recording) -> None:
    assert {"gateway-app-1", "gateway-app-2", "name-www.example.com", "proof-www.example.com"} <= children(run).keys()


# Balancer


def test_the_balancer_stands_in_the_public_subnets_of_all_zones(run: Recording) -> None:
    balancer = said(run, "balancer")
    assert balancer["subnets"] == ["subnet-eu-west-1a", "subnet-eu-west-1b"]
    assert balancer["securityGroups"] == ["sg-balancer"]
    assert balancer["internal"] is False and balancer["loadBalancerType"] == "application"


def test_the_balancer_passes_on_what_is_well_formed_and_logs_it(run: Recording) -> None:
    balancer = said(run, "balancer")
    assert balancer["dropInvalidHeaderFields"] is True
    assert balancer["preserveHostHeader"] is True
    assert balancer["accessLogs"] == {"bucket": "shop-edge-logs-id", "enabled": True}
    assert "shop-edge-logs-policy" in run.before(children(run)["balancer"])


def test_a_connection_may_be_as_silent_as_the_settings_say() -> None:
    assert said(recorded(), "balancer")["idleTimeout"] == 3600
    assert said(recorded(said=(("idle_seconds", 90),)), "balancer")["idleTimeout"] == 90


def test_physical_names_fit_whatever_a_project_is_called(run: Recording) -> None:
    for name in ("balancer", "gateways"):
        assert "name" not in said(run, name) and len(said(run, name)["namePrefix"]) <= 6


@pytest.mark.parametrize("protect", [True, False])
def test_what_others_lean_on_is_protected_where_the_stack_says_so_and_only_there(protect: bool) -> None:
    run = recorded(protect=protect)
    held = {name for name, one in children(run).items() if one.options.protect}
    assert held == ({"balancer", "logs"} if protect else set())
    assert said(run, "balancer")["enableDeletionProtection"] is protect
    assert said(run, "logs")["forceDestroy"] is not protect


# Gateways


def test_the_gateways_share_the_load_and_a_lost_one_is_out_after_ten_seconds(run: Recording) -> None:
    group = said(run, "gateways")
    assert group["loadBalancingAlgorithmType"] == "least_outstanding_requests"
    health = group["healthCheck"]
    assert health["path"] == "/health" and health["matcher"] == "200"
    assert health["interval"] * health["unhealthyThreshold"] <= 10 and health["timeout"] < health["interval"]
    attached = {name: one.plain for name, one in children(run).items() if kind(one) == "TargetGroupAttachment"}
    assert {name: (one["targetId"], one["port"]) for name, one in attached.items()} == {
        "gateway-app-1": ("i-app-1", 80),
        "gateway-app-2": ("i-app-2", 80),
    }


def test_a_machine_that_goes_may_answer_what_the_gateway_would_still_answer(run: Recording) -> None:
    """Not less than the silence that a route allows by itself, and than the gateway's own end."""
    gateway = planned({"entry": NAMED, "edge": EDGE_VALUES} | TWO).workload("gateway")
    assert said(run, "gateways")["deregistrationDelay"] >= max(60, gateway.grace_seconds)


# TLS


def test_http_leads_to_https_and_https_to_the_gateways(run: Recording) -> None:
    assert said(run, "http")["defaultActions"] == [
        {"type": "redirect", "redirect": {"port": "443", "protocol": "HTTPS", "statusCode": "HTTP_301"}}
    ]
    https = said(run, "https")
    assert https["defaultActions"][0]["targetGroupArn"] == "arn:aws:lb:::shop-edge-gateways"
    assert (https["port"], https["protocol"]) == (443, "HTTPS")
    assert https["sslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
    assert https["routingHttpResponseStrictTransportSecurityHeaderValue"] == "max-age=63072000"


def test_one_certificate_has_all_names_and_each_is_proven(run: Recording) -> None:
    certificate = said(run, "certificate")
    assert [certificate["domainName"], *certificate["subjectAlternativeNames"]] == list(NAMES)
    assert certificate["validationMethod"] == "DNS"
    for name in NAMES:
        proof = said(run, f"proof-{name}")
        assert (proof["zoneId"], proof["name"], proof["type"]) == ("Z-example.com", f"_proof.{name}.", "CNAME")
        assert proof["records"] == [f"_{name}.acm-validations.aws."]
    assert said(run, "certificate-valid")["validationRecordFqdns"] == [f"_proof.{name}." for name in NAMES]


def test_https_begins_with_a_proven_certificate_behind_the_firewall(run: Recording) -> None:
    before = run.before(children(run)["https"])
    assert {"shop-edge-certificate-valid", "shop-edge-firewall-of-balancer"} <= before
    assert "shop-edge-firewall-of-balancer" in run.before(children(run)["http"])


def test_each_name_leads_to_the_balancer_when_it_answers(run: Recording) -> None:
    for name in NAMES:
        record_ = said(run, f"name-{name}")
        assert (record_["name"], record_["type"], record_["zoneId"]) == (name, "A", "Z-example.com")
        (alias,) = record_["aliases"]
        assert alias == {
            "name": "shop-edge-balancer.elb.amazonaws.com",
            "zoneId": "ZBALANCER",
            "evaluateTargetHealth": True,
        }
        assert "shop-edge-https" in run.before(children(run)[f"name-{name}"])


# Firewall


def rules(run: Recording) -> dict[str, Mapping[str, Any]]:
    return {rule["name"]: rule for rule in said(run, "firewall")["rules"]}


def test_the_firewall_has_the_managed_groups_that_the_settings_name() -> None:
    groups = {
        name: rule["statement"]["managedRuleGroupStatement"]["name"]
        for name, rule in rules(recorded()).items()
        if name != "rate"
    }
    assert groups == {
        "common": "AWSManagedRulesCommonRuleSet",
        "known_bad_inputs": "AWSManagedRulesKnownBadInputsRuleSet",
        "ip_reputation": "AWSManagedRulesAmazonIpReputationList",
    }
    assert rules(recorded(said=(("managed_rules", ()),))).keys() == {"rate"}


def test_every_word_for_managed_rules_is_a_group_and_none_is_left_over() -> None:
    (words,) = EdgeSettings.model_json_schema()["properties"]["managed_rules"]["items"]["enum"],
    assert set(words) == edge.MANAGED.keys()
    everything = recorded(said=(("managed_rules", tuple(edge.MANAGED)),))
    priorities = [rule["priority"] for rule in rules(everything).values()]
    assert len(set(priorities)) == len(priorities) == len(edge.MANAGED) + 1


def test_another_group_gives_no_other_rule_another_priority() -> None:
    fewer, more = rules(recorded()), rules(recorded(said=(("managed_rules", tuple(edge.MANAGED)),)))
    assert {name: more[name]["priority"] for name in fewer} == {name: fewer[name]["priority"] for name in fewer}


def test_managed_rules_can_be_tried_and_refuse_otherwise() -> None:
    for count_only, action in ((False, "none"), (True, "count")):
        run = recorded(said=(("count_only", count_only),))
        assert {name: set(rule["overrideAction"]) for name, rule in rules(run).items() if name != "rate"} == {
            name: {action} for name in ("common", "known_bad_inputs", "ip_reputation")
        }
        assert "block" in rules(run)["rate"]["action"]


def test_an_upload_is_not_refused_for_its_size(run: Recording) -> None:
    overrides = rules(run)["common"]["statement"]["managedRuleGroupStatement"]["ruleActionOverrides"]
    assert overrides == [{"name": "SizeRestrictions_BODY", "actionToUse": {"count": {}}}]


def test_one_client_may_ask_so_often_and_is_told_so() -> None:
    rate = rules(recorded(said=(("requests_per_five_minutes", 500),)))["rate"]
    assert rate["statement"]["rateBasedStatement"] == {
        "aggregateKeyType": "IP",
        "limit": 500,
        "evaluationWindowSec": 300,
    }
    assert rate["action"]["block"]["customResponse"]["responseCode"] == 429


def test_the_firewalls_log_has_what_it_refused_and_nothing_that_lets_somebody_in(run: Recording) -> None:
    logging = said(run, "firewall-logging")
    assert logging["redactedFields"] == [{"singleHeader": {"name": name}} for name in ("cookie", "authorization")]
    assert logging["loggingFilter"]["defaultBehavior"] == "DROP"
    assert logging["logDestinationConfigs"] == ["arn:aws:cloudwatch:::shop-edge-firewall-log"]
    assert said(run, "firewall-log")["namePrefix"] == "aws-waf-logs-"
    for one in (said(run, "firewall"), *rules(run).values()):
        assert one["visibilityConfig"]["sampledRequestsEnabled"] is False


@pytest.mark.parametrize(("days", "kept"), [(1, 1), (8, 14), (90, 90), (366, 400), (3650, 3653)])
def test_the_firewalls_log_is_kept_at_least_as_long_as_the_access_log(days: int, kept: int) -> None:
    run = recorded(said=(("access_log_days", days),))
    assert said(run, "firewall-log")["retentionInDays"] == kept
    (rule,) = said(run, "logs-lifecycle")["rules"]
    assert rule["expiration"] == {"days": days} and rule["status"] == "Enabled"


# The bucket of the access log


def test_the_log_bucket_is_closed_encrypted_and_its_owners(run: Recording) -> None:
    for name in ("logs-closed", "logs-owner", "logs-encryption", "logs-lifecycle", "logs-policy"):
        assert said(run, name)["bucket"] == "shop-edge-logs-id", name
    closed = said(run, "logs-closed")
    assert [value for key, value in closed.items() if key != "bucket"] == [True] * 4
    assert said(run, "logs-owner")["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    (rule,) = said(run, "logs-encryption")["rules"]
    assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "AES256"}


def test_only_this_accounts_balancers_write_logs_and_nobody_comes_without_tls(run: Recording) -> None:
    allow, deny = json.loads(said(run, "logs-policy")["policy"])["Statement"]
    arn = "arn:aws:s3:::shop-edge-logs"
    assert (allow["Effect"], allow["Action"], allow["Resource"]) == (
        "Allow",
        "s3:PutObject",
        f"{arn}/AWSLogs/123456789012/*",
    )
    assert allow["Principal"] == {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    assert (deny["Effect"], deny["Resource"]) == ("Deny", [arn, f"{arn}/*"])
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


# Growth


@pytest.mark.parametrize("ours", OF_AWS)
def test_what_we_hold_for_unchangeable_has_all_that_awss_own_schema_says(ours: str) -> None:
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("eu-west-1", OF_AWS[ours]).schema
    create_only = {path.removeprefix("/properties/") for path in schema["createOnlyProperties"]} - NOT_SAID
    if ours == "WebAcl":
        create_only.discard("Name")  # left to autonaming
    words = {IN_THE_PROVIDERS_WORDS.get(word, word[0].lower() + word[1:]) for word in create_only}
    assert words and words <= REPLACED_BY[ours]


def change(before: Recording, after: Recording) -> tuple[set[str], set[str], dict[str, set[str]], set[str]]:
    """Names that are made, that go, that are changed in place with the inputs, and that are replaced."""
    old, new = children(before), children(after)
    different = {
        name: {key for key in {*one.plain, *new[name].plain} if one.plain.get(key) != new[name].plain.get(key)}
        for name, one in old.items()
        if name in new
    }
    changed = {name: keys for name, keys in different.items() if keys}
    replaced = {name for name, keys in changed.items() if keys & REPLACED_BY.get(kind(new[name]), set())}
    return (
        new.keys() - old.keys(),
        old.keys() - new.keys(),
        {name: keys for name, keys in changed.items() if name not in replaced},
        replaced,
    )


def test_a_third_machine_is_attached_and_changes_nothing_else(run: Recording) -> None:
    assert change(run, recorded(machines=(*MACHINES, "app-3"))) == ({"gateway-app-3"}, set(), {}, set())


def test_a_third_zone_changes_the_balancers_subnets_in_place(run: Recording) -> None:
    assert change(run, recorded(zones=(*ZONES, "eu-west-1c"))) == (set(), set(), {"balancer": {"subnets"}}, set())


def test_another_name_gets_another_certificate_and_replaces_nothing_that_serves(run: Recording) -> None:
    made, gone, changed, replaced = change(run, recorded(names=(*NAMES, "api.example.com")))
    assert made == {"proof-api.example.com", "name-api.example.com"} and not gone
    assert replaced == {"certificate"}
    assert changed == {"certificate-valid": {"validationRecordFqdns"}}
    # The engine makes what it replaces first, unless it is told otherwise.
    assert not children(run)["certificate"].options.deleteBeforeReplace


def test_other_settings_change_in_place() -> None:
    before = recorded()
    for said_ in (
        (("count_only", True),),
        (("managed_rules", ("sql_injection",)),),
        (("idle_seconds", 60),),
        (("requests_per_five_minutes", 100),),
        (("access_log_days", 7),),
    ):
        made, gone, changed, replaced = change(before, recorded(said=said_))
        assert changed and not made and not gone and not replaced, said_
