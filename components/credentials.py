"""Where names of secrets become values: generated ones kept encrypted in the state, configured ones from the stack."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_random as random

from groundwork.stack_file import NAMESPACE
from groundwork.workload import SecretRef, Template, Value

LENGTH = 32
"""Letters and digits of a generated secret: 190 bits, and safe inside a URL."""


@dataclass(frozen=True, kw_only=True)
class CredentialsArgs:
    """`secrets` maps each name to its configuration key, or to None where it is generated."""

    secrets: Mapping[SecretRef, str | None]


class Credentials(pulumi.ComponentResource):
    """All secrets of one stack. A new generation is a new resource, so the old one lasts until nobody uses it."""

    def __init__(self, name: str, args: CredentialsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("groundwork:index:Credentials", name, None, opts)
        config = pulumi.Config(NAMESPACE)
        self._values: dict[SecretRef, pulumi.Output[str]] = {}
        for ref, key in args.secrets.items():
            if key is None:
                self._values[ref] = random.RandomPassword(
                    f"{name}-{ref.owner}-{ref.name}-{ref.generation}",
                    length=LENGTH,
                    special=False,
                    opts=pulumi.ResourceOptions(parent=self),
                ).result
            else:
                self._values[ref] = config.require_secret(key)
        self.register_outputs({})

    def text(self, value: Value) -> pulumi.Input[str]:
        """The text with its secrets filled in; secret itself as soon as one of them is."""
        if not isinstance(value, Template):
            return value
        parts = [self._part(part, value.escape) if isinstance(part, SecretRef) else part for part in value.parts]
        return pulumi.Output.secret(pulumi.Output.concat(*parts))

    def _part(self, ref: SecretRef, escape: str) -> pulumi.Output[str]:
        if escape == "json":
            return self._values[ref].apply(lambda text: json.dumps(text)[1:-1])
        return self._values[ref]

    def value(self, ref: SecretRef) -> pulumi.Output[str]:
        return self._values[ref]
