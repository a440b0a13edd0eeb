"""Back to an earlier image: into the stack's configuration, and then an ordinary `up`. What stays only in the running
system, the next `up` would undo."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from groundwork.faults import nearest
from groundwork.images import BUILD, ImageLock
from groundwork.views.document import short
from ops.checkout import ROOT, Stack, lock_of, lock_of_commit
from ops.history import Update
from ops.running import Running
from tools.engine.checkout import Checkout, Mode, UserError

PINNED = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")
DIGEST = re.compile(r"(sha256:)?([0-9a-f]{6,64})")
WARNING = (
    "Migrations of the database are not undone: the earlier release must work with the schema that is there now."
)


@dataclass(frozen=True, kw_only=True)
class Change:
    """`images` are pinned references by app; `described` says where they come from."""

    images: Mapping[str, str]
    described: str


def owners_of(stack: Stack, app: str) -> list[str]:
    """The apps with an image of their own: all of them for "", else the one whose image `app` runs."""
    apps = {one.name: one for one in stack.system.apps}
    if not app:
        return [name for name, one in apps.items() if one.image]
    if app not in apps:
        raise UserError(f"There is no app `{app}` in {stack.label}; {nearest(app, apps)}")
    return [apps[app].image_of or app]


def current_digests(stack: Stack, owners: Sequence[str], lock: ImageLock) -> dict[str, str]:
    """What the configuration says now, which an `up` that failed has not reached."""
    references = stack.images()
    return {owner: lock.resolve(references[owner]).digest for owner in owners}


def chosen(
    updates: Sequence[Update], owners: Sequence[str], current: Mapping[str, str], to: str
) -> Update:
    """The update to go back to: the one that `to` names by its number or a digest; without it the newest that succeeded
    with another image."""
    usable = [one for one in updates if any(owner in one.images for owner in owners)]
    if to.isdecimal() and len(to) < 6:
        found = [one for one in updates if one.number == int(to)]
        if found and not found[0].succeeded:
            raise UserError(f"Update {to} failed: what it would have run is not known. Choose one that succeeded.")
        known = ", ".join(str(one.number) for one in usable) or "none"
        missing = f"There is no update {to}; there are: {known}."
    elif to:
        wanted = DIGEST.fullmatch(to)
        if not wanted:
            raise UserError(f"--to {to}: say the number of an update, a digest, or NAME@sha256:… with all 64 digits.")
        begin = f"sha256:{wanted[2]}"
        found = [one for one in usable if any(one.images.get(owner, "").startswith(begin) for owner in owners)]
        missing = f"No update that is known ran an image {to}."
    else:
        found = [one for one in usable if changes(one, owners, current)]
        missing = "No earlier update ran another image: there is nothing to go back to."
    if not found:
        raise UserError(missing)
    return found[0]


def changes(update: Update, owners: Sequence[str], current: Mapping[str, str]) -> list[str]:
    return [owner for owner in owners if update.images.get(owner, current[owner]) != current[owner]]


def change_to(
    update: Update, owners: Sequence[str], current: Mapping[str, str], references: Mapping[str, str]
) -> Change:
    """The images of that update, where they are others than now. `references` name those that it does not name."""
    different = changes(update, owners, current)
    if not different:
        raise UserError(f"The configuration names the images of update {update.number} already.")
    images = {
        owner: f"{(update.references.get(owner) or references[owner]).partition('@')[0]}@{update.images[owner]}"
        for owner in different
    }
    return Change(images=images, described=f"update {update.number} of {moment(update)}")


def change_by_name(owners: Sequence[str], app: str, image: str) -> Change:
    """An image that is named in full needs no history."""
    if not app:
        raise UserError(f"--to {image}: say which app it is for.")
    return Change(images={owners[0]: image}, described="its full name")


def run(running: Running, app: str, to: str, *, ask: Callable[[], bool], console: Console) -> int:
    """Shows what there is, asks, writes the stack file, runs `up`. Returns the exit code of that."""
    from ops.history import updates_of
    from ops.lock import refuse_lost
    from ops.pinned import with_images

    stack = running.stack
    owners = owners_of(stack, app)
    if PINNED.fullmatch(to):
        change = change_by_name(owners, app, to)
    else:
        updates = updates_of(running)
        current = current_digests(stack, owners, lock_of_commit() if running.simulated else lock_of(stack))
        console.print(listed(updates, owners, current, running.outputs["images"]))
        change = change_to(chosen(updates, owners, current, to), owners, current, stack.images())
    if not running.simulated and not stack.on_cluster:
        refuse_lost(image for image in change.images.values() if image.startswith(BUILD))
    console.print(f"Back to {change.described}:", highlight=False)
    for name, image in change.images.items():
        also = [one.name for one in stack.system.apps if one.image_of == name]
        console.print(f"  {', '.join([name, *also])}: {image}", highlight=False, soft_wrap=True)
    console.print(WARNING)
    if not ask():
        console.print("Nothing was changed.")
        return 1
    file = stack.project.stack_file(stack.name)
    replace(file, with_images(file.read_text(), change.images))
    console.print(f"Written: {shown(file)}", highlight=False, soft_wrap=True)
    code = up(running)
    end = "Commit that file" if code == 0 else "The file stays changed"
    console.print(f"{end}: with its lines `image` the release stays, however often `up` runs; others replace it.")
    return code


def listed(
    updates: Sequence[Update], owners: Sequence[str], configured: Mapping[str, str], running: Mapping[str, str]
) -> Table:
    """When, what and how it ended. Marked is what the configuration names, and what runs."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("No.", justify="right", no_wrap=True)
    table.add_column("When", no_wrap=True)
    table.add_column("Result", no_wrap=True)
    table.add_column("App", overflow="fold")
    table.add_column("Image", overflow="fold")
    table.add_column("Release", no_wrap=True)
    table.add_column("", no_wrap=True)
    for one in updates:
        head = [str(one.number), moment(one), one.result]
        for owner in [owner for owner in owners if owner in one.images]:
            digest = one.images[owner]
            image = f"{one.references.get(owner, '')} {short(digest)}".strip()
            mark = marked(digest == configured[owner], digest == running.get(owner))
            table.add_row(*head, owner, image, one.releases.get(owner, ""), mark)
            head = ["", "", ""]
        if head[0]:
            table.add_row(*head, "", "", "", "")
    return table


