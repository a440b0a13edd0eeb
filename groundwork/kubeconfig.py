"""The kubeconfig that a stack names, and whether it knows the stack's context."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from .faults import Fault, FaultsError, nearest
from .targets import KubernetesTarget

KEY = "groundwork:target.kubeconfig"


def kubeconfig_of(target: KubernetesTarget, environment: Mapping[str, str]) -> Path:
    """The file with the target's context. FaultsError before anything is touched, where there is none."""
    path = _path(target, environment)
    try:
        contexts = {str(one["name"]) for one in yaml.safe_load(path.read_text())["contexts"]}
    except OSError as error:
        raise FaultsError("The target", [Fault(KEY, f"{path}: {error.strerror}", "name the cluster's file")]) from None
    except (yaml.YAMLError, TypeError, KeyError, UnicodeDecodeError):
        instead = "`kubectl config view` tells what it sees in it"
        raise FaultsError("The target", [Fault(KEY, f"{path} is no kubeconfig", instead)]) from None
    if target.context not in contexts:
        what = f"{path} has no context `{target.context}`"
        raise FaultsError("The target", [Fault("groundwork:target.context", what, nearest(target.context, contexts))])
    return path


def _path(target: KubernetesTarget, environment: Mapping[str, str]) -> Path:
    named = target.kubeconfig or environment.get("KUBECONFIG") or "~/.kube/config"
    if os.pathsep in named:
        raise FaultsError("The target", [Fault(KEY, "KUBECONFIG names several files", "name one of them here")])
    return Path(named).expanduser().absolute()
