"""The entry of a stack on AWS as plain data: what its load balancer and firewall are told, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network

from .addressing import machine_subnet
from .cloud import Edge
from .settings import Settings

TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
"""TLS 1.3 and 1.2, forward secrecy and AEAD ciphers only: the one that comes nearest to Mozilla's intermediate."""
HSTS = "max-age=63072000"
"""As the gateway says where TLS ends there."""
HEALTH_PATH = "/health"
"""The gateway's own."""
HEALTH_SECONDS, HEALTH_TIMEOUT, HEALTH_COUNT = 5, 4, 2
"""A lost machine is out after two probes: the shortest that a balancer of AWS offers."""
DEREGISTRATION_SECONDS = 60
"""A machine that goes is sent nothing new and may answer what it has: the gateway's usual silence, `timeout_seconds`
of a route. The default would be 300."""
KEPT_BEHIND_SECONDS = 10
"""A connection that the balancer keeps must end at its side first, or it meets one that the gateway has just closed."""

MANAGED: Mapping[str, str] = {
    "common": "AWSManagedRulesCommonRuleSet",
    "known_bad_inputs": "AWSManagedRulesKnownBadInputsRuleSet",
    "sql_injection": "AWSManagedRulesSQLiRuleSet",
    "ip_reputation": "AWSManagedRulesAmazonIpReputationList",
    "anonymous_ip": "AWSManagedRulesAnonymousIpList",
}
"""Rule groups by the word of the stack file: AWS WAF developer guide, list of managed rule groups."""
BODY_RULE = "SizeRestrictions_BODY"
"""Of the common rules: refuses every body above 8 KB, uploads as well. The gateway has a limit, so this one counts."""
REDACTED = ("cookie", "authorization")
"""Headers that let somebody in; no log has them."""
CHECKED_SECONDS = 300
"""The window of the rate rule."""
LOGGED = ("BLOCK", "COUNT", "EXCLUDED_AS_COUNT")
"""What the firewall did to a request that is in its log."""
BALANCER_PREFIX, GATEWAYS_PREFIX, FIREWALL_LOG_PREFIX = "gw-lb-", "gw-tg-", "aws-waf-logs-"
"""Of physical names that autonaming can't make. The first two may have six characters."""
PROOF_SECONDS = 300
"""How long resolvers may keep the record that proves who has a name."""
LOG_GROUP_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288)
"""How long CloudWatch can keep a log: its API reference, PutRetentionPolicy."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of the firewall: a managed group, or a rate of one client address. Smaller priorities come first."""

    name: str
    priority: int
    group: str = ""
    counted: tuple[str, ...] = ()
    limit: int = 0


def rules(edge: Edge) -> tuple[Rule, ...]:
    """In the order of the table, which does not change with the choice: so another group moves none."""
    groups = tuple(
        Rule(name=name, priority=10 + place, group=group, counted=(BODY_RULE,) if name == "common" else ())
        for place, (name, group) in enumerate(MANAGED.items())
        if name in edge.managed_rules
    )
    return (Rule(name="rate", priority=1, limit=edge.requests_per_five_minutes), *groups)


def log_group_days(days: int) -> int:
    """The shortest time that CloudWatch knows and that is not below `days`."""
    return next((kept for kept in LOG_GROUP_DAYS if kept >= days), 3653)


def log_bucket_policy(arn: str, account: str) -> dict[str, object]:
    """The balancers of this account may write below the prefix that is theirs, and nobody speaks to it without TLS."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "BalancersWriteLogs",
                "Effect": "Allow",
                "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
                "Action": "s3:PutObject",
                "Resource": f"{arn}/AWSLogs/{account}/*",
            },
            {
                "Sid": "NothingWithoutTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ],
    }


def balancer_networks(settings: Settings) -> tuple[IPv4Network, ...]:
    """Where requests to the gateways come from: the subnets of the load balancer, or those of yours."""
    network = settings.aws.network if settings.aws else None
    if not settings.edge or not network:
        return settings.entry.trusted_proxies
    return tuple(machine_subnet(network.range, "public", zone) for zone in sorted(network.zones))


def trusted_proxies(settings: Settings) -> tuple[IPv4Network, ...]:
    """Whose word about the client the gateway takes: the balancer's, and that of whatever stands in front of it."""
    return tuple(dict.fromkeys((*balancer_networks(settings), *settings.entry.trusted_proxies)))
