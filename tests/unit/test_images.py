"""From an image's name to its digest."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundwork.faults import FaultsError
from groundwork.images import ImageLock, read_lock, with_prefix
from groundwork.workload import Image
from tests.sample import locked

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"

PREFIXED = {
    "nginx:1.30": "harbor.example.com/hub/library/nginx:1.30",
    "nginx": "harbor.example.com/hub/library/nginx",
    "example/api:1": "harbor.example.com/hub/example/api:1",
    f"example/api@{ONE}": f"harbor.example.com/hub/example/api@{ONE}",
    "registry.example.com/api:1": "registry.example.com/api:1",
    "registry:5000/api:1": "registry:5000/api:1",
    "localhost/api": "localhost/api",
    "build:probe": "build:probe",
}


@pytest.mark.parametrize("reference", PREFIXED)
def test_a_mirror_takes_the_place_of_the_default_registry_only(reference: str) -> None:
    assert with_prefix(reference, "harbor.example.com/hub") == PREFIXED[reference]
    assert with_prefix(reference, None) == reference


def test_a_digest_needs_no_lock() -> None:
    lock = ImageLock({}, "refuse")
    assert lock.resolve(f"example/api:1@{ONE}") == Image(reference="example/api:1", digest=ONE, origin="registry")


def test_the_lock_says_where_a_digest_comes_from() -> None:
    assert locked("a").resolve("a") == Image(reference="a", digest=ONE, origin="registry")
    assert locked("b", "2", "local").resolve("b") == Image(reference="b", digest=TWO, origin="local")


def test_what_the_lock_lacks_is_refused_or_marked_as_simulated() -> None:
    with pytest.raises(LookupError):
        ImageLock({}, "refuse").resolve("a")
    first, second = ImageLock({}, "mark").resolve("a"), ImageLock({}, "mark").resolve("b")
    assert first.origin == second.origin == "simulated"
    assert first.digest != second.digest


def test_what_this_machine_has_stands_over_the_committed_lock(tmp_path: Path) -> None:
    (tmp_path / "images.lock").write_text(f"a: {ONE}\nb: {ONE}\n")
    (tmp_path / ".groundwork").mkdir()
    (tmp_path / ".groundwork" / "images.lock").write_text(f"b: {TWO}\n")
    lock = read_lock(tmp_path, "refuse")
    assert lock.resolve("a").digest == ONE
    assert lock.resolve("b") == Image(reference="b", digest=TWO, origin="local")


def test_no_lock_is_an_empty_one(tmp_path: Path) -> None:
    assert read_lock(tmp_path, "mark") == ImageLock({}, "mark", tmp_path)


@pytest.mark.parametrize(
    "text", ["[a]", "a: latest", f"a: registry {ONE}", "a: sha256:12", "a: {b: c}", "<<<<<<< HEAD\na: [\n"]
)
def test_a_lock_with_anything_but_digests_is_refused_as_readably(text: str, tmp_path: Path) -> None:
    (tmp_path / "images.lock").write_text(text)
    with pytest.raises(FaultsError, match="an entry is no digest\n    run `make lock`, which writes this file"):
        read_lock(tmp_path, "refuse")


def test_an_image_that_is_built_here_stands_for_its_sources_until_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "images" / "web"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("one")
    first = read_lock(tmp_path, "mark").resolve("build:web")
    (folder / "index.html").write_text("two")
    second = read_lock(tmp_path, "mark").resolve("build:web")
    assert first.origin == second.origin == "sources"
    assert first.digest != second.digest
