"""The backup buckets made by the provider that Pulumi's aws plugin bridges, on an account of moto.

It runs where `terraform` is, and its variable TF_CLI_ARGS_init says `-plugin-dir=<folder with the provider>`; no
registry that CI reaches has either, so CI does not run it. tests/judges/test_buckets.py makes the same by boto3.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.aws_account import an_account
from tests.backups import REPLICATED, recorded_backups
from tests.terraform import Terraform

SETTINGS = {**REPLICATED, "lock_days": 18, "keep_days": 18}
"""Too short for a cheaper class: moto forgets by what size that rule picks objects, and the provider waits for it."""
FORGOTTEN = {
    "shop-backups-data-logging": {"target_object_key_format"},
    "shop-backups-replica-logging": {"target_object_key_format"},
    "shop-backups-data-replication": {"rule"},
}
"""What moto takes and forgets, so that the provider would set it again."""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the provider would still change, after it has made everything."""
    if not shutil.which("terraform") or "-plugin-dir=" not in os.environ.get("TF_CLI_ARGS_init", ""):  # noqa: SIM112
        pytest.skip("NOT RUN: needs terraform, and TF_CLI_ARGS_init=-plugin-dir=<folder> with hashicorp/aws")
    with an_account() as account:
        terraform = Terraform(tmp_path_factory.mktemp("terraform"), account.endpoint)
        terraform.write({"terraform": {"required_providers": {"aws": {"source": "hashicorp/aws"}}}})
        terraform.must("init")
        terraform.write(terraform.configuration(recorded_backups(SETTINGS)[0], terraform.schema()))
        terraform.must("apply", "-auto-approve")
        terraform.must("plan", "-out=plan")
        yield json.loads(terraform.must("show", "-json", "plan"))


def test_the_provider_makes_everything_and_then_changes_nothing(plan: dict[str, Any]) -> None:
    assert len(plan["resource_changes"]) == 43
    changes = {one["name"]: one["change"] for one in plan["resource_changes"] if one["change"]["actions"] != ["no-op"]}
    assert {name: change["actions"] for name, change in changes.items()} == {name: ["update"] for name in FORGOTTEN}
    for name, change in changes.items():
        before, after = change["before"], change["after"]
        assert {key for key in after if before.get(key) != after[key]} == FORGOTTEN[name]
    (rule,) = changes["shop-backups-data-replication"]["after"]["rule"]
    (kept,) = changes["shop-backups-data-replication"]["before"]["rule"]
    lost = {key for key in rule if rule[key] != kept[key]}
    assert lost == {"delete_marker_replication", "source_selection_criteria"}


def test_the_provider_keeps_the_state_of_nothing_that_could_be_emptied(plan: dict[str, Any]) -> None:
    resources = plan["planned_values"]["root_module"]["resources"]
    buckets = [one["values"] for one in resources if one["type"] == "aws_s3_bucket"]
    assert [bucket["force_destroy"] for bucket in buckets] == [False] * 4
