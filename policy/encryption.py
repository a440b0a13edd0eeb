"""Nothing lies or travels unencrypted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from .rule import Resource, Rule, Stack, Unknown, is_true, mappings, types

TLS_1_2 = re.compile(r"^ELBSecurityPolicy-TLS13-1-[23]-(Res-)?(FIPS-)?(PQ-)?\d{4}-\d{2}$")
"""Policies of load balancers with TLS 1.2 or newer and forward secrecy, none of the `Ext` ones with CBC and RSA key
exchange. Source: AWS, "Security policies for your Application Load Balancer"."""
DISKS = {
    "aws:ebs/volume:Volume": "encrypted",
    "aws:ebs/snapshotCopy:SnapshotCopy": "encrypted",
    "aws:efs/fileSystem:FileSystem": "encrypted",
    "aws:rds/instance:Instance": "storageEncrypted",
    "aws:rds/cluster:Cluster": "storageEncrypted",
}
"""Type to the property that encrypts it; AWS's default is none."""
INSTANCES = types("aws: ec2/instance:Instance")
TEMPLATES = types("aws: ec2/launchTemplate:LaunchTemplate")
LISTENERS = types("aws: lb/listener:Listener alb/listener:Listener")


def of_disk(resource: Resource, _stack: Stack) -> Iterator[str]:
    if key := DISKS.get(resource.type):
        if not is_true(resource.props.get(key)):
            yield f"{key} is not true"
    elif resource.type in INSTANCES:
        root = resource.props.get("rootBlockDevice")
        if not isinstance(root, Unknown) and not (isinstance(root, Mapping) and is_true(root.get("encrypted"))):
            yield "rootBlockDevice.encrypted is not true"
        for device in mappings(resource.props.get("ebsBlockDevices")):
            if not is_true(device.get("encrypted")):
                yield f"the disk {device.get('deviceName')} is not encrypted"
    else:
        for mapping in mappings(resource.props.get("blockDeviceMappings")):
            if any(not is_true(disk.get("encrypted")) for disk in mappings(mapping.get("ebs"))):
                yield f"the disk {mapping.get('deviceName')} is not encrypted"


AT_REST = Rule(
    name="disks-are-encrypted",
    description="Disks, root disks, file systems and databases are encrypted.",
    remedy="Say encrypted=True (storage_encrypted=True for RDS), for the root disk as well.",
    types=frozenset(DISKS) | INSTANCES | TEMPLATES,
    judge=of_disk,
)


def only_redirects(listener: Resource) -> bool:
    actions = mappings(listener.props.get("defaultActions"))
    redirects = [redirect for action in actions for redirect in mappings(action.get("redirect"))]
    return bool(actions) and len(redirects) == len(actions) and all(one.get("protocol") == "HTTPS" for one in redirects)


def of_listener(resource: Resource, _stack: Stack) -> Iterator[str]:
    protocol, policy = resource.props.get("protocol"), resource.props.get("sslPolicy")
    if isinstance(protocol, Unknown):
        return
    if protocol in ("HTTPS", "TLS"):
        if not isinstance(policy, Unknown) and not TLS_1_2.match(str(policy)):
            yield f"sslPolicy is {policy or 'not given, and AWS takes one with TLS 1.0'}"
    elif not only_redirects(resource):
        yield f"listens to {protocol or 'HTTP'} and does more than redirect to HTTPS"


IN_TRANSIT = Rule(
    name="listeners-speak-tls",
    description="Load balancers speak TLS 1.2 or newer, and plain HTTP only to redirect to HTTPS.",
    remedy=(
        'Say protocol="HTTPS" with ssl_policy="ELBSecurityPolicy-TLS13-1-2-2021-06", and on port 80 one default '
        "action that redirects to HTTPS."
    ),
    types=LISTENERS,
    judge=of_listener,
)
