"""Faults on demand, so that tests can see what an interrupted or failing `up` leaves behind.

GROUNDWORK_SIM_FAULTS holds one or several faults, separated by commas. Each is KIND:OPERATION:WHICH.

KIND       fail   the operation fails with a clear message and changes nothing, as when an engine refuses
           die    the serving process ends at once, without an answer, as by `kill -9`; under `sim.serve()`
                  that is the caller's own process, so tests use `python -m sim`
           init   the operation is done, but the resource is reported as not initialized, as the real plugin
                  does after a failed health wait: the engine keeps it in the state, with its initErrors
OPERATION  create, update or delete (init: create or update)
WHICH      a number n: the n-th such operation of this process (all packages together, previews not counted);
           or TYPE/PREFIX: every one on a resource of that type whose logical name starts with PREFIX

    fail:create:7
    die:create:3
    init:create:docker:index/container:Container/api-
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from threading import Lock
from typing import Literal

from sim.world import Refusal

Operation = Literal["create", "update", "delete"]

_FAULT = re.compile(r"(fail|die|init):(create|update|delete):(?:([1-9]\d*)|([^/]+/[^/]+)/(.*))")


@dataclass(frozen=True)
class Fault:
    kind: str
    operation: str
    number: int | None
    token: str | None
    prefix: str

    def strikes(self, operation: Operation, number: int, token: str, name: str) -> bool:
        if operation != self.operation:
            return False
        if self.number is not None:
            return number == self.number
        return token == self.token and name.startswith(self.prefix)


@dataclass
class Faults:
    """The faults ordered, and how many operations there have been. Safe to share between threads."""

    ordered: tuple[Fault, ...] = ()
    _seen: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def parse(cls, text: str) -> Faults:
        """Raises ValueError with the faulty part and what can be written instead."""
        return cls(tuple(_parse(part.strip()) for part in text.split(",") if part.strip()))

    def strike(self, operation: Operation, token: str, name: str) -> str | None:
        """Count one operation. Raises Refusal, ends the process, or returns why it is not initialized."""
        with self._lock:
            self._seen[operation] += 1
            number = self._seen[operation]
        reason = None
        for fault in self.ordered:
            if not fault.strikes(operation, number, token, name):
                continue
            if fault.kind == "die":
                os._exit(70)
            if fault.kind == "fail":
                raise Refusal(
                    f"simulated fault: {operation} number {number} ({token} {name}) fails as ordered"
                )
            reason = f"simulated fault: {name} never got ready, as ordered"
        return reason


def _parse(part: str) -> Fault:
    match = _FAULT.fullmatch(part)
    if match is None or (match[1] == "init" and match[2] == "delete"):
        raise ValueError(
            f"GROUNDWORK_SIM_FAULTS: cannot read {part!r}; write KIND:OPERATION:WHICH, for example "
            "fail:create:7, die:create:3 or init:create:docker:index/container:Container/api"
        )
    kind, operation, number, token, prefix = match.groups()
    return Fault(kind, operation, int(number) if number else None, token, prefix or "")
