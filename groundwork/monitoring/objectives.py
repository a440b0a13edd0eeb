"""What a system promises its users, and from where on somebody is told: thresholds belong to the system (M2)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from ..model import Model, Number, Whole

BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Bounds of the gateway's histogram, in seconds: only at these is the share of slow requests known exactly."""

Percent = Annotated[Number, Field(ge=1, le=100)]
Seconds = Annotated[Number, Field(ge=0.05, le=10)]


class Objectives(Model):
    """What is promised and what is watched. The defaults are figures that the five systems' documents agree on."""

    availability_percent: Annotated[Number, Field(ge=90, le=99.99)] = 99.9
    """Share of requests that are not answered with 5xx, over 30 days. 99.9 (M5, S3) leaves 43 minutes a month."""
    latency_seconds: Seconds = 0.5
    """Promise: 95 of 100 requests are answered within it. S5's figure; S1 promises 0.2, S3 2."""
    p95_seconds: Seconds = 1.0
    """Alarm: 95 of 100 requests of an app took longer than it for 5 minutes. 1 in S1 and S2, 0.5 in S5."""
    error_percent: Percent = 5.0
    """Alarm: this share of an app's requests was answered with 5xx for 5 minutes. 5 in S5, 10 in S2, 1 in S1."""
    minimum_requests_per_second: Annotated[Number, Field(ge=0.001, le=1000)] = 0.05
    """Below it shares of requests say nothing: 0.05 are 180 an hour, of which at least three must fail before the
    fastest budget alert fires (SRE workbook, chapter 5, low-traffic services)."""
    cpu_percent: Percent = 80.0
    """Alarm: of a machine's processor time. 80 in S1, S2 and S3, 85 in S5."""
    memory_percent: Percent = 85.0
    """Alarm: of a machine's memory, without what the kernel can give back. 85 in S1, S2 and S3, 90 in S5."""
    disk_percent: Percent = 90.0
    """Alarm: of a file system. 90 in S1, S2 and S3."""
    connections_percent: Percent = 80.0
    """Alarm: of the connections that a database accepts. 80 in S5; S1 wants fewer than 400 of its 500."""
    slow_queries_per_minute: Annotated[Number, Field(ge=0.1, le=10_000)] = 10.0
    """Alarm: statements of MySQL that took a second or more. 10 in S1."""
    transaction_seconds: Annotated[Whole, Field(ge=10, le=86_400)] = 300
    """Alarm: age of the oldest transaction that a client of PostgreSQL has open. 300: half of the 10 minutes after
    which an idle one is ended (`idle_in_transaction_session_timeout` in the catalog)."""
    cache_hit_percent: Percent = 80.0
    """Alarm: share of reads that a cache answers. 80 in S1."""
    queue_messages: Annotated[Whole, Field(ge=1, le=10_000_000)] = 1000
    """Alarm: messages that wait in one queue, while it grows. No document has a figure: a thousand jobs of 5 seconds
    (S3's agent work) keep four workers busy for 20 minutes."""

    archive_minutes: Annotated[Whole, Field(ge=5, le=1440)] = 30
    """Alarm: age of the newest part of a database's log that is stored elsewhere. Half of S4's RPO of an hour."""
    backup_hours: Annotated[Whole, Field(ge=2, le=744)] = 26
    """Alarm: age of the newest backup. One every night (B1), and two hours that it may take."""
    restore_test_days: Annotated[Whole, Field(ge=1, le=366)] = 8
    """Alarm: age of the newest restore that was tried and found its data. One every week (S5), and a day."""

    @field_validator("latency_seconds", "p95_seconds")
    @classmethod
    def _is_bucket(cls, seconds: float) -> float:
        if seconds not in BUCKETS:
            raise ValueError(f"should be one of the gateway's measures: {', '.join(f'{bound:g}' for bound in BUCKETS)}")
        return seconds

    @property
    def error_budget(self) -> float:
        """Share of requests that may fail."""
        return round(1 - self.availability_percent / 100, 6)
