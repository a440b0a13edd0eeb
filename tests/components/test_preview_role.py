"""The role of previews: whom it trusts and what it reads, held against what AWS itself says that reading takes."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import cfnlint
import pulumi
import pulumi_aws as aws
import pytest

from components.preview_role import PreviewRole, PreviewRoleArgs
from groundwork.cloud import Previews
from groundwork.preview_rights import READS, preview_policy
from tests.backups import ACCOUNT, HERE, TAGS
from tests.recorder import Recording, record

KEY = f"arn:aws:kms:{HERE}:{ACCOUNT}:key/0f0f"
PREVIEWS = Previews(repository="team@12/portal@34", environment="preview", state_bucket="team-state", secrets_key=KEY)

USED = {
    "ec2": "VPC Subnet InternetGateway NatGateway EIP RouteTable Route SubnetRouteTableAssociation VPCEndpoint "
    "SecurityGroup SecurityGroupIngress SecurityGroupEgress FlowLog Instance EIPAssociation Volume VolumeAttachment",
    "logs": "LogGroup",
    "iam": "Role RolePolicy InstanceProfile OIDCProvider",
    "route53": "RecordSet",
    "certificatemanager": "Certificate",
    "elasticloadbalancingv2": "LoadBalancer TargetGroup Listener",
    "wafv2": "WebACL WebACLAssociation LoggingConfiguration",
    "s3": "Bucket BucketPolicy",
    "kms": "Key Alias",
}
"""CloudFormation's names of the types that the components make."""
NOT_READ = {
    "ec2:DescribeLaunchTemplates": "machines have none",
    "ec2:DescribeVerifiedAccessInstanceWebAclAssociations": "the firewall stands in front of a balancer",
    "ec2:DescribeVolumeAttribute": "whether a damaged volume is attached again by itself; not set",
    "ec2:DescribeVpcEncryptionControls": "not set",
    "ec2:GetVerifiedAccessInstanceWebAcl": "the firewall stands in front of a balancer",
    "logs:DescribeIndexPolicies": "not set",
    "logs:DescribeResourcePolicies": "not set",
    "logs:GetDataProtectionPolicy": "not set",
    "s3:GetAnalyticsConfiguration": "not set",
    "s3:GetBucketAbac": "not set",
    "s3:GetBucketMetadataTableConfiguration": "not set",
    "s3:GetBucketNotification": "not set",
    "s3:GetIntelligentTieringConfiguration": "not set",
    "s3:GetInventoryConfiguration": "not set",
    "s3:GetMetricsConfiguration": "not set",
    "ssm:DescribeAssociation": "not set",
    "ssm:ListAssociations": "not set",
    "vpc-lattice:DescribeServiceNetworkVpcEndpointAssociation": "endpoints lead to AWS's own services",
}
"""What CloudFormation reads of these types, and the provider does not."""
OTHER_SERVICES = {"amplify", "apigateway", "apprunner", "appsync", "bedrock-agentcore", "cognito-idp"}
"""A firewall could stand in front of them; ours stands in front of a balancer."""
BEYOND = {
    "ec2:DescribeAddressesAttribute": "aws_eip: the name that an address leads back to",
    "ec2:DescribeImages": "the function getAmi",
    "ec2:DescribeInstanceTypes": "aws_instance: whether a type has credits",
    "ec2:DescribePrefixLists": "aws_vpc_endpoint: the addresses of S3",
    "route53:ListTagsForResource": "the function getZone",
    "s3:GetBucketAcl": "aws_s3_bucket reads it whether it is set or not",
    "s3:GetBucketLocation": "the region of a bucket",
    "s3:GetBucketRequestPayment": "aws_s3_bucket reads it whether it is set or not",
}
"""What the provider reads, and CloudFormation does not."""


@pytest.fixture(scope="module")
def run() -> Recording:
    def program() -> None:
        provider = aws.Provider("aws", region=HERE)
        arguments = PreviewRoleArgs(settings=PREVIEWS, account=ACCOUNT, region=HERE, tags=TAGS)
        PreviewRole("shop-previews", arguments, pulumi.ResourceOptions(providers=[provider]))

    return record(program)


@cache
def allowed() -> dict[str, dict[str, Any]]:
    return {one["Sid"]: one for one in json.loads(preview_policy(PREVIEWS, ACCOUNT, HERE))["Statement"]}


