"""What each rule of policy/ refuses, and what it lets pass."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from policy.rule import UNKNOWN, Resource, Stack

PROD, STAGING = Stack(name="prod"), Stack(name="staging")
DIGEST = f"sha256:{'a' * 64}"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
CONTAINER = "docker:index/container:Container"
SERVICE = "kubernetes:core/v1:Service"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
VOLUME = "aws:ebs/volume:Volume"
INSTANCE = "aws:ec2/instance:Instance"
LISTENER = "aws:lb/listener:Listener"
BUCKET = "aws:s3/bucket:Bucket"
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
ROLE = "aws:iam/role:Role"
GITHUB = "token.actions.githubusercontent.com"
REDIRECT = {"type": "redirect", "redirect": {"protocol": "HTTPS", "port": "443", "statusCode": "HTTP_301"}}
TLS_ONLY = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
FOUR = {"blockPublicAcls": True, "blockPublicPolicy": True, "ignorePublicAcls": True, "restrictPublicBuckets": True}
OURS = {"project": "shop", "stack": "prod", "system": "shop", "managed-by": "pulumi"}


def resource(type_: str, **props: Any) -> Resource:
    return Resource(type=type_, name="it", urn=f"urn:pulumi:prod::shop::{type_}::it", props=props)


def allowing(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def bucket_policy(*statements: Mapping[str, Any]) -> Resource:
    return resource(BUCKET_POLICY, policy=json.dumps({"Statement": list(statements)}))


def role_policy(action: str | list[str], on: str | list[str], **more: Any) -> Resource:
    return resource(ROLE_POLICY, policy=allowing(Action=action, Resource=on, **more))


def github(subject: str | None = None, audience: str | None = "sts.amazonaws.com") -> Resource:
    given = {f"{GITHUB}:sub": subject, f"{GITHUB}:aud": audience}
    return resource(
        ROLE,
        assumeRolePolicy=allowing(
            Action="sts:AssumeRoleWithWebIdentity",
            Principal={"Federated": f"arn:aws:iam::123456789012:oidc-provider/{GITHUB}"},
            Condition={"StringEquals": {key: value for key, value in given.items() if value}},
        ),
    )


def ingress(low: object, high: object, *networks: str) -> dict[str, Any]:
    return {"protocol": "tcp", "fromPort": low, "toPort": high, "cidrBlocks": list(networks)}


def container(**props: Any) -> Resource:
    role = props.pop("role", None)
    labels = [{"label": "groundwork.role", "value": role}] if role else []
    return resource(CONTAINER, labels=labels, **props)


def measuring(path: str = "/", **props: Any) -> Resource:
    """What measures a machine: nobody in particular, without rights, who reads what everybody there may read."""
    mount = {"type": "bind", "source": path, "target": "/machine", "readOnly": True}
    return container(**{"user": "65534:65534", "mounts": [mount], "capabilities": {"drops": ["ALL"]}} | props)


def measuring_pod(read_only: bool = True, path: str = "/", **security: Any) -> Resource:
    mount = {"name": "machine", "mountPath": "/machine", "readOnly": read_only}
    secured = {"runAsUser": 65534, "capabilities": {"drop": ["ALL"]}} | security
    containers = [{"name": "app", "image": f"x@{DIGEST}", "securityContext": secured, "volumeMounts": [mount]}]
    volumes = [{"name": "machine", "hostPath": {"path": path}}]
    return resource(DEPLOYMENT, spec={"template": {"spec": {"containers": containers, "volumes": volumes}}})


def published(ip: str | None, internal: int, external: int, role: str | None = "gateway") -> Resource:
    return container(role=role, ports=[{"internal": internal, "external": external, **({"ip": ip} if ip else {})}])


def pod(kind: str = DEPLOYMENT, image: str = f"x@{DIGEST}", security: object = None, **spec: Any) -> Resource:
    containers = [{"name": "app", "image": image, "securityContext": security or {}}]
    return resource(kind, spec={"template": {"spec": {"containers": containers, **spec}}})


Case = tuple[str, Resource, Stack]

WRONG: list[Case] = [
    ("world-reaches-only-the-web", resource(GROUP, ingress=[ingress(22, 22, "0.0.0.0/0")]), STAGING),
    ("world-reaches-only-the-web", resource(GROUP, ingress=[ingress(0, 65535, "10.0.0.0/8", "::/0")]), STAGING),
    ("world-reaches-only-the-web", resource(GROUP, ingress=[ingress(30417, 30417, "128.0.0.0/1")]), STAGING),
    ("world-reaches-only-the-web", resource(GROUP, ingress=[ingress(443, 3389, "0.0.0.0/0")]), STAGING),
    (
        "world-reaches-only-the-web",
        resource(GROUP, ingress=[{"protocol": "-1", "fromPort": 0, "toPort": 0, "ipv6CidrBlocks": ["::/0"]}]),
        STAGING,
    ),
    (
        "world-reaches-only-the-web",
        resource("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", ingress=[ingress(5432, 5432, "0.0.0.0/0")]),
        STAGING,
    ),
    (
        "world-reaches-only-the-web",
        resource(INGRESS, ipProtocol="tcp", fromPort=2375, toPort=2376, cidrIpv4="0.0.0.0/0"),
        STAGING,
    ),
    (
        "world-reaches-only-the-web",
        resource(INGRESS, ipProtocol="tcp", fromPort=6379.0, toPort=6379.0, cidrIpv6="::/0"),
        STAGING,
    ),
    ("world-reaches-only-the-web", resource(INGRESS, ipProtocol="-1", cidrIpv4="0.0.0.0/0"), STAGING),
    (
        "world-reaches-only-the-web",
        resource("aws:ec2/securityGroupRule:SecurityGroupRule", type="ingress", **ingress(3306, 3306, "0.0.0.0/0")),
        STAGING,
    ),
    ("only-the-gateway-is-published", published("0.0.0.0", 5432, 5432, "backing"), STAGING),
    ("only-the-gateway-is-published", published(None, 2375, 12375, None), STAGING),
    ("only-the-gateway-is-published", published("8.8.8.8", 6379, 6379, None), STAGING),
    ("only-the-gateway-is-published", published("::", 8000, 8000, "app"), STAGING),
    ("only-the-gateway-is-published", container(publishAllPorts=True), STAGING),
    (
        "only-the-gateway-is-published",
        resource(SERVICE, spec={"type": "LoadBalancer", "ports": [{"port": 5432, "targetPort": "postgres"}]}),
        STAGING,
    ),
    (
        "only-the-gateway-is-published",
        resource(SERVICE, spec={"type": "NodePort", "ports": [{"port": 80, "targetPort": 6379}]}),
        STAGING,
    ),
    ("disks-are-encrypted", resource(VOLUME, size=40), STAGING),
    ("disks-are-encrypted", resource(INSTANCE), STAGING),
    ("disks-are-encrypted", resource(INSTANCE, rootBlockDevice={"volumeSize": 8, "encrypted": False}), STAGING),
    (
        "disks-are-encrypted",
        resource(INSTANCE, rootBlockDevice={"encrypted": True}, ebsBlockDevices=[{"deviceName": "/dev/sdf"}]),
        STAGING,
    ),
    ("disks-are-encrypted", resource("aws:rds/instance:Instance", storageEncrypted=False), STAGING),
    (
        "disks-are-encrypted",
        resource("aws:ec2/launchTemplate:LaunchTemplate", blockDeviceMappings=[{"ebs": {"encrypted": "false"}}]),
        STAGING,
    ),
    ("listeners-speak-tls", resource(LISTENER, protocol="HTTP", defaultActions=[{"type": "forward"}]), STAGING),
    (
        "listeners-speak-tls",
        resource(LISTENER, protocol="HTTP", defaultActions=[REDIRECT, {"type": "forward"}]),
        STAGING,
    ),
    ("listeners-speak-tls", resource(LISTENER, protocol="HTTPS"), STAGING),
    ("listeners-speak-tls", resource(LISTENER, protocol="TLS", sslPolicy="ELBSecurityPolicy-2016-08"), STAGING),
    (
        "listeners-speak-tls",
        resource(LISTENER, protocol="HTTPS", sslPolicy="ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06"),
        STAGING,
    ),
    ("buckets-are-closed", resource(BUCKET, acl="public-read"), STAGING),
    ("buckets-are-closed", resource("aws:s3/bucketAcl:BucketAcl", acl="authenticated-read"), STAGING),
    (
        "buckets-are-closed",
        resource(
            "aws:s3/bucketAcl:BucketAcl",
            accessControlPolicy={
                "grants": [
                    {"grantee": {"uri": "http://acs.amazonaws.com/groups/global/AllUsers"}, "permission": "READ"}
                ]
            },
        ),
        STAGING,
    ),
    ("buckets-are-closed", resource(BLOCK, **FOUR | {"ignorePublicAcls": False}), STAGING),
    ("buckets-are-closed", resource(BLOCK, blockPublicAcls=True), STAGING),
    (
        "buckets-are-closed",
        bucket_policy(TLS_ONLY, {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:GetObject"}),
        STAGING,
    ),
    (
        "buckets-are-closed",
        bucket_policy({"Effect": "Allow", "Principal": {"AWS": "arn"}, "Action": "s3:Get*"}),
        STAGING,
    ),
    ("identities-have-no-wildcards", role_policy("*", "arn:aws:s3:::b"), STAGING),
    ("identities-have-no-wildcards", role_policy("s3:*", "arn:aws:s3:::b/*"), STAGING),
    ("identities-have-no-wildcards", role_policy(["ec2:DescribeVpcs", "ec2:RunInstances"], "*"), STAGING),
    ("identities-have-no-wildcards", role_policy("s3:PutObject", "arn:aws:s3:::*"), STAGING),
    ("identities-have-no-wildcards", role_policy("s3:Get*", "*"), STAGING),
    ("identities-have-no-wildcards", role_policy("kms:Decrypt", ["*"]), STAGING),
    ("identities-have-no-wildcards", role_policy("secretsmanager:GetSecretValue", "*"), STAGING),
    ("identities-have-no-wildcards", resource(ROLE_POLICY, policy=allowing(NotAction="iam:*", Resource="*")), STAGING),
    (
        "identities-have-no-wildcards",
        resource(ROLE_POLICY, policy=allowing(Action="s3:GetObject", NotResource="arn:aws:s3:::b/*")),
        STAGING,
    ),
    (
        "identities-have-no-wildcards",
        resource(ROLE, inlinePolicies=[{"name": "x", "policy": allowing(Action="ec2:*", Resource="*")}]),
        STAGING,
    ),
    (
        "identities-have-no-wildcards",
        resource(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            policyArn="arn:aws:iam::aws:policy/AdministratorAccess",
        ),
        STAGING,
    ),
    ("roles-say-who-takes-them", resource(ROLE, assumeRolePolicy=allowing(Principal="*")), STAGING),
    ("roles-say-who-takes-them", resource(ROLE, assumeRolePolicy=allowing(Principal={"AWS": ["*"]})), STAGING),
    ("roles-say-who-takes-them", github(None), STAGING),
    ("roles-say-who-takes-them", github("repo:team/portal:*"), STAGING),
    ("roles-say-who-takes-them", github("repo:team/*:environment:preview"), STAGING),
    ("roles-say-who-takes-them", github("repo:team/portal:pull_request"), STAGING),
    ("roles-say-who-takes-them", github("repo:team/portal:environment:preview", None), STAGING),
    ("metadata-needs-a-token", resource(INSTANCE), STAGING),
    ("metadata-needs-a-token", resource(INSTANCE, metadataOptions={"httpTokens": "optional"}), STAGING),
    (
        "metadata-needs-a-token",
        resource(INSTANCE, metadataOptions={"httpTokens": "required", "httpPutResponseHopLimit": 2.0}),
        STAGING,
    ),
    ("data-is-protected", resource(VOLUME), PROD),
    ("data-is-protected", resource(BUCKET, forceDestroy=True), PROD),
    ("data-is-protected", resource(INSTANCE, disableApiTermination=False), PROD),
    ("data-is-protected", resource("aws:rds/cluster:Cluster", deletionProtection=False), PROD),
    (
        "data-is-protected",
        resource("aws:rds/instance:Instance", deletionProtection=True, skipFinalSnapshot=True),
        PROD,
    ),
    ("data-is-protected", resource(VOLUME), Stack(name="shop", also_production=("shop",))),
    ("containers-stay-inside", container(privileged=True), STAGING),
    ("containers-stay-inside", container(networkMode="host"), STAGING),
    ("containers-stay-inside", container(pidMode="host"), STAGING),
    ("containers-stay-inside", container(volumes=[{"hostPath": "/var/run/docker.sock"}]), STAGING),
    ("containers-stay-inside", container(mounts=[{"type": "bind", "source": "/run/docker.sock"}]), STAGING),
    ("containers-stay-inside", container(volumes=[{"hostPath": "/"}]), STAGING),
    ("containers-stay-inside", container(capabilities={"adds": ["CAP_SYS_ADMIN"]}), STAGING),
    ("containers-stay-inside", container(securityOpts=["seccomp=unconfined"]), STAGING),
    ("containers-stay-inside", measuring(user="0:0"), STAGING),
    ("containers-stay-inside", measuring(user=None), STAGING),
    ("containers-stay-inside", measuring(capabilities=None), STAGING),
    ("containers-stay-inside", measuring(path="/var/run/docker.sock"), STAGING),
    ("containers-stay-inside", measuring(path="/etc"), STAGING),
    ("containers-stay-inside", measuring(mounts=[{"type": "bind", "source": "/", "target": "/x"}]), STAGING),
    ("containers-stay-inside", measuring_pod(read_only=False), STAGING),
    ("containers-stay-inside", measuring_pod(runAsUser=0), STAGING),
    ("containers-stay-inside", measuring_pod(capabilities={}), STAGING),
    ("containers-stay-inside", measuring_pod(path="/etc"), STAGING),
    ("containers-stay-inside", pod(security={"privileged": True}), STAGING),
    ("containers-stay-inside", pod(security={"capabilities": {"add": ["NET_ADMIN"]}}), STAGING),
    ("containers-stay-inside", pod("kubernetes:batch/v1:CronJob", hostNetwork=True), STAGING),
    ("containers-stay-inside", pod(volumes=[{"hostPath": {"path": "/run/containerd/containerd.sock"}}]), STAGING),
    ("production-runs-digests", container(image="nginx:1.30"), PROD),
    ("production-runs-digests", container(image="nginx@sha256:12"), PROD),
    ("production-runs-digests", resource("docker:index/remoteImage:RemoteImage", name="nginx"), PROD),
    ("production-runs-digests", pod(image="nginx:1.30"), PROD),
    ("production-runs-digests", pod(initContainers=[{"name": "first", "image": "busybox"}]), PROD),
    ("resources-say-whose-they-are", resource(VOLUME), STAGING),
    ("resources-say-whose-they-are", resource(VOLUME, tags=OURS | {"system": ""}), STAGING),
]

RIGHT: list[Case] = [
    ("world-reaches-only-the-web", resource(GROUP, ingress=[ingress(443, 443, "0.0.0.0/0", "::/0")]), STAGING),
    ("world-reaches-only-the-web", resource(GROUP, ingress=[ingress(22, 22, "203.0.113.0/24", "10.0.0.0/8")]), STAGING),
    ("world-reaches-only-the-web", resource(GROUP, ingress=UNKNOWN), STAGING),
    (
        "world-reaches-only-the-web",
        resource(INGRESS, ipProtocol="tcp", fromPort=5432, toPort=5432, referencedSecurityGroupId="sg-1"),
        STAGING,
    ),
    (
        "world-reaches-only-the-web",
        resource(INGRESS, ipProtocol="icmp", fromPort=3, toPort=4, cidrIpv4="0.0.0.0/0"),
        STAGING,
    ),
    (
        "world-reaches-only-the-web",
        resource("aws:ec2/securityGroupRule:SecurityGroupRule", type="egress", **ingress(0, 65535, "0.0.0.0/0")),
        STAGING,
    ),
    ("only-the-gateway-is-published", published("0.0.0.0", 8443, 443), PROD),
    ("only-the-gateway-is-published", published("127.0.0.1", 5432, 5432, "backing"), STAGING),
    ("only-the-gateway-is-published", published("10.20.64.5", 5432, 30417, "backing"), STAGING),
    (
        "only-the-gateway-is-published",
        resource(SERVICE, spec={"type": "ClusterIP", "ports": [{"port": 5432}]}),
        STAGING,
    ),
    (
        "only-the-gateway-is-published",
        resource(
            SERVICE,
            spec={"type": "LoadBalancer", "ports": [{"port": 5432}], "loadBalancerSourceRanges": ["10.0.0.0/8"]},
        ),
        STAGING,
    ),
    ("only-the-gateway-is-published", resource(SERVICE, spec={"type": "NodePort", "ports": [{"port": 80}]}), STAGING),
    ("disks-are-encrypted", resource(VOLUME, encrypted=True), STAGING),
    ("disks-are-encrypted", resource(INSTANCE, rootBlockDevice={"encrypted": True}), STAGING),
    ("listeners-speak-tls", resource(LISTENER, protocol="HTTP", defaultActions=[REDIRECT]), STAGING),
    (
        "listeners-speak-tls",
        resource(LISTENER, protocol="HTTPS", sslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06"),
        STAGING,
    ),
    (
        "listeners-speak-tls",
        resource(LISTENER, protocol="HTTPS", sslPolicy="ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"),
        STAGING,
    ),
    ("buckets-are-closed", resource(BUCKET), STAGING),
    ("buckets-are-closed", resource(BLOCK, **FOUR), STAGING),
    (
        "buckets-are-closed",
        bucket_policy(
            TLS_ONLY,
            {
                "Effect": "Allow",
                "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
                "Action": "s3:PutObject",
            },
        ),
        STAGING,
    ),
    ("buckets-are-closed", resource(BUCKET_POLICY, policy=UNKNOWN), STAGING),
    ("identities-have-no-wildcards", role_policy("s3:PutObject", "arn:aws:s3:::b/*"), STAGING),
    ("identities-have-no-wildcards", role_policy(["ec2:Describe*", "ssmmessages:OpenDataChannel"], "*"), STAGING),
    ("identities-have-no-wildcards", resource(ROLE_POLICY, policy=UNKNOWN), STAGING),
    (
        "identities-have-no-wildcards",
        resource(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            policyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
        ),
        STAGING,
    ),
    (
        "roles-say-who-takes-them",
        resource(ROLE, assumeRolePolicy=allowing(Principal={"Service": "ec2.amazonaws.com"}, Action="sts:AssumeRole")),
        STAGING,
    ),
    ("roles-say-who-takes-them", github("repo:team/portal:environment:preview"), STAGING),
    (
        "metadata-needs-a-token",
        resource(INSTANCE, metadataOptions={"httpTokens": "required", "httpPutResponseHopLimit": 1.0}),
        STAGING,
    ),
    ("metadata-needs-a-token", resource(INSTANCE, metadataOptions={"httpEndpoint": "disabled"}), STAGING),
    ("data-is-protected", resource(VOLUME), STAGING),
    ("data-is-protected", Resource(type=VOLUME, name="it", protect=True), PROD),
    ("data-is-protected", resource(INSTANCE, disableApiTermination=True), PROD),
    ("data-is-protected", resource(BUCKET), PROD),
    ("containers-stay-inside", container(volumes=[{"volumeName": "data"}], capabilities={"drops": ["ALL"]}), STAGING),
    ("containers-stay-inside", container(pidMode="container:abc", securityOpts=["no-new-privileges:true"]), STAGING),
    ("containers-stay-inside", pod(security={"privileged": False}), STAGING),
    ("containers-stay-inside", measuring(), STAGING),
    ("containers-stay-inside", measuring_pod(), STAGING),
    ("containers-stay-inside", pod(security=UNKNOWN, volumes=[{"name": "tmp", "emptyDir": {}}]), STAGING),
    ("production-runs-digests", container(image="nginx:1.30"), STAGING),
    ("production-runs-digests", container(image=DIGEST), PROD),
    ("production-runs-digests", container(image=UNKNOWN), PROD),
    ("production-runs-digests", pod(image=f"registry.example.com/app@{DIGEST}"), PROD),
    ("resources-say-whose-they-are", resource(VOLUME, tags=OURS), STAGING),
    ("resources-say-whose-they-are", resource(VOLUME, tagsAll=UNKNOWN), STAGING),
    ("resources-say-whose-they-are", Resource(type=VOLUME, name="it", tags=OURS), STAGING),
]
