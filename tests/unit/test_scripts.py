"""The shell of groundwork/scripts.py, run by this machine's sh: its HTTP client with each tool that images have."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from groundwork.scripts import HTTP, probe_script
from groundwork.workload import Exec, HttpGet, Probes


class Answers(BaseHTTPRequestHandler):
    """/<status> answers with that status and a body; HTTP/1.1, so that a client must not wait for the end."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, body = int(self.path.strip("/")), b"" if self.path == "/204" else b"version-1"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(params=["curl", "wget", "python3"])
def tools(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A directory for PATH with that one tool."""
    found = sys.executable if request.param == "python3" else shutil.which(request.param)
    if found is None:
        pytest.skip(f"not run: no {request.param} here")
    (tmp_path / request.param).symlink_to(os.path.realpath(found))
    return tmp_path


def http(tools: Path, url: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", "-u", "-c", f'{HTTP}\nhttp "$1" 2', "sh", url]
    return subprocess.run(command, env={"PATH": str(tools)}, capture_output=True, text=True, timeout=20)


def test_http_prints_the_body_of_a_good_answer(tools: Path, url: str) -> None:
    done = http(tools, f"{url}/200")
    assert (done.returncode, done.stdout, done.stderr) == (0, "version-1", "")


def test_http_takes_an_answer_without_a_body(tools: Path, url: str) -> None:
    done = http(tools, f"{url}/204")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("status", [400, 404, 503])
def test_http_fails_for_a_bad_answer_and_prints_nothing(tools: Path, url: str, status: int) -> None:
    done = http(tools, f"{url}/{status}")
    assert done.returncode != 0
    assert done.stdout == ""


def test_http_fails_where_nobody_listens(tools: Path) -> None:
    done = http(tools, "http://127.0.0.1:1/")
    assert done.returncode != 0
    assert (done.stdout, done.stderr) == ("", "")


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
