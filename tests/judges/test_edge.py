"""cfn-lint, with AWS's own schemas, on what the entry asks AWS for: words, values and limits of each service.

The provider's inputs are CloudFormation's properties in other letters, but for the few that `TOLD` tells.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundwork import edge
from tests.components.test_edge import children, kind, recorded
from tests.recorder import Registration

from .conftest import in_venv

Properties = dict[str, Any]


OTHERS = {"cloudwatchMetricsEnabled": "CloudWatchMetricsEnabled"}


def capital(value: Any) -> Any:
    """camelCase as PascalCase, all the way down."""
    if isinstance(value, dict):
        return {OTHERS.get(key, key[0].upper() + key[1:]): capital(item) for key, item in value.items()}
    return [capital(item) for item in value] if isinstance(value, list) else value


def balancer(said: Properties) -> Properties:
    attributes = {
        "idle_timeout.timeout_seconds": said["idleTimeout"],
        "deletion_protection.enabled": said["enableDeletionProtection"],
        "access_logs.s3.enabled": said["accessLogs"]["enabled"],
        "access_logs.s3.bucket": said["accessLogs"]["bucket"],
        "routing.http.drop_invalid_header_fields.enabled": said["dropInvalidHeaderFields"],
        "routing.http.preserve_host_header.enabled": said["preserveHostHeader"],
        "routing.http.desync_mitigation_mode": said["desyncMitigationMode"],
        "routing.http.xff_header_processing.mode": said["xffHeaderProcessingMode"],
        "routing.http2.enabled": said["enableHttp2"],
    }
    return {
        "Type": said["loadBalancerType"],
        "Scheme": "internal" if said["internal"] else "internet-facing",
        "IpAddressType": said["ipAddressType"],
        "Subnets": said["subnets"],
        "SecurityGroups": said["securityGroups"],
        "LoadBalancerAttributes": settled(attributes),
    }


def settled(attributes: Properties) -> list[Properties]:
    return [{"Key": key, "Value": text(value)} for key, value in attributes.items()]


def text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def target_group(said: Properties) -> Properties:
    health = said["healthCheck"]
    attributes = {
        "deregistration_delay.timeout_seconds": said["deregistrationDelay"],
        "load_balancing.algorithm.type": said["loadBalancingAlgorithmType"],
    }
    return {
        "TargetType": said["targetType"],
        "VpcId": said["vpcId"],
        "Port": said["port"],
        "Protocol": said["protocol"],
        "ProtocolVersion": said["protocolVersion"],
        "HealthCheckEnabled": health["enabled"],
        "HealthCheckProtocol": health["protocol"],
        "HealthCheckPort": health["port"],
        "HealthCheckPath": health["path"],
        "HealthCheckIntervalSeconds": health["interval"],
        "HealthCheckTimeoutSeconds": health["timeout"],
        "HealthyThresholdCount": health["healthyThreshold"],
        "UnhealthyThresholdCount": health["unhealthyThreshold"],
        "Matcher": {"HttpCode": health["matcher"]},
        "TargetGroupAttributes": settled(attributes),
    }


def listener(said: Properties) -> Properties:
    actions = [
        {("RedirectConfig" if key == "Redirect" else key): value for key, value in capital(action).items()}
        for action in said["defaultActions"]
    ]
    found = {
        "LoadBalancerArn": said["loadBalancerArn"],
        "Port": said["port"],
        "Protocol": said["protocol"],
        "DefaultActions": actions,
    }
    if "certificateArn" in said:
        found |= {"SslPolicy": said["sslPolicy"], "Certificates": [{"CertificateArn": said["certificateArn"]}]}
    return found


def association(said: Properties) -> Properties:
    return {"ResourceArn": said["resourceArn"], "WebACLArn": said["webAclArn"]}


def policy(said: Properties) -> Properties:
    return {"Bucket": "shop-logs", "PolicyDocument": json.loads(said["policy"])}


def without(*names: str) -> Callable[[Properties], Properties]:
    return lambda said: {key: value for key, value in capital(said).items() if key not in ("Tags", *names)}


TOLD: dict[str, tuple[str, Callable[[Properties], Properties]]] = {
    "LoadBalancer": ("AWS::ElasticLoadBalancingV2::LoadBalancer", balancer),
    "TargetGroup": ("AWS::ElasticLoadBalancingV2::TargetGroup", target_group),
    "Listener": ("AWS::ElasticLoadBalancingV2::Listener", listener),
    "Certificate": ("AWS::CertificateManager::Certificate", without()),
    "WebAcl": ("AWS::WAFv2::WebACL", without()),
    "WebAclLoggingConfiguration": ("AWS::WAFv2::LoggingConfiguration", without()),
    "WebAclAssociation": ("AWS::WAFv2::WebACLAssociation", association),
    "LogGroup": ("AWS::Logs::LogGroup", without("NamePrefix")),
    "BucketPolicy": ("AWS::S3::BucketPolicy", policy),
}
PLACE = "eu-west-1:123456789012"
PLACEHOLDERS = {
    "subnet-eu-west-1": "subnet-0123456789abcdef",
    "sg-balancer": "sg-0123456789abcdef0",
    "vpc-1": "vpc-0123456789abcdef0",
    "arn:aws:lb:::": f"arn:aws:elasticloadbalancing:{PLACE}:loadbalancer/app/",
    "arn:aws:acm:::": f"arn:aws:acm:{PLACE}:certificate/",
    "arn:aws:wafv2:::": f"arn:aws:wafv2:{PLACE}:regional/webacl/",
}
"""What a recorded run has for names that AWS gives; its schemas know how those look."""


def template(made: dict[str, Registration]) -> Properties:
    resources = {}
    for name, one in made.items():
        if kind(one) in TOLD:
            type_, told = TOLD[kind(one)]
            resources[name.title().replace("-", "").replace(".", "")] = {"Type": type_, "Properties": told(one.plain)}
    found = json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources})
    for ours, theirs in PLACEHOLDERS.items():
        found = found.replace(ours, theirs)
    return dict(json.loads(found))


def judged(whole: Properties, folder: Path) -> list[str]:
    file = folder / "edge.json"
    file.write_text(json.dumps(whole, indent=1))
    command = [in_venv("cfn-lint"), "--format", "json", "--region", "eu-west-1", "--template", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("["), done.stdout + done.stderr
    return [f"{one['Rule']['Id']} {one['Location']['Path']}: {one['Message']}" for one in json.loads(done.stdout)]


@pytest.mark.parametrize(
    "said",
    [
        (),
        (("managed_rules", tuple(edge.MANAGED)), ("count_only", True), ("access_log_days", 400)),
        (("managed_rules", ()), ("requests_per_five_minutes", 10), ("idle_seconds", 4000), ("access_log_days", 3650)),
    ],
)
def test_awss_schemas_have_nothing_against_the_entry(said: tuple[tuple[str, Any], ...], tmp_path: Path) -> None:
    whole = template(children(recorded(said=said)))
    assert {one["Type"] for one in whole["Resources"].values()} == {type_ for type_, _ in TOLD.values()}
    assert judged(whole, tmp_path) == []


@pytest.mark.parametrize(
    ("resource", "key", "wrong"),
    [
        ("Gateways", "HealthCheckIntervalSeconds", 4),
        ("Https", "DefaultActions", [{"Type": "forwards"}]),
        ("Firewall", "Scope", "GLOBAL"),
        ("FirewallLog", "RetentionInDays", 8),
        ("FirewallLogging", "LoggingFilter", {"DefaultBehavior": "LOSE", "Filters": []}),
        ("Balancer", "Scheme", "outside"),
    ],
)
def test_this_judge_is_awake(resource: str, key: str, wrong: object, tmp_path: Path) -> None:
    whole = template(children(recorded()))
    assert key in whole["Resources"][resource]["Properties"]
    whole["Resources"][resource]["Properties"][key] = wrong
    assert any(f"'{resource}'" in one and f"'{key}'" in one for one in judged(whole, tmp_path))
