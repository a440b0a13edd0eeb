"""What IAM's rules make of the policies of backup buckets and previews, by @cloud-copilot/iam-simulate: it has the
actions, resources and context keys of AWS's own service reference, and refuses a request that AWS would not know."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from groundwork.backup_policies import (
    DESTRUCTION,
    READ_VERSIONS,
    REPLICATE_FROM,
    REPLICATE_TO,
    RESTORE,
    WRITE_OBJECTS,
    WRITER,
)
from groundwork.preview_rights import ISSUER, preview_trust
from tests.backups import ACCOUNT, HERE, NAMES, REPLICATED, recorded_backups, there
from tests.components.test_preview_role import PREVIEWS
from tests.recorder import Recording, computed

Decided = Callable[[Sequence[dict[str, Any]]], list[str]]
ALLOWED, NOBODY_ALLOWS, DENIED = "Allowed", "ImplicitlyDenied", "ExplicitlyDenied"
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
WRITER_SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/{NAMES.writer}/i-0123456789abcdef0"
RESTORE_SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/{NAMES.restore}/drill"
ADMINISTRATOR = f"arn:aws:sts::{ACCOUNT}:assumed-role/Administrator/me"
SETTINGS = (
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutReplicationConfiguration",
)
"""With each of these a bucket can be made to forget."""
ON_OBJECTS = {
    *DESTRUCTION,
    *WRITE_OBJECTS,
    *READ_VERSIONS,
    *REPLICATE_FROM,
    *REPLICATE_TO,
}


FREE_KEYS = {
    "kms:EncryptionContext:aws:s3:arn": "aws:PrincipalTag/context",
    "token.actions.githubusercontent.com:sub": "aws:PrincipalTag/sub",
    "token.actions.githubusercontent.com:aud": "aws:PrincipalTag/aud",
}
"""Keys that are made of what is encrypted, or of a token's claims, are in no reference, and iam-simulate would overlook
them: it is told another key of the same type."""


@pytest.fixture(scope="module")
def run() -> Recording:
    return recorded_backups(REPLICATED)[0]


def in_reference(simulation: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(simulation)
    for key, other in FREE_KEYS.items():
        text = text.replace(key, other)
    found: dict[str, Any] = json.loads(text)
    return found


def policy_of(run: Recording, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.named(name).plain["policy"])
    return found


def request(
    run: Recording,
    principal: str,
    action: str,
    *,
    part: str = "data",
    identity: Mapping[str, Any] | str = EVERYTHING,
    context: Mapping[str, str] | None = None,
    without: str = "",
) -> dict[str, Any]:
    """`identity` is what the principal's own policy says, or the name of the role that it is of; `without` leaves out
    statements of the bucket's policy whose id begins so."""
    names = {"data": NAMES, "replica": there()}[part]
    bucket = f"arn:aws:s3:::{names.data}"
    policy = policy_of(run, f"shop-backups-{part}-policy")
    if without:
        policy["Statement"] = [one for one in policy["Statement"] if not one["Sid"].startswith(without)]
    own = policy_of(run, f"shop-backups-{identity}-policy") if isinstance(identity, str) else identity
    resource = f"{bucket}/base/1" if action in ON_OBJECTS else bucket
    return asking(principal, action, resource, secure(principal) | dict(context or {}), own, policy)


def asking(
    principal: str,
    action: str,
    resource: str,
    context: Mapping[str, str],
    identity: Mapping[str, Any] | None,
    policy: Mapping[str, Any],
) -> dict[str, Any]:
    """A request as iam-simulate takes it; services and identity providers have no policy of their own."""
    return {
        "request": {
            "principal": principal,
            "action": action,
            "resource": {"resource": resource, "accountId": ACCOUNT},
            "contextVariables": dict(context),
        },
        "identityPolicies": [{"name": "own", "policy": identity}] if identity else [],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
        "resourcePolicy": policy,
    }


