"""A Deployment on a Kubernetes cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from groundwork.kubernetes import Manifest
from groundwork.workload import Template

from .credentials import Credentials

KINDS: Mapping[str, type[pulumi.CustomResource]] = {
    kind.__name__: kind
    for kind in (
        kubernetes.core.v1.ConfigMap,
        kubernetes.core.v1.LimitRange,
        kubernetes.core.v1.Namespace,
        kubernetes.core.v1.PersistentVolumeClaim,
        kubernetes.core.v1.ResourceQuota,
        kubernetes.core.v1.Secret,
        kubernetes.core.v1.Service,
        kubernetes.core.v1.ServiceAccount,
        kubernetes.apps.v1.DaemonSet,
        kubernetes.apps.v1.Deployment,
        kubernetes.apps.v1.StatefulSet,
        kubernetes.batch.v1.CronJob,
        kubernetes.batch.v1.Job,
        kubernetes.autoscaling.v2.HorizontalPodAutoscaler,
        kubernetes.networking.v1.Ingress,
        kubernetes.networking.v1.NetworkPolicy,
        kubernetes.policy.v1.PodDisruptionBudget,
        kubernetes.scheduling.v1.PriorityClass,
    )
}
"""What the API server itself knows; all others are custom resources."""
TOP_LEVEL = {
    "stringData": "string_data",
    "automountServiceAccountToken": "automount_service_account_token",
    "preemptionPolicy": "preemption_policy",
}
"""Python's names for fields beside `spec`; below it they are the API's own."""


@dataclass(frozen=True, kw_only=True)
class KubernetesStackArgs:
    manifests: tuple[Manifest, ...]
    keep_data: bool
    credentials: Credentials


class KubernetesStack(pulumi.ComponentResource):
    """All objects of one stack in one cluster; the provider comes from the caller."""

    def __init__(self, name: str, args: KubernetesStackArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("groundwork:kubernetes:Stack", name, None, opts)
        self._name = name
        self._args = args
        self._made: dict[str, pulumi.CustomResource] = {}
        for manifest in args.manifests:
            self._made[manifest.key] = self._object(manifest)
        self.register_outputs({})

    def _object(self, manifest: Manifest) -> pulumi.CustomResource:
        body = dict(manifest.body)
        api_version, kind = body.pop("apiVersion"), body.pop("kind")
        fields = {TOP_LEVEL.get(field, field): self._filled(value) for field, value in body.items()}
        options = pulumi.ResourceOptions(
            parent=self,
            depends_on=[self._made[key] for key in manifest.after],
            # Data is never deleted with the stack that made it, unless its settings say so.
            retain_on_delete=manifest.holds_data and self._args.keep_data,
            # Names are fixed, so that who uses an object can know it before.
            delete_before_replace=True,
            # One that failed stays failed; the next `up` tries again.
            replace_on_changes=["#initerror"] if kind == "Job" else None,
        )
        name = f"{self._name}-{manifest.key}"
        if kind in KINDS:
            return KINDS[kind](name, opts=options, **fields)
        return kubernetes.apiextensions.CustomResource(name, api_version, kind, opts=options, **fields)

    def _filled(self, value: Any) -> Any:
        """With secrets in the place of their names; they stand in the texts of Secrets alone."""
        if isinstance(value, Template):
            return self._args.credentials.text(value)
        if isinstance(value, dict):
            return {key: self._filled(item) for key, item in value.items()}
        return value
