"""Files and settings of a workload as ConfigMaps and Secrets, with their content in the name: what changes has another
name, so the pods that use it are rolled and no others; and a pod never sees half of a change."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property

from ..workload import FILES, MACHINE, File, SecretRef, Template, Workload
from .manifest import Manifest, Object, Place

VOLUME = "files"
PULL_SECRET = "registry"


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What one workload is given: in a ConfigMap what is plain, in a Secret what is not."""

    place: Place
    workload: Workload

    @property
    def plain(self) -> dict[str, str]:
        return {file.name: file.content for file in self.workload.files if isinstance(file.content, str)}

    @property
    def secret(self) -> dict[str, Template]:
        """Files by name, and settings by the name of their variable."""
        files = {file.name: file.content for file in self.workload.files if isinstance(file.content, Template)}
        return files | {name: value for name, value in self.workload.env.items() if isinstance(value, Template)}

    @cached_property
    def config_map(self) -> str:
        return f"{self.workload.name}-files-{digest(self.plain)}"

    @cached_property
    def secret_name(self) -> str:
        return f"{self.workload.name}-secrets-{digest({name: asdict(text) for name, text in self.secret.items()})}"

    def manifests(self) -> list[Manifest]:
        found = []
        if self.plain:
            data = {key(name): text for name, text in self.plain.items()}
            found.append(Manifest(body=self._object("ConfigMap", self.config_map) | {"data": data}))
        if self.secret:
            texts = {key(name): text for name, text in self.secret.items()}
            body = self._object("Secret", self.secret_name) | {"type": "Opaque", "stringData": texts}
            found.append(Manifest(body=body))
        return found

    def _object(self, kind: str, name: str) -> Object:
        return {
            "apiVersion": "v1",
            "kind": kind,
            "metadata": self.place.metadata(name, self.workload),
            "immutable": True,
        }

    def environment(self) -> list[Object]:
        """The container's `env`."""
        env = {**self.workload.env, "RELEASE": self.workload.release}
        node: list[Object] = []
        if self.workload.per_machine:
            node.append({"name": MACHINE, "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}})
        return [*(self._variable(name, value) for name, value in sorted(env.items())), *node]

    def _variable(self, name: str, value: str | Template) -> Object:
        if isinstance(value, str):
            return {"name": name, "value": value}
        return {"name": name, "valueFrom": {"secretKeyRef": {"name": self.secret_name, "key": key(name)}}}

    def volume(self) -> Object | None:
        """All files of the workload in one volume, at FILES; None when there are none."""
        if not self.workload.files:
            return None
        plain = [file for file in self.workload.files if isinstance(file.content, str)]
        secret = [file for file in self.workload.files if isinstance(file.content, Template)]
        sources = []
        if plain:
            sources.append({"configMap": {"name": self.config_map, "items": items(plain)}})
        if secret:
            sources.append({"secret": {"name": self.secret_name, "items": items(secret)}})
        return {"name": VOLUME, "projected": {"defaultMode": 0o444, "sources": sources}}

    def mount(self) -> Object:
        return {"name": VOLUME, "mountPath": FILES, "readOnly": True}


def items(files: list[File]) -> list[Object]:
    return [{"key": key(file.name), "path": file.name, "mode": int(file.mode, 8)} for file in files]


def key(name: str) -> str:
    """A file's name as ConfigMaps and Secrets take it."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)


def digest(content: Mapping[str, object]) -> str:
    """Eight hexadecimal digits over contents and the generations of secrets."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def pull_secret(place: Place, server: str, username: str, password: SecretRef) -> Manifest:
    """What a private registry asks for."""
    before, after = json.dumps({"auths": {server: {"username": username, "password": "@"}}}).split("@", 1)
    config = Template((before, password, after), escape="json")
    return Manifest(
        body={
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": place.metadata(place.named(PULL_SECRET)),
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": config},
        }
    )
