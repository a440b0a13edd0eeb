"""The JSON schema for editors is the model's own, and the repository's stack files follow it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from groundwork.schema import PATH, schema_text, stack_file_schema
from tests.sample import ROOT, stack_files
from tests.unit.test_settings_mutations import MUTATIONS, SAMPLE_NAMES, SAMPLES, Mutation, named

VALIDATOR = Draft202012Validator(stack_file_schema())
BEYOND_THE_SCHEMA = {"format", "range", "pem", "zone"}
"""What only the model checks: a JSON schema has no words for it that editors follow."""


def document(values: dict[str, Any]) -> dict[str, Any]:
    return {"config": {f"groundwork:{key}": value for key, value in values.items()}}


def test_the_committed_schema_is_the_one_of_the_model() -> None:
    assert PATH.read_text() == schema_text(), "run: python -m groundwork.schema"


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(stack_file_schema())


@pytest.mark.parametrize("path", stack_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_stack_file_of_the_repository_follows_it(path: Path) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(path.read_text()))] == []


@pytest.mark.parametrize("path", stack_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_stack_file_of_the_repository_names_the_schema_for_editors(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    target = first.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / target).resolve() == PATH


@pytest.mark.parametrize("sample", SAMPLES, ids=SAMPLE_NAMES)
def test_the_samples_follow_it(sample: dict[str, Any]) -> None:
    assert not list(VALIDATOR.iter_errors(document(sample)))


@pytest.mark.parametrize("mutation", [one for one in MUTATIONS if one.kind not in BEYOND_THE_SCHEMA], ids=named)
def test_what_the_model_refuses_the_editor_marks(mutation: Mutation) -> None:
    assert list(VALIDATOR.iter_errors(document(mutation.applied())))


@pytest.mark.parametrize(
    "allowed",
    [
        {"config": None},
        {"config": {"groundwork:secret_tls_key": {"secure": "v1:abc"}}, "encryptionsalt": "v1:x"},
        {"config": {"groundwork:secret_tls_key": "plain", "docker:host": "ssh://a@b", "pulumi:tags": {"a": "b"}}},
        {"secretsprovider": "awskms://x", "encryptedkey": "x", "environment": ["production"]},
    ],
)
def test_what_pulumi_writes_itself_is_allowed(allowed: dict[str, Any]) -> None:
    assert not list(VALIDATOR.iter_errors(allowed))


@pytest.mark.parametrize(
    "refused",
    [
        {"confg": {}},
        {"config": {"housing:target": {}}},
        {"config": {"groundwork:secret_Key": "x"}},
        {"config": {"groundwork:secret_key": {"secure": "x", "more": 1}}},
        {"config": []},
    ],
)
def test_what_nobody_reads_is_refused(refused: dict[str, Any]) -> None:
    assert list(VALIDATOR.iter_errors(refused))
