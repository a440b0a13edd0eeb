"""Buckets: closed to the public, encrypted, reached by TLS only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .rule import Resource, Rule, Stack, StackRule, is_true, items, mappings, types

BUCKETS = types("aws: s3/bucket:Bucket s3/bucketV2:BucketV2")
ACLS = types("aws: s3/bucketAcl:BucketAcl s3/bucketAclV2:BucketAclV2")
BLOCKS = types("aws: s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
POLICIES = types("aws: s3/bucketPolicy:BucketPolicy")
ENCRYPTION = types(
    "aws: s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration "
    "s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2"
)
SWITCHES = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
EVERYBODY = ("/global/AllUsers", "/global/AuthenticatedUsers")
BOUND = ("aws:sourcearn", "aws:sourceaccount", "aws:sourcevpce", "aws:sourcevpc", "aws:principalorgid",
         "aws:principalarn", "aws:principalaccount")  # fmt: skip
"""Conditions after which "everybody" means somebody."""


def document(text: Any) -> Mapping[str, Any] | None:
    """A policy of AWS; None while it is not known, or is none."""
    if isinstance(text, Mapping):
        return text
    if not isinstance(text, str):
        return None
    try:
        read = json.loads(text)
    except ValueError:
        return None
    return read if isinstance(read, Mapping) else None


def statements(policy: Mapping[str, Any] | None, effect: str) -> list[Mapping[str, Any]]:
    found = mappings((policy or {}).get("Statement"))
    return [statement for statement in found if statement.get("Effect") == effect]


def conditions(statement: Mapping[str, Any]) -> dict[str, Any]:
    """Condition keys in lower case, as AWS compares them, to their values."""
    tests = mappings(list(statement.get("Condition", {}).values()))
    return {key.lower(): value for test in tests for key, value in test.items()}


def is_everybody(principal: Any) -> bool:
    named = principal.values() if isinstance(principal, Mapping) else [principal]
    return any("*" in items(one) for one in named)


def refuses_http(policy: Mapping[str, Any]) -> bool:
    return any(
        is_everybody(statement.get("Principal"))
        and any(action in ("*", "s3:*") for action in items(statement.get("Action")))
        and str(conditions(statement).get("aws:securetransport")).lower() in ("false", "['false']")
        for statement in statements(policy, "Deny")
    )


def of_bucket(resource: Resource, _stack: Stack) -> Iterator[str]:
    props = resource.props
    if resource.type in BLOCKS:
        for switch in SWITCHES:
            if not is_true(props.get(switch)):
                yield f"{switch} is not true"
    acl = props.get("acl")
    if isinstance(acl, str) and (acl.startswith("public-") or acl == "authenticated-read"):
        yield f"acl is {acl}"
    access = props.get("accessControlPolicy")
    grants = mappings(access.get("grants")) if isinstance(access, Mapping) else mappings(props.get("grants"))
    for grant in grants:
        grantee = grant.get("grantee", grant)
        if str(grantee.get("uri", "") if isinstance(grantee, Mapping) else "").endswith(EVERYBODY):
            yield "grants access to everybody"
    policy = document(props.get("policy"))
    for statement in statements(policy, "Allow"):
        if is_everybody(statement.get("Principal")) and not conditions(statement).keys() & set(BOUND):
            yield f"its policy allows everybody {', '.join(map(str, items(statement.get('Action'))))}"
    if resource.type in POLICIES and policy is not None and not refuses_http(policy):
        yield "its policy does not deny requests without TLS"


CLOSED = Rule(
    name="buckets-are-closed",
    description="No bucket is public by ACL, by policy or by an open access block, and its policy refuses plain HTTP.",
    remedy=(
        "Give no ACL, set all four switches of the public access block, name principals in the policy, and deny s3:* "
        "to everybody where aws:SecureTransport is false."
    ),
    types=BUCKETS | ACLS | BLOCKS | POLICIES,
    judge=of_bucket,
)


def belongs(guard: Resource, bucket: Resource) -> bool:
    """Whether a resource is about that bucket: by what it is made from, or by the same known name."""
    named = guard.props.get("bucket")
    known = [bucket.props.get("bucket"), bucket.props.get("id")]
    return bucket.urn in guard.made_from.get("bucket", ()) or (isinstance(named, str) and named in known)


def of_stack(resources: Sequence[Resource], _stack: Stack) -> Iterator[tuple[Resource, str]]:
    wanted = {"public access block": BLOCKS, "policy that refuses plain HTTP": POLICIES, "encryption": ENCRYPTION}
    for bucket in resources:
        if bucket.type not in BUCKETS:
            continue
        for what, kinds in wanted.items():
            if not any(one.type in kinds and belongs(one, bucket) for one in resources):
                yield bucket, f"has no {what} of its own"


GUARDED = StackRule(
    name="buckets-have-their-guards",
    description="Each bucket has its own public access block, encryption, and policy that refuses plain HTTP.",
    remedy=(
        "Add BucketPublicAccessBlock, BucketServerSideEncryptionConfiguration and BucketPolicy with `bucket` set to "
        "the bucket's id; components/backup_buckets.py has all three."
    ),
    judge=of_stack,
)
