"""Where backups go: a directory, another provider's bucket, or buckets that the stack makes; one interface over all.

Names are computed here and asked of nobody, so that a plan knows them before there is a bucket.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .cloud import AwsBackups, CompatibleBackups, LocalBackups
from .workload import SecretRef

LONGEST_BUCKET, LONGEST_ROLE = 63, 64
"""Characters that S3 and IAM allow in a name."""
ACCESS_KEY, SECRET_KEY = "backup_access_key", "backup_secret_key"
"""Secrets of the stack file with which another provider's bucket is opened."""
LOG_DAYS = 365
"""How long it is kept who asked what of the buckets: PCI DSS 10.5.1 wants a year, and it is cents."""
REPLACED_LOG_DAYS = 30
"""Nobody ought to replace an access log; whoever does leaves the old one for this long."""
UNFINISHED_DAYS = 7
"""Parts of uploads that nobody finished are paid for and can't be read; no upload of ours takes a week."""


@dataclass(frozen=True, kw_only=True)
class AccessKeys:
    """The names of both halves of a key."""

    access_key: SecretRef
    secret_key: SecretRef


@dataclass(frozen=True, kw_only=True)
class Repository:
    """What a backup tool must know. Either `directory` is given, or `bucket` with all that follows it.

    `credentials` is the machine's own role for buckets of the stack, and nothing for a directory.
    """

    kind: Literal["local", "s3_compatible", "aws"]
    prefix: str
    """Folder of the stack's backups: in its own bucket there is nobody else, and it is empty."""
    directory: str = ""
    endpoint: str = ""
    bucket: str = ""
    region: str = ""
    path_style: bool = False
    credentials: AccessKeys | Literal["instance_role"] | None = None


@dataclass(frozen=True, kw_only=True)
class Names:
    """What the buckets and identities of one stack are called, and their ARNs."""

    account: str
    region: str
    prefix: str
    partition: str

    @property
    def suffix(self) -> str:
        """What the names of AWS's services end with."""
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"

    def in_region(self, region: str) -> Names:
        return Names(account=self.account, region=region, prefix=self.prefix, partition=self.partition)

    def bucket(self, what: str) -> str:
        """Unique in the world: account and region are in it."""
        return fitted(self.prefix, f"-{what}-{self.account}-{self.region}", LONGEST_BUCKET)

    def role(self, what: str) -> str:
        return fitted(self.prefix, f"-{what}", LONGEST_ROLE)

    @property
    def data(self) -> str:
        return self.bucket("backups")

    @property
    def logs(self) -> str:
        return self.bucket("backup-logs")

    @property
    def alias(self) -> str:
        return f"alias/{fitted(self.prefix, '-backups', LONGEST_ROLE)}"

    @property
    def writer(self) -> str:
        return self.role("backup-writer")

    @property
    def restore(self) -> str:
        return self.role("backup-restore")

    @property
    def replication(self) -> str:
        return self.role("backup-replication")

    def bucket_arn(self, name: str) -> str:
        return f"arn:{self.partition}:s3:::{name}"

    def role_arn(self, name: str) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role/{name}"


def names_of(account: str, region: str, prefix: str) -> Names:
    return Names(account=account, region=region, prefix=prefix, partition=partition_of(region))


def partition_of(region: str) -> str:
    """Which AWS a region is of: ARNs begin with it."""
    return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rsplit("-", 2)[0], "aws")


def fitted(prefix: str, rest: str, longest: int) -> str:
    """`prefix` and `rest` in at most `longest` characters of a DNS label; a changed prefix ends with its hash, so that
    two never become one."""
    room = longest - len(rest)
    label = re.sub(r"[^a-z0-9]+", "-", prefix.lower()).strip("-")
    if label != prefix or len(label) > room:
        mark = hashlib.sha256(prefix.encode()).hexdigest()[:6]
        label = f"{label[: room - len(mark) - 1].rstrip('-')}-{mark}"
    return f"{label}{rest}"


