"""Which container network has which addresses: by hash, so that a new service never moves an old one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from ipaddress import IPv4Network

PREFIX_LENGTH = 28
"""13 containers a network, less the surge of a release."""


def subnets(range_: IPv4Network, owner: str, names: Iterable[str]) -> dict[str, IPv4Network]:
    """A /28 of `range_` for each name, keyed by the hash of owner and name.

    Where two hashes meet, the alphabetically later name takes the next free place.
    """
    places = 2 ** (PREFIX_LENGTH - range_.prefixlen)
    taken: dict[int, str] = {}
    for name in sorted(names):
        place = int.from_bytes(hashlib.sha256(f"{owner}/{name}".encode()).digest()[:8], "big") % places
        while place in taken:
            place = (place + 1) % places
        taken[place] = name
    first = int(range_.network_address)
    size = 2 ** (32 - PREFIX_LENGTH)
    return {name: IPv4Network((first + place * size, PREFIX_LENGTH)) for place, name in taken.items()}
