"""The rules of policy/: for each what it refuses and what it lets pass, on plain data."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from pathlib import Path

import pytest
import yaml

from policy import tags
from policy.pack import message
from policy.rule import UNKNOWN, Resource, Rule, Stack, StackRule
from policy.rules import RULES
from tests.policy_cases import (
    BLOCK,
    BUCKET,
    BUCKET_POLICY,
    ENCRYPTION,
    GROUP,
    PROD,
    RIGHT,
    STAGING,
    WRONG,
    Case,
    ingress,
    resource,
)
from tests.sample import ROOT

BY_NAME = {rule.name: rule for rule in RULES}


def judged(rule: Rule | StackRule, *resources: Resource, stack: Stack = STAGING) -> list[str]:
    """Everything that a rule says about these resources, each alone or all together as it judges."""
    if isinstance(rule, StackRule):
        return [f"{one.name} {wrong}" for one, wrong in rule.judge(resources, stack)]
    looked_at = [one for one in resources if rule.types is None or one.type in rule.types]
    return [wrong for one in looked_at for wrong in rule.judge(one, stack)]


def case_id(case: Case) -> str:
    return f"{case[0]}-{case[1].type.rsplit(':', 1)[1]}"


@pytest.mark.parametrize("case", WRONG, ids=case_id)
def test_a_rule_refuses(case: Case) -> None:
    name, wrong, stack = case
    assert judged(BY_NAME[name], wrong, stack=stack)


@pytest.mark.parametrize("case", RIGHT, ids=case_id)
def test_a_rule_lets_pass(case: Case) -> None:
    name, right, stack = case
    rule = BY_NAME[name]
    assert isinstance(rule, Rule) and (rule.types is None or right.type in rule.types), "it does not even look"
    assert judged(rule, right, stack=stack) == []


def test_every_rule_has_a_case_that_passes_and_one_that_fails() -> None:
    whole = {rule.name for rule in RULES if isinstance(rule, StackRule)}
    assert whole == {"buckets-have-their-guards", "one-nat-outside-production"}  # each has tests of its own below
    for cases in (WRONG, RIGHT):
        assert {name for name, _, _ in cases} | whole == BY_NAME.keys()


def test_every_type_that_a_rule_looks_at_has_a_case_or_stands_beside_one_that_has() -> None:
    tried = {one.type for _, one, _ in (*WRONG, *RIGHT)}
    for rule in RULES:
        if isinstance(rule, Rule) and rule.types:
            assert tried & rule.types, rule.name


def guarded(*kinds: str) -> list[Resource]:
    """A bucket of which nothing is known yet, and what belongs to it."""
    bucket = Resource(type=BUCKET, name="backups", urn="urn:backups", props={"bucket": UNKNOWN})
    guards = [
        Resource(type=kind, name=kind, props={"bucket": UNKNOWN}, made_from={"bucket": frozenset({"urn:backups"})})
        for kind in kinds
    ]
    return [bucket, *guards]


GUARDS = (BLOCK, BUCKET_POLICY, ENCRYPTION)


def test_a_bucket_with_all_its_guards_passes() -> None:
    assert judged(BY_NAME["buckets-have-their-guards"], *guarded(*GUARDS)) == []


@pytest.mark.parametrize("missing", GUARDS)
def test_a_bucket_without_one_of_its_guards_is_refused(missing: str) -> None:
    present = [kind for kind in GUARDS if kind != missing]
    (said,) = judged(BY_NAME["buckets-have-their-guards"], *guarded(*present))
    assert said.startswith("backups has no ")


def test_a_guard_of_another_bucket_is_none() -> None:
    other = Resource(
        type=BLOCK, name="other", props={"bucket": "other"}, made_from={"bucket": frozenset({"urn:other"})}
    )
    said = judged(BY_NAME["buckets-have-their-guards"], *guarded(BUCKET_POLICY, ENCRYPTION), other)
    assert said == ["backups has no public access block of its own"]


def nat(name: str) -> Resource:
    return Resource(type="aws:ec2/natGateway:NatGateway", name=name)


def test_a_second_nat_gateway_is_for_production() -> None:
    rule = BY_NAME["one-nat-outside-production"]
    assert judged(rule, nat("a")) == []
    assert judged(rule, nat("b"), nat("a")) == ["b is one of 2 NAT gateways"]
    assert judged(rule, nat("a"), nat("b"), stack=PROD) == []


@pytest.mark.parametrize("name", ["prod", "eu-prod", "prod2", "production", "live_eu", "Prod"])
def test_a_stacks_name_says_that_it_is_production(name: str) -> None:
    assert Stack(name=name).production


@pytest.mark.parametrize("name", ["dev", "staging", "product", "reproduction", "alive", "k8s"])
def test_other_names_do_not(name: str) -> None:
    assert not Stack(name=name).production


def test_a_message_says_what_is_wrong_and_what_to_write_instead() -> None:
    rule = BY_NAME["world-reaches-only-the-web"]
    (wrong,) = judged(rule, resource(GROUP, ingress=[ingress(22, 22, "0.0.0.0/0")]))
    assert message(rule, "web-group", wrong) == (
        "web-group opens port 22 (ssh) to 0.0.0.0/0.\nInstead: Name the networks or the security group that need it; "
        "administrators' networks belong in groundwork:machines.administrators, and machines are reached through SSM "
        "without any open port."
    )


def test_every_rule_says_what_holds_and_what_to_do() -> None:
    assert len(BY_NAME) == len(RULES)
    for rule in RULES:
        assert rule.description.endswith(".") and rule.remedy.endswith("."), rule.name


def aws_class(type_: str) -> type:
    """The SDK's class of a type such as `aws:ec2/vpc:Vpc`."""
    _, module, name = type_.split(":")
    found: type = getattr(importlib.import_module(f"pulumi_aws.{module.split('/')[0]}"), name)
    return found


def inputs_of(type_: str) -> set[str]:
    """Its input properties, in the SDK's spelling. TypeError where the SDK has no such class."""
    return set(inspect.signature(aws_class(type_)._internal_init).parameters)  # type: ignore[attr-defined]


AWS_TYPES = sorted(
    {type_ for rule in RULES if isinstance(rule, Rule) for type_ in rule.types or () if type_.startswith("aws:")}
)


@pytest.mark.parametrize("type_", AWS_TYPES)
def test_the_sdk_has_every_type_that_a_rule_looks_at(type_: str) -> None:
    assert "resource_name" in inspect.signature(aws_class(type_).__init__).parameters  # type: ignore[misc]
    assert ("tags" in inputs_of(type_)) == (type_ in tags.TAGGED)


def imported(path: Path) -> set[str]:
    """The first words of what a module imports from elsewhere."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    whole = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    parts = {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0}
    return {name.split(".")[0] for name in whole | parts}


@pytest.mark.parametrize("path", sorted((ROOT / "policy").glob("*.py")), ids=lambda path: path.name)
def test_the_pack_needs_python_and_pulumis_policy_sdk(path: Path) -> None:
    sdk = {"pulumi_policy"} if path.name == "pack.py" else {"policy"} if path.name == "__main__.py" else set()
    assert imported(path) - sys.stdlib_module_names == sdk


def test_the_pack_says_its_name_and_version() -> None:
    described = yaml.safe_load((ROOT / "policy/PulumiPolicy.yaml").read_text())
    assert described["name"] == "groundwork" and described["version"] == "1.0.0"
    assert (ROOT / "policy" / described["runtime"]["options"]["virtualenv"]).resolve() == (ROOT / ".venv").resolve()
