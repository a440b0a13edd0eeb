"""Machines: their metadata service, the data on them, and the way out that costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .buckets import BUCKETS
from .rule import Resource, Rule, Stack, StackRule, Unknown, is_true, types

INSTANCES = types("aws: ec2/instance:Instance")
TEMPLATES = types("aws: ec2/launchTemplate:LaunchTemplate")
VOLUMES = types("aws: ebs/volume:Volume efs/fileSystem:FileSystem")
DATABASES = types("aws: rds/instance:Instance rds/cluster:Cluster")
GATEWAYS = types("aws: ec2/natGateway:NatGateway")


def of_metadata(resource: Resource, _stack: Stack) -> Iterator[str]:
    options = resource.props.get("metadataOptions")
    if isinstance(options, Unknown):
        return
    options = options if isinstance(options, Mapping) else {}
    if options.get("httpEndpoint") == "disabled":
        return
    tokens, hops = options.get("httpTokens"), options.get("httpPutResponseHopLimit")
    if not isinstance(tokens, Unknown) and tokens != "required":
        yield f"metadataOptions.httpTokens is {tokens or 'not given'}"
    if not isinstance(hops, Unknown) and hops != 1:
        given = f"{hops:g}" if isinstance(hops, int | float) else "not given"
        yield f"metadataOptions.httpPutResponseHopLimit is {given}"


METADATA = Rule(
    name="metadata-needs-a-token",
    description="The metadata service of machines wants a token (IMDSv2), and no container reaches it (hop limit 1).",
    remedy='Say metadata_options with http_tokens="required" and http_put_response_hop_limit=1.',
    types=INSTANCES | TEMPLATES,
    judge=of_metadata,
)


def of_data(resource: Resource, stack: Stack) -> Iterator[str]:
    if not stack.production:
        return
    props = resource.props
    if resource.type in BUCKETS:
        # Without it AWS deletes no bucket that holds anything; what is retained on delete a rule can't see.
        if props.get("forceDestroy") is True:
            yield "forceDestroy is true, so that `down` empties it"
    elif resource.type in VOLUMES:
        if not resource.protect:
            yield "is not protected"
    elif resource.type in DATABASES:
        if not is_true(props.get("deletionProtection")):
            yield "deletionProtection is not true"
        if props.get("skipFinalSnapshot") is True:
            yield "skipFinalSnapshot is true"
    elif not is_true(props.get("disableApiTermination")):
        yield "disableApiTermination is not true"


PROTECTED = Rule(
    name="data-is-protected",
    description="Buckets, disks and machines that hold data can't be deleted by a mistake.",
    remedy=(
        "Say protect=True among a disk's options, disable_api_termination=True for machines (in a stack file both are "
        "groundwork:machines.protect), deletion_protection=True for RDS, and never force_destroy."
    ),
    types=BUCKETS | VOLUMES | DATABASES | INSTANCES,
    judge=of_data,
    depends_on_kind="production only",
)


def of_gateways(resources: Sequence[Resource], stack: Stack) -> Iterator[tuple[Resource, str]]:
    gateways = sorted((one for one in resources if one.type in GATEWAYS), key=lambda one: one.name)
    if not stack.production:
        for extra in gateways[1:]:
            yield extra, f"is one of {len(gateways)} NAT gateways"


ONE_NAT = StackRule(
    name="one-nat-outside-production",
    description="Outside production at most one NAT gateway: each costs by the hour.",
    remedy="Say groundwork:aws.network.nat: one (or none) in the stack file.",
    judge=of_gateways,
    depends_on_kind="not in production",
)
