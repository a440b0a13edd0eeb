"""From an image's name to an image that can no longer change, by way of `images.lock`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from .faults import Fault, FaultsError
from .workload import Image

LOCK = "images.lock"
"""Committed: digests of registry images. Beside it `.groundwork/images.lock` holds what only this engine has."""


def with_prefix(reference: str, prefix: str | None) -> str:
    """`nginx:1.30` behind the mirror `harbor.example.com/hub` is `harbor.example.com/hub/library/nginx:1.30`."""
    host = reference.split("/")[0]
    names_registry = "/" in reference and ("." in host or ":" in host or host == "localhost")
    if prefix is None or names_registry or reference.startswith("build:"):
        return reference
    return f"{prefix}/{reference if '/' in reference else f'library/{reference}'}"


@dataclass(frozen=True)
class ImageLock:
    """Digests by reference. Where one is missing: `refuse` (a fault), or `mark` it as simulated (pictures, simulated runs)."""

    digests: Mapping[str, str]
    missing: Literal["refuse", "mark"]

    def resolve(self, reference: str) -> Image:
        """The image behind `reference`; LookupError when the lock lacks it and refuses."""
        name, at, digest = reference.partition("@")
        if at:
            return Image(reference=name, digest=digest, origin="registry")
        if reference in self.digests:
            origin, _, digest = self.digests[reference].partition(" ")
            return Image(reference=reference, digest=digest, origin="local" if origin == "local" else "registry")
        if self.missing == "mark":
            made = hashlib.sha256(reference.encode()).hexdigest()
            return Image(reference=reference, digest=f"sha256:{made}", origin="simulated")
        raise LookupError(reference)


def read_lock(root: Path, missing: Literal["refuse", "mark"]) -> ImageLock:
    """The committed lock of the checkout at `root`, over it what this machine's engine has."""
    digests: dict[str, str] = {}
    for path in (root / LOCK, root / ".groundwork" / LOCK):
        if path.exists():
            entries = yaml.safe_load(path.read_text()) or {}
            if not isinstance(entries, dict) or not all(_is_entry(value) for value in entries.values()):
                fault = Fault(path.name, "an entry is no digest", "run `make lock`, which writes this file")
                raise FaultsError(str(path), [fault])
            digests |= entries
    return ImageLock(digests, missing)


def _is_entry(value: object) -> bool:
    kind, _, digest = str(value).partition(" ")
    return kind in ("registry", "local") and digest.startswith("sha256:") and len(digest) == 71
