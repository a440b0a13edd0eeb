"""The role with which a repository's jobs on GitHub preview what a pull request would change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from groundwork.cloud import Previews
from groundwork.preview_rights import AUDIENCE, ISSUER, preview_policy, preview_trust


@dataclass(frozen=True, kw_only=True)
class PreviewRoleArgs:
    settings: Previews
    account: str
    region: str
    tags: Mapping[str, str] = field(default_factory=dict)


class PreviewRole(pulumi.ComponentResource):
    """GitHub's identity provider, and a role that reads. An account has the provider once, so one stack makes it."""

    role: pulumi.Output[str]
    """Its ARN, for the repository's variable `GROUNDWORK_PREVIEW_ROLE`."""

    def __init__(self, name: str, args: PreviewRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("groundwork:aws:PreviewRole", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        provider = aws.iam.OpenIdConnectProvider(
            f"{name}-github",
            url=f"https://{ISSUER}",
            client_id_lists=[AUDIENCE],
            tags=args.tags,
            opts=child,
        )
        role = aws.iam.Role(
            f"{name}-role",
            # Known outside: by workflows.
            name="groundwork-preview",
            description=f"Previews of {args.settings.repository}; reads",
            assume_role_policy=provider.arn.apply(lambda arn: preview_trust(args.settings, arn)),
            # As long as GitHub's own tokens at most; a preview takes minutes.
            max_session_duration=3600,
            tags=args.tags,
            opts=child,
        )
        aws.iam.RolePolicy(
            f"{name}-reads",
            role=role.name,
            policy=preview_policy(args.settings, args.account, args.region),
            opts=child,
        )
        self.role = role.arn
        self.register_outputs({"role": self.role})
