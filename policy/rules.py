"""All rules, in the order of docs/policy.md."""

from __future__ import annotations

from . import buckets, containers, encryption, identity, machines, ports, tags
from .rule import Rule, StackRule

RULES: tuple[Rule | StackRule, ...] = (
    ports.GROUP_PORTS,
    ports.PUBLISHED_PORTS,
    encryption.AT_REST,
    encryption.IN_TRANSIT,
    buckets.CLOSED,
    buckets.GUARDED,
    identity.NO_WILDCARDS,
    identity.TRUST,
    machines.METADATA,
    machines.PROTECTED,
    machines.ONE_NAT,
    containers.RIGHTS,
    containers.DIGESTS,
    tags.REQUIRED_TAGS,
)
