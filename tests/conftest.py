"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# No test asserts a time, and a shared machine may pause for longer than any deadline.
settings.register_profile("groundwork", deadline=None)
settings.load_profile("groundwork")
