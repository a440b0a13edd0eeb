"""The simulated AWS, commands and keys, asked as the engine asks them."""

from __future__ import annotations

import base64
import importlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

import sim
from sim.aws_live import (
    ACL_LOGGING,
    BUCKET,
    EGRESS,
    INGRESS,
    INSTANCE,
    INTERNET_GATEWAY,
    LOAD_BALANCER,
    LOG_GROUP,
    NAT,
    OBJECT_LOCK,
    REPLICATION,
    ROLE,
    ROUTE,
    SECURITY_GROUP,
    SUBNET,
    TARGET_GROUP,
    VERSIONING,
    VOLUME,
    VOLUME_ATTACHMENT,
    VPC,
)
from sim.inputs import property_names
from sim.types import TYPES
from sim.types.aws import NEWEST_IMAGES
from sim.values import UNKNOWN, Properties, at, is_secret, objects, plain, secret
from tests.provider_client import ProviderClient, connected

COMMAND = "command:local:Command"
PRIVATE_KEY = "tls:index/privateKey:PrivateKey"
REGION, ACCOUNT = "ap-southeast-1", "123456789012"
ZONES = (f"{REGION}a", f"{REGION}b")


@pytest.fixture
def ports() -> Iterator[dict[str, str]]:
    """Every package has its port."""
    with sim.serve(faults="") as debug_providers:
        yield dict(part.split(":") for part in debug_providers.split(","))


@pytest.fixture
def aws(ports: dict[str, str]) -> Iterator[ProviderClient]:
    with connected(f"127.0.0.1:{ports['aws']}") as client:
        client.configure(
            "aws",
            region=REGION,
            allowedAccountIds=json.dumps([ACCOUNT]),
            defaultTags=json.dumps({"tags": {"stack": "prod"}}),
        )
        yield client


def created(client: ProviderClient, token: str, **given: Any) -> tuple[str, Properties]:
    inputs, failures = client.check(token, given)
    assert not failures
    return client.create(token, inputs)


def refused(client: ProviderClient, token: str, **given: Any) -> str:
    return error_of(lambda: created(client, token, **given))


def error_of(call: Callable[[], Any]) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return str(caught.value.details())


def network(aws: ProviderClient) -> tuple[str, str]:
    """A VPC of 10.20.0.0/16 with a gateway, and its subnet 10.20.0.0/24 in the first zone."""
    vpc, _ = created(aws, VPC, cidrBlock="10.20.0.0/16")
    created(aws, INTERNET_GATEWAY, vpcId=vpc)
    return vpc, subnet_of(aws, vpc, "10.20.0.0/24", ZONES[0])


def subnet_of(aws: ProviderClient, vpc: str, range_: str, zone: str) -> str:
    return created(aws, SUBNET, vpcId=vpc, cidrBlock=range_, availabilityZone=zone)[0]


def machine(subnet: str, address: str = "10.20.0.9", **more: Any) -> Properties:
    return {"ami": "ami-1", "instanceType": "t3.large", "subnetId": subnet, "privateIp": address, **more}


def test_the_table_says_of_every_property_of_aws_whether_it_is_an_output() -> None:
    for token, row in TYPES.items():
        if token.startswith(("aws:", "command:", "tls:")):
            assert row.computed == outputs_of(row.args) - property_names(row.args), token


def outputs_of(args: type) -> set[str]:
    """The names on the wire of what the SDK's resource class has."""
    name = args.__name__.removesuffix("Args").removesuffix("Init")
    module = args.__module__.rpartition(".")[0]
    resource = getattr(importlib.import_module(args.__module__), name, None) or getattr(
        importlib.import_module(module), name
    )
    getters = [it.fget for it in vars(resource).values() if isinstance(it, property)]
    return {getattr(getter, "_pulumi_name", getter.__name__) for getter in getters if getter}


def test_ids_and_arns_have_their_shape_and_say_that_they_are_simulated(aws: ProviderClient) -> None:
    vpc, outputs = created(aws, VPC, cidrBlock="10.20.0.0/16")
    assert vpc.startswith("vpc-simulated-")
    assert outputs["arn"] == f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/{vpc}"
    assert (outputs["region"], outputs["ownerId"]) == (REGION, ACCOUNT)
    role, outputs = created(aws, ROLE, assumeRolePolicy="{}")
    assert outputs["arn"] == f"arn:aws:iam::{ACCOUNT}:role/{role}"
    assert role.startswith("thing-") and "region" not in outputs


