"""What a real API server refuses, a program can get wrong, and the objects alone show."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

from sim.diff import UPDATE, changes, lies_in
from sim.types import TYPES
from sim.types.kubernetes import FROZEN
from sim.values import Json, Properties, absent, at, plain, text
from sim.world import Refusal, Subject, World

NAMESPACE = "kubernetes:core/v1:Namespace"
CLAIM = "kubernetes:core/v1:PersistentVolumeClaim"
BUILT_IN = ("default", "kube-node-lease", "kube-public", "kube-system")
"""Namespaces that every cluster has."""
FREEZES: Mapping[str, str | None] = {"binaryData": FROZEN, "data": FROZEN, "immutable": FROZEN, "stringData": FROZEN}
"""In a ConfigMap or a Secret that is `immutable`."""
UNITS: Mapping[str, float] = {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4} | {
    f"{letter}i": 1024**power for power, letter in enumerate("KMGT", start=1)
}


@dataclass
class Cluster(World):
    """Every context is a cluster of its own: a simulated run has no kubeconfig that could tell."""

    _settings: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _live: dict[tuple[str, str, str], Properties] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def configure(self, connection: str, settings: Mapping[str, str]) -> None:
        self._settings[connection] = dict(settings)

    def moved(self, old: Properties, new: Properties) -> list[str]:
        """Another active cluster (DiffConfig in provider/pkg/provider/provider.go); the kubeconfig is not looked at."""
        known = text(old, "context") and text(new, "context")
        return ["context"] if known and text(old, "context") != text(new, "context") else []

    def admit(self, subject: Subject, values: Properties) -> None:
        with self._lock:
            self._refuse_absent_namespace(subject, values)
            live = self._live.get(self._place(subject))
            if live is not None:
                self._refuse_existing(subject, live, values)
            self._live[self._place(subject)] = values

    def change(self, subject: Subject, old: Properties, new: Properties) -> None:
        _refuse_immutable(subject, old, new)
        _refuse_shrinking(subject, old, new)

    def note(self, subject: Subject, values: Properties) -> None:
        with self._lock:
            self._live[self._place(subject)] = values

    def forget(self, subject: Subject) -> None:
        """A namespace takes along what is in it. What is gone already is gone, as for the real plugin."""
        cluster, token, identity = self._place(subject)
        with self._lock:
            self._live.pop((cluster, token, identity), None)
            if token == NAMESPACE:
                inside = [key for key in self._live if key[0] == cluster and key[2].startswith(f"{identity}/")]
                for key in inside:
                    del self._live[key]

    def _place(self, subject: Subject) -> tuple[str, str, str]:
        return self._setting(subject, "context"), subject.token, subject.identity

    def _setting(self, subject: Subject, name: str) -> str:
        return self._settings.get(subject.connection, {}).get(f"kubernetes:config:{name}", "")

    def _refuse_absent_namespace(self, subject: Subject, values: Properties) -> None:
        namespace = subject.identity.rpartition("/")[0]
        cluster = self._setting(subject, "context")
        if namespace and namespace not in BUILT_IN and (cluster, NAMESPACE, namespace) not in self._live:
            raise Refusal(f'{_names(values)[0]} "{_names(values)[1]}": namespaces "{namespace}" not found')

    def _refuse_existing(self, subject: Subject, live: Properties, values: Properties) -> None:
        """Since pulumi-kubernetes 4.29 creating is no applying, unless its provider is told so."""
        if self._setting(subject, "upsertExistingObjects") != "true":
            kind, name = _names(values)
            raise Refusal(f'{kind} "{name}" already exists')
        if self._setting(subject, "enablePatchForce") != "true":
            _refuse_conflict(subject, live, values)
        self.change(subject, live, values)


def _names(values: Properties) -> tuple[str, str]:
    """`deployments.apps` and the object's name."""
    group = text(values, "apiVersion").rpartition("/")[0]
    kind = text(values, "kind").lower()
    plural = re.sub("y$", "ie", re.sub("s$", "se", kind)) + "s"
    return f"{plural}.{group}" if group else plural, str(at(values, "metadata.name"))


def _refuse_conflict(subject: Subject, live: Properties, values: Properties) -> None:
    """Every creation is another manager of fields: it may add some, and say what the others say (server-side apply)."""
    for change in changes(TYPES[subject.token], live, values):
        if change.kind == UPDATE:
            raise Refusal(f"server-side apply field conflict detected: Apply failed with 1 conflict: .{change.path}")


def _refuse_immutable(subject: Subject, old: Properties, new: Properties) -> None:
    row = TYPES[subject.token]
    immutable = {**row.immutable, **(FREEZES if plain(old.get("immutable")) is True else {})}
    for change in changes(row, old, new):
        place = max((one for one in immutable if lies_in(change.schema, one)), key=len, default="")
        if words := immutable.get(place):
            raise Refusal(_invalid(new, place, words))


def _refuse_shrinking(subject: Subject, old: Properties, new: Properties) -> None:
    if subject.token != CLAIM:
        return
    path = "spec.resources.requests.storage"
    before, after = at(old, path), at(new, path)
    if not absent(before) and not absent(after) and _quantity(after) < _quantity(before):
        raise Refusal(_invalid(new, path, "Forbidden: field can not be less than status.capacity"))


def _invalid(values: Properties, path: str, words: str) -> str:
    group = text(values, "apiVersion").rpartition("/")[0]
    kind = text(values, "kind")
    return f'{f"{kind}.{group}" if group else kind} "{_names(values)[1]}" is invalid: {path}: {words}'


def _quantity(value: Json) -> float:
    """`10Gi` as a number of bytes; what can't be read is 0: an API server would not have taken it."""
    match = re.fullmatch(r"([0-9.]+)([kMGTi]*)", str(value))
    return float(match[1]) * UNITS.get(match[2], 0.0) if match else 0
