"""Resolves every image of an environment to a digest: from its registry into `images.lock`, or, for images that only
this engine has, into `.groundwork/images.lock`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import docker
import yaml
from docker.errors import BuildError, DockerException, ImageNotFound

from groundwork.faults import Fault, FaultsError
from groundwork.images import BUILD, LOCK, read_lock, repository_of
from groundwork.workload import Image

HEADER = "# Digests of images, by reference. Written by `make lock`.\n"


def lock_images(root: Path, references: Iterable[str], *, refresh: bool = False) -> list[str]:
    """Writes what is missing (with `refresh`: everything) and returns one line per image that was resolved.

    FaultsError names every image that neither the engine nor its registry has.
    """
    refuse_lost(references := set(references))
    known = read_lock(root, "mark").images
    wanted = sorted({name for name in references if "@" not in name})
    missing = [name for name in wanted if refresh or name not in known or name.startswith(BUILD)]
    if not missing:
        return []
    client = connected()
    found: dict[str, Image] = {}
    faults: list[Fault] = []
    for reference in missing:
        try:
            found[reference] = (
                _build(client, root, reference) if reference.startswith(BUILD) else _find(client, reference)
            )
        except BuildError as error:
            log = "".join(str(line.get("stream", "")) for line in error.build_log)
            faults.append(Fault(f"image {reference}", "can't be built", "\n    ".join(log.strip().splitlines()[-8:])))
        except DockerException as error:
            said = str(getattr(error, "explanation", None) or error)
            faults.append(Fault(f"image {reference}", "can't be resolved", " ".join(said.split())[:300]))
    for path, origin in ((root / LOCK, "registry"), (root / ".groundwork" / LOCK, "local")):
        _write(path, {name: image.digest for name, image in found.items() if image.origin == origin})
    if faults:
        raise FaultsError("images", faults)
    return [f"{name}  {image.origin} {image.digest[:19]}" for name, image in found.items() if known.get(name) != image]


def refuse_local(stack: str, references: Mapping[str, str]) -> None:
    """FaultsError, before anything is built, for images that a cluster can't have."""
    instead = "push it to a registry that the cluster reaches, and name it: groundwork:apps.<app>.image"
    faults = [
        Fault(f"image of {name}", f"`{reference}` is built on this machine", instead)
        for name, reference in references.items()
        if reference.startswith(BUILD)
    ]
    if faults:
        raise FaultsError(f"stack {stack}", faults)


def refuse_lost(references: Iterable[str]) -> None:
    """FaultsError for pinned images that were built here, and that this machine's engine does not have any more."""
    pinned = sorted({name for name in references if name.startswith(BUILD) and "@" in name})
    if not pinned:
        return
    client, faults = connected(), []
    for name in pinned:
        try:
            client.images.get(name.partition("@")[2])
        except ImageNotFound:
            instead = "check out its commit and run `make lock`, or take `@sha256:…` out: then the newest is built"
            faults.append(Fault(f"image {name}", "this machine's engine does not have it any more", instead))
    if faults:
        raise FaultsError("images", faults)


def connected() -> docker.DockerClient:
    """The engine that the environment names; FaultsError where none answers."""
    try:
        client = docker.from_env(use_ssh_client=True)
        client.ping()
    except DockerException:
        fault = Fault("images", "no Docker engine answers", "install and start Docker, or name one: DOCKER_HOST")
        raise FaultsError("make lock", [fault]) from None
    return client


def _find(client: docker.DockerClient, reference: str) -> Image:
    """The digest that the registry gives; the engine's own id when the image came from no registry."""
    try:
        image = client.images.get(reference)
    except ImageNotFound:
        image = client.images.pull(reference)
    here = f"{repository_of(reference)}@"
    digests = [name.removeprefix(here) for name in image.attrs.get("RepoDigests") or [] if name.startswith(here)]
    if digests:
        return Image(reference=reference, digest=digests[0], origin="registry")
    return Image(reference=reference, digest=str(image.id), origin="local")


def _build(client: docker.DockerClient, root: Path, reference: str) -> Image:
    """Builds `images/<name>` in the engine; what did not change comes from its cache."""
    name = reference.removeprefix(BUILD)
    folder = root / "images" / name
    if not (folder / "Dockerfile").exists():
        raise DockerException(f"there is no images/{name}/Dockerfile")
    image, _ = client.images.build(path=str(folder), tag=f"groundwork/{name}:local", rm=True)
    # Nameless, it would go with the next `docker image prune`; `ops rollback` needs it.
    image.tag(f"groundwork/{name}", str(image.id).removeprefix("sha256:")[:12])
    return Image(reference=reference, digest=str(image.id), origin="local")


def _write(path: Path, digests: dict[str, str]) -> None:
    if not digests:
        return
    before = yaml.safe_load(path.read_text()) or {} if path.exists() else {}
    path.parent.mkdir(exist_ok=True)
    path.write_text(HEADER + yaml.safe_dump(before | digests, sort_keys=True))