def test_a_provider_that_names_no_account_has_none_of_yours(ports: dict[str, str]) -> None:
    with connected(f"127.0.0.1:{ports['aws']}") as aws:
        assert aws.invoke("aws:index/getCallerIdentity:getCallerIdentity", {})["accountId"] == "000000000000"


def test_default_tags_are_on_all_that_has_tags_and_own_ones_win(aws: ProviderClient) -> None:
    inputs, _ = aws.check(VPC, {"cidrBlock": "10.20.0.0/16", "tags": {"stack": "mine", "a": "b"}})
    assert inputs["tags"] == {"stack": "mine", "a": "b"}
    assert aws.check(VPC, {"cidrBlock": "10.20.0.0/16", "tags": secret({"a": "b"})})[0]["tags"] == secret(
        {"stack": "prod", "a": "b"}
    )
    _, outputs = created(aws, VPC, cidrBlock="10.20.0.0/16")
    assert outputs["tags"] == outputs["tagsAll"] == {"stack": "prod"}
    assert "tags" not in aws.check(ROUTE, {"routeTableId": "rtb-1"})[0]


def test_a_changed_default_tag_is_an_update_in_place(aws: ProviderClient, ports: dict[str, str]) -> None:
    identity, state = created(aws, VPC, cidrBlock="10.20.0.0/16")
    with connected(f"127.0.0.1:{ports['aws']}") as changed:
        changed.configure("aws", region=REGION, defaultTags=json.dumps({"tags": {"stack": "live"}}))
        inputs, _ = changed.check(VPC, {"cidrBlock": "10.20.0.0/16"})
        assert changed.diff(VPC, state, inputs, identity=identity).kinds == {"tags.stack": "UPDATE"}
        assert changed.update(VPC, identity, state, inputs)["tagsAll"] == {"stack": "live"}


def test_another_region_replaces(aws: ProviderClient, ports: dict[str, str]) -> None:
    identity, state = created(aws, VPC, cidrBlock="10.20.0.0/16", tags={"stack": "prod"})
    inputs, _ = aws.check(VPC, {"cidrBlock": "10.20.0.0/16"})
    assert not aws.diff(VPC, state, inputs, identity=identity).changed
    with connected(f"127.0.0.1:{ports['aws']}") as moved:
        moved.configure("aws", region="eu-west-1", defaultTags=json.dumps({"tags": {"stack": "prod"}}))
        assert moved.diff(VPC, state, inputs, identity=identity).kinds == {"region": "UPDATE_REPLACE"}


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({"instanceType": "t3.xlarge"}, {"instanceType": "UPDATE"}),
        ({"vpcSecurityGroupIds": ["sg-2"]}, {"vpcSecurityGroupIds": "ADD"}),
        ({"ami": "ami-2"}, {"ami": "UPDATE_REPLACE"}),
        ({"privateIp": "10.20.0.10"}, {"privateIp": "UPDATE_REPLACE"}),
        ({"rootBlockDevice": {"volumeSize": 20}}, {"rootBlockDevice": "ADD"}),
    ],
)
def test_a_machine_changes_or_is_replaced(aws: ProviderClient, change: Properties, kinds: dict[str, str]) -> None:
    given = machine("subnet-1")
    identity, state = created(aws, INSTANCE, **given)
    inputs, _ = aws.check(INSTANCE, {**given, **change})
    assert aws.diff(INSTANCE, state, inputs, identity=identity).kinds == kinds


def test_a_rule_of_a_security_group_is_replaced_by_another_kind_of_source_alone(aws: ProviderClient) -> None:
    given: Properties = {"securityGroupId": "sg-1", "ipProtocol": "tcp", "fromPort": 80, "toPort": 80}
    identity, state = created(aws, INGRESS, **given, cidrIpv4="10.0.0.0/8")
    for source, kinds in (
        ({"cidrIpv4": "10.0.0.0/9"}, {"cidrIpv4": "UPDATE"}),
        (
            {"referencedSecurityGroupId": "sg-2"},
            {"cidrIpv4": "DELETE_REPLACE", "referencedSecurityGroupId": "ADD_REPLACE"},
        ),
    ):
        inputs, _ = aws.check(INGRESS, {**given, **source})
        assert aws.diff(INGRESS, state, inputs, identity=identity).kinds == kinds


