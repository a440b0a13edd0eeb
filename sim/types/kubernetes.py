"""Kubernetes' rows: the kinds that components/kubernetes_stack.py knows, and two of the Gateway API.

Sources: what replaces is `forceNew` of pulumi-kubernetes 4.32.0 (provider/pkg/provider/diff.go), what an API server
refuses to change stands in the Validate…Update functions of k8s.io/kubernetes 1.34 (pkg/apis/…/validation).

They are not the same, and both are kept: a StatefulSet's revisionHistoryLimit and a Job's parallelism could be changed
and replace it all the same; a PriorityClass's value can't be changed, and the plugin tries.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import pulumi
from pulumi_kubernetes import apps, autoscaling, batch, core, networking, policy, scheduling
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from sim.types.row import ResourceType
from sim.values import UNKNOWN, Json, Properties, at, plain

IMMUTABLE = "Invalid value: field is immutable"
FROZEN = "Forbidden: field is immutable when `immutable` is set"
STATEFUL_SET = (
    "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
    "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' "
    "are forbidden"
)
CLAIM = (
    "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for "
    "bound claims"
)
IDENTITY = frozenset({"metadata.name", "metadata.namespace"})  # metadataForceNewProperties


@pulumi.input_type
class CustomObjectArgs:
    """A custom resource: the simulation does not know its definition, nor does the SDK."""

    api_version: pulumi.Input[str] = pulumi.property("apiVersion")
    kind: pulumi.Input[str] = pulumi.property("kind")
    metadata: pulumi.Input[ObjectMetaArgs] = pulumi.property("metadata")
    spec: pulumi.Input[Mapping[str, Any]] = pulumi.property("spec")


def name_of(inputs: Properties) -> str:
    """`namespace/name`, or the name alone (fqName in provider/pkg/provider/util.go)."""
    parts = (at(inputs, "metadata.namespace"), at(inputs, "metadata.name"))
    return "/".join(str(part) for part in parts if part)


def when_its_name_stays(identity: str, inputs: Properties) -> bool:
    """Two objects of one name can't be (deleteBeforeReplace in provider/pkg/provider/provider.go, Diff)."""
    return name_of(inputs) == identity


def encoded(inputs: Properties) -> Properties:
    """A Secret's texts as the API keeps them (normalizeInputs in provider/pkg/provider/provider.go): not where one of
    them is still unknown, so that a preview shows more than will be done."""
    texts = plain(inputs.get("stringData"))
    if not isinstance(texts, dict) or UNKNOWN in json.dumps(plain(inputs)):
        return inputs
    data = {name: base64.b64encode(str(value).encode()).decode() for name, value in texts.items()}
    known = plain(inputs.get("data"))
    kept = {name: value for name, value in inputs.items() if name != "stringData"}
    return kept | {"data": {**(known if isinstance(known, dict) else {}), **data}}


def kind(
    args: type,
    *replace_on: str,
    namespaced: bool = True,
    immutable: Mapping[str, str | None] | None = None,
    secret: frozenset[str] = frozenset(),
    normalize: Callable[[Properties], Properties] = dict,
) -> ResourceType:
    defaults: dict[str, Json] = {"metadata.namespace": "default"} if namespaced else {}
    return ResourceType(
        sdk=lambda: args,
        replace_on=IDENTITY | frozenset(replace_on),
        secret=secret,
        normalize=normalize,
        needed=frozenset({"metadata.name"}),
        defaults=defaults,
        immutable=immutable or {},
        deletes_first=when_its_name_stays,
        compute=lambda _identity, _inputs: {},
        identify=name_of,
    )


