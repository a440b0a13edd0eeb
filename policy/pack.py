"""The rules as a pack of Pulumi's policy SDK: from its arguments to plain data, and from what is wrong to a report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    PolicyPack,
    PolicyProviderResource,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from .rule import UNKNOWN, Resource, Rule, Stack, StackRule
from .rules import RULES

Policy = ResourceValidationPolicy | StackValidationPolicy
ALSO = "production"
"""What a rule's configuration calls the further stacks that are production."""


def plain(value: Any) -> Any:
    """The SDK's proxy as plain data with UNKNOWN in it: one value that is not known yet must not hide the others."""
    if isinstance(value, Mapping):
        return {key: known(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [known(value, index) for index in range(len(value))]
    return value


def known(holder: Any, key: Any) -> Any:
    try:
        return plain(holder[key])
    except UnknownValueError:
        return UNKNOWN


def default_tags(provider: PolicyProviderResource | None) -> Mapping[str, Any]:
    """The tags that a provider of AWS puts on everything; what has structure is JSON among a provider's inputs."""
    given = known(provider.props, "defaultTags") if provider and "defaultTags" in provider.props else None
    if isinstance(given, str):
        given = json.loads(given)
    tags = given.get("tags") if isinstance(given, Mapping) else None
    return tags if isinstance(tags, Mapping) else {}


def resource_of(one: ResourceValidationArgs | PolicyResource) -> Resource:
    made_from = one.property_dependencies if isinstance(one, PolicyResource) else {}
    return Resource(
        type=one.resource_type,
        name=one.name,
        urn=one.urn,
        props=plain(one.props),
        protect=one.opts.protect,
        tags=default_tags(one.provider),
        made_from={key: frozenset(other.urn for other in others) for key, others in made_from.items()},
    )


def stack_of(urn: str, config: Mapping[str, Any]) -> Stack:
    """The stack of a URN such as `urn:pulumi:prod::housing::…`: the SDK passes its name in no other way."""
    return Stack(name=urn.split("::")[0].rpartition(":")[2], also_production=tuple(config.get(ALSO, ())))


def message(rule: Rule | StackRule, name: str, wrong: str) -> str:
    return f"{name} {wrong}.\nInstead: {rule.remedy}"


def schema(rule: Rule | StackRule) -> PolicyConfigSchema | None:
    """`{"production": ["shop-eu"]}` for rules that ask whether the stack is production."""
    if not rule.depends_on_kind:
        return None
    return PolicyConfigSchema(properties={ALSO: {"type": "array", "items": {"type": "string"}, "default": []}})


def policy_of(rule: Rule | StackRule) -> Policy:
    return of_resource(rule) if isinstance(rule, Rule) else of_stack(rule)


def of_resource(rule: Rule) -> ResourceValidationPolicy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if rule.types is None or args.resource_type in rule.types:
            for wrong in rule.judge(resource_of(args), stack_of(args.urn, args.get_config())):
                report(message(rule, args.name, wrong), None)

    return ResourceValidationPolicy(
        name=rule.name, description=rule.description, validate=validate, config_schema=schema(rule),
        remediation_steps=rule.remedy,
    )  # fmt: skip


def of_stack(rule: StackRule) -> StackValidationPolicy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        if not args.resources:
            return
        resources = [resource_of(one) for one in args.resources]
        for resource, wrong in rule.judge(resources, stack_of(resources[0].urn, args.get_config())):
            report(message(rule, resource.name, wrong), resource.urn)

    return StackValidationPolicy(
        name=rule.name, description=rule.description, validate=validate, config_schema=schema(rule),
        remediation_steps=rule.remedy,
    )  # fmt: skip


def serve() -> None:
    """Answers the engine until it ends."""
    PolicyPack("groundwork", [policy_of(rule) for rule in RULES], enforcement_level=EnforcementLevel.MANDATORY)