def test_a_name_that_gets_too_long_is_refused_before_anything_is_made(aws: ProviderClient) -> None:
    assert aws.check(TARGET_GROUP, {}, name="a" * 24)[1] == []
    [(path, reason)] = aws.check(TARGET_GROUP, {}, name="a" * 25)[1]
    assert path == "name" and "at most 32 characters" in reason and "to 24" in reason
    assert aws.check(TARGET_GROUP, {"name": "short"}, name="a" * 25)[1] == []
    assert str(aws.check(BUCKET, {}, name="Shop")[0]["bucket"]).startswith("shop-")


def test_a_prefix_becomes_a_name_when_the_resource_is_made(aws: ProviderClient) -> None:
    inputs, _ = aws.check(LOG_GROUP, {"namePrefix": "flow-"})
    assert "name" not in inputs
    assert aws.create(LOG_GROUP, inputs, preview=True)[1]["name"] == UNKNOWN
    identity, state = aws.create(LOG_GROUP, inputs)
    assert identity == state["name"] and identity.startswith("flow-") and len(identity) == len("flow-") + 26
    assert not aws.diff(LOG_GROUP, state, aws.check(LOG_GROUP, {"namePrefix": "flow-"}, inputs)[0]).changed


def test_what_came_with_a_later_provider_than_the_one_asked_is_refused(aws: ProviderClient) -> None:
    [(path, reason)] = aws.check(BUCKET, {"versioning": {"enabled": True}})[1]
    assert (path, reason) == ("versioning", "versioning is not simulated; see sim/types/")


def test_the_image_of_a_question_stays_until_a_newer_one_is_out(
    aws: ProviderClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def image(pattern: str) -> str:
        answer = aws.invoke("aws:ec2/getAmi:getAmi", {"filters": [{"name": "name", "values": [pattern]}]})
        return str(answer["id"])

    first = image("ubuntu-24.04-*")
    assert first.startswith("ami-simulated-") and first == image("ubuntu-24.04-*") != image("debian-12-*")
    monkeypatch.setenv(NEWEST_IMAGES, "20260202")
    assert image("ubuntu-24.04-*") != first


def test_a_zone_is_found_and_an_unknown_function_names_the_table(aws: ProviderClient) -> None:
    zone = aws.invoke("aws:route53/getZone:getZone", {"name": "example.com."})
    assert (zone["name"], zone["id"]) == ("example.com", zone["zoneId"])
    assert "give name or zoneId" in error_of(lambda: aws.invoke("aws:route53/getZone:getZone", {}))
    unknown = error_of(lambda: aws.invoke("aws:ec2/getVpc:getVpc", {}))
    assert unknown == "the function aws:ec2/getVpc:getVpc is not simulated; add it to the table in sim/types/"


@pytest.mark.parametrize(
    ("range_", "words"),
    [
        ("10.21.0.0/24", "InvalidSubnet.Range"),
        ("10.20.0.0/29", "InvalidSubnet.Range"),
        ("10.20.0.128/25", "InvalidSubnet.Conflict: The CIDR '10.20.0.128/25' conflicts with another subnet"),
        ("10.20.1.1/24", "has host bits set"),
    ],
)
def test_a_subnet_lies_in_its_vpc_and_beside_the_others(aws: ProviderClient, range_: str, words: str) -> None:
    vpc, _ = network(aws)
    assert words in refused(aws, SUBNET, vpcId=vpc, cidrBlock=range_, availabilityZone=ZONES[1])
    subnet_of(aws, vpc, "10.20.1.0/24", ZONES[1])


def test_a_vpc_has_a_range_of_some_size_and_a_subnet_a_zone_of_the_region(aws: ProviderClient) -> None:
    assert "InvalidVpc.Range" in refused(aws, VPC, cidrBlock="10.0.0.0/8")
    vpc, _ = network(aws)
    assert "is not in ap-southeast-1" in refused(
        aws, SUBNET, vpcId=vpc, cidrBlock="10.20.1.0/24", availabilityZone="eu-west-1a"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"privateIp": "10.20.1.9"}, "does not fall within the subnet's address range"),
        ({"privateIp": "10.20.0.3"}, "reserved address range"),
        ({"privateIp": "10.20.0.255"}, "reserved address range"),
        ({"privateIp": "10.20.0.8"}, "Address 10.20.0.8 is in use"),
        ({"userDataBase64": base64.b64encode(b"x" * 16_385).decode()}, "User data is limited to 16384 bytes"),
        ({"userData": "x" * 16_385}, "User data is limited to 16384 bytes"),
        ({"availabilityZone": ZONES[1]}, "its subnet"),
    ],
)
def test_a_machine_fits_its_subnet(aws: ProviderClient, change: dict[str, Any], words: str) -> None:
    _, subnet = network(aws)
    created(aws, INSTANCE, **machine(subnet, "10.20.0.8"))
    assert words in refused(aws, INSTANCE, **(machine(subnet) | change))
    created(aws, INSTANCE, **machine(subnet, userDataBase64=base64.b64encode(b"x" * 16_384).decode()))


