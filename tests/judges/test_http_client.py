"""The HTTP client of groundwork/scripts.py, run by this machine's sh with each tool that images have."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from groundwork.scripts import HTTP


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


@pytest.fixture(params=["curl", "wget", "busybox", "python3"])
def tools(request: pytest.FixtureRequest, judges: Path, tmp_path: Path) -> Path:
    """A directory for PATH with that one tool; busybox is a wget."""
    found = {
        "curl": shutil.which("curl"),
        "wget": judges / "usr/bin/wget",
        "busybox": judges / "usr/bin/busybox",
        "python3": os.path.realpath(sys.executable),
    }[request.param]
    assert found, f"{request.param} is missing: the README names it"
    (tmp_path / ("wget" if request.param == "busybox" else request.param)).symlink_to(found)
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
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) <= 1  # busybox says why, and nothing stops it
