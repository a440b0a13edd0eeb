"""The backup buckets on an account of moto, in which boto3 makes what the component registers: what an API keeps and
enforces. moto knows no conditions, nobody's right to the retention of an object, and no policy of KMS: these are judged
in test_backup_policies.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws_account import Account, an_account
from tests.backups import HERE, NAMES, REPLICATED, THERE, recorded_backups, there
from tests.recorder import Recording

GOVERNANCE = {**REPLICATED, "lock": "governance"}


@pytest.fixture(scope="module")
def run() -> Recording:
    return recorded_backups(GOVERNANCE)[0]


@pytest.fixture(scope="module")
def account(run: Recording) -> Iterator[Account]:
    with an_account() as account:
        account.make(run)
        yield account


def test_everything_is_taken_by_the_api_and_found_again(account: Account) -> None:
    for names in (NAMES, there()):
        s3 = account.client("s3", names.region)
        lock = s3.get_object_lock_configuration(Bucket=names.data)["ObjectLockConfiguration"]
        assert lock["ObjectLockEnabled"] == "Enabled"
        retention = lock["Rule"]["DefaultRetention"]
        assert (retention["Mode"], retention["Days"]) == ("GOVERNANCE", 30)
        for bucket in (names.data, names.logs):
            assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == names.region
            assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
            assert set(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()) == {True}
        assert s3.get_bucket_logging(Bucket=names.data)["LoggingEnabled"]["TargetBucket"] == names.logs
        (rule,) = s3.get_bucket_encryption(Bucket=names.data)["ServerSideEncryptionConfiguration"]["Rules"]
        by_default = rule["ApplyServerSideEncryptionByDefault"]
        key = account.client("kms", names.region).describe_key(KeyId=by_default["KMSMasterKeyID"])["KeyMetadata"]
        assert (by_default["SSEAlgorithm"], rule["BucketKeyEnabled"]) == ("aws:kms", True)
        assert key["Description"] == "Backups of shop-test"


@pytest.mark.parametrize("region", [HERE, THERE])
def test_lock_and_lifecycle_agree(account: Account, region: str) -> None:
    s3, bucket = account.client("s3", region), NAMES.in_region(region).data
    locked = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    expiries = [rule["NoncurrentVersionExpiration"] for rule in rules if "NoncurrentVersionExpiration" in rule]
    assert [expiry["NoncurrentDays"] >= locked["Days"] for expiry in expiries] == [True]
    assert not [rule for rule in rules if "Days" in rule.get("Expiration", {})], "nothing current expires"


def test_the_bucket_is_copied_to_the_other_region_with_that_regions_key(account: Account) -> None:
    config = account.client("s3", HERE).get_bucket_replication(Bucket=NAMES.data)["ReplicationConfiguration"]
    (rule,) = config["Rules"]
    assert (config["Role"], rule["Status"]) == (NAMES.role_arn(NAMES.replication), "Enabled")
    destination = rule["Destination"]
    assert destination["Bucket"] == f"arn:aws:s3:::{there().data}"
    key = destination["EncryptionConfiguration"]["ReplicaKmsKeyID"]
    assert account.client("kms", THERE).describe_key(KeyId=key)["KeyMetadata"]["Arn"] == key


@pytest.fixture(scope="module")
def written(account: Account) -> str:
    """The version of an object that the writer has written, and then deleted."""
    s3 = account.client("s3", HERE, account.session(NAMES.role_arn(NAMES.writer), HERE))
    with account.watched():
        version = s3.put_object(Bucket=NAMES.data, Key="base/1", Body=b"pages")["VersionId"]
        assert s3.get_object(Bucket=NAMES.data, Key="base/1")["Body"].read() == b"pages"
        assert [one["Key"] for one in s3.list_objects_v2(Bucket=NAMES.data)["Contents"]] == ["base/1"]
        assert s3.delete_object(Bucket=NAMES.data, Key="base/1")["DeleteMarker"] is True
        assert "Contents" not in s3.list_objects_v2(Bucket=NAMES.data)
    return str(version)


def refused(call: Callable[..., Any], **parameters: Any) -> bool:
    try:
        call(Bucket=NAMES.data, **parameters)
    except ClientError as error:
        return bool(error.response["Error"]["Code"] == "AccessDenied")
    return False


def test_the_writer_deletes_no_version_however_it_asks(account: Account, written: str) -> None:
    s3 = account.client("s3", HERE, account.session(NAMES.role_arn(NAMES.writer), HERE))
    with account.watched():
        assert refused(s3.delete_object, Key="base/1", VersionId=written)
        assert refused(s3.delete_object, Key="base/1", VersionId=written, BypassGovernanceRetention=True)
        assert refused(s3.delete_bucket)
    versions = account.client("s3", HERE).list_object_versions(Bucket=NAMES.data)["Versions"]
    assert [one["VersionId"] for one in versions] == [written]


def test_the_writer_changes_neither_lock_nor_lifecycle_nor_what_guards_the_bucket(account: Account) -> None:
    s3 = account.client("s3", HERE, account.session(NAMES.role_arn(NAMES.writer), HERE))
    admin = account.client("s3", HERE)
    tomorrow = {"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}
    before = admin.get_bucket_lifecycle_configuration(Bucket=NAMES.data)["Rules"]
    with account.watched():
        assert refused(s3.put_object_lock_configuration, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
        assert refused(s3.put_bucket_lifecycle_configuration, LifecycleConfiguration={"Rules": [tomorrow]})
        assert refused(s3.delete_bucket_lifecycle)
        assert refused(s3.put_bucket_versioning, VersioningConfiguration={"Status": "Suspended"})
        assert refused(s3.put_bucket_policy, Policy="{}")
        assert refused(s3.delete_bucket_policy)
        assert refused(s3.delete_bucket_replication)
        assert refused(s3.delete_public_access_block)
        assert refused(s3.delete_bucket_encryption)
    assert admin.get_bucket_lifecycle_configuration(Bucket=NAMES.data)["Rules"] == before


def test_the_lock_itself_holds_against_an_administrator(account: Account, written: str) -> None:
    assert refused(account.client("s3", HERE).delete_object, Key="base/1", VersionId=written)


def test_the_restore_role_reads_what_was_deleted_and_writes_nothing(account: Account, written: str) -> None:
    s3 = account.client("s3", HERE, account.session(NAMES.role_arn(NAMES.restore), HERE))
    with account.watched():
        body = s3.get_object(Bucket=NAMES.data, Key="base/1", VersionId=written)["Body"].read()
        assert refused(s3.put_object, Key="base/2", Body=b"x")
        assert refused(s3.delete_object, Key="base/1")
    assert body == b"pages"


def test_moto_is_awake(account: Account) -> None:
    """A role with no rights gets nothing, so what the writer got was given to it."""
    iam = account.client("iam", HERE)
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    arn = iam.create_role(RoleName="stranger", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    s3 = account.client("s3", HERE, account.session(arn, HERE))
    with account.watched():
        assert refused(s3.put_object, Key="base/3", Body=b"x")
        assert refused(s3.list_objects_v2)