def read_by_cloudformation() -> set[str]:
    """AWS's own schemas, in the wheel of cfn-lint."""
    schemas = Path(cfnlint.__file__).parent / "data" / "schemas"
    index = json.loads((schemas / "providers" / "us-east-1.json").read_text())
    by_lower = {name.lower(): name for name in index}
    found: set[str] = set()
    for service, types in USED.items():
        for type_ in types.split():
            name = index[by_lower[f"aws::{service}::{type_}".lower()]]
            schema = json.loads((schemas / "resources" / f"{name}.json").read_text())
            found |= set(schema["handlers"]["read"]["permissions"])
    return found


def test_only_jobs_of_this_repository_in_this_environment_take_the_role(run: Recording) -> None:
    (provider,) = run.of_type(":OpenIdConnectProvider")
    assert provider.plain["url"] == "https://token.actions.githubusercontent.com"
    assert provider.plain["clientIdLists"] == ["sts.amazonaws.com"]
    (role,) = run.of_type("iam/role:Role")
    (trust,) = json.loads(role.plain["assumeRolePolicy"])["Statement"]
    assert trust == {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/shop-previews-github"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
                "token.actions.githubusercontent.com:sub": "repo:team@12/portal@34:environment:preview",
            }
        },
    }


@pytest.mark.parametrize("repository", ["team/*", "*", "team/portal:ref", "team/portal:environment:x", "team"])
def test_no_repository_can_be_named_that_stands_for_several(repository: str) -> None:
    with pytest.raises(ValueError, match="repository"):
        Previews(repository=repository, state_bucket="team-state")


def test_every_right_has_its_reason_and_names_its_actions_in_full() -> None:
    for reads in READS.values():
        assert reads.why and not any("*" in action for action in reads.actions)
        assert list(reads.actions) == sorted(set(reads.actions))


def test_the_role_describes_exactly_what_aws_or_the_provider_reads_of_the_types_in_use() -> None:
    given = {action for reads in READS.values() for action in reads.actions}
    asked = {action for action in read_by_cloudformation() if action.split(":")[0] not in OTHER_SERVICES}
    # For the reading of a firewall's association AWS lists what making one takes, too.
    reading = {action for action in asked if action.split(":")[1].startswith(("Get", "List", "Describe"))}
    assert reading - given == set(NOT_READ)
    assert given - reading == set(BEYOND)


def test_objects_are_read_in_the_bucket_of_the_states_and_nowhere_else() -> None:
    readers = {sid: one["Resource"] for sid, one in allowed().items() if "s3:GetObject" in one["Action"]}
    assert readers == {"State": "arn:aws:s3:::team-state/*"}


def test_one_key_is_used_and_only_to_decrypt() -> None:
    assert allowed()["StateSecrets"]["Resource"] == KEY
    describing = {*READS["Keys"].actions, *READS["KeyNames"].actions}
    actions = {action for one in allowed().values() for action in one["Action"] if action.startswith("kms:")}
    assert actions - describing == {"kms:Decrypt"}


def test_without_a_key_of_kms_none_is_used() -> None:
    settings = Previews(repository="team/portal", state_bucket="team-state")
    assert "kms:Decrypt" not in preview_policy(settings, ACCOUNT, HERE)


def test_nothing_is_written_and_no_secret_of_an_application_is_read() -> None:
    actions = {action for one in allowed().values() for action in one["Action"]}
    verbs = {action.split(":")[1] for action in actions}
    assert {verb for verb in verbs if not verb.startswith(("Get", "List", "Describe"))} == {"Decrypt"}
    assert not {action for action in actions if action.split(":")[0] in ("secretsmanager", "ssm", "sts")}
    assert "logs:GetLogEvents" not in actions and "s3:GetObjectVersion" not in actions


def test_the_policy_fits_into_a_role(run: Recording) -> None:
    (policy,) = run.of_type(":RolePolicy")
    assert len("".join(policy.plain["policy"].split())) < 10_240


def test_everything_is_tagged_that_can_be(run: Recording) -> None:
    tagged = [one.name for one in run.registrations if one.plain.get("tags") == TAGS]
    assert tagged == ["shop-previews-github", "shop-previews-role"]
    (component,) = run.of_type("groundwork:aws:PreviewRole")
    assert component.outputs == {"role": f"arn:aws:iam::{ACCOUNT}:role/groundwork-preview"}
