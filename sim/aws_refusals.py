"""What AWS refuses, a program can get wrong, and the resources alone show.

Sources: the error codes of the EC2, ELB, IAM and S3 API references. What is not known to be live is not looked at: a
resource is, once it was created or asked about in this run.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from sim.aws_live import (
    ACL_LOGGING,
    BUCKET,
    EIP_ASSOCIATION,
    HELD,
    INSTANCE,
    INTERNET_GATEWAY,
    LOAD_BALANCER,
    NAT,
    OBJECT_LOCK,
    PROTECTED,
    REPLICATION,
    ROLE,
    ROLE_POLICY,
    SECURITY_GROUP,
    SUBNET,
    UNIQUE,
    VERSIONING,
    VOLUME,
    VOLUME_ATTACHMENT,
    VPC,
    Live,
    Unique,
)
from sim.aws_outputs import last_part
from sim.values import Properties, at, objects, text
from sim.world import Refusal, Subject

USER_DATA_BYTES = 16_384
ROLE_POLICY_CHARACTERS = 10_240
TRUST_POLICY_CHARACTERS = 2_048
"""The default quota; whitespace does not count."""


def admit(live: Live, subject: Subject, values: Properties) -> None:
    """Raises Refusal where a new resource could not be."""
    unique = UNIQUE.get(subject.token)
    if unique:
        _refuse_twice(live, subject, values, unique)
    if subject.token in ADMITTED:
        ADMITTED[subject.token](live, values)


def _refuse_twice(live: Live, subject: Subject, values: Properties, unique: Unique) -> None:
    mine = [values.get(name) for name in unique.properties]
    for _, other in live.of(subject.token):
        if mine == [other.get(name) for name in unique.properties]:
            raise Refusal(unique.words.format(next((str(part) for part in mine if part), "")))


def change(live: Live, subject: Subject, old: Properties, new: Properties) -> None:
    """Raises Refusal where a resource could not become another."""
    if subject.token == VOLUME and _number(new, "size") < _number(old, "size"):
        raise Refusal("InvalidParameterValue: New size cannot be smaller than existing size")
    if subject.token == INSTANCE and old.get("instanceType") != new.get("instanceType") and old.get("disableApiStop"):
        raise Refusal(
            f"OperationNotPermitted: The instance '{subject.identity}' may not be stopped. "
            "Modify its 'disableApiStop' instance attribute and try again."
        )
    if subject.token == VERSIONING:
        _versioning(live, new)


def leave(live: Live, subject: Subject, values: Properties) -> None:
    """Raises Refusal where a resource could not go."""
    protection, words = PROTECTED.get(subject.token, ("", ""))
    if values.get(protection) is True and values.get("forceDestroy") is not True:
        raise Refusal(f"{words.format(subject.identity)}: {protection} is set; take it away first.")
    for token, path in HELD.get(subject.token, ()):
        for identity, other in live.of(token):
            if subject.identity in _all_at(other, path):
                raise Refusal(
                    f"DependencyViolation: {subject.identity} has dependencies and cannot be deleted: "
                    f"it is the {path} of {identity}"
                )
    if subject.token == INTERNET_GATEWAY and _public_in(live, text(values, "vpcId")):
        raise Refusal(
            f"DependencyViolation: Network {text(values, 'vpcId')} has some mapped public address(es). "
            "Please unmap those before detaching the gateway."
        )


def _all_at(values: Properties, path: str) -> list[object]:
    """What is at a path, where lists may be on the way and at its end."""
    name, _, rest = path.partition(".")
    if rest:
        return [found for item in objects(values, name) for found in _all_at(item, rest)]
    value = values.get(name)
    return list(value) if isinstance(value, list) else [value]


def _public_in(live: Live, vpc: str) -> bool:
    return any(at(live.one(SUBNET, text(nat, "subnetId")), "vpcId") == vpc for _, nat in live.of(NAT))


def _number(values: Properties, name: str) -> float:
    value = values.get(name)
    return value if isinstance(value, (int, float)) else 0


def _network(values: Properties, name: str) -> IPv4Network | None:
    given = text(values, name)
    try:
        return IPv4Network(given) if given else None
    except ValueError as error:
        raise Refusal(f"InvalidParameterValue: Value ({given}) for parameter {name} is invalid: {error}") from None


def _vpc(_live: Live, values: Properties) -> None:
    range_ = _network(values, "cidrBlock")
    if range_ and not 16 <= range_.prefixlen <= 28:
        raise Refusal(f"InvalidVpc.Range: The CIDR '{range_}' is invalid: it must be from /16 to /28")


def _subnet(live: Live, values: Properties) -> None:
    range_, vpc = _network(values, "cidrBlock"), live.one(VPC, text(values, "vpcId"))
    zone, region = text(values, "availabilityZone"), text(values, "region")
    if zone and region and not zone.startswith(region):
        raise Refusal(f"InvalidParameterValue: Value ({zone}) for parameter availabilityZone is not in {region}")
    if range_ is None:
        return
    around = _network(vpc, "cidrBlock") if vpc else None
    if not 16 <= range_.prefixlen <= 28 or (around and not range_.subnet_of(around)):
        raise Refusal(f"InvalidSubnet.Range: The CIDR '{range_}' is invalid: its VPC has {around}")
    for identity, other in live.of(SUBNET):
        taken = _network(other, "cidrBlock")
        if other.get("vpcId") == values.get("vpcId") and taken and taken.overlaps(range_):
            raise Refusal(
                f"InvalidSubnet.Conflict: The CIDR '{range_}' conflicts with another subnet: {identity} has {taken}"
            )


def _instance(live: Live, values: Properties) -> None:
    subnet_id = text(values, "subnetId")
    subnet = live.one(SUBNET, subnet_id)
    _refuse_address(live, values, subnet_id, subnet)
    for identity in _all_at(values, "vpcSecurityGroupIds"):
        group = live.one(SECURITY_GROUP, str(identity))
        if subnet and group and group.get("vpcId") != subnet.get("vpcId"):
            raise Refusal(
                f"InvalidParameter: Security group {identity} and subnet {subnet_id} belong to different networks."
            )
    zone, there = text(values, "availabilityZone"), text(subnet or {}, "availabilityZone")
    if zone and there and zone != there:
        raise Refusal(f"InvalidParameterValue: the instance is in {zone}, but its subnet {subnet_id} in {there}")
    if _user_data(values) > USER_DATA_BYTES:
        raise Refusal(f"InvalidParameterValue: User data is limited to {USER_DATA_BYTES} bytes")


def _refuse_address(live: Live, values: Properties, subnet_id: str, subnet: Properties | None) -> None:
    given = text(values, "privateIp")
    range_ = _network(subnet, "cidrBlock") if subnet else None
    if not given or range_ is None:
        return
    try:
        address = IPv4Address(given)
    except AddressValueError as error:
        raise Refusal(f"InvalidParameterValue: Value ({given}) for parameter privateIp is invalid: {error}") from None
    if address not in range_:
        raise Refusal(
            f"InvalidParameterValue: Address {address} does not fall within the subnet's address range {range_}"
        )
    if address in (range_[0], range_[1], range_[2], range_[3], range_[-1]):
        raise Refusal(f"InvalidParameterValue: Address {address} is in subnet's reserved address range")
    for identity, other in live.of(INSTANCE):
        if other.get("subnetId") == subnet_id and text(other, "privateIp") == given:
            raise Refusal(f"InvalidIPAddress.InUse: Address {address} is in use, by {identity}.")


def _user_data(values: Properties) -> int:
    """Of the text, or of what it stands for in base64; in bytes."""
    encoded = text(values, "userDataBase64")
    try:
        return len(base64.b64decode(encoded, validate=True)) if encoded else len(text(values, "userData").encode())
    except binascii.Error as error:
        raise Refusal(f"InvalidParameterValue: Invalid BASE64 encoding of user data: {error}") from None


def _volume_attachment(live: Live, values: Properties) -> None:
    volume_id, instance_id, device = (text(values, name) for name in ("volumeId", "instanceId", "deviceName"))
    volume, instance = live.one(VOLUME, volume_id) or {}, live.one(INSTANCE, instance_id) or {}
    subnet = live.one(SUBNET, text(instance, "subnetId")) or {}
    here = text(volume, "availabilityZone")
    there = text(instance, "availabilityZone") or text(subnet, "availabilityZone")
    if here and there and here != there:
        raise Refusal(
            f"InvalidVolume.ZoneMismatch: The volume '{volume_id}' is not in the same availability zone as "
            f"instance '{instance_id}': {here} and {there}"
        )
    for _, other in live.of(VOLUME_ATTACHMENT):
        if text(other, "volumeId") == volume_id:
            raise Refusal(f"VolumeInUse: {volume_id} is already attached to an instance")
        if (text(other, "instanceId"), text(other, "deviceName")) == (instance_id, device):
            raise Refusal(f"InvalidParameterValue: Attachment point {device} is already in use")


def _nat(live: Live, values: Properties) -> None:
    _refuse_without_gateway(live, text(values, "subnetId"), text(values, "connectivityType") != "private")
    allocation = text(values, "allocationId")
    for _, other in live.of(NAT):
        if allocation and text(other, "allocationId") == allocation:
            raise Refusal(f"Resource.AlreadyAssociated: Elastic IP address [{allocation}] is already associated")


def _eip_association(live: Live, values: Properties) -> None:
    instance = live.one(INSTANCE, text(values, "instanceId"))
    _refuse_without_gateway(live, text(instance or {}, "subnetId"), True)


def _load_balancer(live: Live, values: Properties) -> None:
    subnets = [str(one) for one in _all_at(values, "subnets") if one]
    known = [found for found in (live.one(SUBNET, one) for one in subnets) if found]
    zones = [text(one, "availabilityZone") for one in known]
    if subnets and len(known) == len(subnets) and text(values, "loadBalancerType") != "network":
        if len(set(zones)) < len(zones):
            raise Refusal(
                "InvalidConfigurationRequest: A load balancer cannot be attached to multiple subnets in the same "
                "Availability Zone"
            )
        if len(zones) < 2:
            raise Refusal(
                "ValidationError: At least two subnets in two different Availability Zones must be specified"
            )
    for one in subnets:
        _refuse_without_gateway(live, one, values.get("internal") is not True)


def _refuse_without_gateway(live: Live, subnet_id: str, public: bool) -> None:
    """What has a public address needs the gateway first: a dependency that no property shows."""
    subnet = live.one(SUBNET, subnet_id)
    if not public or subnet is None:
        return
    vpc = text(subnet, "vpcId")
    if not any(text(gateway, "vpcId") == vpc for _, gateway in live.of(INTERNET_GATEWAY)):
        raise Refusal(f"Gateway.NotAttached: Network {vpc} has no Internet gateway attached")


def _role(_live: Live, values: Properties) -> None:
    _refuse_policy(text(values, "assumeRolePolicy"), TRUST_POLICY_CHARACTERS)


def _role_policy(_live: Live, values: Properties) -> None:
    _refuse_policy(text(values, "policy"), ROLE_POLICY_CHARACTERS)


def _refuse_policy(document: str, longest: int) -> None:
    try:
        json.loads(document)
    except ValueError as error:
        raise Refusal(f"MalformedPolicyDocument: This policy contains invalid Json: {error}") from None
    size = len(re.sub(r"\s", "", document))
    if size > longest:
        raise Refusal(f"LimitExceeded: the policy has {size} characters, and may have {longest}")


def _acl_logging(_live: Live, values: Properties) -> None:
    for destination in _all_at(values, "logDestinationConfigs"):
        if not last_part(str(destination).removesuffix(":*")).startswith("aws-waf-logs-"):
            raise Refusal(
                f"WAFInvalidParameterException: {destination} is no place for the logs of a web ACL: "
                "its name must begin with aws-waf-logs-"
            )


def _bucket(_live: Live, values: Properties) -> None:
    name = text(values, "bucket")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name) or ".." in name:
        raise Refusal(f"InvalidBucketName: The specified bucket is not valid: {name}")


def _versioning(live: Live, values: Properties) -> None:
    bucket = live.bucket(text(values, "bucket"))
    if bucket and bucket.get("objectLockEnabled") and at(values, "versioningConfiguration.status") != "Enabled":
        raise Refusal(
            "InvalidBucketState: An Object Lock configuration is present on this bucket, so the versioning state "
            "cannot be changed."
        )


def _object_lock(live: Live, values: Properties) -> None:
    name = text(values, "bucket")
    bucket = live.bucket(name)
    if bucket and not bucket.get("objectLockEnabled") and not live.versioned(name):
        raise Refusal(
            "InvalidBucketState: Versioning must be 'Enabled' on the bucket to apply an Object Lock configuration"
        )


def _replication(live: Live, values: Properties) -> None:
    """Object lock enables versioning by itself."""
    targets = [last_part(str(one)) for one in _all_at_destination(values)]
    for name in [text(values, "bucket"), *targets]:
        bucket = live.bucket(name)
        if bucket and not bucket.get("objectLockEnabled") and not live.versioned(name):
            raise Refusal(
                f"InvalidRequest: Versioning must be 'Enabled' on the bucket {name} to apply a replication "
                "configuration"
            )


def _all_at_destination(values: Properties) -> list[object]:
    return [at(rule, "destination.bucket") for rule in objects(values, "rules")]


ADMITTED: Mapping[str, Callable[[Live, Properties], None]] = {
    ACL_LOGGING: _acl_logging,
    BUCKET: _bucket,
    EIP_ASSOCIATION: _eip_association,
    INSTANCE: _instance,
    LOAD_BALANCER: _load_balancer,
    NAT: _nat,
    OBJECT_LOCK: _object_lock,
    REPLICATION: _replication,
    ROLE: _role,
    ROLE_POLICY: _role_policy,
    SUBNET: _subnet,
    VERSIONING: _versioning,
    VOLUME_ATTACHMENT: _volume_attachment,
    VPC: _vpc,
}
