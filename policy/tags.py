"""Whose a resource of AWS is, for whoever finds it in the account or on the bill."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .rule import Resource, Rule, Stack, Unknown, types

REQUIRED = ("project", "stack", "system", "managed-by")
TAGGED = types("""
    aws:
    alb/listener:Listener
    acm/certificate:Certificate
    cloudwatch/logGroup:LogGroup
    ebs/snapshotCopy:SnapshotCopy ebs/volume:Volume
    ec2/defaultSecurityGroup:DefaultSecurityGroup ec2/eip:Eip ec2/flowLog:FlowLog ec2/instance:Instance
    ec2/internetGateway:InternetGateway ec2/launchTemplate:LaunchTemplate ec2/natGateway:NatGateway
    ec2/routeTable:RouteTable ec2/securityGroup:SecurityGroup ec2/subnet:Subnet ec2/vpc:Vpc
    ec2/vpcEndpoint:VpcEndpoint
    efs/fileSystem:FileSystem
    iam/instanceProfile:InstanceProfile iam/openIdConnectProvider:OpenIdConnectProvider iam/policy:Policy
    iam/role:Role iam/user:User
    kms/key:Key
    lb/listener:Listener lb/loadBalancer:LoadBalancer lb/targetGroup:TargetGroup
    rds/cluster:Cluster rds/instance:Instance
    s3/bucket:Bucket s3/bucketV2:BucketV2
    vpc/securityGroupEgressRule:SecurityGroupEgressRule vpc/securityGroupIngressRule:SecurityGroupIngressRule
    wafv2/ipSet:IpSet wafv2/webAcl:WebAcl
""")
"""Types with tags of their own; the others (policies, attachments, routes, settings of a bucket) have none."""


def of_tags(resource: Resource, _stack: Stack) -> Iterator[str]:
    given = [resource.props.get("tags"), resource.props.get("tagsAll"), resource.tags]
    if any(isinstance(tags, Unknown) for tags in given):
        return
    found = {key for tags in given if isinstance(tags, Mapping) for key, value in tags.items() if value != ""}
    missing = [tag for tag in REQUIRED if tag not in found]
    if missing:
        yield f"has no tag {', '.join(missing)}"


REQUIRED_TAGS = Rule(
    name="resources-say-whose-they-are",
    description=f"Everything of AWS that has tags says {', '.join(REQUIRED[:-1])} and {REQUIRED[-1]}.",
    remedy="Pass on the `tags` that the component is given, or take a provider with these as default tags.",
    types=TAGGED,
    judge=of_tags,
)
