"""The API server's own interface: what `kubectl apply --server-side --validate=strict` and Pulumi's provider speak."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

Object = dict[str, Any]
MANAGER = "groundwork"


class Refused(Exception):
    """The API server said no; its words, and its status code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass
class Seen:
    """What a watch has seen: events in order, as (`ADDED`, `MODIFIED` or `DELETED`, object)."""

    events: list[tuple[str, Object]] = field(default_factory=list)


class Api:
    """One user of a cluster. `warnings` are those that the server has sent along."""

    def __init__(self, url: str, token: str, authority: Path) -> None:
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            verify=ssl.create_default_context(cafile=str(authority)),
            timeout=30,
        )
        self._kinds: dict[tuple[str, str], Object] = {}
        self.warnings: list[str] = []

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, path: str, body: Object | None = None, media: str = "application/json") -> Object:
        content = None if body is None else json.dumps(body)
        answer = self._http.request(method, path, content=content, headers={"Content-Type": media})
        self.warnings += answer.headers.get_list("Warning")
        if answer.is_error:
            try:
                text = answer.json()["message"]
            except (ValueError, KeyError):
                text = answer.text
            raise Refused(answer.status_code, text)
        found: Object = answer.json() if answer.text.startswith("{") else {"text": answer.text}
        return found

    def path(self, api_version: str, kind: str, namespace: str = "", name: str = "") -> str:
        """Where objects of a kind are, by the server's own discovery."""
        prefix = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
        if (api_version, kind) not in self._kinds:
            for one in self.call("GET", prefix)["resources"]:
                if "/" not in one["name"]:
                    self._kinds[(api_version, one["kind"])] = one
        resource = self._kinds[(api_version, kind)]
        inside = f"/namespaces/{namespace}" if resource["namespaced"] and namespace else ""
        return f"{prefix}{inside}/{resource['name']}" + (f"/{name}" if name else "")

    def path_of(self, body: Object) -> str:
        metadata = body["metadata"]
        return self.path(body["apiVersion"], body["kind"], metadata.get("namespace", ""), metadata["name"])

    def apply(self, body: Object, *, dry_run: bool = False) -> Object:
        """Server-side apply; fields that the server does not know, or knows twice, are errors."""
        options = f"?fieldManager={MANAGER}&fieldValidation=Strict&force=true" + ("&dryRun=All" if dry_run else "")
        return self.call("PATCH", self.path_of(body) + options, body, "application/apply-patch+yaml")

    def create(self, body: Object, *, dry_run: bool = False) -> Object:
        metadata = body["metadata"]
        path = self.path(body["apiVersion"], body["kind"], metadata.get("namespace", ""))
        return self.call("POST", f"{path}?fieldValidation=Strict" + ("&dryRun=All" if dry_run else ""), body)

    def get(self, api_version: str, kind: str, namespace: str, name: str) -> Object:
        return self.call("GET", self.path(api_version, kind, namespace, name))

    def objects(
        self, api_version: str, kind: str, namespace: str = "", labels: dict[str, str] | None = None
    ) -> list[Any]:
        selector = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
        found = self.call("GET", self.path(api_version, kind, namespace) + f"?labelSelector={selector}")
        return list(found.get("items") or [])

    def pods(self, namespace: str, workload: str = "") -> list[Any]:
        """All pods of a namespace, or those of one workload."""
        return self.objects("v1", "Pod", namespace, {"app.kubernetes.io/name": workload} if workload else None)

    def merge(self, path: str, change: Object) -> Object:
        return self.call("PATCH", path, change, "application/merge-patch+json")

    def delete(self, api_version: str, kind: str, namespace: str, name: str, *, now: bool = False) -> None:
        path = self.path(api_version, kind, namespace, name)
        self.call("DELETE", path + ("?gracePeriodSeconds=0" if now else ""))

    @contextmanager
    def watching(self, api_version: str, kind: str, namespace: str) -> Iterator[Seen]:
        """Everything that befalls the objects of a kind while the block runs, without a gap."""
        seen, ended = Seen(), threading.Event()
        path = self.path(api_version, kind, namespace)
        start = self.call("GET", path)["metadata"]["resourceVersion"]

        def follow() -> None:
            version = start
            while not ended.is_set():
                # In pieces of a second, so that it ends soon after the block; the next one begins where the last ended.
                question = f"{path}?watch=1&timeoutSeconds=1&resourceVersion={version}"
                with self._http.stream("GET", question) as answer:
                    for line in answer.iter_lines():
                        event = json.loads(line)
                        version = event["object"]["metadata"]["resourceVersion"]
                        seen.events.append((event["type"], event["object"]))

        thread = threading.Thread(target=follow)
        thread.start()
        try:
            yield seen
        finally:
            ended.set()
            thread.join()
