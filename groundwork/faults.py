"""Everything that is wrong with a file at once, each fault as where, what, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

SHOWN = 20
"""How many known words a message lists at most."""


@dataclass(frozen=True)
class Fault:
    """One thing to mend. `where` is a path such as `groundwork:apps.api.replicas`."""

    where: str
    what: str
    instead: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}\n    {self.instead}"


class FaultsError(Exception):
    """Raised with all faults of one source; its text is the message for the user."""

    def __init__(self, source: str, faults: Iterable[Fault]) -> None:
        self.source = source
        self.faults = tuple(faults)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        lines = "\n".join(f"  {number}. {fault}" for number, fault in enumerate(self.faults, 1))
        super().__init__(f"{source} has {count}; nothing was changed.\n{lines}")


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, if there is one."""
    return next(iter(get_close_matches(word, sorted(known), n=1, cutoff=0.6)), None)


def nearest(word: str, known: Iterable[str]) -> str:
    """A sentence that names the nearest known word, or the first of them when none is near."""
    known = sorted(known)
    close = closest(word, known)
    if close:
        return f"did you mean `{close}`?"
    some = [*known[:SHOWN], f"and {len(known) - SHOWN} more"] if len(known) > SHOWN else known
    return f"known here: {', '.join(some)}" if known else "nothing may be named here"
