"""What replaces a simulated AWS resource, asked again of the provider itself, where Terraform and it are installed.

A plan needs no account: the state is written by hand, with one property that the configuration does not have, or has
otherwise. What the provider then names in `replace_paths` must be what the row says. A property that the provider fills
in by itself shows nothing that way; the plans that were asked for the table gave those a value each.

It runs where `terraform` is on PATH and $GROUNDWORK_TF_PLUGINS (or /opt/tf-plugins) holds terraform-provider-aws.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sim.inputs import property_names
from sim.types import TYPES

MIRROR = Path(os.environ.get("GROUNDWORK_TF_PLUGINS", "/opt/tf-plugins"))
ADDRESS = "registry.terraform.io/hashicorp/aws"
FOUND = shutil.which("terraform") and sorted((MIRROR / ADDRESS).glob("*"))
pytestmark = pytest.mark.skipif(
    not FOUND, reason=f"terraform is not on PATH, or {MIRROR} has no terraform-provider-aws: nothing to ask"
)

ARN = "arn:aws:iam::123456789012:role/x"
POLICY = '{"Version":"2012-10-17","Statement":[]}'
BALANCER = "arn:aws:elasticloadbalancing:ap-southeast-1:123456789012:loadbalancer/app/x/1"
TARGETS = "arn:aws:elasticloadbalancing:ap-southeast-1:123456789012:targetgroup/x/1"
ACL = "arn:aws:wafv2:ap-southeast-1:123456789012:regional/webacl/x/1"
LOGS = "arn:aws:logs:ap-southeast-1:123456789012:log-group:x"
RULE = {
    "security_group_id": "sg-1", "ip_protocol": "tcp", "from_port": 80, "to_port": 80, "cidr_ipv4": "10.0.0.0/8",
}  # fmt: skip
SEEN = {"cloudwatch_metrics_enabled": True, "metric_name": "x", "sampled_requests_enabled": True}
BUCKET = {"bucket": "xxx"}

# By the row's token: the provider's name of the type, and a configuration that it takes.
BASES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "aws:acm/certificate:Certificate": (
        "acm_certificate", {"domain_name": "a.example.com", "validation_method": "DNS"},
    ),
    "aws:acm/certificateValidation:CertificateValidation": (
        "acm_certificate_validation",
        {"certificate_arn": "arn:aws:acm:ap-southeast-1:123456789012:certificate/x"},
    ),
    "aws:cloudwatch/logGroup:LogGroup": ("cloudwatch_log_group", {"name": "x"}),
    "aws:ebs/volume:Volume": ("ebs_volume", {"availability_zone": "ap-southeast-1a", "size": 10}),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": ("default_security_group", {"vpc_id": "vpc-1"}),
    "aws:ec2/eip:Eip": ("eip", {"domain": "vpc"}),
    "aws:ec2/eipAssociation:EipAssociation": (
        "eip_association", {"instance_id": "i-1", "allocation_id": "eipalloc-1"},
    ),
    "aws:ec2/flowLog:FlowLog": (
        "flow_log",
        {"vpc_id": "vpc-1", "traffic_type": "ALL", "log_destination": LOGS, "iam_role_arn": ARN},
    ),
    "aws:ec2/instance:Instance": ("instance", {"ami": "ami-1", "instance_type": "t3.micro"}),
    "aws:ec2/internetGateway:InternetGateway": ("internet_gateway", {"vpc_id": "vpc-1"}),
    "aws:ec2/natGateway:NatGateway": ("nat_gateway", {"subnet_id": "subnet-1", "allocation_id": "eipalloc-1"}),
    "aws:ec2/route:Route": (
        "route", {"route_table_id": "rtb-1", "destination_cidr_block": "0.0.0.0/0", "gateway_id": "igw-1"},
    ),
    "aws:ec2/routeTable:RouteTable": ("route_table", {"vpc_id": "vpc-1"}),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": (
        "route_table_association", {"route_table_id": "rtb-1", "subnet_id": "subnet-1"},
    ),
    "aws:ec2/securityGroup:SecurityGroup": ("security_group", {"vpc_id": "vpc-1", "name": "x"}),
    "aws:ec2/subnet:Subnet": (
        "subnet", {"vpc_id": "vpc-1", "cidr_block": "10.0.0.0/24", "availability_zone": "ap-southeast-1a"},
    ),
    "aws:ec2/subnetCidrReservation:SubnetCidrReservation": (
        "ec2_subnet_cidr_reservation",
        {"cidr_block": "10.0.0.16/28", "reservation_type": "explicit", "subnet_id": "subnet-1"},
    ),
    "aws:ec2/volumeAttachment:VolumeAttachment": (
        "volume_attachment", {"device_name": "/dev/sdf", "volume_id": "vol-1", "instance_id": "i-1"},
    ),
    "aws:ec2/vpc:Vpc": ("vpc", {"cidr_block": "10.0.0.0/16"}),
    "aws:ec2/vpcEndpoint:VpcEndpoint": (
        "vpc_endpoint", {"vpc_id": "vpc-1", "service_name": "com.amazonaws.ap-southeast-1.s3"},
    ),
    "aws:iam/instanceProfile:InstanceProfile": ("iam_instance_profile", {"name": "x", "role": "r"}),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": (
        "iam_openid_connect_provider",
        {"url": "https://token.example.com", "client_id_list": ["sts.amazonaws.com"]},
    ),
    "aws:iam/role:Role": ("iam_role", {"name": "x", "assume_role_policy": POLICY}),
    "aws:iam/rolePolicy:RolePolicy": ("iam_role_policy", {"name": "x", "role": "r", "policy": POLICY}),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": (
        "iam_role_policy_attachment", {"role": "r", "policy_arn": "arn:aws:iam::aws:policy/x"},
    ),
    "aws:kms/alias:Alias": ("kms_alias", {"name": "alias/x", "target_key_id": "k"}),
    "aws:kms/key:Key": ("kms_key", {}),
    "aws:lb/listener:Listener": (
        "lb_listener",
        {
            "load_balancer_arn": BALANCER, "port": 80, "protocol": "HTTP",
            "default_action": [{"type": "forward", "target_group_arn": TARGETS}],
        },
    ),
    "aws:lb/loadBalancer:LoadBalancer": (
        "lb", {"name": "x", "load_balancer_type": "application", "subnets": ["subnet-1", "subnet-2"]},
    ),
    "aws:lb/targetGroup:TargetGroup": (
        "lb_target_group",
        {"name": "x", "port": 80, "protocol": "HTTP", "vpc_id": "vpc-1", "target_type": "instance"},
    ),
    "aws:lb/targetGroupAttachment:TargetGroupAttachment": (
        "lb_target_group_attachment", {"target_group_arn": TARGETS, "target_id": "i-1", "port": 80},
    ),
    "aws:route53/record:Record": (
        "route53_record",
        {"zone_id": "Z1", "name": "a.example.com", "type": "A", "ttl": 60, "records": ["192.0.2.1"]},
    ),
    "aws:s3/bucket:Bucket": ("s3_bucket", BUCKET),
    "aws:s3/bucketLogging:BucketLogging": (
        "s3_bucket_logging", {**BUCKET, "target_bucket": "yyy", "target_prefix": "z"},
    ),
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": (
        "s3_bucket_object_lock_configuration",
        {**BUCKET, "rule": [{"default_retention": [{"mode": "GOVERNANCE", "days": 3}]}]},
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": (
        "s3_bucket_ownership_controls", {**BUCKET, "rule": [{"object_ownership": "BucketOwnerEnforced"}]},
    ),
    "aws:s3/bucketPolicy:BucketPolicy": ("s3_bucket_policy", {**BUCKET, "policy": POLICY}),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": ("s3_bucket_public_access_block", BUCKET),
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": (
        "s3_bucket_replication_configuration",
        {
            **BUCKET, "role": ARN,
            "rule": [{"id": "r", "status": "Enabled", "destination": [{"bucket": "arn:aws:s3:::yyy"}]}],
        },
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "s3_bucket_server_side_encryption_configuration",
        {**BUCKET, "rule": [{"apply_server_side_encryption_by_default": [{"sse_algorithm": "aws:kms"}]}]},
    ),
    "aws:s3/bucketVersioning:BucketVersioning": (
        "s3_bucket_versioning", {**BUCKET, "versioning_configuration": [{"status": "Enabled"}]},
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": ("vpc_security_group_egress_rule", RULE),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": ("vpc_security_group_ingress_rule", RULE),
    "aws:wafv2/webAcl:WebAcl": (
        "wafv2_web_acl",
        {"name": "x", "scope": "REGIONAL", "default_action": [{"allow": [{}]}], "visibility_config": [SEEN]},
    ),
    "aws:wafv2/webAclAssociation:WebAclAssociation": (
        "wafv2_web_acl_association", {"resource_arn": BALANCER, "web_acl_arn": ACL},
    ),
    "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": (
        "wafv2_web_acl_logging_configuration", {"resource_arn": ACL, "log_destination_configs": [LOGS]},
    ),
}  # fmt: skip
UNASKED = {
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": "its provider can't plan over a state by hand",
}


def test_every_row_is_asked_about_or_says_why_not() -> None:
    assert {token for token in TYPES if token.startswith("aws:")} == BASES.keys() | UNASKED.keys()


@pytest.fixture(scope="module")
def replaced(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], bool]:
    """By token and property: whether the provider's plan replaces. One plan for all."""
    folder = tmp_path_factory.mktemp("terraform")
    version = Path(FOUND[-1]).name if FOUND else ""
    (folder / "main.tf").write_text(MAIN.format(version=version))
    (folder / "rc").write_text(f'provider_installation {{\n  filesystem_mirror {{ path = "{MIRROR}" }}\n}}\n')
    run(folder, "init", "-input=false")
    schemas = json.loads(run(folder, "providers", "schema", "-json"))["provider_schemas"][ADDRESS]["resource_schemas"]
    asked = list(questions(schemas))
    resources: dict[str, Any] = {}
    states = []
    for number, (token, _, attribute, value) in enumerate(asked):
        kind, base = BASES[token]
        resources.setdefault(f"aws_{kind}", {})[f"q{number}"] = base
        schema = schemas[f"aws_{kind}"]["version"]
        states.append(state_of(f"aws_{kind}", f"q{number}", schema, {**base, attribute: value}))
    (folder / "questions.tf.json").write_text(json.dumps({"resource": resources}))
    state = {"version": 4, "terraform_version": "1.0.0", "serial": 1, "lineage": "x", "outputs": {}}
    (folder / "terraform.tfstate").write_text(json.dumps(state | {"resources": states}))
    run(folder, "plan", "-refresh=false", "-lock=false", "-input=false", "-out=plan")
    planned = {it["name"]: it["change"] for it in json.loads(run(folder, "show", "-json", "plan"))["resource_changes"]}
    answers = {}
    for number, (token, name, attribute, _) in enumerate(asked):
        paths = planned[f"q{number}"].get("replace_paths") or []
        answers[token, name] = any(path[0] == attribute for path in paths)
    return answers


