"""Where backups go, and how long they stay: names, repositories, lifecycle; and what a stack file can get wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundwork.backups import (
    AccessKeys,
    Repository,
    fitted,
    lifecycle_rules,
    lock_rule,
    names_of,
    pays,
    replica_of,
    repository_of,
)
from groundwork.cloud import AwsBackups, CompatibleBackups, LocalBackups
from groundwork.workload import SecretRef
from tests.backups import ACCOUNT, COMPATIBLE, HERE, KEYS, NAMES, THERE
from tests.sample import planned

from .test_wrong_combinations import refused_plan

AWS = {"account": ACCOUNT, "region": HERE}
PREVIEWS = {"repository": "team/portal", "state_bucket": "team-pulumi-state"}


# Names


def test_a_buckets_name_says_stack_account_and_region() -> None:
    assert NAMES.data == "shop-test-backups-123456789012-ap-southeast-1"
    assert NAMES.in_region(THERE).data == "shop-test-backups-123456789012-ap-southeast-2"


def test_a_long_name_is_cut_and_ends_with_its_hash() -> None:
    assert fitted("a" * 80, "-backups", 30) == "aaaaaaaaaaaaaaa-0f45e8-backups"
    assert fitted("Shop.Test", "-backups", 30) == "shop-test-ddd194-backups"
    assert fitted("shop-test", "-backups", 30) == "shop-test-backups"


@given(st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,99}-[A-Za-z0-9_.-]{1,100}", fullmatch=True))
def test_every_projects_buckets_and_roles_have_names_that_aws_allows(prefix: str) -> None:
    names = names_of(ACCOUNT, "ap-southeast-1", prefix)
    for name, longest in ((names.data, 63), (names.logs, 63), (names.writer, 64), (names.replication, 64)):
        assert len(name) <= longest
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") and name[0] != "-" and "--" not in name


@given(st.from_regex(r"[a-zA-Z0-9_.-]{1,60}", fullmatch=True), st.from_regex(r"[a-zA-Z0-9_.-]{1,60}", fullmatch=True))
def test_two_stacks_never_have_one_bucket(one: str, other: str) -> None:
    if one != other:
        assert names_of(ACCOUNT, HERE, one).data != names_of(ACCOUNT, HERE, other).data


@pytest.mark.parametrize(
    ("region", "arn", "service"),
    [
        ("cn-north-1", "arn:aws-cn:s3:::b", "amazonaws.com.cn"),
        ("us-gov-west-1", "arn:aws-us-gov:s3:::b", "amazonaws.com"),
        (HERE, "arn:aws:s3:::b", "amazonaws.com"),
    ],
)
def test_an_arn_begins_as_its_part_of_aws_does(region: str, arn: str, service: str) -> None:
    names = names_of(ACCOUNT, region, "shop-test")
    assert (names.bucket_arn("b"), names.suffix) == (arn, service)


# Repositories


def test_a_directory_has_a_folder_for_each_stack_and_no_credentials() -> None:
    settings = LocalBackups(kind="local")
    assert repository_of(settings, NAMES, {}) == Repository(
        kind="local", prefix="shop-test", directory="/var/backups/groundwork"
    )
    assert replica_of(settings, NAMES) is None


def test_another_providers_bucket_is_opened_with_keys_that_are_names_and_change_with_their_values() -> None:
    settings = CompatibleBackups.model_validate(COMPATIBLE)
    fingerprints = {"backup_access_key": "1a", "backup_secret_key": "2b"}
    assert repository_of(settings, NAMES, fingerprints) == Repository(
        kind="s3_compatible",
        prefix="shop-test",
        endpoint="https://oss-cn-hangzhou.aliyuncs.com",
        bucket="backups",
        region="oss-cn-hangzhou",
        credentials=AccessKeys(
            access_key=SecretRef(owner="system", name="backup_access_key", generation="1a"),
            secret_key=SecretRef(owner="system", name="backup_secret_key", generation="2b"),
        ),
    )


def test_a_bucket_of_the_stack_is_opened_with_the_machines_own_role() -> None:
    settings = AwsBackups(kind="aws", replica_region=THERE)
    repository, replica = repository_of(settings, NAMES, {}), replica_of(settings, NAMES)
    assert repository == Repository(
        kind="aws",
        prefix="",
        endpoint="https://s3.ap-southeast-1.amazonaws.com",
        bucket=NAMES.data,
        region=HERE,
        credentials="instance_role",
    )
    assert replica and (replica.bucket, replica.region) == (NAMES.in_region(THERE).data, THERE)
    assert replica_of(AwsBackups(kind="aws"), NAMES) is None


# Lock and lifecycle

days = st.integers(1, 3650)


@given(days, days, st.sampled_from(["governance", "compliance"]))
def test_the_lifecycle_never_wants_what_the_lock_still_holds(first: int, second: int, mode: Any) -> None:
    """A version gets old at the earliest when it is written, and the lock counts from there."""
    settings = AwsBackups(kind="aws", lock=mode, lock_days=min(first, second), keep_days=max(first, second))
    locked = lock_rule(settings)["default_retention"]
    expiries = [rule["noncurrent_version_expiration"]["noncurrent_days"] for rule in lifecycle_rules(settings)[:1]]
    assert locked == {"mode": mode.upper(), "days": settings.lock_days}
    assert [expiry >= locked["days"] for expiry in expiries] == [True]


@given(days)
def test_what_is_current_is_never_deleted_nor_moved(keep: int) -> None:
    for rule in lifecycle_rules(AwsBackups(kind="aws", lock_days=1, keep_days=keep)):
        assert rule["status"] == "Enabled"
        assert "transitions" not in rule
        assert rule.get("expiration", {}).keys() <= {"expired_object_delete_marker"}


def test_unfinished_uploads_go_after_a_week() -> None:
    aborts = [rule.get("abort_incomplete_multipart_upload") for rule in lifecycle_rules(AwsBackups(kind="aws"))]
    assert {"days_after_initiation": 7} in aborts


def test_old_versions_get_cheaper_only_where_that_pays() -> None:
    """8 MiB for 18 days cost 108 millionths of a dollar at 0.023 a GiB and month; moving them and 90 days at 0.004
    cost 114."""
    assert [pays(day) for day in (1, 18, 19, 35, 400)] == [False, False, True, True, True]
    assert not pays(35, mib=1), "moving a small object costs more than it saves"
    for keep in (18, 19):
        ids = {rule["id"] for rule in lifecycle_rules(AwsBackups(kind="aws", lock_days=1, keep_days=keep))}
        assert ("cheaper" in ids) is (keep == 19)


# What a stack file can get wrong

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "buckets without an account": (
        {"backups": {"kind": "aws"}},
        "  1. groundwork:aws: is missing; groundwork:backups of the kind aws needs it\n"
        "    give it, with account and region",
    ),
    "a replica where the first is": (
        {"backups": {"kind": "aws", "replica_region": HERE}, "aws": AWS},
        "  1. groundwork:backups.replica_region: `ap-southeast-1` is the region that a copy should outlive\n"
        "    name another one",
    ),
    "old versions that go before their lock": (
        {"backups": {"kind": "aws", "lock_days": 60}, "aws": AWS},
        "  1. groundwork:backups: keep_days is 35 and lock_days is 60, and what is locked can't be deleted\n"
        "    give keep_days at least as many",
    ),
    "another provider's bucket without its keys": (
        {"backups": COMPATIBLE},
        "  1. groundwork:secret_backup_access_key: is missing; backups of the kind s3_compatible need it\n"
        "    run `pulumi config set --secret groundwork:secret_backup_access_key`\n"
        "  2. groundwork:secret_backup_secret_key: is missing; backups of the kind s3_compatible need it\n"
        "    run `pulumi config set --secret groundwork:secret_backup_secret_key`",
    ),
    "half a key": (
        {"backups": COMPATIBLE, "secret_backup_access_key": "a"},
        "  1. groundwork:secret_backup_secret_key: is missing; backups of the kind s3_compatible need it\n"
        "    run `pulumi config set --secret groundwork:secret_backup_secret_key`",
    ),
    "keys that no backups need": (
        {"backups": {"kind": "aws"}, "aws": AWS, **KEYS},
        "  1. groundwork:secret_backup_access_key: no backups need it\n"
        "    give groundwork:backups of the kind s3_compatible, or take it out\n"
        "  2. groundwork:secret_backup_secret_key: no backups need it\n"
        "    give groundwork:backups of the kind s3_compatible, or take it out",
    ),
    "a directory of a cluster": (
        {"backups": {"kind": "local"}, "target": {"kind": "kubernetes", "context": "test"}},
        "  1. groundwork:backups.kind: `local` is a directory of a machine, and a cluster's machines come and go\n"
        "    give s3_compatible or aws",
    ),
    "previews without an account": (
        {"previews": PREVIEWS},
        "  1. groundwork:aws: is missing; groundwork:previews needs it\n    give it, with account and region",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_can_not_work_is_said_in_one_message(case: str) -> None:
    values, message = WRONG[case]
    assert refused_plan(values) == message


RIGHT: tuple[Mapping[str, Any], ...] = (
    {"backups": {"kind": "local"}},
    {"backups": COMPATIBLE, **KEYS},
    {"backups": {"kind": "aws", "replica_region": THERE}, "aws": AWS, "previews": PREVIEWS},
)


@pytest.mark.parametrize("values", RIGHT, ids=["local", "s3_compatible", "aws"])
def test_what_can_work_is_planned(values: Mapping[str, Any]) -> None:
    assert planned(values).workloads
