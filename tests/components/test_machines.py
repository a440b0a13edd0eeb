"""What machines are made of, on AWS and where they exist, and what becomes of them when the stack file changes."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from groundwork.faults import FaultsError
from groundwork.ssh import options, through_jump, through_session
from tests.recorder import Recording, Registration

from .fleets import FOUR, HOSTS, KEY, ONE, SIZE, A, B, C, on_aws, on_hosts, recorded


@pytest.fixture(scope="module")
def alone() -> Recording:
    return on_aws(ONE, administrators=["203.0.113.0/24"])


@pytest.fixture(scope="module")
def hosts() -> Recording:
    return on_hosts()


def instances(run: Recording) -> dict[str, Registration]:
    return {one.name.removeprefix("machines-"): one for one in run.of_type(":Instance")}


def commands(run: Recording) -> dict[str, Registration]:
    found = run.of_type("command:local:Command")
    return {one.name.removeprefix("machines-").removesuffix("-ready"): one for one in found}


def described(run: Recording) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = run.outputs["machines"]
    return found


def test_each_role_has_its_machines_in_their_zones_with_fixed_addresses(fleet: Recording) -> None:
    found = {
        name: (one.plain["instanceType"], one.plain["subnetId"], one.plain["privateIp"])
        for name, one in instances(fleet).items()
    }
    assert found == {
        "app-1": ("c7i.xlarge", f"subnet-private-{A}", "10.20.64.64"),
        "app-2": ("c7i.xlarge", f"subnet-private-{B}", "10.20.72.69"),
        "data-1": ("c7i.2xlarge", f"subnet-data-{A}", "10.20.128.65"),
        "cache-1": ("c7i.xlarge", f"subnet-data-{A}", "10.20.128.66"),
        "monitoring-1": ("t3.medium", f"subnet-private-{B}", "10.20.72.67"),
    }


def test_the_metadata_service_asks_for_a_token_and_no_container_reaches_it(fleet: Recording) -> None:
    for one in instances(fleet).values():
        assert one.plain["metadataOptions"] == {
            "httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1,
            "instanceMetadataTags": "disabled",
        }  # fmt: skip


def test_every_disk_is_encrypted(fleet: Recording) -> None:
    for one in instances(fleet).values():
        assert one.plain["rootBlockDevice"]["encrypted"] is True
        assert one.plain["rootBlockDevice"]["volumeType"] == "gp3"
    volumes = fleet.of_type("aws:ebs/volume:Volume")
    assert len(volumes) == 5
    for volume in volumes:
        assert (volume.plain["encrypted"], volume.plain["type"]) == (True, "gp3")


def test_every_machine_has_one_group_one_profile_and_the_newest_image_of_its_publisher(fleet: Recording) -> None:
    for name, one in instances(fleet).items():
        role = name.rsplit("-", 1)[0]
        assert one.plain["vpcSecurityGroupIds"] == [f"group-{role}"]
        assert one.plain["ami"] == "ami-of-099720109477"
        assert one.plain["iamInstanceProfile"] == f"machines-{role}-profile-id"
        assert fleet.named(f"machines-{role}-profile").plain["role"] == f"machines-{role}-machine-id"


def test_another_operating_system_comes_from_its_own_publisher() -> None:
    run = on_aws(ONE, image="debian-12", administrators=["203.0.113.0/24"])
    assert instances(run)["all-1"].plain["ami"] == "ami-of-136693071363"


@pytest.mark.parametrize(("roles", "networks"), [(ONE, []), (FOUR, ["203.0.113.0/24"])])
def test_a_debian_that_nobody_could_reach_is_one_message(roles: dict[str, Any], networks: list[str]) -> None:
    with pytest.raises(FaultsError) as raised:
        on_aws(roles, image="debian-12", administrators=networks)
    (fault,) = raised.value.faults
    assert fault.what.startswith("image is debian-12, which takes no sessions of Systems Manager, and nothing else")
    assert fault.instead == "say ubuntu-24.04, or give administrators and make the role public"


def test_a_machine_may_hold_sessions_and_nothing_else_in_the_account(fleet: Recording) -> None:
    policies = fleet.of_type(":RolePolicy")
    assert len(policies) == len(FOUR)
    for policy in policies:
        itself, messages = json.loads(policy.plain["policy"])["Statement"]
        assert itself["Action"] == "ssm:UpdateInstanceInformation"
        assert itself["Resource"] == f"arn:aws:ec2:{A[:-1]}:*:instance/*"
        assert all(action.startswith("ssmmessages:") for action in messages["Action"])
    assert fleet.of_type(":RolePolicyAttachment") == []
    assert fleet.outputs["roles"].keys() == FOUR.keys()


def test_a_new_image_or_document_is_no_change_of_a_machine(fleet: Recording) -> None:
    for one in instances(fleet).values():
        assert sorted(one.options.ignoreChanges) == ["ami", "userDataBase64"]


def test_a_machine_takes_its_address_only_after_the_one_before_is_gone(fleet: Recording) -> None:
    for one in (*fleet.of_type(":Instance"), *fleet.of_type(":VolumeAttachment")):
        assert one.options.deleteBeforeReplace


def test_the_first_boot_is_given_the_document_with_the_host_key_and_hides_it(fleet: Recording) -> None:
    for name, one in instances(fleet).items():
        packed = base64.b64decode(one.plain["userDataBase64"])
        document = gzip.decompress(packed).decode()
        key = f"machines-{name}-host-key"
        assert document == f"#cloud-config {name} private-{key}\n ssh-ed25519 public-{key}\n"
        assert packed[4:8] == b"\0\0\0\0", "a time in it would make it another one each time"


def test_only_public_machines_have_an_address_outside(fleet: Recording, alone: Recording) -> None:
    assert fleet.of_type(":Eip") == fleet.of_type(":EipAssociation") == []
    assert all(one.plain["associatePublicIpAddress"] is False for one in instances(fleet).values())
    (machine,) = instances(alone).values()
    assert machine.plain["subnetId"] == f"subnet-public-{A}"
    (association,) = alone.of_type(":EipAssociation")
    assert association.plain["instanceId"] == "machines-all-1-id"
    assert alone.outputs["addresses"] == {"all-1": "address-of-machines-all-1-address"}
    # https://github.com/hashicorp/terraform-provider-aws/issues/37318
    assert "associatePublicIpAddress" not in machine.plain


def test_in_production_machines_disks_and_addresses_are_protected(fleet: Recording, alone: Recording) -> None:
    kept = [*fleet.of_type(":Instance"), *fleet.of_type("ebs/volume:Volume"), *alone.of_type(":Eip")]
    assert len(kept) == 11
    assert all(one.options.protect for one in kept)
    assert all(one.plain["disableApiTermination"] for one in instances(fleet).values())
    assert all(one.options.retainOnDelete for one in fleet.of_type("ebs/volume:Volume"))


def test_without_protection_everything_goes_with_the_stack() -> None:
    run = on_aws(protect=False)
    assert not [one for one in run.registrations if one.options.protect or one.options.retainOnDelete]
    assert not any(one.plain["disableApiTermination"] for one in instances(run).values())


def test_a_machine_that_is_to_be_renewed_is_unprotected_and_its_disk_is_not(fleet: Recording) -> None:
    run = on_aws(unprotected=["data-1"])
    found = instances(run)
    assert not found["data-1"].options.protect
    assert all(one.options.protect for name, one in found.items() if name != "data-1")
    assert all(one.options.protect for one in run.of_type("ebs/volume:Volume"))
    # AWS goes on to refuse it to everybody but the plugin.
    assert changed(fleet, run) == {"machines-data-1": {"forceDestroy"}}


def test_an_unprotected_machine_that_is_not_there_is_one_message() -> None:
    with pytest.raises(FaultsError) as raised:
        on_aws(unprotected=["data-2"])
    (fault,) = raised.value.faults
    assert str(fault) == (
        "groundwork:machines: unprotected names `data-2`, and there is no such machine\n    did you mean `data-1`?"
    )


def before(run: Recording, name: str) -> frozenset[str]:
    return run.before(run.named(name))


def test_a_machine_is_ready_when_its_disk_and_address_are_there_and_its_probe_says_so(
    fleet: Recording, alone: Recording
) -> None:
    assert {"machines-data-1", "machines-data-1-data-attachment", "machines-data-1-host-key"} <= before(
        fleet, "machines-data-1-ready"
    )
    assert "machines-all-1-address-association" in before(alone, "machines-all-1-ready")
    for name, one in commands(fleet).items():
        assert one.plain["stdin"] == f"script of {name}\n"
        assert "groundwork-ready 0123abcd" in one.plain["create"]
        assert "bash" in one.plain["create"] and "cloud-init status --wait" in one.plain["create"]


def test_a_new_script_is_run_in_place_and_changes_nothing_else(fleet: Recording) -> None:
    scripts = {name: f"script of {name}\n" for name in instances(fleet)} | {"app-1": "another\n"}
    run = recorded({"kind": "aws", "deployers": [KEY], "roles": FOUR}, scripts=scripts)
    assert changed(fleet, run) == {"machines-app-1-ready": {"stdin"}}
    # Those would replace it, and with it whoever depends on it.
    assert not any("triggers" in one.plain for one in commands(run).values())


def test_a_bigger_disk_or_machine_is_asked_again_and_nothing_is_replaced(fleet: Recording) -> None:
    run = on_aws(FOUR | {"data": FOUR["data"] | {"data_disk_gib": 800}})
    assert changed(fleet, run) == {"machines-data-1-data": {"size"}, "machines-data-1-ready": {"environment"}}
    run = on_aws(FOUR | {"data": FOUR["data"] | {"vcpus": 16, "memory_gib": 32}})
    assert changed(fleet, run) == {"machines-data-1": {"instanceType"}, "machines-data-1-ready": {"environment"}}


def changed(old: Recording, new: Recording) -> dict[str, set[str]]:
    """The inputs that differ, by resource; nothing may be new or gone."""
    ours = [{one.name: one for one in run.registrations if one.custom} for run in (old, new)]
    assert ours[0].keys() == ours[1].keys()
    found = {}
    for name, one in ours[0].items():
        another = ours[1][name]
        keys = {key for key in one.inputs.keys() | another.inputs.keys()
                if one.inputs.get(key) != another.inputs.get(key)}  # fmt: skip
        if keys:
            found[name] = keys
    return found


@pytest.mark.parametrize(
    ("roles", "new"),
    [
        (FOUR | {"app": SIZE | {"zones": [A, B, C]}}, "app-3"),
        (FOUR | {"app": SIZE | {"zones": [A, B, A]}}, "app-3"),
        (FOUR | {"monitoring": FOUR["monitoring"] | {"zones": [B, B]}}, "monitoring-2"),
    ],
    ids=["a third app machine in a third zone", "a third app machine in the first zone", "a second monitoring machine"],
)
def test_one_more_machine_changes_none_that_there_is(fleet: Recording, roles: dict[str, Any], new: str) -> None:
    old, grown = ({one.urn: one for one in run.registrations if one.custom} for run in (fleet, on_aws(roles)))
    assert {one.name for urn, one in grown.items() if urn not in old} == {
        f"machines-{new}{part}" for part in ("", "-host-key", "-data", "-data-attachment", "-ready")
    }
    assert {urn: one.inputs for urn, one in old.items()} == {urn: grown[urn].inputs for urn in old}


def test_private_machines_are_reached_by_a_session_with_their_own_key(fleet: Recording) -> None:
    for name, one in described(fleet).items():
        public = f"ssh-ed25519 public-machines-{name}-host-key"
        assert one["host"] == f"ssh://groundwork@machines-{name}-id"
        assert one["ssh_options"] == options(public, through_session("ap-southeast-1"))
    assert fleet.outputs["instances"]["app-1"] == "machines-app-1-id"


def test_a_public_machine_is_reached_by_its_address_where_there_are_administrators(alone: Recording) -> None:
    assert described(alone)["all-1"] == {
        "role": "all",
        "address": "10.20.0.68",
        "host": "ssh://groundwork@address-of-machines-all-1-address",
        "ssh_options": options("ssh-ed25519 public-machines-all-1-host-key"),
    }


def test_without_administrators_a_public_machine_is_reached_by_a_session_too() -> None:
    (one,) = described(on_aws(ONE)).values()
    assert one["host"] == "ssh://groundwork@machines-all-1-id"
    assert one["ssh_options"] == options("ssh-ed25519 public-machines-all-1-host-key", through_session(A[:-1]))


def test_hosts_that_exist_are_only_asked(hosts: Recording) -> None:
    assert {one.type for one in hosts.registrations if one.custom} == {"command:local:Command"}
    for one in commands(hosts).values():
        assert "stdin" not in one.plain
        assert "groundwork-ready 0123abcd" in one.plain["create"] and "bash" not in one.plain["create"]
        assert "python -m ops harden" in one.plain["create"]


def test_hosts_that_exist_are_reached_as_the_stack_file_says(hosts: Recording) -> None:
    assert described(hosts) == {
        "app-1": {
            "role": "app", "address": "10.0.0.1", "host": "ssh://groundwork@app-1.example.com",
            "ssh_options": options(KEY),
        },
        "app-2": {
            "role": "app", "address": "10.0.0.2", "host": "ssh://groundwork@10.0.0.2:2222",
            "ssh_options": options(KEY, through_jump("me@jump.example.com")),
        },
    }  # fmt: skip
    assert hosts.outputs["instances"] == {}
    assert hosts.outputs["addresses"] == {"app-1": "app-1.example.com", "app-2": "10.0.0.2"}


def test_one_more_host_changes_none_that_there_is(hosts: Recording) -> None:
    more = {"address": "app-3.example.com", "private_address": "10.0.0.3", "host_key": KEY}
    roles = {"app": HOSTS["app"] | {"hosts": [*HOSTS["app"]["hosts"], more]}}
    old, grown = ({one.urn: one for one in run.registrations if one.custom} for run in (hosts, on_hosts(roles)))
    assert {one.name for urn, one in grown.items() if urn not in old} == {"machines-app-3-ready"}
    assert {urn: one.inputs for urn, one in old.items()} == {urn: grown[urn].inputs for urn in old}


def test_the_private_host_key_travels_in_no_plain_text(fleet: Recording) -> None:
    """The mock makes no output secret, and the plugin does: what is given on is the document alone."""
    for one in fleet.registrations:
        for key, value in one.plain.items():
            if key != "userDataBase64":
                assert "private-machines" not in json.dumps(value), one.name


def test_the_tags_of_the_stack_are_on_everything_that_has_some(fleet: Recording, alone: Recording) -> None:
    kinds = ("ec2/instance:Instance", "ebs/volume:Volume", "ec2/eip:Eip", "iam/role:Role",
             "iam/instanceProfile:InstanceProfile")  # fmt: skip
    found = [one for run in (fleet, alone) for one in run.registrations if one.type.endswith(kinds)]
    assert {one.type.rsplit(":")[-1] for one in found} == {kind.rsplit(":")[-1] for kind in kinds}
    for one in found:
        assert one.plain["tags"].items() >= {"project": "shop", "stack": "test"}.items()
        assert one.plain["tags"]["Name"].startswith("machines-")
