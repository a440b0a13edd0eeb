"""Rows of ACM, load balancers, Route 53 and WAF. Sources: sim/types/aws.py."""

from __future__ import annotations

from collections.abc import Mapping

from pulumi_aws import acm, lb, route53, wafv2

from sim.aws_outputs import arn, last_part, made_up, region_of
from sim.types.aws_row import name, row
from sim.types.row import NAMED, Autoname, ResourceType, words
from sim.values import Json, Properties, plain, text


def certificate(identity: str, around: Properties) -> Properties:
    """One record proves a name and its wildcard."""
    others = plain(around.get("subjectAlternativeNames"))
    names = [text(around, "domainName"), *(map(str, others) if isinstance(others, list) else ())]
    proofs: list[Json] = [
        {
            "domainName": one,
            "resourceRecordName": f"_simulated.{one.removeprefix('*.')}.",
            "resourceRecordType": "CNAME",
            "resourceRecordValue": f"_simulated-{one.removeprefix('*.').replace('.', '-')}.acm-validations.aws.",
        }
        for one in dict.fromkeys(names)
    ]
    return {
        "arn": identity,
        "domainValidationOptions": proofs,
        "keyAlgorithm": "RSA_2048",
        "status": "ISSUED",
        "subjectAlternativeNames": list(dict.fromkeys(names)),
        "type": "AMAZON_ISSUED",
        "validationEmails": [],
    }


def load_balancer_arn(around: Properties) -> str:
    kind = "net" if text(around, "loadBalancerType") == "network" else "app"
    return arn(around, "elasticloadbalancing", f"loadbalancer/{kind}/{name(around)}/{made_up()}")


def load_balancer(identity: str, around: Properties) -> Properties:
    return {
        "arn": identity,
        "arnSuffix": identity.partition(":loadbalancer/")[2],
        "dnsName": f"{name(around)}-{last_part(identity)}.{region_of(around)}.elb.amazonaws.com",
        "internal": False,
        "ipAddressType": "ipv4",
        "zoneId": made_up("Z"),
    }


def target_group(identity: str, _around: Properties) -> Properties:
    return {
        "arn": identity,
        "arnSuffix": identity.rpartition(":")[2],
        "ipAddressType": "ipv4",
        "loadBalancerArns": [],
        "loadBalancingAlgorithmType": "round_robin",
        "protocolVersion": "HTTP1",
    }


def listener_arn(around: Properties) -> str:
    return f"{text(around, 'loadBalancerArn').replace(':loadbalancer/', ':listener/')}/{made_up()}"


def web_acl(identity: str, around: Properties) -> Properties:
    scope = "global" if text(around, "scope") == "CLOUDFRONT" else "regional"
    return {
        "arn": arn(around, "wafv2", f"{scope}/webacl/{name(around)}/{identity}"),
        "capacity": 0,
        "lockToken": made_up(),
    }


