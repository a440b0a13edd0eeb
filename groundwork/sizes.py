"""Which instance type of EC2 a size stands for: x86, since that is what images are built for.

Figures are those of AWS's pages "Amazon EC2 instance types" (T3, C7i, M7i, R7i and their sixth generation). A test
holds each row against AWS's own description of the types, as moto carries it, and each region against cfn-lint's lists.
"""

from __future__ import annotations

from math import log2

BURSTABLE = {(2, 1): "t3.micro", (2, 2): "t3.small", (2, 4): "t3.medium"}
"""By virtual processors and GiB. Small machines wait most of the time, and these cost the least while they do."""
STEPS = {
    2: "large", 4: "xlarge", 8: "2xlarge", 16: "4xlarge", 32: "8xlarge", 48: "12xlarge", 64: "16xlarge", 96: "24xlarge",
}  # fmt: skip
"""Sizes that every family has, by virtual processors."""
LARGEST = {7: (192, "48xlarge"), 6: (128, "32xlarge")}
"""The one that only its generation has."""
FAMILIES = {"c": 2, "m": 4, "r": 8}
"""GiB for each virtual processor: for computing, for all purposes, for memory."""
_SIXTH = {"cn-north-1", "cn-northwest-1", "me-south-1"}
WITHOUT_SEVENTH = {
    "c": _SIXTH,
    "m": _SIXTH | {"ca-west-1"},
    "r": _SIXTH | {"af-south-1", "ap-east-1", "ca-west-1", "eu-central-2", "il-central-1", "me-central-1"},
}
"""Regions in which a family has the sixth generation and no seventh. One that gets the seventh stays here, so that no
machine that runs changes its type."""


def sizes(region: str) -> dict[tuple[int, int], str]:
    """Every size that a machine may have in a region, as (virtual processors, GiB), with its instance type."""
    found: dict[tuple[int, int], str] = {}
    for family, gib in FAMILIES.items():
        generation = 6 if region in WITHOUT_SEVENTH[family] else 7
        largest, name = LARGEST[generation]
        for vcpus, size in (STEPS | {largest: name}).items():
            found[vcpus, vcpus * gib] = f"{family}{generation}i.{size}"
    return dict(sorted((found | BURSTABLE).items()))


def instance_type(vcpus: int, memory_gib: int, region: str) -> str:
    """The type of exactly that size. ValueError, with the nearest ones, where there is none."""
    known = sizes(region)
    if (vcpus, memory_gib) not in known:
        near = sorted(known, key=lambda size: abs(log2(size[0] / vcpus)) + abs(log2(size[1] / memory_gib)))[:3]
        told = ", ".join(f"{cpus} with {gib} GiB" for cpus, gib in sorted(near))
        raise ValueError(
            f"no instance type of {region} has {vcpus} vcpus with {memory_gib} GiB; the nearest that there are: {told}"
        )
    return known[vcpus, memory_gib]
