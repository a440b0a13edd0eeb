"""What a preview of a pull request may read, and who takes the role: as IAM's policy documents.

A preview without `--refresh` asks AWS almost nothing; one with it, which reports drift, describes every resource of the
stack. Both read the state, and open its secrets: without them no preview knows whether a secret changed. So whoever
may write to the repository, and runs a job in this environment, can learn what the state knows: protect the environment
(docs/backup-buckets.md says how).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .backup_policies import Statement, allow, document
from .backups import partition_of
from .cloud import Previews

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
"""What AWS's own action asks GitHub's token for."""


@dataclass(frozen=True, kw_only=True)
class Reads:
    """Descriptions of one service. `resource` is a part of an ARN where the service lets one say which."""

    why: str
    actions: tuple[str, ...]
    resource: str = "*"


READS: Mapping[str, Reads] = {
    "Ec2": Reads(
        why="network, security groups, machines, their volumes and addresses, and the image that new machines take",
        actions=(
            "ec2:DescribeAddresses",
            "ec2:DescribeAddressesAttribute",
            "ec2:DescribeFlowLogs",
            "ec2:DescribeImages",
            "ec2:DescribeInstanceAttribute",
            "ec2:DescribeInstanceCreditSpecifications",
            "ec2:DescribeInstanceTypes",
            "ec2:DescribeInstances",
            "ec2:DescribeInternetGateways",
            "ec2:DescribeNatGateways",
            "ec2:DescribeNetworkAcls",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribePrefixLists",
            "ec2:DescribeRouteTables",
            "ec2:DescribeSecurityGroupRules",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeTags",
            "ec2:DescribeVolumes",
            "ec2:DescribeVpcAttribute",
            "ec2:DescribeVpcEndpoints",
            "ec2:DescribeVpcs",
        ),
    ),
    "LoadBalancers": Reads(
        why="the balancer in front of the gateways, its listeners, and which machines it sends to",
        actions=(
            "elasticloadbalancing:DescribeCapacityReservation",
            "elasticloadbalancing:DescribeListenerAttributes",
            "elasticloadbalancing:DescribeListeners",
            "elasticloadbalancing:DescribeLoadBalancerAttributes",
            "elasticloadbalancing:DescribeLoadBalancers",
            "elasticloadbalancing:DescribeTags",
            "elasticloadbalancing:DescribeTargetGroupAttributes",
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetHealth",
            "elasticloadbalancing:GetLoadBalancerWebACL",
        ),
    ),
    "Certificates": Reads(
        why="the balancer's certificate; its key can't be read at all",
        actions=("acm:DescribeCertificate", "acm:ListTagsForCertificate"),
        resource="acm:*:{account}:certificate/*",
    ),
    "Names": Reads(
        why="DNS records that lead to the balancer and prove the certificate",
        actions=("route53:GetHostedZone", "route53:ListResourceRecordSets", "route53:ListTagsForResource"),
        resource="route53:::hostedzone/*",
    ),
    "Zones": Reads(why="the zone of a name is looked up by it", actions=("route53:ListHostedZones",)),
    "Firewall": Reads(
        why="the balancer's firewall and its log",
        actions=(
            "wafv2:GetLoggingConfiguration",
            "wafv2:GetWebACL",
            "wafv2:GetWebACLForResource",
            "wafv2:ListTagsForResource",
        ),
    ),
    "Buckets": Reads(
        why="how buckets are set up, never what is in them; ListBucket is how one asks whether a bucket exists",
        actions=(
            "s3:GetAccelerateConfiguration",
            "s3:GetBucketAcl",
            "s3:GetBucketCORS",
            "s3:GetBucketLocation",
            "s3:GetBucketLogging",
            "s3:GetBucketObjectLockConfiguration",
            "s3:GetBucketOwnershipControls",
            "s3:GetBucketPolicy",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetBucketRequestPayment",
            "s3:GetBucketTagging",
            "s3:GetBucketVersioning",
            "s3:GetBucketWebsite",
            "s3:GetEncryptionConfiguration",
            "s3:GetLifecycleConfiguration",
            "s3:GetReplicationConfiguration",
            "s3:ListBucket",
            "s3:ListTagsForResource",
        ),
        resource="s3:::*",
    ),
    "Keys": Reads(
        why="keys of the backup buckets: whether they rotate and who may use them, and no use of them",
        actions=("kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags"),
        resource="kms:*:{account}:key/*",
    ),
    "KeyNames": Reads(why="a key's alias is found in the list of all", actions=("kms:ListAliases",)),
    "Identities": Reads(
        why="roles of machines, backups and previews, and what they may",
        actions=(
            "iam:GetInstanceProfile",
            "iam:GetOpenIDConnectProvider",
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:ListRolePolicies",
        ),
        resource="iam::{account}:*",
    ),
    "LogGroups": Reads(
        why="the log groups of network and firewall, and none of their lines",
        actions=("logs:DescribeLogGroups", "logs:ListTagsForResource"),
        resource="logs:*:{account}:log-group:*",
    ),
}


def preview_policy(settings: Previews, account: str, region: str) -> str:
    """What the role may: describe, read the state, open its secrets."""
    partition = partition_of(region)

    def arn(part: str) -> str:
        return "*" if part == "*" else f"arn:{partition}:{part.format(account=account)}"

    statements = [allow(name, reads.actions, arn(reads.resource)) for name, reads in READS.items()]
    state = arn(f"s3:::{settings.state_bucket}")
    statements += [
        # Both are pulumi's: the state of each stack, and a list of which there are. It takes no lock for a preview.
        allow("State", ("s3:GetObject",), f"{state}/*"),
        allow("StateBucket", ("s3:ListBucket", "s3:GetBucketLocation"), state),
    ]
    if settings.secrets_key:
        statements.append(allow("StateSecrets", ("kms:Decrypt",), settings.secrets_key))
    return document(statements)


def preview_trust(settings: Previews, provider_arn: str) -> str:
    """Jobs of one repository in one environment of it, and nobody else: a fork's token names the fork."""
    statement: Statement = {
        "Effect": "Allow",
        "Principal": {"Federated": provider_arn},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                f"{ISSUER}:aud": AUDIENCE,
                f"{ISSUER}:sub": f"repo:{settings.repository}:environment:{settings.environment}",
            }
        },
    }
    return document([statement])
