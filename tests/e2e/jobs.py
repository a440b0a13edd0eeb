"""Jobs sent all the time while a stack changes, and what became of them; and whether beat kept its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

JOBS_PER_SECOND = 5
DONE_SECONDS = 60.0


@dataclass
class Sent:
    """Jobs that the application took; `refused` holds what it answered or how the connection failed."""

    url: str
    since: float = field(default_factory=time.time)
    taken: int = 0
    refused: list[str] = field(default_factory=list)

    def done(self) -> dict[str, int]:
        """The application's own count, once it has not fewer than were taken or waiting is over."""
        deadline = time.monotonic() + DONE_SECONDS
        while True:
            summary: dict[str, int] = answer(f"{self.url}/api/jobs/summary?since={self.since}")
            if summary["jobs"] >= self.taken or time.monotonic() > deadline:
                return summary
            time.sleep(1)


@contextmanager
def sending(url: str) -> Iterator[Sent]:
    """Sends slow jobs until the block ends."""
    sent, ended = Sent(url), threading.Event()

    def send() -> None:
        with httpx.Client(timeout=10) as client:
            while not ended.wait(1 / JOBS_PER_SECOND):
                try:
                    said = client.post(f"{url}/api/jobs/slow?ms=100")
                except httpx.HTTPError as error:
                    sent.refused.append(type(error).__name__)
                    continue
                if said.status_code == 202:
                    sent.taken += 1
                else:
                    sent.refused.append(f"{said.status_code} {said.text[:200]}")

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield sent
    finally:
        ended.set()
        thread.join(30)


def missed_or_repeated(url: str, since: float) -> list[dict[str, int]]:
    """The periods of beat since then that are over and were not seen exactly once."""
    seconds = int(answer(f"{url}/api/ticks?last=1")["seconds"])
    periods = int((time.time() - since) // seconds)
    assert periods > 0, "not one period is over"
    # The worker may still have the last one in hand.
    time.sleep(3)
    ticks = answer(f"{url}/api/ticks?last={periods + 1}")["periods"]
    first = int(since // seconds) + 1
    return [tick for tick in ticks if tick["period"] >= first and tick["seen"] != 1]


def answer(url: str) -> Any:
    return httpx.get(url, timeout=10).raise_for_status().json()