def secure(principal: str) -> dict[str, str]:
    """What a request over TLS 1.3 tells of itself."""
    role = principal.replace(":sts:", ":iam:").replace("assumed-role", "role").rsplit("/", 1)[0]
    return {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3", "aws:PrincipalArn": role}


def test_the_writer_may_do_what_a_backup_tool_does(run: Recording, decided: Decided) -> None:
    assert decided([request(run, WRITER_SESSION, action, identity="writer") for action in WRITER]) == [ALLOWED] * 8


@pytest.mark.parametrize("action", [*DESTRUCTION, *SETTINGS])
def test_the_writer_may_not_destroy_even_with_an_administrators_rights(
    run: Recording, decided: Decided, action: str
) -> None:
    own, all_rights = decided(
        [
            request(run, WRITER_SESSION, action, identity="writer"),
            request(run, WRITER_SESSION, action, identity=EVERYTHING),
        ]
    )
    assert (own, all_rights) == (DENIED, DENIED)


def test_the_bucket_itself_holds_the_writer_down(run: Recording, decided: Decided) -> None:
    """Without that statement its new rights would count."""
    asked = [request(run, WRITER_SESSION, action, without="AtMost") for action in SETTINGS]
    assert decided(asked) == [ALLOWED] * len(SETTINGS)


@pytest.mark.parametrize("part", ["data", "replica"])
def test_an_administrator_deletes_no_version_and_shortens_no_lock(run: Recording, decided: Decided, part: str) -> None:
    asked = [request(run, ADMINISTRATOR, action, part=part) for action in DESTRUCTION]
    assert decided(asked) == [DENIED] * len(DESTRUCTION)


def test_an_administrator_deploys_and_can_break_the_glass(run: Recording, decided: Decided) -> None:
    asked = [request(run, ADMINISTRATOR, action) for action in SETTINGS]
    assert decided(asked) == [ALLOWED] * len(SETTINGS)
    asked = [request(run, ADMINISTRATOR, action, without="NobodyDeletes") for action in DESTRUCTION]
    assert decided(asked) == [ALLOWED] * len(DESTRUCTION)


@pytest.mark.parametrize("part", ["data", "replica"])
@pytest.mark.parametrize("plain", [{"aws:SecureTransport": "false"}, {"s3:TlsVersion": "1.1"}], ids=["http", "tls 1.1"])
def test_http_and_old_tls_are_refused_to_everybody(
    run: Recording, decided: Decided, part: str, plain: dict[str, str]
) -> None:
    asked = [
        request(run, principal, action, part=part, context=plain)
        for principal in (ADMINISTRATOR, WRITER_SESSION)
        for action in ("s3:GetObject", "s3:PutObject", "s3:ListBucket")
    ]
    assert decided(asked) == [DENIED] * 6
    only = decided([request(run, ADMINISTRATOR, "s3:GetObject", part=part, context=plain, without="OnlyTls")])
    assert only == [ALLOWED], "the statement about TLS is what refuses"


@pytest.mark.parametrize("part", ["data", "replica"])
def test_the_restore_role_reads_every_version_in_both_regions_and_writes_nowhere(
    run: Recording, decided: Decided, part: str
) -> None:
    reads = [request(run, RESTORE_SESSION, action, part=part, identity="restore") for action in RESTORE]
    assert decided(reads) == [ALLOWED] * len(RESTORE)
    writes = ("s3:PutObject", "s3:DeleteObject", *DESTRUCTION, *SETTINGS)
    asked = [request(run, RESTORE_SESSION, action, part=part, identity=EVERYTHING) for action in writes]
    assert decided(asked) == [DENIED] * len(writes)


def test_the_writer_has_no_way_into_the_replica(run: Recording, decided: Decided) -> None:
    asked = [request(run, WRITER_SESSION, action, part="replica", identity="writer") for action in WRITER]
    assert ALLOWED not in decided(asked)


def test_who_has_no_rights_of_their_own_gets_none_from_the_bucket(run: Recording, decided: Decided) -> None:
    nothing = {"Version": "2012-10-17", "Statement": []}
    stranger = f"arn:aws:sts::{ACCOUNT}:assumed-role/stranger/me"
    asked = [request(run, stranger, action, identity=nothing) for action in ("s3:GetObject", "s3:ListBucket")]
    assert decided(asked) == [NOBODY_ALLOWS] * 2


REPLICATION = f"arn:aws:sts::{ACCOUNT}:assumed-role/{NAMES.replication}/s3-replication"


def test_replication_reads_versions_with_their_locks_here_and_writes_there(run: Recording, decided: Decided) -> None:
    def asked(part: str, *actions: str) -> list[dict[str, Any]]:
        return [request(run, REPLICATION, action, part=part, identity="replication") for action in actions]

    reads = ("s3:GetReplicationConfiguration", "s3:ListBucket", *REPLICATE_FROM)
    assert {"s3:GetObjectVersionForReplication", "s3:GetObjectRetention", "s3:GetObjectLegalHold"} <= set(reads)
    assert decided(asked("data", *reads)) == [ALLOWED] * len(reads)
    assert {"s3:ReplicateObject", "s3:ReplicateDelete"} <= set(REPLICATE_TO)
    assert decided(asked("replica", *REPLICATE_TO)) == [ALLOWED] * len(REPLICATE_TO)
    assert ALLOWED not in decided(asked("data", "s3:ReplicateObject", "s3:PutObject", "s3:DeleteObject"))
    assert ALLOWED not in decided(asked("replica", "s3:PutObject", *DESTRUCTION, *SETTINGS))


# Keys


def of_key(run: Recording, principal: str, action: str, identity: Any, context: dict[str, str]) -> dict[str, Any]:
    key = run.named("shop-backups-data-key")
    own = policy_of(run, f"shop-backups-{identity}-policy") if isinstance(identity, str) else identity
    arn = computed(key.type, key.name, {})["arn"]
    return in_reference(asking(principal, action, arn, context, own, json.loads(key.plain["policy"])))


def by_way_of_s3(bucket: str) -> dict[str, str]:
    return {"kms:ViaService": f"s3.{HERE}.amazonaws.com", "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}"}


def test_the_writer_uses_the_key_for_this_bucket_and_for_nothing_else(run: Recording, decided: Decided) -> None:
    asked = [
        of_key(run, WRITER_SESSION, action, "writer", context)
        for action in ("kms:GenerateDataKey", "kms:Decrypt")
        for context in (by_way_of_s3(NAMES.data), by_way_of_s3(f"{NAMES.data}/base/1"), by_way_of_s3("other"), {})
    ]
    assert decided(asked) == [ALLOWED, ALLOWED, NOBODY_ALLOWS, NOBODY_ALLOWS] * 2


def test_nobody_deletes_the_key_and_an_administrator_can_change_its_policy(run: Recording, decided: Decided) -> None:
    asked = [
        of_key(run, ADMINISTRATOR, action, EVERYTHING, {})
        for action in ("kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:PutKeyPolicy", "kms:DescribeKey")
    ]
    assert decided(asked) == [DENIED, DENIED, ALLOWED, ALLOWED]


# Access logs, and whom roles trust


def test_access_logs_are_written_by_s3_for_this_bucket_alone(run: Recording, decided: Decided) -> None:
    def asked(source: str, account: str) -> dict[str, Any]:
        context = {
            "aws:SecureTransport": "true",
            "s3:TlsVersion": "1.3",
            "aws:SourceArn": f"arn:aws:s3:::{source}",
            "aws:SourceAccount": account,
        }
        service, log = "logging.s3.amazonaws.com", f"arn:aws:s3:::{NAMES.logs}/log"
        return asking(service, "s3:PutObject", log, context, None, policy_of(run, "shop-backups-data-logs-policy"))

    answers = decided([asked(NAMES.data, ACCOUNT), asked("other", ACCOUNT), asked(NAMES.data, "210987654321")])
    assert answers == [ALLOWED, NOBODY_ALLOWS, NOBODY_ALLOWS]


def test_only_a_job_of_the_repository_in_its_environment_takes_the_role_of_previews(decided: Decided) -> None:
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"
    role = f"arn:aws:iam::{ACCOUNT}:role/groundwork-preview"

    def asked(subject: str, audience: str = "sts.amazonaws.com") -> dict[str, Any]:
        context = {f"{ISSUER}:sub": subject, f"{ISSUER}:aud": audience}
        trust = json.loads(preview_trust(PREVIEWS, provider))
        return in_reference(asking(provider, "sts:AssumeRoleWithWebIdentity", role, context, None, trust))

    right = "repo:team@12/portal@34:environment:preview"
    wrong = (
        "repo:team@12/portal@34:pull_request",
        "repo:team@12/portal@34:ref:refs/heads/main",
        "repo:team@12/portal@34:environment:preview2",
        "repo:team@13/portal@34:environment:preview",
        "repo:fork@9/portal@35:environment:preview",
    )
    answers = decided([asked(right), *(asked(subject) for subject in wrong), asked(right, "https://github.com/team")])
    assert answers == [ALLOWED] + [NOBODY_ALLOWS] * 6
