"""EC2's rows: network, machines and their disks. Sources: sim/types/aws.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pulumi_aws import ebs, ec2, vpc

from sim.aws_outputs import account_of, arn, made_up, public_address, region_of
from sim.types.aws_row import row
from sim.types.row import NAMED, ResourceType, words
from sim.values import Json, Properties, plain, text

Compute = Callable[[str, Properties], Properties]


def of_ec2(kind: str, **fixed: Json) -> Compute:
    """ARN and owner, and what else is always the same."""

    def compute(identity: str, around: Properties) -> Properties:
        return {"arn": arn(around, "ec2", f"{kind}/{identity}"), "ownerId": account_of(around), **fixed}

    return compute


def eip(identity: str, around: Properties) -> Properties:
    address = public_address(identity)
    return {
        "allocationId": identity,
        "arn": arn(around, "ec2", f"elastic-ip/{identity}"),
        "domain": "vpc",
        "publicDns": _dns_name("ec2", address, around),
        "publicIp": address,
    }


def _dns_name(prefix: str, address: str, around: Properties) -> str:
    zone = "compute.amazonaws.com" if prefix == "ec2" else "compute.internal"
    return f"{prefix}-{address.replace('.', '-')}.{region_of(around)}.{zone}"


def instance(identity: str, around: Properties) -> Properties:
    """Its address comes from the plan. Where none does, it is of the example range, as is a public one."""
    private = text(around, "privateIp") or public_address(f"private/{identity}")
    public = public_address(identity) if plain(around.get("associatePublicIpAddress")) is True else ""
    return {
        "arn": arn(around, "ec2", f"instance/{identity}"),
        "instanceState": "running",
        "primaryNetworkInterfaceId": made_up("eni"),
        "privateDns": _dns_name("ip", private, around),
        "privateIp": private,
        "publicDns": _dns_name("ec2", public, around) if public else "",
        "publicIp": public,
    }


def nat_gateway(_identity: str, around: Properties) -> Properties:
    allocation = text(around, "allocationId")
    return {
        "associationId": made_up("eipassoc"),
        "networkInterfaceId": made_up("eni"),
        "publicIp": public_address(allocation) if allocation else "",
    }


def vpc_(identity: str, around: Properties) -> Properties:
    tables = made_up("rtb")
    return {
        "arn": arn(around, "ec2", f"vpc/{identity}"),
        "defaultNetworkAclId": made_up("acl"),
        "defaultRouteTableId": tables,
        "defaultSecurityGroupId": made_up("sg"),
        "dhcpOptionsId": made_up("dopt"),
        "enableDnsHostnames": False,
        "mainRouteTableId": tables,
        "ownerId": account_of(around),
    }


def vpc_endpoint(identity: str, around: Properties) -> Properties:
    service = text(around, "serviceName").rpartition(".")[2]
    name = f"{identity}.{service}.{region_of(around)}.vpce.amazonaws.com"
    return {
        "arn": arn(around, "ec2", f"vpc-endpoint/{identity}"),
        "cidrBlocks": [],
        "dnsEntries": [{"dnsName": name, "hostedZoneId": made_up("Z")}],
        "networkInterfaceIds": [],
        "ownerId": account_of(around),
        "prefixListId": made_up("pl"),
        "routeTableIds": [],
        "securityGroupIds": [],
        "state": "available",
        "subnetIds": [],
    }


def security_group_rule(identity: str, around: Properties) -> Properties:
    return {"arn": arn(around, "ec2", f"security-group-rule/{identity}"), "securityGroupRuleId": identity}


TYPES: Mapping[str, ResourceType] = {
    "aws:ebs/volume:Volume": row(
        lambda: ebs.VolumeArgs,
        replace_on=words("availabilityZone encrypted kmsKeyId multiAttachEnabled outpostArn snapshotId"),
        computed_inputs=words("encrypted iops kmsKeyId size snapshotId throughput type"),
        computed=words("arn createTime"),
        refused=words("volumeInitializationRate"),
        tagged=True,
        identify=lambda _: made_up("vol"),
        compute=of_ec2("volume", encrypted=False, iops=100, kmsKeyId="", snapshotId="", throughput=0, type="gp2"),
    ),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": row(
        lambda: ec2.DefaultSecurityGroupArgs,
        replace_on=words("vpcId"),
        computed_inputs=words("egress ingress vpcId"),
        computed=words("arn description name namePrefix ownerId"),
        sets=words("egress ingress"),
        tagged=True,
        identify=lambda _: made_up("sg"),
        compute=of_ec2("security-group", name="default", egress=[], ingress=[]),
    ),
    "aws:ec2/eip:Eip": row(
        lambda: ec2.EipArgs,
        replace_on=words("address domain ipamPoolId networkBorderGroup publicIpv4Pool"),
        computed_inputs=words("domain instance ipamPoolId networkBorderGroup networkInterface publicIpv4Pool"),
        computed=words("""
            allocationId arn associationId carrierIp customerOwnedIp privateDns privateIp ptrRecord publicDns publicIp
        """),
        tagged=True,
        identify=lambda _: made_up("eipalloc"),
        compute=eip,
    ),
    "aws:ec2/eipAssociation:EipAssociation": row(
        lambda: ec2.EipAssociationArgs,
        replace_on=words("allocationId allowReassociation instanceId networkInterfaceId privateIpAddress publicIp"),
        computed_inputs=words("allocationId instanceId networkInterfaceId privateIpAddress publicIp"),
        identify=lambda _: made_up("eipassoc"),
    ),
    "aws:ec2/flowLog:FlowLog": row(
        lambda: ec2.FlowLogArgs,
        replace_on=words("""
            deliverCrossAccountRole destinationOptions eniId iamRoleArn logDestination logDestinationType logFormat
            maxAggregationInterval subnetId trafficType transitGatewayAttachmentId transitGatewayId vpcId
        """),
        computed_inputs=words("logDestination logFormat"),
        computed=words("arn"),
        refused=words("regionalNatGatewayId tagFieldSpecifications"),
        tagged=True,
        identify=lambda _: made_up("fl"),
        compute=of_ec2("vpc-flow-log"),
    ),
    "aws:ec2/instance:Instance": row(
        lambda: ec2.InstanceArgs,
        replace_on=words("""
            ami associatePublicIpAddress availabilityZone cpuOptions.coreCount cpuOptions.threadsPerCore
            ebsBlockDevices ebsOptimized enclaveOptions.enabled ephemeralBlockDevices hibernation hostId
            instanceMarketOptions ipv6Addresses keyName launchTemplate networkInterfaces placementGroup
            placementPartitionNumber privateDnsNameOptions privateIp rootBlockDevice.encrypted
            rootBlockDevice.kmsKeyId securityGroups subnetId tenancy
        """),
        computed_inputs=words("""
            ami associatePublicIpAddress availabilityZone disableApiStop disableApiTermination ebsOptimized
            enablePrimaryIpv6 hostId hostResourceGroupArn iamInstanceProfile instanceInitiatedShutdownBehavior
            instanceType ipv6AddressCount ipv6Addresses keyName monitoring placementGroup placementPartitionNumber
            privateIp secondaryPrivateIps securityGroups subnetId tenancy userData userDataBase64 vpcSecurityGroupIds
        """),
        computed=words("""
            arn instanceLifecycle instanceState outpostArn passwordData primaryNetworkInterfaceId privateDns publicDns
            publicIp spotInstanceRequestId
        """),
        sets=words("""
            ebsBlockDevices ephemeralBlockDevices networkInterfaces secondaryPrivateIps securityGroups
            vpcSecurityGroupIds
        """),
        refused=words("placementGroupId primaryNetworkInterface secondaryNetworkInterfaces"),
        tagged=True,
        identify=lambda _: made_up("i"),
        compute=instance,
    ),
    "aws:ec2/internetGateway:InternetGateway": row(
        lambda: ec2.InternetGatewayArgs,
        computed_inputs=words("vpcId"),
        computed=words("arn ownerId"),
        tagged=True,
        identify=lambda _: made_up("igw"),
        compute=of_ec2("internet-gateway"),
    ),
    "aws:ec2/natGateway:NatGateway": row(
        lambda: ec2.NatGatewayArgs,
        replace_on=words("allocationId connectivityType privateIp subnetId"),
        computed_inputs=words("privateIp secondaryPrivateIpAddressCount secondaryPrivateIpAddresses"),
        computed=words("""
            associationId autoProvisionZones autoScalingIps networkInterfaceId publicIp regionalNatGatewayAddresses
            regionalNatGatewayAutoMode routeTableId
        """),
        sets=words("secondaryAllocationIds secondaryPrivateIpAddresses"),
        refused=words("availabilityMode availabilityZoneAddresses vpcId"),
        tagged=True,
        identify=lambda _: made_up("nat"),
        compute=nat_gateway,
    ),
    "aws:ec2/route:Route": row(
        lambda: ec2.RouteArgs,
        replace_on=words("destinationCidrBlock destinationIpv6CidrBlock destinationPrefixListId routeTableId"),
        computed_inputs=words("networkInterfaceId"),
        computed=words("instanceId instanceOwnerId origin state"),
        refused=words("odbNetworkArn"),
        identify=lambda _: made_up("r"),
        compute=lambda _identity, _around: {"origin": "CreateRoute", "state": "active"},
    ),
    "aws:ec2/routeTable:RouteTable": row(
        lambda: ec2.RouteTableArgs,
        replace_on=words("vpcId"),
        computed_inputs=words("propagatingVgws routes"),
        computed=words("arn ownerId"),
        sets=words("propagatingVgws routes"),
        tagged=True,
        identify=lambda _: made_up("rtb"),
        compute=of_ec2("route-table", propagatingVgws=[], routes=[]),
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": row(
        lambda: ec2.RouteTableAssociationArgs,
        replace_on=words("gatewayId subnetId"),
        identify=lambda _: made_up("rtbassoc"),
    ),
    "aws:ec2/securityGroup:SecurityGroup": row(
        lambda: ec2.SecurityGroupArgs,
        replace_on=words("description name namePrefix vpcId"),
        computed_inputs=words("egress ingress name namePrefix vpcId"),
        computed=words("arn ownerId"),
        sets=words("egress ingress"),
        autoname=NAMED,
        tagged=True,
        identify=lambda _: made_up("sg"),
        compute=of_ec2("security-group", egress=[], ingress=[]),
    ),
    "aws:ec2/subnet:Subnet": row(
        lambda: ec2.SubnetArgs,
        replace_on=words("availabilityZone availabilityZoneId cidrBlock ipv6Native outpostArn vpcId"),
        computed_inputs=words("availabilityZone availabilityZoneId privateDnsHostnameTypeOnLaunch"),
        computed=words("arn ipv6CidrBlockAssociationId ownerId"),
        refused=words("ipv4IpamPoolId ipv4NetmaskLength ipv6IpamPoolId ipv6NetmaskLength"),
        tagged=True,
        identify=lambda _: made_up("subnet"),
        compute=of_ec2("subnet", privateDnsHostnameTypeOnLaunch="ip-name"),
    ),
    "aws:ec2/subnetCidrReservation:SubnetCidrReservation": row(
        lambda: ec2.SubnetCidrReservationArgs,
        replace_on=words("cidrBlock description reservationType subnetId"),
        computed=words("ownerId"),
        identify=lambda _: made_up("scr"),
        compute=lambda _identity, around: {"ownerId": account_of(around)},
    ),
    "aws:ec2/volumeAttachment:VolumeAttachment": row(
        lambda: ec2.VolumeAttachmentArgs,
        replace_on=words("deviceName instanceId volumeId"),
        identify=lambda _: made_up("vai"),
    ),
    "aws:ec2/vpc:Vpc": row(
        lambda: ec2.VpcArgs,
        replace_on=words("cidrBlock instanceTenancy ipv4IpamPoolId ipv4NetmaskLength"),
        computed_inputs=words("""
            cidrBlock enableDnsHostnames enableNetworkAddressUsageMetrics ipv6CidrBlock
            ipv6CidrBlockNetworkBorderGroup
        """),
        computed=words("""
            arn defaultNetworkAclId defaultRouteTableId defaultSecurityGroupId dhcpOptionsId ipv6AssociationId
            mainRouteTableId ownerId
        """),
        tagged=True,
        identify=lambda _: made_up("vpc"),
        compute=vpc_,
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": row(
        lambda: ec2.VpcEndpointArgs,
        replace_on=words("resourceConfigurationArn serviceName serviceNetworkArn serviceRegion vpcEndpointType vpcId"),
        computed_inputs=words("""
            ipAddressType policy privateDnsEnabled routeTableIds securityGroupIds serviceRegion subnetIds
        """),
        computed=words("arn cidrBlocks dnsEntries networkInterfaceIds ownerId prefixListId requesterManaged state"),
        sets=words("routeTableIds securityGroupIds subnetConfigurations subnetIds"),
        tagged=True,
        identify=lambda _: made_up("vpce"),
        compute=vpc_endpoint,
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": row(
        lambda: vpc.SecurityGroupEgressRuleArgs,
        replace_on=words("securityGroupId"),
        replace_on_presence=words("cidrIpv4 cidrIpv6 prefixListId referencedSecurityGroupId"),
        computed=words("arn securityGroupRuleId"),
        tagged=True,
        identify=lambda _: made_up("sgr"),
        compute=security_group_rule,
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": row(
        lambda: vpc.SecurityGroupIngressRuleArgs,
        replace_on=words("securityGroupId"),
        replace_on_presence=words("cidrIpv4 cidrIpv6 prefixListId referencedSecurityGroupId"),
        computed=words("arn securityGroupRuleId"),
        tagged=True,
        identify=lambda _: made_up("sgr"),
        compute=security_group_rule,
    ),
}
