"""Who may do what to a stack's backups, as IAM's policy documents.

Nobody deletes a version or changes its lock: not the writer, not an administrator, not whoever stole their keys. A
person who must (a court, a leaked secret) first takes that statement out of the bucket's policy, which CloudTrail
keeps, and in the mode `compliance` finds the lock behind it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from .backups import Names

Statement = dict[str, Any]
EVERYBODY = {"AWS": "*"}
READ_OBJECTS = ("s3:GetObject",)
READ_VERSIONS = ("s3:GetObject", "s3:GetObjectVersion")
"""A version is what is left when a writer's keys were stolen."""
WRITE_OBJECTS = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
)
"""pgBackRest and restic need these. On a versioned bucket DeleteObject sets a marker; a version stays behind it."""
LIST = ("s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads")
LIST_VERSIONS = ("s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketLocation")
WRITER = tuple(sorted({*WRITE_OBJECTS, *LIST}))
RESTORE = tuple(sorted({*READ_VERSIONS, *LIST_VERSIONS}))
DESTRUCTION = (
    "s3:BypassGovernanceRetention",
    "s3:DeleteObjectVersion",
    "s3:PutObjectLegalHold",
    "s3:PutObjectRetention",
)
"""No backup and no deployment needs these; the last two, since a lock of a hundred years is paid for as long."""
KEY_DESTRUCTION = ("kms:DisableKey", "kms:ScheduleKeyDeletion")
"""Without its key a locked backup is noise."""
REPLICATION_LIST = ("s3:GetReplicationConfiguration", "s3:ListBucket")
REPLICATE_FROM = (
    "s3:GetObjectLegalHold",
    "s3:GetObjectRetention",
    "s3:GetObjectVersionAcl",
    "s3:GetObjectVersionForReplication",
    "s3:GetObjectVersionTagging",
)
REPLICATE_TO = ("s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags")


def document(statements: Iterable[Statement]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=1)


def bucket_policy(names: Names, bucket: str, *, replication: bool) -> str:
    """Of a bucket with backups, in the region of `names`. S3's own lifecycle and replication do not ask it."""
    arn = names.bucket_arn(bucket)
    ceilings = {"Writer": (names.writer, WRITER), "Restore": (names.restore, RESTORE)}
    if replication:
        ceilings["Replication"] = (names.replication, (*REPLICATION_LIST, *REPLICATE_FROM, *REPLICATE_TO))
    return document(
        [
            *tls_only(arn),
            {
                "Sid": "NobodyDeletesVersionsOrLocks",
                "Effect": "Deny",
                "Principal": EVERYBODY,
                "Action": list(DESTRUCTION),
                "Resource": f"{arn}/*",
            },
            *(
                # Whatever somebody attaches to these roles later.
                {
                    "Sid": f"AtMost{who}",
                    "Effect": "Deny",
                    "Principal": EVERYBODY,
                    "NotAction": list(actions),
                    "Resource": [arn, f"{arn}/*"],
                    "Condition": {"ArnEquals": {"aws:PrincipalArn": names.role_arn(role)}},
                }
                for who, (role, actions) in ceilings.items()
            ),
        ]
    )


def log_policy(names: Names, logs: str, source: str) -> str:
    """Of the bucket that takes the access logs of `source`: S3 writes them, and in the name of nobody else's bucket."""
    arn = names.bucket_arn(logs)
    return document(
        [
            *tls_only(arn),
            {
                "Sid": "AccessLogs",
                "Effect": "Allow",
                "Principal": {"Service": "logging.s3.amazonaws.com"},
                "Action": "s3:PutObject",
                "Resource": f"{arn}/*",
                "Condition": {
                    "ArnLike": {"aws:SourceArn": names.bucket_arn(source)},
                    "StringEquals": {"aws:SourceAccount": names.account},
                },
            },
        ]
    )


