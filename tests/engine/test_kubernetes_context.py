"""A cluster that can't be meant, in a run that is not simulated: one readable error, and nothing is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.engine.conftest import StackOf
from tests.engine.stack import ROOT, Stack

KUBECONFIG = {"contexts": [{"name": "house", "context": {}}, {"name": "other", "context": {}}]}
PROJECT = ROOT / "systems/housing"


@pytest.fixture
def real(stack_of: StackOf, tmp_path: Path) -> Stack:
    """The stack with all its images given by digest, as a run that is not simulated asks for."""
    image = {"image": f"example/x@sha256:{'1' * 64}"}
    given = yaml.safe_load((PROJECT / "Pulumi.k8s.yaml").read_text())
    config = given["config"]
    config["groundwork:gateway"] = image
    for key, names in (("apps", ("web", "api")), ("services", ("postgres", "redis"))):
        of_all = config.setdefault(f"groundwork:{key}", {})
        of_all |= {name: of_all.get(name, {}) | image for name in names}
    stack_file = tmp_path / "Pulumi.k8s.yaml"
    stack_file.write_text(yaml.safe_dump(given))
    return stack_of(PROJECT, stack_file)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (yaml.safe_dump(KUBECONFIG), ("has no context `housing`", "groundwork:target.context")),
        ("[", ("is no kubeconfig", "groundwork:target.kubeconfig")),
        (None, ("No such file or directory", "groundwork:target.kubeconfig")),
    ],
    ids=["context", "no kubeconfig", "no file"],
)
def test_a_wrong_cluster_is_one_message(
    real: Stack, tmp_path: Path, content: str | None, expected: tuple[str, str]
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    if content is not None:
        kubeconfig.write_text(content)
    run = replace(real, environment={"GROUNDWORK_PROVIDERS": "real", "KUBECONFIG": str(kubeconfig)}).up()
    assert run.code != 0
    assert "Traceback" not in run.output
    for words in expected:
        assert words in run.output
    assert not run.changes and {one["type"] for one in real.resources()} <= {"pulumi:pulumi:Stack"}
