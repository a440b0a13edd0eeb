"""Containers: no more rights on their machine than they need, and in production exactly the image that was tested."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .rule import Resource, Rule, Stack, Unknown, mappings, texts, types

CONTAINERS = types("docker: index/container:Container")
IMAGES = types("docker: index/remoteImage:RemoteImage")
DIGEST = re.compile(r"(^|@)sha256:[0-9a-f]{64}$")
SOCKETS = ("docker.sock", "containerd.sock", "crio.sock", "podman.sock")
WHOLE = frozenset({"/", "/run", "/var", "/var/run", "/etc", "/proc", "/sys", "/dev", "/root", "/var/lib/docker"})
"""Directories of the machine through which a container owns it."""
POWERS = frozenset({
    "ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO", "SYS_BOOT", "NET_ADMIN", "DAC_READ_SEARCH", "BPF",
    "MKNOD",
})  # fmt: skip
"""Capabilities that lead out of a container, or as good as."""


def pods_in(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every pod specification within an object of a cluster, of whatever kind it is."""
    if isinstance(value, Mapping):
        if mappings(value.get("containers")):
            yield value
        for item in value.values():
            yield from pods_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from pods_in(item)


def containers_of(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for key in ("initContainers", "containers", "ephemeralContainers") for one in mappings(pod.get(key))]


def is_of_cluster(resource: Resource) -> bool:
    return resource.type.startswith("kubernetes:")


def harmless(user: Any, capabilities: Any, *, read_only: bool) -> bool:
    """Whether who is given all of a machine reads no more of it than everybody there: what measures machines and their
    disks needs that. It must be nobody in particular, have no capability, and change nothing."""
    uid = str(user or "").partition(":")[0]
    dropped = texts(capabilities.get("drops") or capabilities.get("drop")) if isinstance(capabilities, Mapping) else []
    return read_only and uid not in ("", "0", "root") and "ALL" in dropped


def leads_out(path: Any, *, read_by_nobody: bool) -> str | None:
    """What is wrong with a directory of the machine that a container is given."""
    if not isinstance(path, str) or not path or (path == "/" and read_by_nobody):
        return None
    plain = path.rstrip("/") or "/"
    if plain.endswith(SOCKETS):
        return f"mounts the container engine's socket {plain}"
    return f"mounts the machine's {plain}" if plain in WHOLE else None


def of_container(resource: Resource) -> Iterator[str]:
    props = resource.props
    if props.get("privileged") is True:
        yield "is privileged"
    for key in ("networkMode", "pidMode", "ipcMode", "usernsMode"):
        if props.get(key) == "host":
            yield f"{key} is host"
    added = props.get("capabilities")
    given = [(volume.get("hostPath"), volume.get("readOnly")) for volume in mappings(props.get("volumes"))]
    binds = [mount for mount in mappings(props.get("mounts")) if mount.get("type") == "bind"]
    for path, read_only in [*given, *((mount.get("source"), mount.get("readOnly")) for mount in binds)]:
        if wrong := leads_out(path, read_by_nobody=harmless(props.get("user"), added, read_only=read_only is True)):
            yield wrong
    for power in texts(added.get("adds")) if isinstance(added, Mapping) else []:
        if power.upper().removeprefix("CAP_") in POWERS:
            yield f"has the capability {power}"
    for option in texts(props.get("securityOpts")):
        if option.endswith(("=unconfined", ":unconfined")):
            yield f"runs with {option}"


def of_pod(pod: Mapping[str, Any]) -> Iterator[str]:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key) is True:
            yield f"{key} is true"
    for volume in mappings(pod.get("volumes")):
        host = volume.get("hostPath")
        path = host.get("path") if isinstance(host, Mapping) else None
        harmlessly = all(reads_only(pod, one, volume.get("name")) for one in containers_of(pod))
        if wrong := leads_out(path, read_by_nobody=harmlessly):
            yield wrong
    for container in containers_of(pod):
        security = security_of(container)
        if security.get("privileged") is True:
            yield f"{container.get('name')} is privileged"
        added = security.get("capabilities")
        for power in texts(added.get("add")) if isinstance(added, Mapping) else []:
            if power.upper().removeprefix("CAP_") in POWERS:
                yield f"{container.get('name')} has the capability {power}"


def security_of(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a pod or a container; nothing where it is not known yet."""
    found = part.get("securityContext")
    return found if isinstance(found, Mapping) else {}


def reads_only(pod: Mapping[str, Any], container: Mapping[str, Any], volume: Any) -> bool:
    """Whether a container is given no more of a volume than everybody on the machine may read."""
    mounts = [mount for mount in mappings(container.get("volumeMounts")) if mount.get("name") == volume]
    own = security_of(container)
    user, capabilities = own.get("runAsUser", security_of(pod).get("runAsUser")), own.get("capabilities")
    return all(harmless(user, capabilities, read_only=mount.get("readOnly") is True) for mount in mounts)


def of_rights(resource: Resource, _stack: Stack) -> Iterator[str]:
    if resource.type in CONTAINERS:
        yield from of_container(resource)
    elif is_of_cluster(resource):
        for pod in pods_in(resource.props):
            yield from of_pod(pod)


RIGHTS = Rule(
    name="containers-stay-inside",
    description=(
        "No container is privileged, shares a namespace of its machine, or holds its engine's socket; all of a machine "
        "is seen by none but nobody, read-only and without capabilities."
    ),
    remedy=(
        "Take away privileged, host namespaces, the added capability or the mount; what the app needs goes into "
        "`volumes`, `files` or `uses` of its system."
    ),
    types=None,
    judge=of_rights,
)


def images_of(resource: Resource) -> Iterator[Any]:
    if resource.type in CONTAINERS:
        yield resource.props.get("image")
    elif resource.type in IMAGES:
        yield resource.props.get("name")
    elif is_of_cluster(resource):
        for pod in pods_in(resource.props):
            yield from (container.get("image") for container in containers_of(pod))


def of_image(resource: Resource, stack: Stack) -> Iterator[str]:
    if not stack.production:
        return
    for image in images_of(resource):
        if not isinstance(image, Unknown) and not DIGEST.search(str(image)):
            yield f"runs {image}, which can be another image tomorrow"


DIGESTS = Rule(
    name="production-runs-digests",
    description="In production every image is named by its sha256 digest.",
    remedy="Take images from the plan, which has them from images.lock (`make lock`), or write NAME@sha256:….",
    types=None,
    judge=of_image,
    depends_on_kind="production only",
)
