"""The resources of an account that are known to be live, and what binds them to one another: names and references."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sim.values import Properties, at, text
from sim.world import Subject

VPC, SUBNET, SECURITY_GROUP = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "aws:ec2/securityGroup:SecurityGroup"
INTERNET_GATEWAY, NAT = "aws:ec2/internetGateway:InternetGateway", "aws:ec2/natGateway:NatGateway"
ROUTE, ROUTE_TABLE = "aws:ec2/route:Route", "aws:ec2/routeTable:RouteTable"
ROUTE_TABLE_ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"
ENDPOINT, EIP = "aws:ec2/vpcEndpoint:VpcEndpoint", "aws:ec2/eip:Eip"
EIP_ASSOCIATION = "aws:ec2/eipAssociation:EipAssociation"
INGRESS, EGRESS = (f"aws:vpc/securityGroup{way}Rule:SecurityGroup{way}Rule" for way in ("Ingress", "Egress"))
INSTANCE, VOLUME = "aws:ec2/instance:Instance", "aws:ebs/volume:Volume"
VOLUME_ATTACHMENT = "aws:ec2/volumeAttachment:VolumeAttachment"
LOAD_BALANCER, LISTENER = "aws:lb/loadBalancer:LoadBalancer", "aws:lb/listener:Listener"
TARGET_GROUP, CERTIFICATE = "aws:lb/targetGroup:TargetGroup", "aws:acm/certificate:Certificate"
LOG_GROUP, ALIAS, RECORD = "aws:cloudwatch/logGroup:LogGroup", "aws:kms/alias:Alias", "aws:route53/record:Record"
ROLE, ROLE_POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
PROFILE = "aws:iam/instanceProfile:InstanceProfile"
IDENTITY_PROVIDER = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
WEB_ACL, ACL_ASSOCIATION = "aws:wafv2/webAcl:WebAcl", "aws:wafv2/webAclAssociation:WebAclAssociation"
ACL_LOGGING = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"
BUCKET, VERSIONING = "aws:s3/bucket:Bucket", "aws:s3/bucketVersioning:BucketVersioning"
OBJECT_LOCK = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
REPLICATION = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"


@dataclass
class Live:
    """The resources known to be live, by (type token, id)."""

    _all: dict[tuple[str, str], Properties] = field(default_factory=dict)

    def put(self, subject: Subject, values: Properties) -> None:
        self._all[subject.token, subject.identity] = values

    def drop(self, subject: Subject) -> None:
        self._all.pop((subject.token, subject.identity), None)

    def one(self, token: str, identity: str) -> Properties | None:
        return self._all.get((token, identity))

    def of(self, token: str) -> Iterator[tuple[str, Properties]]:
        return ((identity, values) for (kind, identity), values in self._all.items() if kind == token)

    def bucket(self, name: str) -> Properties | None:
        return next((values for _, values in self.of(BUCKET) if text(values, "bucket") == name), None)

    def versioned(self, bucket: str) -> bool:
        return any(
            text(values, "bucket") == bucket and at(values, "versioningConfiguration.status") == "Enabled"
            for _, values in self.of(VERSIONING)
        )


@dataclass(frozen=True)
class Unique:
    """Properties that no two resources of a type have in common; `{}` in the words is the first of them."""

    properties: tuple[str, ...]
    words: str


RULE = (
    "securityGroupId",
    "ipProtocol",
    "fromPort",
    "toPort",
    "cidrIpv4",
    "cidrIpv6",
    "prefixListId",
    "referencedSecurityGroupId",
)
UNIQUE: Mapping[str, Unique] = {
    ALIAS: Unique(("name", "region"), "AlreadyExistsException: An alias with the name {} already exists"),
    BUCKET: Unique(("bucket",), "BucketAlreadyExists: the bucket {} is there already, here or in another account"),
    IDENTITY_PROVIDER: Unique(("url",), "EntityAlreadyExists: Provider with url {} already exists."),
    LOAD_BALANCER: Unique(("name", "region"), "DuplicateLoadBalancerName: a load balancer {} already exists"),
    LOG_GROUP: Unique(
        ("name", "region"), "ResourceAlreadyExistsException: The specified log group {} already exists"
    ),
    PROFILE: Unique(("name",), "EntityAlreadyExists: Instance Profile {} already exists."),
    RECORD: Unique(
        ("name", "type", "zoneId", "setIdentifier"),
        "InvalidChangeBatch: Tried to create resource record set {}, but it already exists",
    ),
    ROLE: Unique(("name",), "EntityAlreadyExists: Role with name {} already exists."),
    ROUTE: Unique(
        ("destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId", "routeTableId"),
        "RouteAlreadyExists: The route identified by {} already exists.",
    ),
    ROUTE_TABLE_ASSOCIATION: Unique(
        ("subnetId", "gatewayId"), "Resource.AlreadyAssociated: subnet {} has a route table of its own already"
    ),
    SECURITY_GROUP: Unique(("name", "vpcId"), "InvalidGroup.Duplicate: The security group '{}' already exists"),
    TARGET_GROUP: Unique(("name", "region"), "DuplicateTargetGroupName: a target group {} already exists"),
    WEB_ACL: Unique(("name", "scope", "region"), "WAFDuplicateItemException: a web ACL {} already exists"),
    INGRESS: Unique(RULE, "InvalidPermission.Duplicate: the same rule already exists in security group {}"),
    EGRESS: Unique(RULE, "InvalidPermission.Duplicate: the same rule already exists in security group {}"),
}

HELD: Mapping[str, tuple[tuple[str, str], ...]] = {
    CERTIFICATE: ((LISTENER, "certificateArn"),),
    EIP: ((NAT, "allocationId"),),
    SECURITY_GROUP: (
        (INSTANCE, "vpcSecurityGroupIds"),
        (LOAD_BALANCER, "securityGroups"),
        (ENDPOINT, "securityGroupIds"),
        (INGRESS, "referencedSecurityGroupId"),
        (EGRESS, "referencedSecurityGroupId"),
    ),
    SUBNET: ((INSTANCE, "subnetId"), (NAT, "subnetId"), (LOAD_BALANCER, "subnets"), (ENDPOINT, "subnetIds")),
    TARGET_GROUP: ((LISTENER, "defaultActions.targetGroupArn"),),
    VOLUME: ((VOLUME_ATTACHMENT, "volumeId"),),
    VPC: (
        (SUBNET, "vpcId"),
        (SECURITY_GROUP, "vpcId"),
        (INTERNET_GATEWAY, "vpcId"),
        (ROUTE_TABLE, "vpcId"),
        (ENDPOINT, "vpcId"),
    ),
    WEB_ACL: ((ACL_ASSOCIATION, "webAclArn"),),
}
"""What can't go while another resource names it."""

PROTECTED: Mapping[str, tuple[str, str]] = {
    INSTANCE: ("disableApiTermination", "OperationNotPermitted: The instance '{}' may not be terminated"),
    LOAD_BALANCER: ("enableDeletionProtection", "OperationNotPermitted: Load balancer '{}' can't be deleted"),
    LOG_GROUP: ("deletionProtectionEnabled", "OperationNotPermitted: The log group '{}' can't be deleted"),
}
