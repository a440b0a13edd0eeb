"""A change in how containers are made must be a release, or an upgrade of Groundwork would interrupt every app."""

from __future__ import annotations

import hashlib
import json

from groundwork.workload import REVISION
from tests.recorder import Recording

MADE = {2: "daaadd8ac988adb9"}
"""What an app's container is made like, by revision."""
OF_THE_WORKLOAD = {"name", "image", "envs", "labels", "volumes", "networksAdvanced", "memory", "memorySwap", "cpuQuota"}


def test_other_containers_come_with_another_revision(plain: Recording) -> None:
    made = [
        {key: value for key, value in one.plain.items() if key not in OF_THE_WORKLOAD}
        for one in plain.of_type(":Container")
        if {"label": "groundwork.role", "value": "app"} in one.plain.get("labels", ())
    ]
    assert made
    fingerprint = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:16]
    assert MADE.get(REVISION) == fingerprint, (
        "containers of apps are made differently: add 1 to REVISION in groundwork/workload.py "
        f"and write {{{REVISION + 1}: \"{fingerprint}\"}} here"
    )
