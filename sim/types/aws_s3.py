"""S3's rows. Sources: sim/types/aws.py.

A bucket's configuration is in resources of its own: the inline one, which AWS's provider is giving up, is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from pulumi_aws import s3

from sim.aws_outputs import made_up, region_of
from sim.types.aws_row import row
from sim.types.row import Autoname, ResourceType, words
from sim.values import Properties, text


def bucket_of(around: Properties) -> str:
    return text(around, "bucket")


def bucket(identity: str, around: Properties) -> Properties:
    region = region_of(around)
    return {
        "arn": f"arn:aws:s3:::{identity}",
        "bucketDomainName": f"{identity}.s3.amazonaws.com",
        "bucketRegion": region,
        "bucketRegionalDomainName": f"{identity}.s3.{region}.amazonaws.com",
        "hostedZoneId": made_up("Z"),
        "objectLockEnabled": False,
    }


TYPES: Mapping[str, ResourceType] = {
    "aws:s3/bucket:Bucket": row(
        lambda: s3.BucketArgs,
        replace_on=words("bucket bucketPrefix objectLockEnabled"),
        computed_inputs=words("accelerationStatus acl bucket bucketPrefix objectLockEnabled policy requestPayer"),
        computed=words("""
            arn bucketDomainName bucketRegion bucketRegionalDomainName hostedZoneId websiteDomain websiteEndpoint
        """),
        sets=words("""
            grants grants.permissions lifecycleRules.noncurrentVersionTransitions lifecycleRules.transitions
            replicationConfiguration.rules
        """),
        autoname=Autoname(property="bucket", longest=63, lowered=True),
        refused=words("""
            accelerationStatus acl bucketNamespace corsRules grants lifecycleRules logging objectLockConfiguration
            policy replicationConfiguration requestPayer serverSideEncryptionConfiguration versioning website
        """),
        tagged=True,
        identify=bucket_of,
        compute=bucket,
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": row(
        lambda: s3.BucketLifecycleConfigurationArgs,
        replace_on=words("bucket expectedBucketOwner"),
        computed_inputs=words("expectedBucketOwner transitionDefaultMinimumObjectSize"),
        sets=words("rules.noncurrentVersionTransitions rules.transitions"),
        identify=bucket_of,
    ),
    "aws:s3/bucketLogging:BucketLogging": row(
        lambda: s3.BucketLoggingInitArgs,
        replace_on=words("bucket expectedBucketOwner"),
        sets=words("targetGrants"),
        identify=bucket_of,
    ),
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": row(
        lambda: s3.BucketObjectLockConfigurationInitArgs,
        replace_on=words("bucket expectedBucketOwner objectLockEnabled"),
        secret=words("token"),
        identify=bucket_of,
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": row(
        lambda: s3.BucketOwnershipControlsArgs,
        replace_on=words("bucket"),
        identify=bucket_of,
    ),
    "aws:s3/bucketPolicy:BucketPolicy": row(
        lambda: s3.BucketPolicyArgs,
        replace_on=words("bucket"),
        identify=bucket_of,
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": row(
        lambda: s3.BucketPublicAccessBlockArgs,
        replace_on=words("bucket"),
        identify=bucket_of,
    ),
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": row(
        lambda: s3.BucketReplicationConfigArgs,
        replace_on=words("bucket"),
        secret=words("token"),
        identify=bucket_of,
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": row(
        lambda: s3.BucketServerSideEncryptionConfigurationInitArgs,
        replace_on=words("bucket expectedBucketOwner"),
        sets=words("rules"),
        identify=bucket_of,
    ),
    "aws:s3/bucketVersioning:BucketVersioning": row(
        lambda: s3.BucketVersioningInitArgs,
        replace_on=words("bucket expectedBucketOwner"),
        identify=bucket_of,
    ),
}
