"""What replaces a simulated AWS resource, held against a source that is not the provider's.

AWS publishes a schema of every resource type; the wheel of cfn-lint carries them. Its `createOnlyProperties` can't
change on a living resource. The provider's table need not be the same: it knows calls that those schemas' updates do
not use, and where it knows none, it replaces. Both are listed here, each with its reason, so that no row is wrong in
silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import pytest

from sim.inputs import property_names
from sim.types import TYPES

SCHEMAS = files("cfnlint").joinpath("data/schemas")
AWS_TYPES: Mapping[str, str] = {
    "aws:acm/certificate:Certificate": "CertificateManager::Certificate",
    "aws:cloudwatch/logGroup:LogGroup": "Logs::LogGroup",
    "aws:ebs/volume:Volume": "EC2::Volume",
    "aws:ec2/eip:Eip": "EC2::EIP",
    "aws:ec2/eipAssociation:EipAssociation": "EC2::EIPAssociation",
    "aws:ec2/flowLog:FlowLog": "EC2::FlowLog",
    "aws:ec2/instance:Instance": "EC2::Instance",
    "aws:ec2/internetGateway:InternetGateway": "EC2::InternetGateway",
    "aws:ec2/natGateway:NatGateway": "EC2::NatGateway",
    "aws:ec2/route:Route": "EC2::Route",
    "aws:ec2/routeTable:RouteTable": "EC2::RouteTable",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "EC2::SubnetRouteTableAssociation",
    "aws:ec2/securityGroup:SecurityGroup": "EC2::SecurityGroup",
    "aws:ec2/subnet:Subnet": "EC2::Subnet",
    "aws:ec2/subnetCidrReservation:SubnetCidrReservation": "EC2::SubnetCidrReservation",
    "aws:ec2/volumeAttachment:VolumeAttachment": "EC2::VolumeAttachment",
    "aws:ec2/vpc:Vpc": "EC2::VPC",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "EC2::VPCEndpoint",
    "aws:iam/instanceProfile:InstanceProfile": "IAM::InstanceProfile",
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": "IAM::OIDCProvider",
    "aws:iam/role:Role": "IAM::Role",
    "aws:iam/rolePolicy:RolePolicy": "IAM::RolePolicy",
    "aws:kms/alias:Alias": "KMS::Alias",
    "aws:kms/key:Key": "KMS::Key",
    "aws:lb/listener:Listener": "ElasticLoadBalancingV2::Listener",
    "aws:lb/loadBalancer:LoadBalancer": "ElasticLoadBalancingV2::LoadBalancer",
    "aws:lb/targetGroup:TargetGroup": "ElasticLoadBalancingV2::TargetGroup",
    "aws:route53/record:Record": "Route53::RecordSet",
    "aws:s3/bucket:Bucket": "S3::Bucket",
    "aws:s3/bucketPolicy:BucketPolicy": "S3::BucketPolicy",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "EC2::SecurityGroupEgress",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "EC2::SecurityGroupIngress",
    "aws:wafv2/webAcl:WebAcl": "WAFv2::WebACL",
    "aws:wafv2/webAclAssociation:WebAclAssociation": "WAFv2::WebACLAssociation",
    "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": "WAFv2::LoggingConfiguration",
}

BUCKET_PART = "part of AWS::S3::Bucket, which changes all of it in place: the row replaces with its bucket alone"
WITHOUT_AWS_TYPE: Mapping[str, str] = {
    "aws:acm/certificateValidation:CertificateValidation": "a wait of the provider's, nothing of AWS",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "comes with its VPC",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "part of AWS::IAM::Role",
    "aws:lb/targetGroupAttachment:TargetGroupAttachment": "part of AWS::ElasticLoadBalancingV2::TargetGroup",
    **{token: BUCKET_PART for token in TYPES if token.startswith("aws:s3/") and token not in AWS_TYPES},
}

# Where a property is not called the same, or is a part of ours.
NAMES: Mapping[str, Mapping[str, str]] = {
    "aws:acm/certificate:Certificate": {"DomainValidationOptions": "validationOptions"},
    "aws:cloudwatch/logGroup:LogGroup": {"LogGroupName": "name"},
    "aws:ec2/eipAssociation:EipAssociation": {"EIP": "publicIp"},
    "aws:ec2/flowLog:FlowLog": {"DeliverLogsPermissionArn": "iamRoleArn", "ResourceId": "vpcId"},
    "aws:ec2/instance:Instance": {
        "HibernationOptions": "hibernation",
        "ImageId": "ami",
        "PlacementGroupName": "placementGroup",
        "PrivateIpAddress": "privateIp",
    },
    "aws:ec2/natGateway:NatGateway": {"PrivateIpAddress": "privateIp"},
    "aws:ec2/securityGroup:SecurityGroup": {"GroupDescription": "description", "GroupName": "name"},
    "aws:ec2/subnetCidrReservation:SubnetCidrReservation": {"Cidr": "cidrBlock"},
    "aws:ec2/volumeAttachment:VolumeAttachment": {"Device": "deviceName"},
    "aws:iam/instanceProfile:InstanceProfile": {"InstanceProfileName": "name"},
    "aws:iam/role:Role": {"RoleName": "name"},
    "aws:iam/rolePolicy:RolePolicy": {"PolicyName": "name", "RoleName": "role"},
    "aws:kms/alias:Alias": {"AliasName": "name"},
    "aws:lb/loadBalancer:LoadBalancer": {"Scheme": "internal", "Type": "loadBalancerType"},
    "aws:route53/record:Record": {"HostedZoneId": "zoneId"},
    "aws:s3/bucket:Bucket": {"BucketName": "bucket", "BucketNamePrefix": "bucketPrefix"},
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": {
        "CidrIp": "cidrIpv4",
        "DestinationPrefixListId": "prefixListId",
        "DestinationSecurityGroupId": "referencedSecurityGroupId",
        "GroupId": "securityGroupId",
    },
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": {
        "CidrIp": "cidrIpv4",
        "GroupId": "securityGroupId",
        "SourcePrefixListId": "prefixListId",
        "SourceSecurityGroupId": "referencedSecurityGroupId",
    },
    "aws:wafv2/webAclAssociation:WebAclAssociation": {"WebACLArn": "webAclArn"},
}

RULE_IN_PLACE = dict.fromkeys(
    ("cidrIpv4", "cidrIpv6", "fromPort", "ipProtocol", "prefixListId", "referencedSecurityGroupId", "toPort"),
    "the provider calls ModifySecurityGroupRules: only another kind of source replaces",
)
UPDATED_IN_PLACE: Mapping[str, Mapping[str, str]] = {
    "aws:ec2/instance:Instance": {
        "hostResourceGroupArn": "the provider's plan does not replace, as computed",
        "ipv6AddressCount": "the provider assigns addresses and takes them back",
    },
    "aws:ec2/routeTableAssociation:RouteTableAssociation": {
        "routeTableId": "the provider calls ReplaceRouteTableAssociation"
    },
    "aws:ec2/vpcEndpoint:VpcEndpoint": {"dnsOptions": "two of its parts came with version 6, and can't be given here"},
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": RULE_IN_PLACE,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": RULE_IN_PLACE,
}
"""Create-only for AWS's schema, and changed in place by the provider."""

