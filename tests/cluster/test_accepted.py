"""The API server takes every object of every system in every exposure, and stores what it was sent."""

from __future__ import annotations

import pytest

from tests.cluster.client import Api
from tests.cluster.stacks import EXPOSURES, SYSTEMS, on_cluster
from tests.cluster.stored import differences

OWN_DEFAULT = '299 - "spec.SessionAffinity is ignored for headless services"'
"""What the server says of its own default, of every Service without an address."""


@pytest.mark.parametrize("exposure", EXPOSURES)
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_object_is_stored_as_it_was_sent(api: Api, system: str, exposure: str) -> None:
    stack = on_cluster(system, exposure, exposure=EXPOSURES[exposure])
    api.warnings.clear()
    found = [
        f"{sent['kind']}/{sent['metadata']['name']}{difference}"
        for sent, stored in stack.applied(api)
        for difference in differences(sent, stored)
    ]
    stack.removed(api)
    assert not found, "\n".join(found)
    assert set(api.warnings) <= {OWN_DEFAULT}
