"""Ids, ARNs, addresses and names that AWS makes up, in its shapes; each says that it is simulated."""

from __future__ import annotations

from hashlib import sha256
from uuid import uuid4

from sim.values import Properties, text

NOBODY = "000000000000"
"""The account of a provider that names none in `allowedAccountIds`."""


def made_up(prefix: str = "") -> str:
    """`vpc` ─► `vpc-simulated-0123456789abcdef`."""
    name = f"simulated-{uuid4().hex[:16]}"
    return f"{prefix}-{name}" if prefix else name


def steady(prefix: str, *parts: str) -> str:
    """Like `made_up`, and the same for the same parts."""
    name = f"simulated-{sha256('/'.join(parts).encode()).hexdigest()[:16]}"
    return f"{prefix}-{name}" if prefix else name


def arn(around: Properties, service: str, resource: str, *, everywhere: bool = False) -> str:
    """`everywhere` for what is of no region, such as a role."""
    region = "" if everywhere else region_of(around)
    return f"arn:aws:{service}:{region}:{account_of(around)}:{resource}"


def region_of(around: Properties) -> str:
    return text(around, "region") or "simulated-region-1"


def account_of(around: Properties) -> str:
    return text(around, "account") or NOBODY


def last_part(arn_: str) -> str:
    """What stands behind the last `/` or `:`."""
    return arn_.replace("/", ":").rpartition(":")[2]


def public_address(identity: str) -> str:
    """One of 192.0.2.0/24 (RFC 5737)."""
    return f"192.0.2.{1 + int(sha256(identity.encode()).hexdigest(), 16) % 254}"
