"""Recorded runs of the backup buckets, from settings as a stack file gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from components.backup_buckets import BackupBuckets, BackupBucketsArgs
from groundwork.backups import Names, names_of
from groundwork.cloud import AwsBackups
from tests.recorder import Recording, record
from tests.sample import configured

ACCOUNT, HERE, THERE = "123456789012", "ap-southeast-1", "ap-southeast-2"
TAGS = {"CostCenter": "42"}
REPLICATED: Mapping[str, Any] = {"kind": "aws", "lock": "compliance", "replica_region": THERE}
KEYS = {"secret_backup_access_key": "a", "secret_backup_secret_key": "s"}
COMPATIBLE: Mapping[str, Any] = {
    "kind": "s3_compatible",
    "endpoint": "https://oss-cn-hangzhou.aliyuncs.com",
    "region": "oss-cn-hangzhou",
    "bucket": "backups",
}
NAMES = names_of(ACCOUNT, HERE, "shop-test")
"""Of the stack whose buckets are recorded."""


def recorded_backups(settings: Mapping[str, Any]) -> tuple[Recording, BackupBuckets]:
    configuration = configured({"backups": settings} | (KEYS if settings["kind"] == "s3_compatible" else {}))
    backups = configuration.settings.backups
    assert backups
    made: list[BackupBuckets] = []

    def program() -> None:
        providers = [aws.Provider(region, region=region) for region in (HERE, THERE)]
        arguments = BackupBucketsArgs(
            settings=backups,
            account=ACCOUNT,
            region=HERE,
            prefix=NAMES.prefix,
            tags=TAGS,
            fingerprints=configuration.secrets,
            replica_provider=providers[1] if isinstance(backups, AwsBackups) and backups.replica_region else None,
        )
        made.append(BackupBuckets("shop-backups", arguments, pulumi.ResourceOptions(providers=[providers[0]])))

    recording = record(program)
    return recording, made[0]


def there() -> Names:
    return NAMES.in_region(THERE)
