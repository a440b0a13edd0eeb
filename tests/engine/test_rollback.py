"""Back to an earlier image on the real engine with simulated providers: from its history, through the stack file."""

from __future__ import annotations

import pytest

from groundwork.system import load_system
from ops.history import from_files
from ops.pinned import with_images
from ops.rollback import change_to, chosen
from tests.engine.conftest import StackOf
from tests.engine.stack import ROOT, Run

ONE, TWO = (f"example/api:{number}@sha256:{str(number) * 64}" for number in (1, 2))
FILES = {
    "docker": f"""\
# The pilot.
config:
  groundwork:keep_data: false
  groundwork:apps:
    api:
      image: {ONE} # asked for by Ann
    web: {{image: "example/web:1"}}
""",
    "kubernetes": f"""\
config:
  # A cluster of our own.
  groundwork:target: {{kind: kubernetes, context: pilot}}
  groundwork:apps:
    web:
      image: example/web:1
    api: {{image: "{ONE}"}} # asked for by Ann
""",
}


@pytest.mark.parametrize("target", FILES)
def test_a_rollback_brings_the_old_release_back_and_the_next_up_keeps_it(stack_of: StackOf, target: str) -> None:
    stack = stack_of(ROOT / "systems/housing", ROOT / "systems/housing/Pulumi.dev.yaml")
    system = load_system(ROOT, "housing")
    owners = [app.name for app in system.apps if app.image]
    first = FILES[target]
    second = first.replace(ONE, TWO)
    text = first
    for text in (first, second):
        stack.configure(text)
        assert_ok(stack.up())
    history = stack.work / "state/.pulumi/history/housing/dev"
    for image in (ONE, TWO):  # the second is a rollback of the rollback
        current = stack.outputs()["images"]
        change = change_to(chosen(list(from_files(history)), owners, current, ""), owners, current, {})
        assert change.images == {"api": image}
        text = with_images(text, change.images)
        stack.configure(text)
        assert_ok(stack.up())
        again = stack.preview("--expect-no-changes")
        assert again.code == 0, again.output
    # A release is what it was, digits and all, when its image comes back.
    first_release, second_release, *back = [update.releases["api"] for update in reversed(list(from_files(history)))]
    assert first_release != second_release
    assert back == [first_release, second_release]
    assert text == second


def assert_ok(run: Run) -> None:
    assert run.code == 0, run.output