def test_a_security_group_is_of_the_machines_network(aws: ProviderClient) -> None:
    vpc, subnet = network(aws)
    other, _ = created(aws, VPC, cidrBlock="10.30.0.0/16")
    theirs, _ = created(aws, SECURITY_GROUP, vpcId=other)
    ours, _ = created(aws, SECURITY_GROUP, vpcId=vpc)
    assert "belong to different networks" in refused(
        aws, INSTANCE, **machine(subnet, vpcSecurityGroupIds=[ours, theirs])
    )
    created(aws, INSTANCE, **machine(subnet, vpcSecurityGroupIds=[ours]))


def test_a_volume_is_in_the_zone_of_its_machine_and_on_one(aws: ProviderClient) -> None:
    _, subnet = network(aws)
    instance, _ = created(aws, INSTANCE, **machine(subnet))
    far, _ = created(aws, VOLUME, availabilityZone=ZONES[1], size=40)
    near, state = created(aws, VOLUME, availabilityZone=ZONES[0], size=40)
    disk = {"instanceId": instance, "deviceName": "/dev/sdf"}
    assert "InvalidVolume.ZoneMismatch" in refused(aws, VOLUME_ATTACHMENT, **disk, volumeId=far)
    attachment, _ = created(aws, VOLUME_ATTACHMENT, **disk, volumeId=near)
    assert "VolumeInUse" in refused(aws, VOLUME_ATTACHMENT, **disk | {"deviceName": "/dev/sdg"}, volumeId=near)
    second, _ = created(aws, VOLUME, availabilityZone=ZONES[0], size=40)
    assert "Attachment point /dev/sdf" in refused(aws, VOLUME_ATTACHMENT, **disk, volumeId=second)
    assert "DependencyViolation" in error_of(lambda: aws.delete(VOLUME, near, state=state))
    aws.delete(VOLUME_ATTACHMENT, attachment)
    aws.delete(VOLUME, near, state=state)


def test_a_disk_grows_and_never_shrinks(aws: ProviderClient) -> None:
    given: Properties = {"availabilityZone": ZONES[0], "size": 40}
    identity, state = created(aws, VOLUME, **given)
    inputs, _ = aws.check(VOLUME, given | {"size": 30})
    assert aws.diff(VOLUME, state, inputs, identity=identity).kinds == {"size": "UPDATE"}
    for preview in (True, False):
        assert "New size cannot be smaller" in error_of(
            lambda preview=preview: aws.update(VOLUME, identity, state, inputs, preview=preview)  # type: ignore[misc]
        )
    assert aws.update(VOLUME, identity, state, aws.check(VOLUME, given | {"size": 50})[0])["size"] == 50


def test_what_is_public_comes_after_the_gateway_and_goes_before_it(aws: ProviderClient) -> None:
    vpc, _ = created(aws, VPC, cidrBlock="10.20.0.0/16")
    subnet = subnet_of(aws, vpc, "10.20.0.0/24", ZONES[0])
    nat: Properties = {"subnetId": subnet, "allocationId": "eipalloc-1"}
    assert "Gateway.NotAttached" in refused(aws, NAT, **nat)
    gateway, state = created(aws, INTERNET_GATEWAY, vpcId=vpc)
    identity, _ = created(aws, NAT, **nat)
    assert "already associated" in refused(aws, NAT, **nat)
    assert "mapped public address(es)" in error_of(lambda: aws.delete(INTERNET_GATEWAY, gateway, state=state))
    aws.delete(NAT, identity)
    aws.delete(INTERNET_GATEWAY, gateway, state=state)