PREFIX = "the name that AWS makes of it"
STOPPED = "there is a call that changes it on a stopped instance; the provider does not use it"
PART = "part of another property there, or of the API alone"
NONE_NAMED = "the schema names none; ModifyVolume knows size, type, iops and throughput alone"
BEYOND: Mapping[str, Mapping[str, str]] = {
    "aws:acm/certificate:Certificate": {"validationMethod": "there is no call that changes it"},
    "aws:cloudwatch/logGroup:LogGroup": {"logGroupClass": "there is no call that changes it", "namePrefix": PREFIX},
    "aws:ebs/volume:Volume": dict.fromkeys(
        ("availabilityZone", "encrypted", "kmsKeyId", "multiAttachEnabled", "outpostArn", "snapshotId"), NONE_NAMED
    ),
    "aws:ec2/eip:Eip": dict.fromkeys(("domain", "publicIpv4Pool"), "given with AllocateAddress, and by no later call"),
    "aws:ec2/eipAssociation:EipAssociation": {"allowReassociation": "a word of AssociateAddress alone"},
    "aws:ec2/flowLog:FlowLog": dict.fromkeys(
        ("eniId", "subnetId", "transitGatewayAttachmentId", "transitGatewayId"), "ResourceId as well"
    ),
    "aws:ec2/instance:Instance": {
        **dict.fromkeys(("ebsOptimized", "hostId", "privateDnsNameOptions", "tenancy"), STOPPED),
        **dict.fromkeys(
            (
                "associatePublicIpAddress",
                "ebsBlockDevices",
                "ephemeralBlockDevices",
                "instanceMarketOptions",
                "placementPartitionNumber",
                "rootBlockDevice.encrypted",
                "rootBlockDevice.kmsKeyId",
            ),
            PART,
        ),
    },
    "aws:ec2/routeTableAssociation:RouteTableAssociation": {"gatewayId": "AWS::EC2::GatewayRouteTableAssociation"},
    "aws:ec2/securityGroup:SecurityGroup": {"namePrefix": PREFIX},
    "aws:ec2/vpc:Vpc": {"instanceTenancy": "from dedicated to default there is a call, and none back"},
    "aws:iam/instanceProfile:InstanceProfile": {"namePrefix": PREFIX},
    "aws:iam/role:Role": {"namePrefix": PREFIX},
    "aws:iam/rolePolicy:RolePolicy": {"namePrefix": PREFIX},
    "aws:kms/alias:Alias": {"namePrefix": PREFIX},
    "aws:kms/key:Key": dict.fromkeys(
        ("customKeyStoreId", "customerMasterKeySpec", "keyUsage", "multiRegion", "xksKeyId"),
        "given with CreateKey, and by no later call; the schema's update fails on it",
    ),
    "aws:lb/loadBalancer:LoadBalancer": {"customerOwnedIpv4Pool": PART, "namePrefix": PREFIX},
    "aws:lb/targetGroup:TargetGroup": {"namePrefix": PREFIX},
    "aws:route53/record:Record": {"name": "a record of another name is another record"},
    "aws:s3/bucket:Bucket": {"objectLockEnabled": "the provider replaces; BucketObjectLockConfiguration does not"},
    "aws:wafv2/webAcl:WebAcl": {"namePrefix": PREFIX},
    "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": {
        "logDestinationConfigs": "PutLoggingConfiguration would; the provider replaces"
    },
}
"""What the provider replaces, and AWS's schema does not call create-only."""


