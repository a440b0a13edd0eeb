"""One stack of this checkout, read without Pulumi: its settings, its system, the Deployment of both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from groundwork.deployment import Deployment
from groundwork.faults import FaultsError
from groundwork.images import ImageLock, read_lock
from groundwork.misfits import misfits
from groundwork.plan import image_references, plan
from groundwork.stack_file import Configuration, read_stack_file
from groundwork.system import System, load_system
from groundwork.targets import KubernetesTarget
from tools.engine.checkout import Checkout, Project

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack file with what it stands for. `name` is the environment, such as `dev`."""

    project: Project
    name: str
    configuration: Configuration
    system: System

    @property
    def label(self) -> str:
        return f"{self.project.name}/{self.name}"

    @property
    def on_cluster(self) -> bool:
        return isinstance(self.configuration.settings.target, KubernetesTarget)

    def deployment(self, lock: ImageLock) -> Deployment:
        return plan(self.system, self.configuration, lock, project=self.project.name, stack=self.name)

    def images(self) -> dict[str, str]:
        """The image reference of everything that runs; FaultsError when settings do not fit the system."""
        faults = list(misfits(self.system, self.configuration))
        if faults:
            raise FaultsError(f"stack {self.name}", faults)
        return image_references(self.system, self.configuration.settings)


def open_stack(stack: str, system: str, root: Path = ROOT) -> Stack:
    """The stack of the top-level project, or of `systems/<system>`.

    Raises FaultsError for what the files say wrongly, UserError where there is no such project.
    """
    project = Checkout(root).project(system)
    configuration = read_stack_file(project.folder / f"Pulumi.{stack}.yaml")
    found = load_system(root, configuration.settings.system or project.name)
    return Stack(project=project, name=stack, configuration=configuration, system=found)


def lock_of_machine(root: Path = ROOT) -> ImageLock:
    """The committed digests and those of this machine's engine; a missing one is marked as simulated."""
    return read_lock(root, missing="mark")


def lock_of(stack: Stack, root: Path = ROOT) -> ImageLock:
    """What the stack's own place has: a cluster has nothing that only this machine's engine has."""
    return lock_of_commit(root) if stack.on_cluster else lock_of_machine(root)


def lock_of_commit(root: Path = ROOT) -> ImageLock:
    """What the commit alone says, for comparing it with another one: nothing that only this machine's engine has,
    and images that are built here stand for their sources."""
    return read_lock(root, missing="mark", local=False)