TYPES: Mapping[str, ResourceType] = {
    "aws:acm/certificate:Certificate": row(
        lambda: acm.CertificateArgs,
        replace_on=words("""
            certificateAuthorityArn domainName keyAlgorithm subjectAlternativeNames validationMethod validationOptions
        """),
        computed_inputs=words("domainName keyAlgorithm subjectAlternativeNames validationMethod"),
        computed=words("""
            arn domainValidationOptions notAfter notBefore pendingRenewal renewalEligibility renewalSummaries status
            type validationEmails
        """),
        sets=words("subjectAlternativeNames validationOptions"),
        refused=words("privateKeyWo privateKeyWoVersion"),
        tagged=True,
        identify=lambda around: arn(around, "acm", f"certificate/{made_up()}"),
        compute=certificate,
    ),
    "aws:acm/certificateValidation:CertificateValidation": row(
        lambda: acm.CertificateValidationArgs,
        replace_on=words("certificateArn validationRecordFqdns"),
        sets=words("validationRecordFqdns"),
    ),
    "aws:lb/listener:Listener": row(
        lambda: lb.ListenerArgs,
        replace_on=words("loadBalancerArn"),
        computed_inputs=words("""
            protocol routingHttpRequestXAmznMtlsClientcertHeaderName
            routingHttpRequestXAmznMtlsClientcertIssuerHeaderName routingHttpRequestXAmznMtlsClientcertLeafHeaderName
            routingHttpRequestXAmznMtlsClientcertSerialNumberHeaderName
            routingHttpRequestXAmznMtlsClientcertSubjectHeaderName
            routingHttpRequestXAmznMtlsClientcertValidityHeaderName routingHttpRequestXAmznTlsCipherSuiteHeaderName
            routingHttpRequestXAmznTlsVersionHeaderName routingHttpResponseAccessControlAllowCredentialsHeaderValue
            routingHttpResponseAccessControlAllowHeadersHeaderValue
            routingHttpResponseAccessControlAllowMethodsHeaderValue
            routingHttpResponseAccessControlAllowOriginHeaderValue
            routingHttpResponseAccessControlExposeHeadersHeaderValue routingHttpResponseAccessControlMaxAgeHeaderValue
            routingHttpResponseContentSecurityPolicyHeaderValue routingHttpResponseServerEnabled
            routingHttpResponseStrictTransportSecurityHeaderValue routingHttpResponseXContentTypeOptionsHeaderValue
            routingHttpResponseXFrameOptionsHeaderValue sslPolicy tcpIdleTimeoutSeconds
        """),
        computed=words("arn"),
        sets=words("defaultActions.forward.targetGroups"),
        tagged=True,
        identify=listener_arn,
        compute=lambda identity, _around: {"arn": identity},
    ),
    "aws:lb/loadBalancer:LoadBalancer": row(
        lambda: lb.LoadBalancerArgs,
        replace_on=words("customerOwnedIpv4Pool internal loadBalancerType name namePrefix"),
        computed_inputs=words("""
            enforceSecurityGroupInboundRulesOnPrivateLinkTraffic internal ipAddressType name namePrefix securityGroups
            subnets
        """),
        computed=words("arn arnSuffix dnsName vpcId zoneId"),
        sets=words("securityGroups subnetMappings subnets"),
        autoname=Autoname(property="name", longest=32),
        refused=words("enablePrefixForIpv6SourceNat healthCheckLogs secondaryIpsAutoAssignedPerSubnet"),
        tagged=True,
        identify=load_balancer_arn,
        compute=load_balancer,
    ),
    "aws:lb/targetGroup:TargetGroup": row(
        lambda: lb.TargetGroupArgs,
        replace_on=words("ipAddressType name namePrefix port protocol protocolVersion targetType vpcId"),
        computed_inputs=words("""
            connectionTermination ipAddressType loadBalancingAlgorithmType loadBalancingAnomalyMitigation
            loadBalancingCrossZoneEnabled name namePrefix preserveClientIp protocolVersion
        """),
        computed=words("arn arnSuffix loadBalancerArns"),
        autoname=Autoname(property="name", longest=32),
        refused=words("targetControlPort"),
        tagged=True,
        identify=lambda around: arn(around, "elasticloadbalancing", f"targetgroup/{name(around)}/{made_up()}"),
        compute=target_group,
    ),
    "aws:lb/targetGroupAttachment:TargetGroupAttachment": row(
        lambda: lb.TargetGroupAttachmentArgs,
        replace_on=words("availabilityZone port targetGroupArn targetId"),
        refused=words("quicServerId"),
        identify=lambda around: f"{text(around, 'targetGroupArn')}-{made_up()}",
    ),
    "aws:route53/record:Record": row(
        lambda: route53.RecordArgs,
        replace_on=words("name zoneId"),
        computed_inputs=words("allowOverwrite"),
        computed=words("fqdn"),
        sets=words("geoproximityRoutingPolicy.coordinates records"),
        everywhere=True,
        identify=lambda around: "_".join(text(around, part) for part in ("zoneId", "name", "type")),
        compute=lambda _identity, around: {"fqdn": name(around)},
    ),
    "aws:wafv2/webAcl:WebAcl": row(
        lambda: wafv2.WebAclArgs,
        replace_on=words("name namePrefix scope"),
        computed_inputs=words("name namePrefix"),
        computed=words("applicationIntegrationUrl arn capacity lockToken"),
        autoname=NAMED,
        refused=words("monetizationConfig"),
        tagged=True,
        identify=lambda _: made_up(),
        compute=web_acl,
    ),
    "aws:wafv2/webAclAssociation:WebAclAssociation": row(
        lambda: wafv2.WebAclAssociationArgs,
        replace_on=words("resourceArn webAclArn"),
        identify=lambda around: f"{text(around, 'webAclArn')},{text(around, 'resourceArn')}",
    ),
    "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": row(
        lambda: wafv2.WebAclLoggingConfigurationArgs,
        replace_on=words("logDestinationConfigs resourceArn"),
        sets=words("logDestinationConfigs loggingFilter.filters loggingFilter.filters.conditions"),
        identify=lambda around: text(around, "resourceArn"),
    ),
}
