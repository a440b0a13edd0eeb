"""An account of AWS behind its provider: what is live there, and what one resource forbids another.

What it refuses stands in `sim/aws_refusals.py`, in words like AWS's. Whether a bucket is empty, a quota is used up or
an instance type is to be had, no plan can know: nothing is said about it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from sim.aws_live import Live
from sim.aws_outputs import NOBODY
from sim.aws_refusals import admit, change, leave
from sim.values import SIGNATURE, Json, Properties, plain
from sim.world import Subject, World


@dataclass
class Account(World):
    """Every provider is of the account that its `allowedAccountIds` begins with; all of them see the same resources."""

    _settings: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _live: Live = field(default_factory=Live)
    _lock: Lock = field(default_factory=Lock)

    def configure(self, connection: str, settings: Mapping[str, str]) -> None:
        self._settings[connection] = dict(settings)

    def surroundings(self, connection: str) -> Properties:
        accounts = self._setting(connection, "allowedAccountIds", [])
        region = self._settings.get(connection, {}).get("aws:config:region")
        return {"account": accounts[0] if accounts else NOBODY, **({"region": region} if region else {})}

    def given(self, connection: str, inputs: Properties, taken: Collection[str]) -> Properties:
        """With the provider's default tags, as the plugin adds them before it looks at anything else."""
        tags = self._setting(connection, "defaultTags", {}).get("tags") or {}
        own = inputs.get("tags")
        if "tags" not in taken or not tags or not (own is None or isinstance(own, dict)):
            return inputs
        if own and SIGNATURE in own:
            return inputs | {"tags": {**own, "value": {**tags, **_object(own.get("value"))}}}
        return inputs | {"tags": {**tags, **(own or {})}}

    def admit(self, subject: Subject, values: Properties) -> None:
        with self._lock:
            admit(self._live, subject, _plain(values))
            self._live.put(subject, _plain(values))

    def change(self, subject: Subject, old: Properties, new: Properties) -> None:
        with self._lock:
            change(self._live, subject, _plain(old), _plain(new))

    def note(self, subject: Subject, values: Properties) -> None:
        with self._lock:
            self._live.put(subject, _plain(values))

    def leave(self, subject: Subject, values: Properties) -> None:
        with self._lock:
            leave(self._live, subject, _plain(values))

    def forget(self, subject: Subject) -> None:
        with self._lock:
            self._live.drop(subject)

    def _setting(self, connection: str, name: str, default: Any) -> Any:
        """A provider's setting that is more than a text: those come as JSON."""
        given = self._settings.get(connection, {}).get(f"aws:config:{name}")
        return json.loads(given) if given else default


def _plain(values: Properties) -> Properties:
    return _object(plain(values))


def _object(value: Json) -> Properties:
    return value if isinstance(value, dict) else {}
