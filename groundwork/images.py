"""From an image's name to an image that can no longer change, by way of `images.lock`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import yaml

from .faults import Fault, FaultsError
from .workload import Image

DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")
BUILD = "build:"
"""Begins the reference of an image that is built from a folder of `images/`."""
LOCK = "images.lock"
"""Committed: digests of registry images. Beside it `.groundwork/images.lock` holds what only this engine has."""


def with_prefix(reference: str, prefix: str | None) -> str:
    """`nginx:1.30` behind the mirror `harbor.example.com/hub` is `harbor.example.com/hub/library/nginx:1.30`."""
    host = reference.split("/")[0]
    names_registry = "/" in reference and ("." in host or ":" in host or host == "localhost")
    if prefix is None or names_registry or reference.startswith(BUILD):
        return reference
    return f"{prefix}/{reference if '/' in reference else f'library/{reference}'}"


def repository_of(reference: str) -> str:
    """The reference without its tag."""
    last = reference.split("/")[-1]
    return reference.rsplit(":", 1)[0] if ":" in last else reference


def image_name(image: Image) -> str:
    """The engine's name for an image that can't change."""
    if image.origin in ("local", "sources"):
        return image.digest
    return f"{repository_of(image.reference)}@{image.digest}"


@dataclass(frozen=True)
class ImageLock:
    """Images by reference. A missing one is refused, or marked: as its sources where it is built below `root`, else as
    simulated (pictures and simulated runs)."""

    images: Mapping[str, Image]
    missing: Literal["refuse", "mark"]
    root: Path | None = None

    def resolve(self, reference: str) -> Image:
        """The image behind `reference`; LookupError when the lock lacks it and refuses."""
        name, at, digest = reference.partition("@")
        if at:
            return Image(reference=name, digest=digest, origin="local" if self.is_local(name) else "registry")
        if reference in self.images:
            return self.images[reference]
        if self.missing == "refuse":
            raise LookupError(reference)
        if reference.startswith(BUILD) and self.root:
            sources = digest_of_folder(self.root / "images" / reference.removeprefix(BUILD))
            return Image(reference=reference, digest=sources, origin="sources")
        made = hashlib.sha256(reference.encode()).hexdigest()
        return Image(reference=reference, digest=f"sha256:{made}", origin="simulated")

    def is_local(self, name: str) -> bool:
        """Whether an image of that name is one that only this machine's engine has, whatever its digest."""
        return name.startswith(BUILD) or (name in self.images and self.images[name].origin == "local")

    def of_registries(self) -> ImageLock:
        """Without what only this machine's engine has: then a digest under the same name is a registry's."""
        return replace(self, images={name: one for name, one in self.images.items() if one.origin != "local"})


def digest_of_folder(folder: Path) -> str:
    """`sha256:…` over the names and contents of all files below `folder`, compiled ones excepted."""
    total = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            total.update(f"{file.relative_to(folder).as_posix()} {content}\n".encode())
    return f"sha256:{total.hexdigest()}"


def read_lock(root: Path, missing: Literal["refuse", "mark"], *, local: bool = True) -> ImageLock:
    """The committed lock of the checkout at `root`; with `local`, over it what this machine's engine has."""
    images: dict[str, Image] = {}
    origins: dict[Path, Literal["registry", "local"]] = {root / LOCK: "registry"}
    if local:
        origins[root / ".groundwork" / LOCK] = "local"
    for path, origin in origins.items():
        try:
            digests = yaml.safe_load(path.read_text()) or {} if path.exists() else {}
        except yaml.YAMLError:
            digests = None
        if not isinstance(digests, dict) or not all(DIGEST.match(str(digest)) for digest in digests.values()):
            fault = Fault(path.name, "an entry is no digest", "run `make lock`, which writes this file")
            raise FaultsError(str(path), [fault])
        images |= {name: Image(reference=name, digest=digest, origin=origin) for name, digest in digests.items()}
    return ImageLock(images, missing, root)