TYPES: Mapping[str, ResourceType] = {
    "kubernetes:apps/v1:Deployment": kind(
        apps.v1.DeploymentInitArgs, "spec.selector", immutable={"spec.selector": IMMUTABLE}
    ),
    "kubernetes:apps/v1:StatefulSet": kind(
        apps.v1.StatefulSetInitArgs,
        "spec.podManagementPolicy",
        "spec.revisionHistoryLimit",
        "spec.selector",
        "spec.serviceName",
        "spec.volumeClaimTemplates",
        immutable={
            "spec": STATEFUL_SET,
            "spec.replicas": None,
            "spec.ordinals": None,
            "spec.template": None,
            "spec.updateStrategy": None,
            "spec.revisionHistoryLimit": None,
            "spec.persistentVolumeClaimRetentionPolicy": None,
            "spec.minReadySeconds": None,
        },
    ),
    "kubernetes:autoscaling/v2:HorizontalPodAutoscaler": kind(autoscaling.v2.HorizontalPodAutoscalerInitArgs),
    "kubernetes:batch/v1:CronJob": kind(batch.v1.CronJobInitArgs),
    "kubernetes:batch/v1:Job": kind(
        batch.v1.JobInitArgs,
        "spec.completions",
        "spec.parallelism",
        "spec.selector",
        "spec.template",
        immutable={
            "spec.completions": IMMUTABLE,  # of jobs that are not Indexed: ours
            "spec.selector": IMMUTABLE,
            "spec.template": IMMUTABLE,
            "spec.completionMode": IMMUTABLE,
            "spec.podFailurePolicy": IMMUTABLE,
            "spec.backoffLimitPerIndex": IMMUTABLE,
            "spec.managedBy": IMMUTABLE,
            "spec.successPolicy": IMMUTABLE,
        },
    ),
    # What a ConfigMap or a Secret that is `immutable` freezes besides: sim/cluster.py.
    "kubernetes:core/v1:ConfigMap": kind(core.v1.ConfigMapInitArgs, "binaryData", "data"),
    "kubernetes:core/v1:LimitRange": kind(core.v1.LimitRangeInitArgs),
    "kubernetes:core/v1:Namespace": kind(core.v1.NamespaceInitArgs, namespaced=False),
    "kubernetes:core/v1:PersistentVolumeClaim": kind(
        core.v1.PersistentVolumeClaimInitArgs,
        "spec.accessModes",
        "spec.selector",
        "spec.storageClassName",
        "spec.volumeName",
        # Every claim is taken for bound, and every class for one that can grow.
        immutable={"spec": CLAIM, "spec.resources.requests": None, "spec.volumeAttributesClassName": None},
    ),
    "kubernetes:core/v1:ResourceQuota": kind(
        core.v1.ResourceQuotaInitArgs, "spec.scopes", immutable={"spec.scopes": IMMUTABLE}
    ),
    "kubernetes:core/v1:Secret": kind(
        core.v1.SecretInitArgs,
        "data",
        "stringData",
        "type",
        immutable={"type": IMMUTABLE},
        secret=frozenset({"data", "stringData"}),  # annotateSecrets in provider/pkg/provider/provider.go
        normalize=encoded,
    ),
    "kubernetes:core/v1:Service": kind(
        core.v1.ServiceInitArgs,
        "spec.clusterIP",
        immutable={"spec.clusterIP": "Invalid value: may not change once set"},
    ),
    "kubernetes:core/v1:ServiceAccount": kind(core.v1.ServiceAccountInitArgs),
    "kubernetes:gateway.networking.k8s.io/v1:Gateway": kind(CustomObjectArgs),
    "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute": kind(CustomObjectArgs),
    "kubernetes:networking.k8s.io/v1:Ingress": kind(networking.v1.IngressInitArgs),
    "kubernetes:networking.k8s.io/v1:NetworkPolicy": kind(networking.v1.NetworkPolicyInitArgs),
    "kubernetes:policy/v1:PodDisruptionBudget": kind(policy.v1.PodDisruptionBudgetInitArgs),
    "kubernetes:scheduling.k8s.io/v1:PriorityClass": kind(
        scheduling.v1.PriorityClassInitArgs,
        namespaced=False,
        immutable={"value": "Forbidden: may not be changed in an update.", "preemptionPolicy": IMMUTABLE},
    ),
}
