"""Where backups are kept: buckets of AWS, or somewhere that exists already and needs nothing made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from groundwork.backup_policies import (
    bucket_policy,
    key_policy,
    log_policy,
    replication_policy,
    restore_policy,
    trusted_by_account,
    trusted_by_roles,
    trusted_by_service,
    writer_policy,
)
from groundwork.backups import (
    REPLICA_CLASS,
    Names,
    Repository,
    lifecycle_rules,
    lock_rule,
    log_lifecycle_rules,
    names_of,
    replica_of,
    repository_of,
)
from groundwork.cloud import AwsBackups, CompatibleBackups, LocalBackups

RESTORE_SECONDS = 4 * 3600
"""How long one session of the restore role lasts: twice the RTO of B3."""


@dataclass(frozen=True, kw_only=True)
class BackupBucketsArgs:
    """`prefix` is `project-stack`; `replica_provider` is one for the second region, where the settings name one;
    `fingerprints` are those of the stack's configured secrets, `writers` the ARNs of roles whose machines back up:
    without any, whoever in the account may take the writer's role."""

    settings: LocalBackups | CompatibleBackups | AwsBackups
    account: str = ""
    region: str = ""
    prefix: str
    tags: Mapping[str, str] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    writers: Sequence[pulumi.Input[str]] = ()
    replica_provider: aws.Provider | None = None


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A bucket of backups, its key, and what must be there before anything is copied into it."""

    bucket: aws.s3.Bucket
    key: aws.kms.Key
    guards: tuple[pulumi.Resource, ...]


class BackupBuckets(pulumi.ComponentResource):
    """A repository for backups, one interface over all kinds. What holds backups is never deleted with the stack."""

    repository: Repository
    replica: Repository | None
    writer: pulumi.Output[str] | None
    """Name of the role that machines take to back up; only with buckets of AWS."""
    restore: pulumi.Output[str] | None
    """ARN of the role that reads every version of both buckets and writes nothing; only with buckets of AWS."""

    def __init__(self, name: str, args: BackupBucketsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("groundwork:aws:BackupBuckets", name, None, opts)
        self._name, self._args = name, args
        self._names = names_of(args.account, args.region, args.prefix)
        self.repository = repository_of(args.settings, self._names, args.fingerprints)
        self.replica = replica_of(args.settings, self._names)
        self.writer = self.restore = None
        if isinstance(args.settings, AwsBackups):
            self._make(args.settings)
        self.register_outputs(
            {
                "bucket": self.repository.bucket,
                "replica": self.replica.bucket if self.replica else "",
                "writer": self.writer,
                "restore": self.restore,
            }
        )

    def _make(self, settings: AwsBackups) -> None:
        replicated = self.replica is not None
        data = self._kept("data", self._names, settings, replicated, None)
        keys = {self._names.region: data.key.arn}
        if self.replica:
            there = self._names.in_region(self.replica.region)
            replica = self._kept("replica", there, settings, replicated, self._args.replica_provider)
            keys[there.region] = replica.key.arn
            self._replicate(data, replica, there)
        writers = self._args.writers
        self.writer = self._role(
            "writer",
            self._names.writer,
            pulumi.Output.all(*writers).apply(trusted_by_roles) if writers else trusted_by_account(self._names),
            data.key.arn.apply(lambda key: writer_policy(self._names, key)),
            "Backs up; deletes no version",
        ).name
        self.restore = self._role(
            "restore",
            self._names.restore,
            trusted_by_account(self._names),
            pulumi.Output.all(**keys).apply(lambda known: restore_policy(self._names, known.items())),
            "Reads every version of the backups; writes nothing",
            max_session_duration=RESTORE_SECONDS,
        ).arn

    def _kept(
        self, part: str, names: Names, settings: AwsBackups, replicated: bool, provider: aws.Provider | None
    ) -> Kept:
        """A bucket with everything that guards it, its own key, and a bucket for its access log."""
        name, opts = f"{self._name}-{part}", self._kept_options(provider)
        key = aws.kms.Key(
            f"{name}-key",
            description=f"Backups of {self._args.prefix}",
            enable_key_rotation=True,
            # The longest there is: a backup without its key is lost.
            deletion_window_in_days=30,
            policy=key_policy(names),
            tags=self._args.tags,
            opts=opts,
        )
        aws.kms.Alias(f"{name}-alias", name=names.alias, target_key_id=key.key_id, opts=opts)
        logs, logs_guards = self._bucket(
            f"{name}-logs",
            names.logs,
            opts,
            policy=log_policy(names, names.logs, names.data),
            # S3 delivers access logs into no other encryption, and into no locked bucket.
            encryption={"sse_algorithm": "AES256"},
            rules=log_lifecycle_rules(),
        )
        bucket, guards = self._bucket(
            name,
            names.data,
            opts,
            policy=bucket_policy(names, names.data, replication=replicated),
            encryption={"sse_algorithm": "aws:kms", "kms_master_key_id": key.arn},
            rules=lifecycle_rules(settings),
            lock=lock_rule(settings),
        )
        aws.s3.BucketLogging(
            f"{name}-logging",
            bucket=bucket.bucket,
            target_bucket=logs.bucket,
            target_prefix="",
            target_object_key_format={"partitioned_prefix": {"partition_date_source": "EventTime"}},
            # S3 asks whether it may write there.
            opts=after(opts, *logs_guards),
        )
        return Kept(bucket=bucket, key=key, guards=guards)

    def _bucket(
        self,
        name: str,
        bucket_name: str,
        opts: pulumi.ResourceOptions,
        *,
        policy: str,
        encryption: Any,
        rules: Any,
        lock: Any = None,
    ) -> tuple[aws.s3.Bucket, tuple[pulumi.Resource, ...]]:
        """`encryption`, `rules` and `lock` are the provider's words in plain data."""
        bucket = aws.s3.Bucket(
            name,
            # Known outside: people find backups by it when there is no state any more.
            bucket=bucket_name,
            object_lock_enabled=lock is not None,
            tags=self._args.tags,
            opts=opts,
        )
        blocked = aws.s3.BucketPublicAccessBlock(
            f"{name}-access",
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=opts,
        )
        owned = aws.s3.BucketOwnershipControls(
            f"{name}-ownership", bucket=bucket.bucket, rule={"object_ownership": "BucketOwnerEnforced"}, opts=opts
        )
        versioned = aws.s3.BucketVersioning(
            f"{name}-versioning", bucket=bucket.bucket, versioning_configuration={"status": "Enabled"}, opts=opts
        )
        encrypted = aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.bucket,
            rules=[
                {
                    "apply_server_side_encryption_by_default": encryption,
                    # One call to KMS for many objects, at a hundredth of the price.
                    "bucket_key_enabled": "kms_master_key_id" in encryption,
                }
            ],
            opts=opts,
        )
        # S3 refuses a policy and the access block at the same moment; lock and lifecycle need versions.
        guarded = aws.s3.BucketPolicy(
            f"{name}-policy", bucket=bucket.bucket, policy=policy, opts=after(opts, blocked, owned)
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle", bucket=bucket.bucket, rules=rules, opts=after(opts, versioned)
        )
        guards: tuple[pulumi.Resource, ...] = (versioned, encrypted, guarded)
        if lock:
            locked = aws.s3.BucketObjectLockConfiguration(
                f"{name}-lock", bucket=bucket.bucket, rule=lock, opts=after(opts, versioned)
            )
            guards += (locked,)
        return bucket, guards

    def _replicate(self, data: Kept, replica: Kept, there: Names) -> None:
        opts = self._kept_options(None)
        role = self._role(
            "replication",
            self._names.replication,
            trusted_by_service("s3.amazonaws.com"),
            pulumi.Output.all(data.key.arn, replica.key.arn).apply(
                lambda keys: replication_policy(self._names, there.region, keys[0], keys[1])
            ),
            "Copies backups into the second region",
            # The bucket's replication names it, and stays as well.
            opts=opts,
        )
        aws.s3.BucketReplicationConfig(
            f"{self._name}-data-replication",
            bucket=data.bucket.bucket,
            role=role.arn,
            rules=[
                {
                    "id": "everything",
                    "status": "Enabled",
                    "priority": 0,
                    "filter": {"prefix": ""},
                    # What expires here becomes an old version there too; without that the replica only ever grows. The
                    # versions behind a marker are as locked there as here.
                    "delete_marker_replication": {"status": "Enabled"},
                    "source_selection_criteria": {"sse_kms_encrypted_objects": {"status": "Enabled"}},
                    "destination": {
                        "bucket": there.bucket_arn(there.data),
                        "storage_class": REPLICA_CLASS,
                        "encryption_configuration": {"replica_kms_key_id": replica.key.arn},
                    },
                }
            ],
            opts=after(opts, *data.guards, *replica.guards),
        )

    def _role(
        self,
        part: str,
        role_name: str,
        trust: pulumi.Input[str],
        policy: pulumi.Input[str],
        description: str,
        max_session_duration: int | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> aws.iam.Role:
        opts = opts or pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            f"{self._name}-{part}",
            # Known outside: the bucket's policy names it.
            name=role_name,
            description=description,
            assume_role_policy=trust,
            max_session_duration=max_session_duration,
            tags=self._args.tags,
            opts=opts,
        )
        aws.iam.RolePolicy(f"{self._name}-{part}-policy", role=role.name, policy=policy, opts=opts)
        return role

    def _kept_options(self, provider: aws.Provider | None) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self,
            provider=provider,
            # `down` refuses, and takes everything else with --exclude-protected.
            protect=True,
            # Whoever takes the protection away loses the entries in the state, and no backup: the bucket's guards stay
            # with it, or it would be left without its policy and lifecycle.
            retain_on_delete=True,
        )


def after(opts: pulumi.ResourceOptions, *first: pulumi.Resource) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=first))
