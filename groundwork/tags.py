"""The tags by which a cloud's bill, its policies and its people know what belongs to a stack."""

from __future__ import annotations

from .deployment import Deployment

REQUIRED = ("project", "stack", "system", "managed-by")
"""On everything that can have tags; `policy/` holds to it."""


def tags_of(deployment: Deployment) -> dict[str, str]:
    """The tags of everything that a stack makes at a cloud's."""
    return {
        "project": deployment.project,
        "stack": deployment.stack,
        "system": deployment.system,
        "managed-by": "groundwork",
    }
