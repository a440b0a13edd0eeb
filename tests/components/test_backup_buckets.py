"""What the backup buckets register, for each kind of repository."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from components.backup_buckets import BackupBuckets
from groundwork.backups import AccessKeys
from tests.backups import COMPATIBLE, HERE, NAMES, REPLICATED, TAGS, THERE, recorded_backups, there
from tests.recorder import Recording, Registration, computed

TAGGED = {"aws:s3/bucket:Bucket", "aws:kms/key:Key", "aws:iam/role:Role"}
GUARDS = {
    "bucketOwnershipControls:BucketOwnershipControls",
    "bucketPublicAccessBlock:BucketPublicAccessBlock",
    "bucketVersioning:BucketVersioning",
    "bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "bucketPolicy:BucketPolicy",
    "bucketLifecycleConfiguration:BucketLifecycleConfiguration",
}
OF_BACKUPS = {"bucketObjectLockConfiguration:BucketObjectLockConfiguration", "bucketLogging:BucketLogging"}


@pytest.fixture(scope="module")
def replicated() -> tuple[Recording, BackupBuckets]:
    return recorded_backups(REPLICATED)


@pytest.fixture(scope="module")
def run(replicated: tuple[Recording, BackupBuckets]) -> Recording:
    return replicated[0]


@pytest.fixture(scope="module")
def alone() -> Recording:
    """In one region."""
    return recorded_backups({key: value for key, value in REPLICATED.items() if key != "replica_region"})[0]


def made(run: Recording) -> list[Registration]:
    return [one for one in run.registrations if one.type.startswith("aws:")]


def of_bucket(run: Recording, bucket: str) -> dict[str, Mapping[str, Any]]:
    """What is said about a bucket, by type."""
    return {
        one.type.removeprefix("aws:s3/"): one.plain
        for one in made(run)
        if one.type.startswith("aws:s3/") and one.plain["bucket"] == bucket
    }


BUCKETS = (NAMES.data, NAMES.logs, there().data, there().logs)


def test_a_stack_has_its_backups_and_their_access_log_in_each_region(run: Recording, alone: Recording) -> None:
    assert sorted(one.plain["bucket"] for one in run.of_type("s3/bucket:Bucket")) == sorted(BUCKETS)
    assert sorted(one.plain["bucket"] for one in alone.of_type("s3/bucket:Bucket")) == sorted(BUCKETS[:2])


def test_a_replica_adds_to_a_stack_and_changes_only_who_is_held_down_and_who_reads(
    run: Recording, alone: Recording
) -> None:
    after = {one.urn: one.plain for one in made(run)}
    changed = {one.name for one in made(alone) if one.plain != after[one.urn]}
    assert changed == {"shop-backups-data-policy", "shop-backups-restore-policy"}


@pytest.mark.parametrize("bucket", BUCKETS)
def test_every_bucket_is_owned_closed_versioned_encrypted_and_has_a_policy_and_a_lifecycle(
    run: Recording, bucket: str
) -> None:
    found = of_bucket(run, bucket)
    expected = GUARDS | {"bucket:Bucket"}
    if "backup-logs" not in bucket:
        expected |= OF_BACKUPS
    if bucket == NAMES.data:
        expected |= {"bucketReplicationConfig:BucketReplicationConfig"}
    assert set(found) == expected
    closed = found["bucketPublicAccessBlock:BucketPublicAccessBlock"]
    assert {key: value for key, value in closed.items() if key != "bucket"} == {
        "blockPublicAcls": True,
        "blockPublicPolicy": True,
        "ignorePublicAcls": True,
        "restrictPublicBuckets": True,
    }
    owned = found["bucketOwnershipControls:BucketOwnershipControls"]
    assert owned["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    assert found["bucketVersioning:BucketVersioning"]["versioningConfiguration"] == {"status": "Enabled"}
    assert "forceDestroy" not in found["bucket:Bucket"]


def test_backups_are_encrypted_with_a_key_of_their_region_that_rotates(run: Recording) -> None:
    for names, part, region in ((NAMES, "data", HERE), (there(), "replica", THERE)):
        key = run.named(f"shop-backups-{part}-key")
        (rule,) = of_bucket(run, names.data)[
            "bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
        ]["rules"]
        assert rule == {
            "applyServerSideEncryptionByDefault": {
                "sseAlgorithm": "aws:kms",
                "kmsMasterKeyId": computed(key.type, key.name, {})["arn"],
            },
            "bucketKeyEnabled": True,
        }
        assert f"::{region}::" in key.provider
        assert (key.plain["enableKeyRotation"], key.plain["deletionWindowInDays"]) == (True, 30)


def test_both_buckets_of_backups_are_locked_as_the_settings_say(run: Recording) -> None:
    lock = "bucketObjectLockConfiguration:BucketObjectLockConfiguration"
    for names in (NAMES, there()):
        assert of_bucket(run, names.data)["bucket:Bucket"]["objectLockEnabled"] is True
        assert of_bucket(run, names.data)[lock]["rule"] == {"defaultRetention": {"mode": "COMPLIANCE", "days": 30}}
    by_default = recorded_backups({"kind": "aws"})[0]
    assert of_bucket(by_default, NAMES.data)[lock]["rule"]["defaultRetention"]["mode"] == "GOVERNANCE"


def test_everything_of_the_replica_is_in_the_second_region_and_all_else_in_the_first(run: Recording) -> None:
    for one in made(run):
        second = f"{one.name}-".startswith("shop-backups-replica-")
        assert f"::{THERE if second else HERE}::" in one.provider, one.name


def test_versions_locks_and_delete_markers_are_copied_under_the_replicas_own_key(run: Recording) -> None:
    found = of_bucket(run, NAMES.data)["bucketReplicationConfig:BucketReplicationConfig"]
    (rule,) = found["rules"]
    assert (rule["status"], rule["filter"]) == ("Enabled", {"prefix": ""})
    assert rule["deleteMarkerReplication"] == {"status": "Enabled"}
    assert rule["sourceSelectionCriteria"] == {"sseKmsEncryptedObjects": {"status": "Enabled"}}
    key = run.named("shop-backups-replica-key")
    assert rule["destination"] == {
        "bucket": f"arn:aws:s3:::{there().data}",
        "storageClass": "GLACIER_IR",
        "encryptionConfiguration": {"replicaKmsKeyId": computed(key.type, key.name, {})["arn"]},
    }
    assert found["role"] == NAMES.role_arn(NAMES.replication)


def test_nothing_is_copied_before_both_buckets_are_versioned_locked_encrypted_and_have_their_policy(
    run: Recording,
) -> None:
    before = run.before(run.named("shop-backups-data-replication"))
    for part in ("data", "replica"):
        assert {f"shop-backups-{part}-{guard}" for guard in ("versioning", "lock", "encryption", "policy")} <= before


def test_access_logs_go_into_the_bucket_of_their_region(run: Recording) -> None:
    for names in (NAMES, there()):
        logging = of_bucket(run, names.data)["bucketLogging:BucketLogging"]
        assert logging["targetBucket"] == names.logs


def test_what_holds_or_guards_backups_is_protected_and_stays_when_the_stack_goes(run: Recording) -> None:
    kept = {one.name for one in made(run) if one.options.retainOnDelete}
    protected = {one.name for one in made(run) if one.options.protect}
    others = {"shop-backups-writer", "shop-backups-restore"}
    assert kept == protected == {one.name for one in made(run)} - others - {f"{name}-policy" for name in others}


def test_everything_that_can_be_tagged_is(run: Recording) -> None:
    tagged = [one for one in made(run) if "tags" in one.plain]
    assert {one.type for one in tagged} == TAGGED == {one.type for one in made(run)} & TAGGED
    assert all(one.plain["tags"] == TAGS for one in tagged)


def test_every_policy_is_json_and_fits(run: Recording) -> None:
    """AWS takes 20 KiB for a bucket, 32 KiB for a key, 10,240 characters for a role."""
    texts = [one.plain["policy"] for one in made(run) if "policy" in one.plain]
    assert len(texts) == 9
    for text in texts:
        assert json.loads(text)["Version"] == "2012-10-17"
        assert len(json.dumps(json.loads(text), separators=(",", ":"))) < 10_000


def test_the_component_says_what_a_backup_must_know(replicated: tuple[Recording, BackupBuckets]) -> None:
    run, buckets = replicated
    (component,) = run.of_type("groundwork:aws:BackupBuckets")
    assert component.outputs == {
        "bucket": NAMES.data,
        "replica": there().data,
        "writer": NAMES.writer,
        "restore": NAMES.role_arn(NAMES.restore),
    }
    assert (buckets.repository.bucket, buckets.repository.credentials) == (NAMES.data, "instance_role")
    assert buckets.replica and buckets.replica.region == THERE


@pytest.mark.parametrize("settings", [{"kind": "local"}, COMPATIBLE], ids=["local", "s3_compatible"])
def test_what_is_there_already_needs_nothing_made_and_has_the_same_interface(settings: Mapping[str, Any]) -> None:
    run, buckets = recorded_backups(settings)
    assert made(run) == []
    assert (buckets.replica, buckets.writer, buckets.restore) == (None, None, None)
    assert buckets.repository.kind == settings["kind"]
    assert isinstance(buckets.repository.credentials, AccessKeys) is (settings["kind"] == "s3_compatible")
    assert run.named("shop-backups").outputs is not None
