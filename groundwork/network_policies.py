"""Services of AWS that a network reaches without its NAT, and what may pass there; and who writes the flow log.

An endpoint's policy gives nobody anything: it holds back what goes through, whatever its sender may do.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Policy = dict[str, Any]
INTERFACES: dict[str, tuple[str, ...]] = {
    "ssm": ("ssm", "ssmmessages", "ec2messages"),
    "ecr": ("ecr.api", "ecr.dkr"),
    "logs": ("logs",),
}
"""The interface endpoints of each choice in `network.endpoints`. Layers of ECR's images come from S3."""
FLOW_LOG_SECONDS = 600
"""How long flows are gathered before they are written: AWS's longer choice, a tenth of the lines of the shorter."""


def service_name(region: str, service: str) -> str:
    """What AWS calls a service's endpoint. Other partitions (China) have other names for some."""
    return f"com.amazonaws.{region}.{service}"


def interfaces(choices: Iterable[str]) -> tuple[str, ...]:
    """The services of some choices."""
    return tuple(service for choice in choices for service in INTERFACES[choice])


def interface_policy(account: str) -> Policy:
    """Only the account's own machines and people: credentials of another are of no use here, so nothing leaves through
    an account that somebody brings along."""
    return _policy([_allow("*", {"aws:PrincipalAccount": account})])


def s3_policy(account: str) -> Policy:
    """Objects of all buckets can be read, since packages and layers of images lie in those of others; everything else
    is for the account's own buckets, so no data leaves to one of somebody else's."""
    return _policy([_allow("s3:GetObject", {}), _allow("s3:*", {"aws:ResourceAccount": account})])


def flow_log_trust(account: str) -> Policy:
    """Only flow logs of the account itself may take the role that writes them."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "vpc-flow-logs.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
    return _policy([statement])


def flow_log_policy(log_group_arn: str) -> Policy:
    """Writes to the one log group and nowhere else."""
    actions = ["logs:CreateLogStream", "logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    statement = {"Effect": "Allow", "Action": actions, "Resource": [log_group_arn, f"{log_group_arn}:*"]}
    return _policy([statement])


def _allow(action: str, equal: dict[str, str]) -> Policy:
    condition: Policy = {"Condition": {"StringEquals": equal}} if equal else {}
    return {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": "*"} | condition


def _policy(statements: list[Policy]) -> Policy:
    return {"Version": "2012-10-17", "Statement": statements}