MAIN = """
terraform {{
  required_providers {{
    aws = {{
      source  = "hashicorp/aws"
      version = "{version}"
    }}
  }}
}}
provider "aws" {{
  region                      = "ap-southeast-1"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
}}
"""


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["terraform", *arguments],
        cwd=folder,
        env={**os.environ, "TF_CLI_CONFIG_FILE": str(folder / "rc")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def state_of(kind: str, name: str, version: int, attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        "mode": "managed",
        "type": kind,
        "name": name,
        "provider": f'provider["{ADDRESS}"]',
        "instances": [{"schema_version": version, "attributes": {"id": "x", **attributes}}],
    }


def questions(schemas: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Any]]:
    """Token, our property, the provider's attribute, and a value of it in the state that the configuration lacks."""
    for token, (kind, base) in BASES.items():
        row = TYPES[token]
        for attribute, described in schemas[f"aws_{kind}"]["block"]["attributes"].items():
            name = ours(attribute, property_names(row.args) - row.refused)
            filled_in = described.get("computed") and attribute not in base
            if name is None or filled_in or attribute in UNLIKE:
                continue
            yield token, name, attribute, other(described["type"], base.get(attribute))


UNLIKE = {"tags", "assume_role_policy", "policy", "destination_options"}
"""A map, and documents that the provider reads in the state as well."""


def ours(attribute: str, names: frozenset[str]) -> str | None:
    """`security_group_ids` ─► `securityGroupIds`; the bridge makes plurals of lists."""
    first, *rest = attribute.split("_")
    name = first + "".join(part.title() for part in rest)
    plurals = (f"{name}s", f"{name}es", re.sub("y$", "ies", name))
    return next((one for one in (name, *plurals) if one in names), None)


def other(kind: Any, value: Any) -> Any:
    if isinstance(kind, list):
        return {"k": "old"} if kind[0] == "map" else [other(kind[1], None)]
    if kind == "bool":
        return not value
    if kind == "number":
        return (value or 0) + 7
    return f"{value or 'x'}-old"


def test_the_provider_replaces_what_the_rows_replace(replaced: dict[tuple[str, str], bool]) -> None:
    assert len(replaced) > 200
    rows = {(token, name): name in {path.split(".")[0] for path in TYPES[token].replace_on} for token, name in replaced}
    assert replaced == rows