def tls_only(arn: str) -> list[Statement]:
    """Refuses http, and TLS before 1.2."""
    everything = {"Effect": "Deny", "Principal": EVERYBODY, "Action": "s3:*", "Resource": [arn, f"{arn}/*"]}
    return [
        {"Sid": "OnlyTls", **everything, "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        {"Sid": "OnlyTls12", **everything, "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}}},
    ]


def key_policy(names: Names) -> str:
    """Of a key. The account's own policies say who uses it, since without that nobody could ever change it again."""
    return document(
        [
            {
                "Sid": "TheAccountsPoliciesDecide",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:{names.partition}:iam::{names.account}:root"},
                "Action": "kms:*",
                "Resource": "*",
            },
            {
                "Sid": "NobodyDeletesTheKey",
                "Effect": "Deny",
                "Principal": EVERYBODY,
                "Action": list(KEY_DESTRUCTION),
                "Resource": "*",
            },
        ]
    )


def writer_policy(names: Names, key_arn: str) -> str:
    """For the machines that back up."""
    arn = names.bucket_arn(names.data)
    return document(
        [
            allow("Objects", WRITE_OBJECTS, f"{arn}/*"),
            allow("Bucket", LIST, arn),
            by_way_of_s3(names, "Key", ("kms:Decrypt", "kms:GenerateDataKey"), key_arn),
        ]
    )


def restore_policy(names: Names, keys: Iterable[tuple[str, str]]) -> str:
    """For people and drills: everything that was ever written, and nothing else. `keys` are region and key."""
    statements = []
    for region, key_arn in keys:
        there = names.in_region(region)
        arn, mark = there.bucket_arn(there.data), "".join(word.title() for word in region.split("-"))
        statements += [
            allow(f"Objects{mark}", READ_VERSIONS, f"{arn}/*"),
            allow(f"Bucket{mark}", LIST_VERSIONS, arn),
            by_way_of_s3(there, f"Key{mark}", ("kms:Decrypt",), key_arn),
        ]
    return document(statements)


def replication_policy(names: Names, replica_region: str, key_arn: str, replica_key_arn: str) -> str:
    """For S3 itself, to carry versions with their locks, and delete markers, from one bucket to the other."""
    there = names.in_region(replica_region)
    source, target = names.bucket_arn(names.data), there.bucket_arn(there.data)
    return document(
        [
            allow("Source", REPLICATION_LIST, source),
            allow("SourceObjects", REPLICATE_FROM, f"{source}/*"),
            allow("ReplicaObjects", REPLICATE_TO, f"{target}/*"),
            by_way_of_s3(names, "SourceKey", ("kms:Decrypt",), key_arn),
            by_way_of_s3(there, "ReplicaKey", ("kms:Encrypt", "kms:GenerateDataKey"), replica_key_arn),
        ]
    )


def by_way_of_s3(names: Names, sid: str, actions: tuple[str, ...], key_arn: str) -> Statement:
    """Use of a key for this one bucket's objects, and for nothing that is encrypted elsewhere.

    What S3 gives KMS as context is the bucket where it has a bucket key, and else the object.
    """
    arn = names.bucket_arn(names.data)
    return {
        **allow(sid, actions, key_arn),
        "Condition": {
            "StringEquals": {"kms:ViaService": f"s3.{names.region}.{names.suffix}"},
            "StringLike": {"kms:EncryptionContext:aws:s3:arn": [arn, f"{arn}/*"]},
        },
    }


def allow(sid: str, actions: tuple[str, ...], resource: str) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resource}


def trusted_by_service(service: str) -> str:
    return document([{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}])


def trusted_by_account(names: Names) -> str:
    """People and jobs of the account whose own policies let them take the role."""
    root = f"arn:{names.partition}:iam::{names.account}:root"
    return document([{"Effect": "Allow", "Principal": {"AWS": root}, "Action": "sts:AssumeRole"}])


def trusted_by_roles(arns: Sequence[str]) -> str:
    """Machines, by the roles that their instances have. Named here they need no right of their own to take the role."""
    return document([{"Effect": "Allow", "Principal": {"AWS": list(arns)}, "Action": "sts:AssumeRole"}])
