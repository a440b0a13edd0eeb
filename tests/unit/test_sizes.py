"""The table of sizes, against what AWS itself says of its instance types."""

from __future__ import annotations

import gzip
import json
from importlib.resources import files
from typing import Any

import pytest

from groundwork.faults import FaultsError
from groundwork.sizes import FAMILIES, WITHOUT_SEVENTH, instance_type, sizes
from groundwork.stack_file import read_values

DESCRIBED: dict[str, Any] = json.loads(
    gzip.decompress((files("moto") / "ec2/resources/instance_types.json.gz").read_bytes())
)
"""The answer of AWS's DescribeInstanceTypes, as moto carries it."""
OFFERED: dict[str, set[str]] = {
    region: set(one["enum"])
    for region, one in json.loads(
        (files("cfnlint") / "data/schemas/extensions/aws_ec2_instance/instancetype_enum.json").read_text()
    ).items()
    if region != "all" and "enum" in one
}
"""The types of each region, as cfn-lint carries them."""
every_region = pytest.mark.parametrize("region", sorted(OFFERED))


def test_the_judges_know_regions_and_types() -> None:
    assert len(OFFERED) > 30 and {"eu-central-1", "cn-north-1"} <= OFFERED.keys()
    assert len(DESCRIBED) > 1000


@every_region
def test_every_size_is_sold_in_the_region(region: str) -> None:
    assert set(sizes(region).values()) <= OFFERED[region]


@every_region
def test_every_type_has_the_size_that_it_stands_for_and_what_machines_need(region: str) -> None:
    for (vcpus, gib), name in sizes(region).items():
        one = DESCRIBED[name]
        assert one["VCpuInfo"]["DefaultVCpus"] == vcpus, name
        assert one["MemoryInfo"]["SizeInMiB"] == gib * 1024, name
        assert one["ProcessorInfo"]["SupportedArchitectures"] == ["x86_64"], name
        assert one["EbsInfo"]["EncryptionSupport"] == "supported", name
        assert one["EbsInfo"]["EbsOptimizedInfo"] and one["EbsInfo"]["EbsOptimizedSupport"] == "default", name
        assert not one["InstanceStorageSupported"], name


def test_the_sizes_of_the_five_systems_are_there() -> None:
    region = "ap-southeast-1"
    assert instance_type(4, 8, region) == "c7i.xlarge"
    assert instance_type(8, 16, region) == "c7i.2xlarge"
    assert instance_type(2, 4, region) == "t3.medium"


def test_a_region_without_the_seventh_generation_has_the_sixth() -> None:
    assert instance_type(4, 8, "cn-north-1") == "c6i.xlarge"
    assert instance_type(8, 64, "eu-central-2") == "r6i.2xlarge"
    assert instance_type(8, 16, "eu-central-2") == "c7i.2xlarge"
    assert WITHOUT_SEVENTH.keys() == FAMILIES.keys()


def test_a_size_that_nobody_has_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError) as raised:
        instance_type(3, 6, "eu-central-1")
    assert str(raised.value) == (
        "no instance type of eu-central-1 has 3 vcpus with 6 GiB; the nearest that there are: "
        "2 with 4 GiB, 2 with 8 GiB, 4 with 8 GiB"
    )


def test_in_a_stack_file_it_is_one_message_with_its_place() -> None:
    role = {"vcpus": 4, "memory_gib": 9, "zones": ["eu-central-1a"]}
    deployer = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDp1bnQgZ3JvdW5kd29yayBrZXkgZm9yIGRvY3MgMTIzNDU2"
    machines = {"kind": "aws", "deployers": [deployer], "roles": {"app": role}}
    aws = {"account": "123456789012", "region": "eu-central-1", "network": {"zones": ["eu-central-1a"]}}
    with pytest.raises(FaultsError) as raised:
        read_values({"groundwork:machines": machines, "groundwork:aws": aws}, "prod")
    (fault,) = raised.value.faults
    assert fault.where == "groundwork:machines.roles.app"
    assert fault.what == "no instance type of eu-central-1 has 4 vcpus with 9 GiB"
    assert fault.instead.startswith("the nearest that there are: ") and "4 with 8 GiB" in fault.instead