def repository_of(
    settings: LocalBackups | CompatibleBackups | AwsBackups, names: Names, fingerprints: Mapping[str, str]
) -> Repository:
    """Where a stack's backups are written; `fingerprints` are those of its configured secrets."""
    folder = fitted(names.prefix, "", LONGEST_ROLE)
    if isinstance(settings, LocalBackups):
        return Repository(kind="local", prefix=folder, directory=settings.directory)
    if isinstance(settings, CompatibleBackups):
        access, secret = (
            SecretRef(owner="system", name=name, generation=fingerprints[name]) for name in (ACCESS_KEY, SECRET_KEY)
        )
        return Repository(
            kind="s3_compatible",
            prefix=folder,
            endpoint=settings.endpoint,
            bucket=settings.bucket,
            region=settings.region,
            path_style=settings.path_style,
            credentials=AccessKeys(access_key=access, secret_key=secret),
        )
    return bucket_of(names)


def replica_of(settings: LocalBackups | CompatibleBackups | AwsBackups, names: Names) -> Repository | None:
    """The copy in the second region, which is read when the first is lost, and written by nobody but S3."""
    if not isinstance(settings, AwsBackups) or not settings.replica_region:
        return None
    return bucket_of(names.in_region(settings.replica_region))


def bucket_of(names: Names) -> Repository:
    return Repository(
        kind="aws",
        prefix="",
        endpoint=f"https://s3.{names.region}.{names.suffix}",
        bucket=names.data,
        region=names.region,
        credentials="instance_role",
    )


REPLICA_CLASS = "GLACIER_IR"
"""Read in milliseconds like any other, but by nobody before a region is lost; a sixth of the price (below)."""

# What becomes of old versions. Figures are of AWS's price list for us-east-1; other regions differ, the ratios hardly.

STANDARD, COLD = 0.023, 0.004
"""Dollars for a GiB and month in S3 Standard and in Glacier Instant Retrieval."""
MOVE = 0.02 / 1000
"""Dollars for moving one object there."""
COLD_DAYS = 90
"""Days that are paid at least for what was moved there."""
MOVED_MIB = 8
"""Smaller objects stay: moving one costs more than it saves. WAL segments are small, pgBackRest's files are not."""


def pays(days: int, mib: float = MOVED_MIB) -> bool:
    """Whether an object of this size that is kept for `days` more is cheaper cold, move and least time included."""
    months, size = days / 30, mib / 1024
    return size * STANDARD * months > MOVE + size * COLD * max(months, COLD_DAYS / 30)


def lifecycle_rules(settings: AwsBackups) -> list[dict[str, Any]]:
    """For a bucket of backups, in the provider's words: what is current is never touched.

    A version loses its lock `lock_days` after it was written, and goes `keep_days` after something newer took its
    place, which is later: the lock never holds up what the lifecycle would delete.
    """
    rules: list[dict[str, Any]] = [
        {
            "id": "old-versions",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "noncurrent_version_expiration": {"noncurrent_days": settings.keep_days},
            # A delete marker behind which nothing is left.
            "expiration": {"expired_object_delete_marker": True},
        },
        unfinished_uploads(),
    ]
    if pays(settings.keep_days):
        rules.append(
            {
                "id": "cheaper",
                "status": "Enabled",
                "filter": {"object_size_greater_than": MOVED_MIB * 1024 * 1024},
                # One day: what an expiry took back by mistake is wanted soon or never.
                "noncurrent_version_transitions": [{"noncurrent_days": 1, "storage_class": "GLACIER_IR"}],
            }
        )
    return rules


def log_lifecycle_rules() -> list[dict[str, Any]]:
    """For access logs."""
    return [
        {
            "id": "old-logs",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "expiration": {"days": LOG_DAYS},
            "noncurrent_version_expiration": {"noncurrent_days": REPLACED_LOG_DAYS},
        },
        unfinished_uploads(),
    ]


def unfinished_uploads() -> dict[str, Any]:
    return {
        "id": "unfinished-uploads",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "abort_incomplete_multipart_upload": {"days_after_initiation": UNFINISHED_DAYS},
    }


def lock_rule(settings: AwsBackups) -> dict[str, Any]:
    """What every version is locked with as it is written."""
    return {"default_retention": {"mode": settings.lock.upper(), "days": settings.lock_days}}
