"""AWS's rows and functions.

Source of what replaces, of what the provider fills in and of what is a set: terraform-provider-aws 5.100.0 itself,
whose plans were asked about every property of every row (`replace_paths` of `terraform show -json`). The plugin bridges
version 6 of it: inputs that came with 6 are refused, but for three that are known to be updates in place
(`deletionProtectionEnabled`, `forceDestroy`, `skipDestroy`), and `region`, which replaces wherever it is.

`tests/unit/test_sim_aws_schemas.py` holds the rows against a second source, `tests/e2e/test_sim_aws_provider.py` asks
the first one again where it is installed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping

from sim.aws_outputs import account_of, arn, region_of, steady
from sim.types import aws_ec2, aws_edge, aws_iam, aws_s3
from sim.types.row import ResourceType
from sim.values import Properties, objects, text
from sim.world import Refusal

NEWEST_IMAGES = "GROUNDWORK_SIM_IMAGES"
"""Environment variable: the day of the newest machine images, so that a test can see the next ones come out."""


def get_ami(around: Properties, asked: Properties) -> Properties:
    """The newest image of a name with wildcards; the same for the same questions, until newer images come."""
    names = [one for one in objects(asked, "filters") if text(one, "name") == "name"]
    pattern = next((str(value) for one in names for value in _list(one, "values")), "image-*")
    day = os.environ.get(NEWEST_IMAGES, "20260101")
    image = re.sub(r"[*?]+$", day, pattern) if pattern[-1:] in ("*", "?") else pattern
    identity = steady("ami", region_of(around | asked), image)
    return {
        **asked,
        "architecture": "x86_64",
        "arn": f"arn:aws:ec2:{region_of(around | asked)}::image/{identity}",
        "creationDate": day,
        "id": identity,
        "imageId": identity,
        "name": image,
        "region": region_of(around | asked),
        "rootDeviceName": "/dev/sda1",
        "state": "available",
    }


def _list(values: Properties, name: str) -> list[object]:
    value = values.get(name)
    return list(value) if isinstance(value, list) else []


def get_zone(_around: Properties, asked: Properties) -> Properties:
    """Every zone is there."""
    name, identity = text(asked, "name").rstrip("."), text(asked, "zoneId")
    if not name and not identity:
        raise Refusal("getZone: give name or zoneId")
    identity = identity or steady("Z", name)
    return {
        **asked,
        "arn": f"arn:aws:route53:::hostedzone/{identity}",
        "id": identity,
        "name": name,
        "nameServers": [f"ns-{number}.simulated.invalid" for number in range(4)],
        "privateZone": False,
        "zoneId": identity,
    }


def get_caller_identity(around: Properties, _asked: Properties) -> Properties:
    account = account_of(around)
    return {
        "accountId": account,
        "arn": arn(around, "iam", "user/simulated", everywhere=True),
        "id": account,
        "userId": "simulated",
    }


def get_region(around: Properties, asked: Properties) -> Properties:
    region = region_of(around | asked)
    return {"description": "simulated", "endpoint": f"ec2.{region}.amazonaws.com", "id": region, "region": region}


TYPES: Mapping[str, ResourceType] = {**aws_ec2.TYPES, **aws_edge.TYPES, **aws_iam.TYPES, **aws_s3.TYPES}

FUNCTIONS: Mapping[str, Callable[[Properties, Properties], Properties]] = {
    "aws:ec2/getAmi:getAmi": get_ami,
    "aws:index/getCallerIdentity:getCallerIdentity": get_caller_identity,
    "aws:index/getRegion:getRegion": get_region,
    "aws:route53/getZone:getZone": get_zone,
}
"""What a program may ask AWS: surroundings of the provider and arguments ─► answer. Arguments come back in it."""