def schema_of(token: str) -> dict[str, Any]:
    kept = json.loads(SCHEMAS.joinpath("providers/us-east-1.json").read_text())[f"AWS::{AWS_TYPES[token]}"]
    schema: dict[str, Any] = json.loads(SCHEMAS.joinpath(f"resources/{kept}.json").read_text())
    return schema


def create_only(token: str) -> set[str]:
    """The properties that can't change, by our names; those that our row can't be given are left out."""
    row, names = TYPES[token], NAMES.get(token, {})
    tops = {path.split("/")[2] for path in schema_of(token).get("createOnlyProperties", ())}
    assert names.keys() <= tops, f"{token}: no longer create-only there: {names.keys() - tops}"
    return {names.get(top) or lowered(top) for top in tops} & (property_names(row.args) - row.refused)


def lowered(name: str) -> str:
    return re.sub("^[A-Z]+(?=[A-Z][a-z]|$)|^[A-Z]", lambda found: found[0].lower(), name)


def replacing(token: str) -> set[str]:
    row = TYPES[token]
    return set(row.replace_on) - {"region"} - row.refused


def test_every_type_has_a_second_source_or_a_reason_for_none() -> None:
    assert {token for token in TYPES if token.startswith("aws:")} == AWS_TYPES.keys() | WITHOUT_AWS_TYPE.keys()


@pytest.mark.parametrize("token", AWS_TYPES)
def test_what_aws_can_not_change_replaces(token: str) -> None:
    missing = create_only(token) - {path.split(".")[0] for path in replacing(token)}
    assert missing == UPDATED_IN_PLACE.get(token, {}).keys()


@pytest.mark.parametrize("token", AWS_TYPES)
def test_what_replaces_beyond_that_has_a_reason(token: str) -> None:
    beyond = {path for path in replacing(token) if path.split(".")[0] not in create_only(token)}
    assert beyond == BEYOND.get(token, {}).keys()


@pytest.mark.parametrize("token", [token for token in WITHOUT_AWS_TYPE if token.startswith("aws:s3/")])
def test_a_part_of_a_bucket_is_replaced_with_its_bucket_alone(token: str) -> None:
    assert replacing(token) <= {"bucket", "expectedBucketOwner", "objectLockEnabled"}
    assert "bucket" in replacing(token)
