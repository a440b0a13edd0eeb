"""Recorded inputs of AWS's resources as a configuration of Terraform: Pulumi's aws plugin is a bridge to that provider.

The names are found in the provider's own schema, so that a field which it does not have is an error here.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.recorder import Recording, computed

OTHERWISE = {
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": "aws_iam_openid_connect_provider",
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": "aws_s3_bucket_replication_configuration",
}
"""Types that Pulumi calls otherwise."""
Schema = Mapping[str, Any]


class Terraform:
    """A working folder with the provider in it."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder, self.endpoint = folder, endpoint

    def run(self, *arguments: str, timeout: int = 600) -> subprocess.CompletedProcess[str]:
        command = ["terraform", f"-chdir={self.folder}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout)

    def must(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def write(self, content: Mapping[str, Any]) -> None:
        (self.folder / "main.tf.json").write_text(json.dumps(content, indent=1))

    def schema(self) -> Schema:
        """The provider's, by type of resource."""
        (provider,) = json.loads(self.must("providers", "schema", "-json"))["provider_schemas"].values()
        found: Schema = provider["resource_schemas"]
        return found

    def configuration(self, recording: Recording, schema: Schema) -> dict[str, Any]:
        """Everything of AWS that the run registered, with its providers and what waits for what."""
        made = [one for one in recording.registrations if one.type.startswith("aws:")]
        types = {one.urn: terraform_type(one.type, schema) for one in made}
        references = {
            made_up: f"${{{types[one.urn]}.{one.name}.{snake(key)}}}"
            for one in made
            for key, made_up in computed(one.type, one.name, one.plain).items()
        }
        resources: dict[str, dict[str, Any]] = {}
        for one in made:
            body = block(one.plain, schema[types[one.urn]]["block"], f"{one.type} {one.name}")
            body["provider"] = f"aws.{provider_name(one.provider)}"
            waits = [urn for urn in one.dependencies if urn in types]
            body["depends_on"] = [f"{types[urn]}.{recording.by_urn(urn).name}" for urn in waits]
            resources.setdefault(types[one.urn], {})[one.name] = referring(body, references)
        regions = {provider_name(one.urn): one.plain["region"] for one in recording.of_type("pulumi:providers:aws")}
        return {
            "terraform": {"required_providers": {"aws": {"source": "hashicorp/aws"}}},
            "provider": {"aws": [self.provider(alias, region) for alias, region in regions.items()]},
            "resource": resources,
        }

    def provider(self, alias: str, region: str) -> dict[str, Any]:
        services = ("s3", "kms", "iam", "sts", "ec2", "logs", "elbv2", "acm", "route53", "wafv2")
        return {
            "alias": alias,
            "region": region,
            "access_key": "AKIAADMINISTRATOR",
            "secret_key": "s",
            "s3_use_path_style": True,
            "skip_metadata_api_check": "true",
            "endpoints": [dict.fromkeys(services, self.endpoint)],
        }


def provider_name(reference: str) -> str:
    """A provider's name from its URN, with or without its id."""
    return re.sub(r"[^a-z0-9-]", "-", reference.split("providers:aws::")[1].split("::")[0])


def terraform_type(token: str, schema: Schema) -> str:
    """`aws:s3/bucketPolicy:BucketPolicy` is `aws_s3_bucket_policy`, `aws:ec2/vpc:Vpc` is `aws_vpc`."""
    module, name = token.split(":")[1].split("/")
    guesses = (OTHERWISE.get(token), f"aws_{module}_{snake(name)}", f"aws_{snake(name)}")
    found = [guess for guess in guesses if guess in schema]
    assert found, f"{token} is nothing that the provider has"
    return str(found[0])


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: f"_{match[1].lower()}", name)


def block(inputs: Mapping[str, Any], schema: Schema, where: str) -> dict[str, Any]:
    """Inputs in the provider's names, which are singular where Pulumi's are plural."""
    attributes, blocks = schema.get("attributes", {}), schema.get("block_types", {})
    written: dict[str, Any] = {}
    for key, value in inputs.items():
        name = next((one for one in singular(snake(key)) if one in attributes or one in blocks), None)
        assert name, f"{where}: the provider has no {key}"
        if name in blocks:
            items = value if isinstance(value, list) else [value]
            written[name] = [block(item, blocks[name]["block"], f"{where}.{key}") for item in items]
        else:
            written[name] = value
    return written


def singular(name: str) -> Iterator[str]:
    yield name
    if name.endswith("ies"):
        yield f"{name[:-3]}y"
    if name.endswith("s"):
        yield name[:-1]


def referring(value: Any, references: Mapping[str, str]) -> Any:
    """With references in the place of what was made up, and nothing else that Terraform would take for one."""
    if isinstance(value, str):
        value = value.replace("${", "$${") if not value.startswith("${") else value
        for made_up, reference in references.items():
            value = value.replace(made_up, reference)
        return value
    if isinstance(value, list):
        return [referring(item, references) for item in value]
    if isinstance(value, dict):
        return {key: referring(item, references) for key, item in value.items()}
    return value
