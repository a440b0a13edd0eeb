"""Rows of IAM, KMS and CloudWatch. Sources: sim/types/aws.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pulumi_aws import cloudwatch, iam, kms

from sim.aws_outputs import arn, made_up
from sim.types.aws_row import name, row
from sim.types.row import NAMED, Autoname, ResourceType, words
from sim.values import Properties, text


def of_iam(kind: str) -> Callable[[str, Properties], Properties]:
    def compute(identity: str, around: Properties) -> Properties:
        path = text(around, "path") or "/"
        return {
            "arn": arn(around, "iam", f"{kind}{path}{identity}", everywhere=True),
            "createDate": "simulated",
            "uniqueId": made_up("AID"),
        }

    return compute


def identity_provider(around: Properties) -> str:
    return arn(around, "iam", f"oidc-provider/{text(around, 'url').removeprefix('https://')}", everywhere=True)


def alias(identity: str, around: Properties) -> Properties:
    target = text(around, "targetKeyId")
    key_arn = target if target.startswith("arn:") else arn(around, "kms", f"key/{target}")
    return {"arn": arn(around, "kms", identity), "targetKeyArn": key_arn}


def key(identity: str, around: Properties) -> Properties:
    return {"arn": arn(around, "kms", f"key/{identity}"), "description": "", "keyId": identity}


TYPES: Mapping[str, ResourceType] = {
    "aws:cloudwatch/logGroup:LogGroup": row(
        lambda: cloudwatch.LogGroupArgs,
        replace_on=words("logGroupClass name namePrefix"),
        computed_inputs=words("logGroupClass name namePrefix"),
        computed=words("arn"),
        autoname=NAMED,
        tagged=True,
        identify=name,
        compute=lambda identity, around: {"arn": arn(around, "logs", f"log-group:{identity}")},
    ),
    "aws:iam/instanceProfile:InstanceProfile": row(
        lambda: iam.InstanceProfileArgs,
        replace_on=words("name namePrefix path"),
        computed_inputs=words("name namePrefix"),
        computed=words("arn createDate uniqueId"),
        everywhere=True,
        autoname=NAMED,
        tagged=True,
        identify=name,
        compute=of_iam("instance-profile"),
    ),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": row(
        lambda: iam.OpenIdConnectProviderArgs,
        replace_on=words("url"),
        computed_inputs=words("thumbprintLists"),
        computed=words("arn"),
        sets=words("clientIdLists"),
        everywhere=True,
        tagged=True,
        identify=identity_provider,
        compute=lambda identity, _around: {"arn": identity, "thumbprintLists": []},
    ),
    "aws:iam/role:Role": row(
        lambda: iam.RoleArgs,
        replace_on=words("name namePrefix path"),
        computed_inputs=words("managedPolicyArns name namePrefix"),
        computed=words("arn createDate uniqueId"),
        sets=words("inlinePolicies managedPolicyArns"),
        everywhere=True,
        autoname=Autoname(property="name", longest=64),
        tagged=True,
        identify=name,
        compute=of_iam("role"),
    ),
    "aws:iam/rolePolicy:RolePolicy": row(
        lambda: iam.RolePolicyArgs,
        replace_on=words("name namePrefix role"),
        computed_inputs=words("name namePrefix"),
        everywhere=True,
        autoname=NAMED,
        identify=lambda around: f"{text(around, 'role')}:{text(around, 'name')}",
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": row(
        lambda: iam.RolePolicyAttachmentArgs,
        replace_on=words("policyArn role"),
        everywhere=True,
        identify=lambda around: made_up(text(around, "role")),
    ),
    "aws:kms/alias:Alias": row(
        lambda: kms.AliasArgs,
        replace_on=words("name namePrefix"),
        computed_inputs=words("name namePrefix"),
        computed=words("arn targetKeyArn"),
        autoname=Autoname(property="name", prefix="alias/", longest=256),
        identify=name,
        compute=alias,
    ),
    "aws:kms/key:Key": row(
        lambda: kms.KeyArgs,
        replace_on=words("customKeyStoreId customerMasterKeySpec keyUsage multiRegion xksKeyId"),
        computed_inputs=words("description multiRegion policy rotationPeriodInDays"),
        computed=words("arn keyId"),
        tagged=True,
        identify=lambda _: made_up(),
        compute=key,
    ),
}