def test_a_load_balancer_has_one_subnet_in_each_of_two_zones(aws: ProviderClient) -> None:
    vpc, first = network(aws)
    twin, other = subnet_of(aws, vpc, "10.20.1.0/24", ZONES[0]), subnet_of(aws, vpc, "10.20.2.0/24", ZONES[1])
    assert "two different Availability Zones" in refused(aws, LOAD_BALANCER, subnets=[first])
    assert "in the same Availability Zone" in refused(aws, LOAD_BALANCER, subnets=[first, twin, other])
    identity, _ = created(aws, LOAD_BALANCER, subnets=[first, other])
    assert identity.startswith(f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/app/thing-")


def test_what_is_protected_is_not_deleted(aws: ProviderClient) -> None:
    _, subnet = network(aws)
    for token, protection, given in (
        (INSTANCE, "disableApiTermination", machine(subnet)),
        (LOAD_BALANCER, "enableDeletionProtection", {}),
        (LOG_GROUP, "deletionProtectionEnabled", {}),
    ):
        identity, state = created(aws, token, **given, **{protection: True})
        assert f"{protection} is set; take it away first" in error_of(
            lambda token=token, identity=identity, state=state: aws.delete(token, identity, state=state)  # type: ignore[misc]
        )
        aws.delete(token, identity, state=state | {protection: False})


def test_what_others_name_is_not_deleted(aws: ProviderClient) -> None:
    vpc, subnet = network(aws)
    group, state = created(aws, SECURITY_GROUP, vpcId=vpc)
    instance, _ = created(aws, INSTANCE, **machine(subnet, vpcSecurityGroupIds=[group]))
    assert f"it is the vpcSecurityGroupIds of {instance}" in error_of(
        lambda: aws.delete(SECURITY_GROUP, group, state=state)
    )
    assert "DependencyViolation" in error_of(lambda: aws.delete(VPC, vpc, state={}))
    assert "DependencyViolation" in error_of(lambda: aws.delete(SUBNET, subnet, state={}))
    aws.delete(INSTANCE, instance)
    aws.delete(SECURITY_GROUP, group, state=state)


@pytest.mark.parametrize(
    ("token", "given", "words"),
    [
        (BUCKET, {"bucket": "shop-backups"}, "BucketAlreadyExists: the bucket shop-backups"),
        (ROLE, {"name": "deployer", "assumeRolePolicy": "{}"}, "Role with name deployer already exists"),
        (LOG_GROUP, {"name": "flow"}, "The specified log group flow already exists"),
        (ROUTE, {"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0"}, "RouteAlreadyExists"),
        (
            EGRESS,
            {"securityGroupId": "sg-1", "ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0"},
            "already exists in security group sg-1",
        ),
    ],
)
def test_two_of_one_name_can_not_be(aws: ProviderClient, token: str, given: Properties, words: str) -> None:
    identity, state = created(aws, token, **given)
    assert words in refused(aws, token, **given)
    aws.delete(token, identity, state=state)
    created(aws, token, **given)


def test_only_a_bucket_with_versions_is_locked_or_replicated(aws: ProviderClient) -> None:
    for name in ("shop-backups", "shop-replica"):
        created(aws, BUCKET, bucket=name)
    lock: Properties = {"bucket": "shop-backups"}
    copy: Properties = {
        **lock,
        "role": "arn:aws:iam::1:role/x",
        "rules": [{"status": "Enabled", "destination": {"bucket": "arn:aws:s3:::shop-replica"}}],
    }
    enabled: Properties = {"versioningConfiguration": {"status": "Enabled"}}
    assert "Versioning must be 'Enabled'" in refused(aws, OBJECT_LOCK, **lock)
    created(aws, VERSIONING, bucket="shop-backups", **enabled)
    created(aws, OBJECT_LOCK, **lock)
    assert "on the bucket shop-replica" in refused(aws, REPLICATION, **copy)
    created(aws, VERSIONING, bucket="shop-replica", **enabled)
    created(aws, REPLICATION, **copy)


def test_a_locked_bucket_keeps_its_versions(aws: ProviderClient) -> None:
    created(aws, BUCKET, bucket="shop-backups", objectLockEnabled=True)
    created(aws, OBJECT_LOCK, bucket="shop-backups")
    suspended: Properties = {"status": "Suspended"}
    assert "versioning state" in refused(
        aws, VERSIONING, bucket="shop-backups", versioningConfiguration=suspended
    )


def test_policies_are_json_and_not_too_long_and_logs_of_a_web_acl_have_their_name(aws: ProviderClient) -> None:
    assert "MalformedPolicyDocument" in refused(aws, ROLE, assumeRolePolicy="{")
    assert "may have 2048" in refused(aws, ROLE, assumeRolePolicy=json.dumps({"x": "y" * 2100}))
    acl = {"resourceArn": "arn:aws:wafv2:r:1:regional/webacl/x/1"}
    groups = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:"
    assert "must begin with aws-waf-logs-" in refused(aws, ACL_LOGGING, **acl, logDestinationConfigs=[f"{groups}x"])
    created(aws, ACL_LOGGING, **acl, logDestinationConfigs=[f"{groups}aws-waf-logs-x:*"])


def test_a_certificate_says_which_records_prove_it(aws: ProviderClient) -> None:
    _, outputs = created(
        aws,
        "aws:acm/certificate:Certificate",
        domainName="example.com",
        subjectAlternativeNames=["*.example.com"],
        validationMethod="DNS",
    )
    proofs = objects(outputs, "domainValidationOptions")
    assert [proof["domainName"] for proof in proofs] == ["example.com", "*.example.com"]
    assert len({proof["resourceRecordName"] for proof in proofs}) == 1


def test_a_host_key_is_a_simulated_secret_of_the_right_shape(ports: dict[str, str]) -> None:
    with connected(f"127.0.0.1:{ports['tls']}") as tls:
        _, first = created(tls, PRIVATE_KEY, algorithm="ED25519")
        _, second = created(tls, PRIVATE_KEY, algorithm="ED25519")
        assert "must be one of ED25519" in refused(tls, PRIVATE_KEY, algorithm="DSA")
    for name in ("privateKeyOpenssh", "privateKeyPem", "privateKeyPemPkcs8"):
        assert is_secret(first[name])
        assert b"simulated" in base64.b64decode(str(plain(first[name])).splitlines()[1])
    kind, encoded = str(first["publicKeyOpenssh"]).split()
    blob = base64.b64decode(encoded)
    assert kind == "ssh-ed25519" and blob[4:15] == b"ssh-ed25519" and len(blob) == 51
    assert first["publicKeyOpenssh"] != second["publicKeyOpenssh"]


def test_a_command_is_not_run_and_may_print_something_else_after_an_update(ports: dict[str, str]) -> None:
    with connected(f"127.0.0.1:{ports['command']}") as command:
        given: Properties = {"create": "exit 1", "environment": {"DIGEST": "1"}, "triggers": ["1"]}
        identity, state = created(command, COMMAND, **given)
        assert (state["stdout"], state["stderr"]) == ("", "")
        inputs, _ = command.check(COMMAND, given | {"environment": {"DIGEST": "2"}})
        assert command.diff(COMMAND, state, inputs, identity=identity).kinds == {"environment.DIGEST": "UPDATE"}
        assert command.update(COMMAND, identity, state, inputs, preview=True)["stdout"] == UNKNOWN
        assert command.update(COMMAND, identity, state, inputs)["stdout"] == ""
        inputs, _ = command.check(COMMAND, given | {"triggers": ["2"]})
        assert command.diff(COMMAND, state, inputs, identity=identity).kinds == {"triggers[0]": "UPDATE_REPLACE"}


def test_secret_user_data_stays_secret(aws: ProviderClient) -> None:
    _, subnet = network(aws)
    _, outputs = created(aws, INSTANCE, **machine(subnet, userDataBase64=secret("eA==")))
    assert outputs["userDataBase64"] == secret("eA==") and at(outputs, "privateIp") == "10.20.0.9"
