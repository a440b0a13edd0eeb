"""Recorded inputs as calls of AWS's own API, to an account of moto that listens on loopback.

botocore refuses names and types that AWS's description of its API does not have; moto keeps what it is given.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

from tests.recorder import Recording, Registration, computed

WORDS = {
    "id": "ID",
    "kmsMasterKeyId": "KMSMasterKeyID",
    "replicaKmsKeyId": "ReplicaKmsKeyID",
    "sseAlgorithm": "SSEAlgorithm",
    "sseKmsEncryptedObjects": "SseKmsEncryptedObjects",
}
"""Where the API's word is not the provider's with a capital."""
Inputs = Mapping[str, Any]
Make = Callable[["Account", str, Inputs], Mapping[str, Any]]


class Account:
    """One account. `make` does what a deployment of a recorded run would do."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._real: dict[str, str] = {}
        self._clients: dict[tuple[str, ...], Any] = {}

    def client(self, service: str, region: str, session: Mapping[str, str] | None = None) -> Any:
        """As the account's administrator, or with the credentials of a role's session."""
        keys = session or {"AccessKeyId": "AKIAADMINISTRATOR", "SecretAccessKey": "s"}
        which = (service, region, keys["AccessKeyId"])
        if which not in self._clients:
            self._clients[which] = boto3.client(
                service,
                region_name=region,
                endpoint_url=self.endpoint,
                aws_access_key_id=keys["AccessKeyId"],
                aws_secret_access_key=keys["SecretAccessKey"],
                aws_session_token=keys.get("SessionToken"),
                config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
            )
        return self._clients[which]

    def session(self, role_arn: str, region: str) -> Mapping[str, str]:
        answer = self.client("sts", region).assume_role(RoleArn=role_arn, RoleSessionName="test")
        return dict(answer["Credentials"])

    def ask(self, path: str, body: str) -> None:
        plain = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{self.endpoint}/moto-api/{path}", body.encode(), plain)
        urllib.request.urlopen(request).close()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Within it moto asks the policies of identities before it does anything."""
        self.ask("reset-auth", "0")
        try:
            yield
        finally:
            self.ask("reset-auth", "inf")

    def make(self, recording: Recording) -> None:
        """KeyError for a type that nobody has put into words here."""
        for one in recording.registrations:
            if one.type.startswith("aws:"):
                region = region_of(recording, one)
                answer = CALLS[one.type](self, region, self.real(one.plain))
                for key, made_up in computed(one.type, one.name, one.plain).items():
                    self._real[made_up] = answer[key]

    def real(self, value: Any) -> Any:
        """With what the account has given in the place of what was made up."""
        if isinstance(value, str):
            for made_up, real in self._real.items():
                value = value.replace(made_up, real)
            return value
        if isinstance(value, list):
            return [self.real(item) for item in value]
        if isinstance(value, dict):
            return {key: self.real(item) for key, item in value.items()}
        return int(value) if isinstance(value, float) else value


@contextmanager
def an_account() -> Iterator[Account]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        account = Account(f"http://{host}:{port}")
        account.ask("reset", "")
        yield account
    finally:
        server.stop()


def region_of(recording: Recording, one: Registration) -> str:
    provider = recording.by_urn(one.provider.rpartition("::")[0])
    return str(provider.plain["region"])


def words(value: Any) -> Any:
    """The provider's words as the API's."""
    if isinstance(value, list):
        return [words(item) for item in value]
    if isinstance(value, dict):
        return {WORDS.get(key, key[0].upper() + key[1:]): words(item) for key, item in value.items()}
    return value


def tags(inputs: Inputs, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    return [{key: name, value: text} for name, text in inputs.get("tags", {}).items()]


def bucket(account: Account, region: str, inputs: Inputs) -> Mapping[str, Any]:
    s3, name = account.client("s3", region), inputs["bucket"]
    s3.create_bucket(
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": region},
        ObjectLockEnabledForBucket=inputs["objectLockEnabled"],
    )
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags(inputs)})
    return {}


def of_bucket(method: str, parameter: str, content: Callable[[Inputs], Any]) -> Make:
    """A call that sets one thing of a bucket."""

    def make(account: Account, region: str, inputs: Inputs) -> Mapping[str, Any]:
        call = getattr(account.client("s3", region), method)
        call(Bucket=inputs["bucket"], **{parameter: content(inputs)})
        return {}

    return make


def key(account: Account, region: str, inputs: Inputs) -> Mapping[str, Any]:
    kms = account.client("kms", region)
    made = kms.create_key(
        Description=inputs["description"], Policy=inputs["policy"], Tags=tags(inputs, "TagKey", "TagValue")
    )["KeyMetadata"]
    if inputs["enableKeyRotation"]:
        kms.enable_key_rotation(KeyId=made["KeyId"])
    return {"arn": made["Arn"], "keyId": made["KeyId"]}


def alias(account: Account, region: str, inputs: Inputs) -> Mapping[str, Any]:
    account.client("kms", region).create_alias(AliasName=inputs["name"], TargetKeyId=inputs["targetKeyId"])
    return {}


def role(account: Account, region: str, inputs: Inputs) -> Mapping[str, Any]:
    made = account.client("iam", region).create_role(
        RoleName=inputs["name"],
        AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
        Description=inputs["description"],
        MaxSessionDuration=inputs.get("maxSessionDuration", 3600),
        Tags=tags(inputs),
    )
    return {"arn": made["Role"]["Arn"]}


def role_policy(account: Account, region: str, inputs: Inputs) -> Mapping[str, Any]:
    account.client("iam", region).put_role_policy(
        RoleName=inputs["role"], PolicyName="policy", PolicyDocument=inputs["policy"]
    )
    return {}


def identity_provider(account: Account, region: str, inputs: Inputs) -> Mapping[str, Any]:
    made = account.client("iam", region).create_open_id_connect_provider(
        Url=inputs["url"], ClientIDList=inputs["clientIdLists"], Tags=tags(inputs)
    )
    return {"arn": made["OpenIDConnectProviderArn"]}


def without_conditional_denials(inputs: Inputs) -> str:
    """moto takes every condition for met, and would refuse everything that is denied to somebody."""
    policy = json.loads(inputs["policy"])
    policy["Statement"] = [one for one in policy["Statement"] if one["Effect"] == "Allow" or "Condition" not in one]
    return json.dumps(policy)


def all_but(name: str) -> Callable[[Inputs], Any]:
    return lambda inputs: {word: value for word, value in words(inputs).items() if word != name}


CALLS: Mapping[str, Make] = {
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": identity_provider,
    "aws:iam/role:Role": role,
    "aws:iam/rolePolicy:RolePolicy": role_policy,
    "aws:kms/alias:Alias": alias,
    "aws:kms/key:Key": key,
    "aws:s3/bucket:Bucket": bucket,
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": of_bucket(
        "put_bucket_lifecycle_configuration", "LifecycleConfiguration", all_but("Bucket")
    ),
    "aws:s3/bucketLogging:BucketLogging": of_bucket(
        "put_bucket_logging", "BucketLoggingStatus", lambda inputs: {"LoggingEnabled": all_but("Bucket")(inputs)}
    ),
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": of_bucket(
        "put_object_lock_configuration",
        "ObjectLockConfiguration",
        lambda inputs: {"ObjectLockEnabled": "Enabled", "Rule": words(inputs["rule"])},
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": of_bucket(
        "put_bucket_ownership_controls", "OwnershipControls", lambda inputs: {"Rules": [words(inputs["rule"])]}
    ),
    "aws:s3/bucketPolicy:BucketPolicy": of_bucket("put_bucket_policy", "Policy", without_conditional_denials),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": of_bucket(
        "put_public_access_block", "PublicAccessBlockConfiguration", all_but("Bucket")
    ),
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": of_bucket(
        "put_bucket_replication", "ReplicationConfiguration", all_but("Bucket")
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": of_bucket(
        "put_bucket_encryption", "ServerSideEncryptionConfiguration", all_but("Bucket")
    ),
    "aws:s3/bucketVersioning:BucketVersioning": of_bucket(
        "put_bucket_versioning", "VersioningConfiguration", lambda inputs: words(inputs["versioningConfiguration"])
    ),
}
