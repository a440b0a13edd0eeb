"""Which network, machine and container has which addresses: by name, so that a new one never moves an old one.

The plan of a network of AWS: each tier has a 32nd of its range in each zone, and there is room for a fourth tier
(docs/network.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

PREFIX_LENGTH = 28
"""13 containers a network, less the surge of a release."""
Tier = Literal["public", "private", "data"]
TIERS: tuple[Tier, ...] = ("public", "private", "data")
"""The fourth quarter of the range is free: for a tier that nobody thought of."""
ZONE_LETTERS = "abcdefgh"
MACHINE_PORTS = range(20_000, 30_000)
"""For services that other machines use: below the ports that clients take (from 32768) and node ports (from 30000)."""
KINDS = 5
"""Kinds of machines that share a subnet's addresses in turn."""
MACHINES_PREFIX = 26
"""Of each subnet the second /26 is for machines: 64 addresses, 12 for each kind."""
LARGEST_PREFIX = 19
"""Of a network's range: its subnets are /24, so that machines and what AWS puts there itself both have room."""
PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
"""What anybody may use inside (RFC 1918). Python's `is_private` takes loopback and link-local for private as well."""


def is_private(range_: IPv4Network) -> bool:
    return any(range_.subnet_of(private) for private in PRIVATE)


def subnets(range_: IPv4Network, owner: str, names: Iterable[str]) -> dict[str, IPv4Network]:
    """A /28 of `range_` for each name, keyed by the hash of owner and name.

    Where two hashes meet, the alphabetically later name takes the next free place.
    """
    first = int(range_.network_address)
    size = 2 ** (32 - PREFIX_LENGTH)
    places = _places(2 ** (PREFIX_LENGTH - range_.prefixlen), owner, names)
    return {name: IPv4Network((first + place * size, PREFIX_LENGTH)) for name, place in places.items()}


def ports(owner: str, names: Iterable[str], avoid: Iterable[int] = ()) -> dict[str, int]:
    """A port of a machine for each name, as `subnets` gives networks; never one of `avoid`."""
    taken = (port - MACHINE_PORTS.start for port in avoid if port in MACHINE_PORTS)
    places = _places(len(MACHINE_PORTS), owner, names, taken)
    return {name: MACHINE_PORTS[place] for name, place in places.items()}


def _places(count: int, owner: str, names: Iterable[str], avoid: Iterable[int] = ()) -> dict[str, int]:
    places: dict[str, int] = {}
    taken = set(avoid)
    for name in sorted(names):
        place = int.from_bytes(hashlib.sha256(f"{owner}/{name}".encode()).digest()[:8], "big") % count
        while place in taken:
            place = (place + 1) % count
        taken.add(place)
        places[name] = place
    return places


def closed_range(range_: IPv4Network) -> IPv4Network:
    """The half of a stack's container networks from which, on machines, only other machines are reached: the firewall
    of a machine lets it go nowhere else. The other half holds internal networks and those of apps with `egress`."""
    return list(range_.subnets())[1]


def open_range(range_: IPv4Network) -> IPv4Network:
    """The other half."""
    return next(range_.subnets())


def machine_subnet(range_: IPv4Network, tier: Tier, zone: str) -> IPv4Network:
    """The subnet of a tier in a zone: a 32nd of `range_`, known by the zone's letter, whichever zones there are."""
    place = TIERS.index(tier) * len(ZONE_LETTERS) + ZONE_LETTERS.index(zone[-1])
    prefix = range_.prefixlen + 5
    return IPv4Network((int(range_.network_address) + (place << (32 - prefix)), prefix))


def machine_block(range_: IPv4Network, tier: Tier, zone: str) -> IPv4Network:
    """The part of a subnet that is for machines with fixed addresses: without it a load balancer or a NAT gateway, to
    which AWS gives any free address, would some day have that of a machine which is still to come. It holds none of the
    first four and the last, which AWS keeps for itself."""
    subnet = machine_subnet(range_, tier, zone)
    return IPv4Network((int(subnet.network_address) + 2 ** (32 - MACHINES_PREFIX), MACHINES_PREFIX))


def machine_address(range_: IPv4Network, tier: Tier, zone: str, kind: int, number: int) -> IPv4Address:
    """The address of the machine `number` (from 1) of a kind (from 0): kinds take turns, so each can grow."""
    return machine_block(range_, tier, zone)[kind + KINDS * (number - 1)]
