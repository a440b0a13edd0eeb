"""From a history to a choice, and from a choice to the text of a stack file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from groundwork.images import ImageLock
from groundwork.stack_file import read_stack_file
from groundwork.workload import Image
from ops.checkout import open_stack
from ops.history import Update, from_files, from_service
from ops.pinned import with_images
from ops.rollback import change_by_name, change_to, chosen, owners_of
from ops.running import Running
from tests.sample import ROOT, stack_files
from tools.engine.checkout import UserError

A, B, C = (f"sha256:{digit * 64}" for digit in "abc")
PIN = f"registry.example.com/shop/api:1@{A}"


def update(number: int, api: str, result: str = "succeeded", references: Mapping[str, str] = {}) -> Update:
    images = {"api": api, "web": C} if result == "succeeded" else {}
    time = datetime(2026, 1, number, tzinfo=UTC)
    return Update(number=number, time=time, result=result, images=images, references=references)


OLD = {"api": "shop/api:1"}
HISTORY = [update(4, B), update(3, B, result="failed"), update(2, A, references=OLD), update(1, A)]
NOW = {"api": B, "web": C}


def test_the_default_is_the_newest_that_ran_another_image() -> None:
    assert chosen(HISTORY, ["api", "web"], NOW, "").number == 2


def test_after_a_rollback_it_leads_forward_again() -> None:
    back = [update(5, A), *HISTORY]
    assert chosen(back, ["api"], {"api": A}, "").number == 4


def test_after_a_failed_release_what_serves_is_the_one_before() -> None:
    # The configuration names an image that never served.
    assert chosen([update(5, C, result="failed"), *HISTORY], ["api"], {"api": C}, "").number == 4


@pytest.mark.parametrize(("to", "number"), [("1", 1), ("4", 4), ("sha256:aaaaaa", 2), ("aaaaaaaaaaaa", 2), (B, 4)])
def test_a_number_or_a_digest_names_an_update(to: str, number: int) -> None:
    assert chosen(HISTORY, ["api"], NOW, to).number == number


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("9", "There is no update 9; there are: 4, 2, 1"),
        ("3", "Update 3 failed"),
        ("dddddd", "No update that is known ran an image dddddd"),
        ("yesterday", "say the number of an update"),
    ],
)
def test_what_names_none_is_refused_with_what_there_is(to: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        chosen(HISTORY, ["api"], NOW, to)


def test_without_another_image_there_is_nothing_to_go_back_to() -> None:
    with pytest.raises(UserError, match="nothing to go back to"):
        chosen([update(1, B)], ["api"], NOW, "")


def test_only_what_differs_is_pinned_under_the_name_that_it_had() -> None:
    change = change_to(HISTORY[2], ["api", "web"], NOW, {"api": "shop/api:2", "web": "shop/web:1"})
    assert change.images == {"api": f"shop/api:1@{A}"}
    # Of an update from before the output `references` only the digest is known.
    change = change_to(HISTORY[3], ["api"], NOW, {"api": f"shop/api:2@{B}"})
    assert change.images == {"api": f"shop/api:2@{A}"}
    with pytest.raises(UserError, match="already"):
        change_to(HISTORY[0], ["api", "web"], NOW, {})


def test_an_image_in_full_needs_an_app() -> None:
    assert change_by_name(["api"], "api", PIN).images == {"api": PIN}
    with pytest.raises(UserError, match="say which app"):
        change_by_name(["api", "web"], "", PIN)


def test_an_app_without_an_image_of_its_own_goes_back_with_the_one_whose_image_it_runs() -> None:
    stack = open_stack("dev", "housing")
    assert owners_of(stack, "") == ["web", "api"]
    worker = stack.system.apps[1].model_copy(update={"name": "worker", "image": None, "image_of": "api"})
    system = stack.system.model_copy(update={"apps": (*stack.system.apps, worker)})
    stack = type(stack)(project=stack.project, name="dev", configuration=stack.configuration, system=system)
    assert owners_of(stack, "worker") == ["api"]
    assert owners_of(stack, "") == ["web", "api"]
    with pytest.raises(UserError, match="did you mean `worker`"):
        owners_of(stack, "wroker")


@pytest.mark.parametrize("path", stack_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_stack_file_keeps_every_line_but_the_image(path: Path, tmp_path: Path) -> None:
    before = path.read_text()
    after = with_images(before, {"api": PIN})
    lost = [line for line in before.splitlines() if line not in after.splitlines()]
    assert [line for line in lost if "image:" not in line] == []
    file = tmp_path / path.name
    file.write_text(after)
    assert read_stack_file(file).settings.apps["api"].image == PIN
    assert with_images(after, {"api": PIN}) == after


STYLES = {
    "indented sequence": "config:\n  groundwork:entry:\n    server_names:\n      - a.example.com # the first\n",
    "flat sequence": "config:\n  groundwork:entry:\n    server_names:\n    - a.example.com\n    - 'b.example.com'\n",
    "four spaces": "config:\n    groundwork:keep_data: no\n    groundwork:apps:\n        web:\n            cpus: 2\n",
    "flow": 'config:\n  groundwork:apps: {api: {image: "x:1", replicas: 2}}\n  groundwork:time_zone: "UTC"\n',
    "a document's mark": "---\n# ours\nconfig:\n  groundwork:apps:\n    api: # nothing yet\n",
    "a secret": "encryptionsalt: v1:abc:v1:def\nconfig:\n  groundwork:secret_x:\n    secure: v1:" + "A" * 200 + "\n",
    "nothing": "",
    "an empty config": "config:\n",
}


@pytest.mark.parametrize("text", STYLES.values(), ids=STYLES)
def test_people_indent_as_they_like(text: str) -> None:
    after = with_images(text, {"api": PIN})
    assert yaml.safe_load(after)["config"]["groundwork:apps"]["api"]["image"] == PIN
    untouched = [line for line in text.splitlines() if "api" not in line and line != "config:"]
    assert [line for line in untouched if line not in after.splitlines()] == []


@given(
    st.dictionaries(
        st.sampled_from(["groundwork:time_zone", "groundwork:keep_data", "groundwork:apps", "docker:host"]),
        st.one_of(st.text(max_size=20), st.dictionaries(st.sampled_from(["api", "web"]), st.just({"replicas": 2}))),
    ).filter(lambda config: isinstance(config.get("groundwork:apps", {}), dict))
)
def test_nothing_else_ever_changes(config: Mapping[str, Any]) -> None:
    before = yaml.safe_dump({"config": dict(config)}, sort_keys=False, allow_unicode=True)
    after = yaml.safe_load(with_images(before, {"api": PIN}))
    assert after["config"]["groundwork:apps"]["api"].pop("image") == PIN
    expected = yaml.safe_load(before)
    expected["config"].setdefault("groundwork:apps", {}).setdefault("api", {})
    assert after == expected


def record(folder: Path, number: int, kind: str, result: str, outputs: Mapping[str, Any] | None) -> None:
    """One update as the file back end keeps it."""
    name = f"dev-17955109{number:011d}"
    said = {"kind": kind, "result": result, "startTime": 1_795_510_891 + number}
    (folder / f"{name}.history.json").write_text(json.dumps(said))
    resources = [{"type": "pulumi:pulumi:Stack", "outputs": outputs}] if outputs is not None else None
    (folder / f"{name}.checkpoint.json").write_text(json.dumps({"checkpoint": {"latest": {"resources": resources}}}))


def test_the_file_back_ends_history_is_read_newest_first(tmp_path: Path) -> None:
    outputs = {"images": {"api": A}, "references": {"api": "build:probe"}, "releases": {"api": "1a2b3c4d"}}
    record(tmp_path, 1, "update", "succeeded", outputs)
    record(tmp_path, 2, "destroy", "succeeded", None)
    record(tmp_path, 3, "update", "failed", outputs)
    record(tmp_path, 4, "update", "succeeded", outputs | {"images": {"api": B}})
    found = list(from_files(tmp_path))
    assert [(one.number, one.result, dict(one.images)) for one in found] == [
        (4, "succeeded", {"api": B}),
        # Its outputs are those of the update before.
        (3, "failed", {}),
        (1, "succeeded", {"api": A}),
    ]
    assert found[0].references == {"api": "build:probe"}
    assert list(from_files(tmp_path / "nowhere")) == []


def test_another_back_end_is_asked_by_version_or_says_why_it_can_not(tmp_path: Path) -> None:
    history = [
        {"version": 2, "kind": "update", "result": "succeeded", "startTime": "2026-01-02T03:04:05.000Z"},
        {"version": 1, "kind": "destroy", "result": "succeeded", "startTime": "2026-01-01T03:04:05.000Z"},
    ]
    state = {"deployment": {"resources": [{"type": "pulumi:pulumi:Stack", "outputs": {"images": {"api": A}}}]}}
    program = tmp_path / "pulumi"
    program.write_text(
        "#!/bin/sh\n"
        f"case \"$*\" in *history*) echo '{json.dumps(history)}';;\n"
        f"*'--version 2'*) if [ -e {tmp_path}/mute ]; then echo 'error: no' >&2; exit 1; fi\n"
        f"echo '{json.dumps(state)}';;\n"
        "esac\n"
    )
    program.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PULUMI_BACKEND_URL": "https://api.pulumi.com"}
    running = Running(stack=open_stack("dev", "housing"), system="housing", outputs={}, environment=environment)
    (found,) = from_service(running)
    assert (found.number, found.images) == (2, {"api": A})
    (tmp_path / "mute").touch()
    with pytest.raises(UserError, match=r"can't be read: error: no\nName the image itself"):
        list(from_service(running))


def test_a_pinned_image_comes_from_where_its_name_does() -> None:
    known = {
        "shop/api:1": Image(reference="shop/api:1", digest=B, origin="local"),
        "redis:8": Image(reference="redis:8", digest=B, origin="registry"),
    }
    lock = ImageLock(known, "refuse")
    origins = {name: lock.resolve(f"{name}@{A}").origin for name in ("build:probe", "shop/api:1", "redis:8", "x")}
    assert origins == {"build:probe": "local", "shop/api:1": "local", "redis:8": "registry", "x": "registry"}
    assert lock.resolve(f"x:2@{A}") == Image(reference="x:2", digest=A, origin="registry")
    assert lock.of_registries().resolve(f"shop/api:1@{A}").origin == "registry"
