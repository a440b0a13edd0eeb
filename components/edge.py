"""The entry of a stack on AWS: names, certificate, load balancer and firewall in front of the gateways."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from groundwork import edge
from groundwork.cloud import Edge as EdgeSettings
from groundwork.settings import Entry


@dataclass(frozen=True, kw_only=True)
class EdgeArgs:
    """`subnets` are the public ones by zone, `targets` the instances with a gateway by the machine's name, and `port`
    is where their gateways listen for http."""

    settings: EdgeSettings
    entry: Entry
    vpc_id: pulumi.Input[str]
    subnets: Mapping[str, pulumi.Input[str]]
    security_group: pulumi.Input[str]
    targets: Mapping[str, pulumi.Input[str]]
    port: int
    account: str
    region: str
    protect: bool
    tags: Mapping[str, str]


class Edge(pulumi.ComponentResource):
    """Whatever the Internet reaches of the stack; the provider comes from the caller."""

    url: pulumi.Output[str]
    """What users open; known when it answers."""
    dns_name: pulumi.Output[str]
    """The balancer's own name, for a name in a zone that is not here."""

    def __init__(self, name: str, args: EdgeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("groundwork:aws:Edge", name, None, opts)
        self._name = name
        self._args = args
        self._tags = dict(args.tags)
        lookup = pulumi.InvokeOutputOptions(parent=self)
        self._zone = aws.route53.get_zone_output(
            name=args.settings.hosted_zone, private_zone=False, opts=lookup
        ).zone_id
        balancer = self._balancer(self._log_bucket())
        guarded = self._firewall(balancer)
        https = self._listeners(balancer, self._certificate(), self._gateways(), guarded)
        for server_name in args.entry.server_names:
            self._name_of(server_name, balancer, https)
        host = args.entry.server_names[0]
        self.dns_name = balancer.dns_name
        self.url = https.arn.apply(lambda _: f"https://{host}")
        self.register_outputs({"url": self.url, "dns_name": self.dns_name})

    def _options(
        self, *, after: Sequence[pulumi.Resource] = (), protect: bool | None = None
    ) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(after), protect=protect)

    def _log_bucket(self) -> aws.s3.BucketPolicy:
        """Who asked for what, for as long as the settings say; no one reads or writes it without TLS."""
        protected = self._args.protect
        bucket = aws.s3.Bucket(
            f"{self._name}-logs",
            # Else a stack that may go could not, once somebody has visited it.
            force_destroy=not protected,
            tags=self._tags,
            # Who did what is asked for after an accident, too.
            opts=self._options(protect=protected),
        )
        aws.s3.BucketOwnershipControls(
            f"{self._name}-logs-owner",
            bucket=bucket.id,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=self._options(),
        )
        closed = aws.s3.BucketPublicAccessBlock(
            f"{self._name}-logs-closed",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._options(),
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{self._name}-logs-encryption",
            bucket=bucket.id,
            # The only kind that a balancer's logs may have.
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
            opts=self._options(),
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{self._name}-logs-lifecycle",
            bucket=bucket.id,
            rules=[
                {
                    "id": "expire",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "expiration": {"days": self._args.settings.access_log_days},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 1},
                }
            ],
            opts=self._options(),
        )
        account = self._args.account
        return aws.s3.BucketPolicy(
            f"{self._name}-logs-policy",
            bucket=bucket.id,
            policy=bucket.arn.apply(lambda arn: json.dumps(edge.log_bucket_policy(arn, account), sort_keys=True)),
            # Two changes of a bucket at once refuse each other.
            opts=self._options(after=[closed]),
        )

    def _balancer(self, writable: aws.s3.BucketPolicy) -> aws.lb.LoadBalancer:
        args = self._args
        return aws.lb.LoadBalancer(
            f"{self._name}-balancer",
            # At most 32 characters without an underscore: a logical name may be more.
            name_prefix=edge.BALANCER_PREFIX,
            load_balancer_type="application",
            internal=False,
            ip_address_type="ipv4",
            subnets=[args.subnets[zone] for zone in sorted(args.subnets)],
            security_groups=[args.security_group],
            idle_timeout=args.settings.idle_seconds,
            drop_invalid_header_fields=True,
            desync_mitigation_mode="defensive",
            enable_http2=True,
            # The gateway knows its names by the header.
            preserve_host_header=True,
            xff_header_processing_mode="append",
            enable_deletion_protection=args.protect,
            # Waits for the policy, without which the balancer refuses the bucket.
            access_logs={"bucket": writable.bucket, "enabled": True},
            tags=self._tags,
            # Its addresses are in other people's DNS and firewalls.
            opts=self._options(after=[writable], protect=args.protect),
        )

    def _firewall(self, balancer: aws.lb.LoadBalancer) -> aws.wafv2.WebAclAssociation:
        settings = self._args.settings
        acl = aws.wafv2.WebAcl(
            f"{self._name}-firewall",
            scope="REGIONAL",
            default_action={"allow": {}},
            rules=[rule_of(rule, count_only=settings.count_only) for rule in edge.rules(settings)],
            visibility_config=seen_as("firewall"),
            tags=self._tags,
            opts=self._options(),
        )
        log = aws.cloudwatch.LogGroup(
            f"{self._name}-firewall-log",
            # The firewall writes to names that begin so, and to no other.
            name_prefix=edge.FIREWALL_LOG_PREFIX,
            retention_in_days=edge.log_group_days(settings.access_log_days),
            tags=self._tags,
            opts=self._options(),
        )
        aws.wafv2.WebAclLoggingConfiguration(
            f"{self._name}-firewall-logging",
            resource_arn=acl.arn,
            log_destination_configs=[log.arn],
            redacted_fields=[{"single_header": {"name": header}} for header in edge.REDACTED],
            # What passes is in the balancer's access log.
            logging_filter={
                "default_behavior": "DROP",
                "filters": [
                    {
                        "behavior": "KEEP",
                        "requirement": "MEETS_ANY",
                        "conditions": [{"action_condition": {"action": action}} for action in edge.LOGGED],
                    }
                ],
            },
            opts=self._options(),
        )
        return aws.wafv2.WebAclAssociation(
            f"{self._name}-firewall-of-balancer",
            resource_arn=balancer.arn,
            web_acl_arn=acl.arn,
            opts=self._options(),
        )

    def _certificate(self) -> aws.acm.CertificateValidation:
        """For all names. With another name there is another certificate: it is made, proven and served before the old
        one goes."""
        first, *others = self._args.entry.server_names
        certificate = aws.acm.Certificate(
            f"{self._name}-certificate",
            domain_name=first,
            subject_alternative_names=others,
            validation_method="DNS",
            key_algorithm="EC_prime256v1",
            tags=self._tags,
            opts=self._options(),
        )
        records = [self._proof(server_name, certificate) for server_name in (first, *others)]
        return aws.acm.CertificateValidation(
            f"{self._name}-certificate-valid",
            certificate_arn=certificate.arn,
            validation_record_fqdns=[record.fqdn for record in records],
            opts=self._options(),
        )

    def _proof(self, server_name: str, certificate: aws.acm.Certificate) -> aws.route53.Record:
        option = certificate.domain_validation_options.apply(
            lambda options: next(one for one in options if one.domain_name == server_name)
        )
        return aws.route53.Record(
            f"{self._name}-proof-{server_name}",
            zone_id=self._zone,
            name=option.resource_record_name.apply(str),
            type=option.resource_record_type.apply(str),
            records=[option.resource_record_value.apply(str)],
            ttl=edge.PROOF_SECONDS,
            # The same for every certificate of an account for this name, so somebody may have written it before.
            allow_overwrite=True,
            opts=self._options(),
        )

    def _gateways(self) -> aws.lb.TargetGroup:
        args = self._args
        group = aws.lb.TargetGroup(
            f"{self._name}-gateways",
            name_prefix=edge.GATEWAYS_PREFIX,
            target_type="instance",
            vpc_id=args.vpc_id,
            port=args.port,
            protocol="HTTP",
            # Gateways speak HTTP/1.1 without TLS: a WebSocket needs it.
            protocol_version="HTTP1",
            load_balancing_algorithm_type="least_outstanding_requests",
            deregistration_delay=edge.DEREGISTRATION_SECONDS,
            health_check={
                "enabled": True,
                "protocol": "HTTP",
                "port": "traffic-port",
                "path": edge.HEALTH_PATH,
                "matcher": "200",
                "interval": edge.HEALTH_SECONDS,
                "timeout": edge.HEALTH_TIMEOUT,
                "healthy_threshold": edge.HEALTH_COUNT,
                "unhealthy_threshold": edge.HEALTH_COUNT,
            },
            tags=self._tags,
            opts=self._options(),
        )
        for machine, instance in args.targets.items():
            aws.lb.TargetGroupAttachment(
                f"{self._name}-gateway-{machine}",
                target_group_arn=group.arn,
                target_id=instance,
                port=args.port,
                opts=self._options(),
            )
        return group

    def _listeners(
        self,
        balancer: aws.lb.LoadBalancer,
        valid: aws.acm.CertificateValidation,
        gateways: aws.lb.TargetGroup,
        guarded: aws.wafv2.WebAclAssociation,
    ) -> aws.lb.Listener:
        """http leads to https, and https to the gateways; neither listens before the firewall is there."""
        aws.lb.Listener(
            f"{self._name}-http",
            load_balancer_arn=balancer.arn,
            port=80,
            protocol="HTTP",
            default_actions=[
                {"type": "redirect", "redirect": {"protocol": "HTTPS", "port": "443", "status_code": "HTTP_301"}}
            ],
            tags=self._tags,
            opts=self._options(after=[guarded]),
        )
        return aws.lb.Listener(
            f"{self._name}-https",
            load_balancer_arn=balancer.arn,
            port=443,
            protocol="HTTPS",
            ssl_policy=edge.TLS_POLICY,
            certificate_arn=valid.certificate_arn,
            routing_http_response_strict_transport_security_header_value=edge.HSTS,
            default_actions=[{"type": "forward", "target_group_arn": gateways.arn}],
            tags=self._tags,
            opts=self._options(after=[guarded]),
        )

    def _name_of(self, server_name: str, balancer: aws.lb.LoadBalancer, https: aws.lb.Listener) -> None:
        aws.route53.Record(
            f"{self._name}-name-{server_name}",
            zone_id=self._zone,
            name=server_name,
            type="A",
            aliases=[{"name": balancer.dns_name, "zone_id": balancer.zone_id, "evaluate_target_health": True}],
            # A name leads here when there is something to see.
            opts=self._options(after=[https]),
        )


