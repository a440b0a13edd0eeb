"""docs/outputs.md says what the program exports: every name, type, and what is secret."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.recorder import Secret, engine_form, opened_secrets, record_program
from tests.sample import ROOT

PROMISED: list[tuple[str, str, str, str]] = re.findall(
    r"^\| `(\w+)` \| ([\w ]+) \| (yes|no) \| .* \| `(.+)` \|$", (ROOT / "docs/outputs.md").read_text(), re.MULTILINE
)
TYPES: dict[str, type] = {"text": str, "true or false": bool, "map": dict, "list": list}
HOST = {
    "address": "server.example.com",
    "private_address": "10.0.0.5",
    "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDp1bnQgZ3JvdW5kd29yayBrZXkgZm9yIGRvY3MgMTIzNDU2",
}


@pytest.fixture(scope="module")
def outputs() -> dict[str, Any]:
    machines = {"kind": "existing", "roles": {"all": {"memory_mib": 8192, "hosts": [HOST]}}}
    config = {"groundwork:system": "housing", "groundwork:machines": machines, "groundwork:backups": {"kind": "local"}}
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PULUMI_CONFIG", json.dumps(engine_form(config)))
        environment.setenv("GROUNDWORK_PROVIDERS", "simulated")
        return record_program(config, project="groundwork", stack="dev").outputs


def test_the_page_has_every_output_and_no_other(outputs: dict[str, Any]) -> None:
    assert sorted(name for name, *_ in PROMISED) == sorted(outputs)


@pytest.mark.parametrize(("name", "kind", "secret", "example"), PROMISED, ids=[name for name, *_ in PROMISED])
def test_an_output_is_what_the_page_says(
    name: str, kind: str, secret: str, example: str, outputs: dict[str, Any]
) -> None:
    assert isinstance(outputs[name], Secret) == (secret == "yes")
    found: Any = opened_secrets(outputs[name])
    shown: Any = json.loads(example)
    assert [type(found), type(shown)] == [TYPES[kind]] * 2
    if kind == "map":
        assert shown.keys() <= found.keys()
        assert {type(value) for value in found.values()} == {type(value) for value in shown.values()}
    if kind == "list":
        assert {frozenset(entry) for entry in found} == {frozenset(shown[0])}
