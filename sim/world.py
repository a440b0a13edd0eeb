"""What stands behind a provider, as far as a program can get it wrong: which resources are live, and what that forbids.

Only what is visible within one run is seen: a resource counts as live from its creation, or from the engine's first
question about it (Diff, Read), until it is deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sim.values import Properties


class Refusal(Exception):
    """An operation that is refused; the message is for people."""


@dataclass(frozen=True)
class Subject:
    """The resource that a call is about. The engine has a connection for every provider of a program."""

    connection: str
    token: str
    identity: str


class World:
    """One that forbids nothing. Its methods may raise Refusal; those of all worlds may be called by several threads."""

    def configure(self, connection: str, settings: Mapping[str, str]) -> None:
        """What the provider of this connection is told; the keys are `package:config:name`."""

    def surroundings(self, connection: str) -> Properties:
        """What the provider itself gives to all that it makes, such as a region."""
        return {}

    def given(self, connection: str, inputs: Properties, taken: Collection[str]) -> Properties:
        """Inputs, and what the provider's settings add to them; `taken` names what the resource's type takes."""
        return inputs

    def moved(self, old: Properties, new: Properties) -> list[str]:
        """Which changes of a provider's own inputs make another world of it, so that all it made is replaced."""
        return []

    def admit(self, subject: Subject, values: Properties) -> None:
        """Take a new resource in."""

    def change(self, subject: Subject, old: Properties, new: Properties) -> None:
        """Say whether this update, which may be a preview's, could be done."""

    def note(self, subject: Subject, values: Properties) -> None:
        """A resource that is live, and how it is."""

    def leave(self, subject: Subject, values: Properties) -> None:
        """Say whether a resource could be deleted."""

    def forget(self, subject: Subject) -> None:
        """A resource that is gone."""

    def failed_wait(self, subject: Subject, values: Properties) -> str | None:
        """Why something that was created can never get ready, as the real plugin says it."""
        return None