def marked(configured: bool, runs: bool) -> str:
    if configured and runs:
        return "now"
    return "configured" if configured else "runs" if runs else ""


def moment(update: Update) -> str:
    return update.time.astimezone().strftime("%Y-%m-%d %H:%M")


def up(running: Running) -> int:
    """The ordinary `up` of this stack, on the back end where it is."""
    stack = running.stack
    mode: Mode = "simulated" if running.simulated else "real"
    options = ["--stack", stack.name, *(["--system", running.system] if running.system else [])]
    if running.environment.get("PULUMI_BACKEND_URL") == f"file://{Checkout(ROOT).state(mode)}":
        command = [sys.executable, "-m", "tools.engine", "up", *options, "--providers", mode]
        return subprocess.run(command, cwd=ROOT, env=os.environ, check=False).returncode
    # A person's own back end, and so their own pulumi.
    environment = dict(running.environment)
    locked = subprocess.run(
        [sys.executable, "-m", "ops", "check" if running.simulated else "lock", *options],
        cwd=ROOT, env=environment, check=False,
    )  # fmt: skip
    if locked.returncode:
        return locked.returncode
    program = shutil.which("pulumi", path=environment.get("PATH")) or "pulumi"
    place = ["--stack", stack.name, "--cwd", str(stack.project.folder)]
    return subprocess.run([program, "up", "--yes", "--skip-preview", *place], env=environment, check=False).returncode


def replace(file: Path, text: str) -> None:
    part = file.with_suffix(".part")
    part.write_text(text)
    part.replace(file)


def shown(file: Path) -> str:
    return str(file).removeprefix(f"{ROOT}/")
