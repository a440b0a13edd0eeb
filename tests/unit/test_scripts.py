"""What the scripts of groundwork/scripts.py say; tests/judges runs them."""

from __future__ import annotations

import re

from groundwork.scripts import probe_script
from groundwork.workload import Exec, HttpGet, Probes


def test_two_equal_checks_are_made_once() -> None:
    check = Exec(command="pg_isready --quiet")
    assert probe_script(Probes(liveness=check, readiness=check), 30).count(check.command) == 1
    live, ready = HttpGet(port=8000, path="/live"), HttpGet(port=8000, path="/ready")
    script = probe_script(Probes(liveness=live, readiness=ready), 30)
    assert (script.count("/live"), script.count("/ready")) == (1, 1)


def test_a_server_that_drains_is_not_ended_before_its_grace_is_over() -> None:
    """It refuses connections meanwhile, which looks like death."""
    check = HttpGet(port=8000, path="/live")
    script = probe_script(Probes(liveness=check, readiness=check, period_seconds=3, failures=8), 60)
    (limit,) = re.findall(r"else limit=(\d+)", script)
    assert int(limit) * 3 > 60
    assert "else limit=8;" in probe_script(Probes(liveness=check, readiness=check, period_seconds=3, failures=8), 10)