def rule_of(rule: edge.Rule, *, count_only: bool) -> aws.wafv2.WebAclRuleArgsDict:
    """One rule in the provider's words: a managed group decides itself unless it is only counted."""
    if rule.limit:
        return {
            "name": rule.name,
            "priority": rule.priority,
            # As the gateway answers.
            "action": {"block": {"custom_response": {"response_code": 429}}},
            "statement": {
                "rate_based_statement": {
                    "aggregate_key_type": "IP",
                    "limit": rule.limit,
                    "evaluation_window_sec": edge.CHECKED_SECONDS,
                }
            },
            "visibility_config": seen_as(rule.name),
        }
    return {
        "name": rule.name,
        "priority": rule.priority,
        "override_action": {"count": {}} if count_only else {"none": {}},
        "statement": {
            "managed_rule_group_statement": {
                "name": rule.group,
                "vendor_name": "AWS",
                "rule_action_overrides": [{"name": name, "action_to_use": {"count": {}}} for name in rule.counted],
            }
        },
        "visibility_config": seen_as(rule.name),
    }


def seen_as(name: str) -> aws.wafv2.WebAclRuleVisibilityConfigArgsDict:
    """Counted under that name. Samples would keep the headers that logs redact."""
    return {"metric_name": name, "cloudwatch_metrics_enabled": True, "sampled_requests_enabled": False}
