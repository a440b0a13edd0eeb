"""The rules of policy/ on the real engine: one seeded violation of each, and every stack of the repository."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from policy.rules import RULES
from tests.engine.conftest import PROJECT, StackOf
from tests.engine.stack import ROOT, Run, Stack
from tests.policy_cases import BUCKET_POLICY, ENCRYPTION, OURS, TLS_ONLY, allowing
from tests.sample import stack_files, with_secrets

PACK = ["--policy-pack", str(ROOT / "policy")]
PROGRAM = """
import json, pathlib, pulumi

made = {}
for type_, name, props, protect, taken in json.loads(pathlib.Path(__file__).with_name("resources.json").read_text()):
    props |= {key: made[other].id for key, other in taken.items()}
    made[name] = pulumi.CustomResource(type_, name, props, pulumi.ResourceOptions(protect=protect))
"""
"""Makes resources by type and properties alone: what a component would have to get wrong."""
DIGEST = f"sha256:{'a' * 64}"
TAGS = {"tags": OURS}


@dataclass(frozen=True)
class Seed:
    """A resource that is wrong in exactly one way, in a stack of that name."""

    type: str
    props: dict[str, Any]
    says: str
    stack: str = "prod"
    protect: bool = False
    others: tuple[list[Any], ...] = ()
    """Resources beside it, as `made` writes them."""


INSTANCE = {
    "ami": "ami-0123456789abcdef0",
    "instanceType": "t3.small",
    "rootBlockDevice": {"encrypted": True},
    "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
    "disableApiTermination": True,
    **TAGS,
}
LISTENER = {
    "loadBalancerArn": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/a/1",
    "port": 80,
    "protocol": "HTTP",
    **TAGS,
}
BUCKET_NAME = "seeded-bucket"
TLS_POLICY = json.dumps({"Version": "2012-10-17", "Statement": [TLS_ONLY]})
ENCRYPTION_RULES = [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]
FORWARD = {
    "type": "forward",
    "targetGroupArn": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/a/1",
}
NAT = {"allocationId": "eipalloc-1", "subnetId": "subnet-1", **TAGS}


def made(type_: str, name: str, props: dict[str, Any], protect: bool = False, **taken: str) -> list[Any]:
    """One resource for PROGRAM; `taken` are properties that get the id of an earlier one."""
    return [type_, name, props, protect, taken]


SEEDS = {
    "world-reaches-only-the-web": Seed(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {
            "securityGroupId": "sg-1", "ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "cidrIpv4": "0.0.0.0/0",
            **TAGS,
        },
        says="opens port 22 (ssh) to 0.0.0.0/0",
    ),
    "only-the-gateway-is-published": Seed(
        "docker:index/container:Container",
        {"image": DIGEST, "name": "seeded", "ports": [{"internal": 5432, "external": 5432}]},
        says="publishes 5432 (PostgreSQL) on 0.0.0.0",
    ),
    "disks-are-encrypted": Seed(
        "aws:ebs/volume:Volume",
        {"availabilityZone": "eu-central-1a", "size": 8, **TAGS},
        protect=True,
        says="encrypted is not true",
    ),
    "listeners-speak-tls": Seed(
        "aws:lb/listener:Listener", LISTENER | {"defaultActions": [FORWARD]}, says="listens to HTTP"
    ),
    "buckets-are-closed": Seed(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        {"bucket": BUCKET_NAME, "blockPublicAcls": True},
        says="restrictPublicBuckets is not true",
    ),
    "buckets-have-their-guards": Seed(
        "aws:s3/bucket:Bucket",
        TAGS,
        others=(
            made(BUCKET_POLICY, "policy", {"policy": TLS_POLICY}, bucket="seeded"),
            made(ENCRYPTION, "encryption", {"rules": ENCRYPTION_RULES}, bucket="seeded"),
        ),
        says="has no public access block of its own",
    ),
    "identities-have-no-wildcards": Seed(
        "aws:iam/rolePolicy:RolePolicy",
        {"role": "deployer", "policy": allowing(Action=["ec2:DescribeVpcs", "ec2:RunInstances"], Resource="*")},
        says="allows ec2:RunInstances on *",
    ),
    "roles-say-who-takes-them": Seed(
        "aws:iam/role:Role",
        {"assumeRolePolicy": allowing(Action="sts:AssumeRole", Principal={"AWS": "*"}), **TAGS},
        says="may be taken by everybody",
    ),
    "metadata-needs-a-token": Seed(
        "aws:ec2/instance:Instance",
        INSTANCE | {"metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 2}},
        says="metadataOptions.httpPutResponseHopLimit is 2",
    ),
    "data-is-protected": Seed(
        "aws:ebs/volume:Volume",
        {"availabilityZone": "eu-central-1a", "size": 8, "encrypted": True, **TAGS},
        says="is not protected",
    ),
    "one-nat-outside-production": Seed(
        "aws:ec2/natGateway:NatGateway",
        NAT,
        stack="staging",
        others=(made("aws:ec2/natGateway:NatGateway", "first", NAT),),
        says="is one of 2 NAT gateways",
    ),
    "containers-stay-inside": Seed(
        "docker:index/container:Container",
        {"image": DIGEST, "name": "seeded", "volumes": [{"hostPath": "/var/run/docker.sock", "containerPath": "/s"}]},
        says="mounts the container engine's socket",
    ),
    "production-runs-digests": Seed(
        "kubernetes:core/v1:Pod",
        {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "seeded", "namespace": "default"},
            "spec": {"containers": [{"name": "web", "image": "nginx:1.30"}]},
        },
        says="runs nginx:1.30, which can be another image tomorrow",
    ),
    "resources-say-whose-they-are": Seed(
        "aws:ec2/eip:Eip", {"domain": "vpc", "tags": {"project": "shop"}}, says="has no tag stack, system, managed-by"
    ),
}  # fmt: skip

Seeded = Callable[[str, list[Any]], Stack]


@pytest.fixture
def seeded(stack_of: StackOf, tmp_path: Path) -> Seeded:
    """A stack of the given name that makes the given resources: as `made` writes them."""

    def new(name: str, resources: list[Any]) -> Stack:
        folder = tmp_path / "seeded"
        folder.mkdir()
        (folder / "Pulumi.yaml").write_text(PROJECT)
        (folder / "__main__.py").write_text(PROGRAM)
        (folder / "resources.json").write_text(json.dumps(resources))
        stack_file = folder / f"Pulumi.{name}.yaml"
        stack_file.write_text("config: {}\n")
        return stack_of(folder, stack_file)

    return new


def resources_of(seed: Seed) -> list[Any]:
    return [made(seed.type, "seeded", seed.props, seed.protect), *seed.others]


def violated(run: Run) -> set[tuple[str, str]]:
    """Rule and resource of each violation that the engine reported."""
    return {(policy.rule, policy.resource) for policy in run.violations}


def test_every_rule_has_a_seed() -> None:
    assert SEEDS.keys() == {rule.name for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_violation_fails_the_preview_with_resource_rule_and_remedy(seeded: Seeded, rule: Any) -> None:
    seed = SEEDS[rule.name]
    run = seeded(seed.stack, resources_of(seed)).preview(*PACK)
    assert run.code != 0, run.output
    assert violated(run) == {(rule.name, "seeded")}, run.output
    assert all(policy.mandatory and policy.pack == "groundwork@1.0.0" for policy in run.violations)
    for part in (rule.name, f"seeded {seed.says}", f"Instead: {rule.remedy}"):
        assert part in run.output


def test_an_up_ends_before_the_violation_is_made(seeded: Seeded) -> None:
    seed = SEEDS["containers-stay-inside"]
    stack = seeded("dev", resources_of(seed))
    assert stack.up("", *PACK).code != 0
    assert seed.type not in {resource["type"] for resource in stack.resources()}


def test_a_value_that_is_not_known_yet_hides_no_other(seeded: Seeded) -> None:
    image = made("docker:index/remoteImage:RemoteImage", "image", {"name": f"nginx@{DIGEST}"})
    container = made("docker:index/container:Container", "seeded", {"name": "x", "privileged": True}, image="image")
    run = seeded("prod", [image, container]).preview(*PACK)
    assert violated(run) == {("containers-stay-inside", "seeded")}, run.output


def test_the_packs_configuration_names_further_stacks_that_are_production(seeded: Seeded, tmp_path: Path) -> None:
    stack = seeded("shop", [made("docker:index/container:Container", "seeded", {"name": "x", "image": "nginx:1.30"})])
    assert stack.preview(*PACK).code == 0
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"production-runs-digests": {"production": ["shop"]}}))
    assert violated(stack.preview(*PACK, "--policy-pack-config", str(config))) == {
        ("production-runs-digests", "seeded")
    }


@pytest.mark.parametrize("stack_file", stack_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_stack_of_the_repository_keeps_all_rules(stack_of: StackOf, stack_file: Path, tmp_path: Path) -> None:
    given = tmp_path / stack_file.name
    given.write_text(yaml.safe_dump({"config": with_secrets(stack_file)[0]}))
    run = stack_of(stack_file.parent, given).preview(*PACK)
    assert run.code == 0 and not run.violations, run.output
    assert "groundwork@v1.0.0" in run.output
