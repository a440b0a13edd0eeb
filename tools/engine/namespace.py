"""The namespace of a stack in its cluster: whose it is, and what is left there after `down`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from groundwork.kubeconfig import kubeconfig_of
from groundwork.targets import KubernetesTarget
from tools.engine.checkout import UserError
from tools.kubectl import Kubectl, found

KINDS = (
    "deployments,statefulsets,jobs,cronjobs,pods,services,ingresses,configmaps,secrets,serviceaccounts,"
    "networkpolicies,poddisruptionbudgets,horizontalpodautoscalers,persistentvolumeclaims"
)
"""What is in the namespace of a stack and says whose it is. PriorityClasses are in none."""
INSTANCE = "app.kubernetes.io/instance"


def _kubectl(target: KubernetesTarget, instance: str, environment: Mapping[str, str]) -> Kubectl:
    return Kubectl(
        program=found(environment), kubeconfig=kubeconfig_of(target, environment), context=target.context,
        namespace=target.namespace_of(instance), environment=environment,
    )  # fmt: skip


def refuse_foreign(target: KubernetesTarget, instance: str, environment: Mapping[str, str]) -> None:
    """UserError where the namespace is there and is not this stack's: whatever has a name of the stack's would be
    taken over, and with the stack the whole namespace would go. `instance` is `<project>-<stack>`."""
    kubectl = _kubectl(target, instance, environment)
    found = kubectl.data("get", "namespaces", f"--field-selector=metadata.name={kubectl.namespace}")["items"]
    for metadata in (one["metadata"] for one in found):
        owner = metadata.get("labels", {}).get(INSTANCE)
        if owner != instance:
            raise UserError(
                f"The namespace {kubectl.namespace} is {f'that of {owner}' if owner else 'somebody else’s'}: a stack "
                "needs one of its own. Give another name in groundwork:target.namespace; it need not exist."
            )


def report(
    target: KubernetesTarget,
    instance: str,
    kept: Iterable[str],
    environment: Mapping[str, str],
    say: Callable[[str], None],
) -> int:
    """Names what still carries the stack's label, and returns 1 where that is more than the data that it keeps.

    `instance` is `<project>-<stack>`. `kept` are the ids that the state retains, such as `namespace/name`.
    """
    kubectl = _kubectl(target, instance, environment)
    label = f"{INSTANCE}={instance}"
    things = [
        *kubectl.data("get", KINDS, f"--selector={label}")["items"],
        *kubectl.data("get", "namespaces,priorityclasses", f"--selector={label}")["items"],
    ]
    retained, left = sorted_out(things, frozenset(kept))
    for name in retained:
        say(f"Kept with its data (keep_data): {name}")
    if not left:
        say("Nothing else of this stack is left." if retained else "Nothing of this stack is left in the cluster.")
        return 0
    say(f"Left in the cluster with the label {label}, but in no state:")
    for name in left:
        say(f"  {name}")
    return 1


def sorted_out(things: Iterable[Mapping[str, Any]], kept: frozenset[str]) -> tuple[list[str], list[str]]:
    """What stays on purpose, and what should have gone, both as `kind/name`. What is being deleted goes by itself."""
    retained, left = [], []
    for thing in things:
        metadata = thing["metadata"]
        name = f"{thing['kind'].lower()}/{metadata['name']}"
        ids = {metadata["name"], f"{metadata.get('namespace')}/{metadata['name']}"}
        if ids & kept:
            retained.append(name)
        elif "deletionTimestamp" not in metadata:
            left.append(name)
    return retained, left
