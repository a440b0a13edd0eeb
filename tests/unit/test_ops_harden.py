"""`ops harden` before it changes anything: whom it refuses, and in which words. A small program stands for ssh."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from groundwork.hardening import script
from groundwork.system import load_system
from ops.checkout import ROOT, Stack
from ops.harden import Host, harden, host_of, public_key
from tests.hardened import KEY
from tests.sample import configured
from tools.engine.checkout import Checkout, UserError

HOST = {"address": "one.example.com", "private_address": "10.20.0.4", "host_key": KEY}
ROLES = {"all": {"memory_mib": 3584, "hosts": [HOST]}}
MACHINES = {"kind": "existing", "administrators": ["192.0.2.0/24"], "roles": ROLES}
ENTRY = {"address": "0.0.0.0", "http_port": 80}


def stack(machines: dict[str, Any] | None = None) -> Stack:
    values = {"entry": ENTRY, "machines": machines or MACHINES}
    project = Checkout(ROOT).project("housing")
    return Stack(project=project, name="prod", configuration=configured(values), system=load_system(ROOT, "housing"))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host that an administrator reaches as root; what it is told to run is in the file `ran`."""
    answers(tmp_path, monkeypatch, "0 192.0.2.9")
    return host_of(stack(), "all-1", "root", [])


def answers(folder: Path, monkeypatch: pytest.MonkeyPatch, who: str, code: int = 0) -> None:
    """Puts a program `ssh` first on PATH: who asks, and how sudo ends."""
    program = folder / "ssh"
    program.write_text(
        "#!/bin/sh\nfor last; do :; done\ncase $last in\n"
        f"*SSH_CONNECTION*) echo '{who}' ;;\n"
        f"'sudo -n true') echo 'sudo: a password is required' >&2; exit {code} ;;\n"
        f"*) cat > {folder}/script; echo \"$*\" > {folder}/ran; echo 'nothing to change' ;;\nesac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_the_script_goes_to_the_host_with_its_own_key_and_no_other(host: Host, tmp_path: Path) -> None:
    said: list[str] = []
    assert harden(host, said.append) == 0
    assert said == ["nothing to change", "all-1 is ready for containers."]
    assert (tmp_path / "script").read_text() == script(host.hardening)
    ran = (tmp_path / "ran").read_text()
    assert f"KnownHostsCommand=/bin/echo %H {' '.join(KEY.split()[:2])}" in ran
    assert "groundwork-ready" in ran and "sudo" not in ran


def test_a_host_is_known_by_name_and_by_address() -> None:
    by_name, by_address = (host_of(stack(), name, "root", []) for name in ("all-1", "one.example.com"))
    assert by_name == by_address
    assert by_name.hardening.host_name == "housing-prod-all-1"
    assert [(one.port, one.sources) for one in by_name.hardening.openings] == [(80, ("0.0.0.0/0",))]


def test_a_name_that_no_machine_has_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="no machine al-1; did you mean `all-1`"):
        host_of(stack(), "al-1", "root", [])


def test_a_stack_without_hosts_of_its_own_is_told_what_hardens_its_machines() -> None:
    with pytest.raises(UserError, match="of the kind `none`"):
        host_of(stack({"kind": "none"}), "all-1", "root", [])


def test_who_comes_from_elsewhere_is_not_locked_out(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(tmp_path, monkeypatch, "0 198.51.100.7")
    words = r"names 192\.0\.2\.0/24: the firewall would lock you out\. Add 198\.51\.100\.7/32"
    with pytest.raises(UserError, match=words):
        harden(host, print)
    assert not (tmp_path / "ran").exists()


def test_who_needs_a_password_to_become_root_is_told_so(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(tmp_path, monkeypatch, "1000 192.0.2.9", code=1)
    with pytest.raises(UserError, match="can't become root on all-1 without a password: sudo: a password is required"):
        harden(host, print)
    assert not (tmp_path / "ran").exists()


def test_sudo_stands_before_the_script_of_who_is_not_root(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(tmp_path, monkeypatch, "1000 192.0.2.9")
    assert harden(host, lambda _: None) == 0
    assert "sudo -n bash -c" in (tmp_path / "ran").read_text()


def test_a_private_key_is_not_taken_for_a_public_one(tmp_path: Path) -> None:
    path = tmp_path / "id_ed25519"
    path.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nbWFkZSB1cA==\n")
    with pytest.raises(UserError, match=r"no public key; give the file that ends in \.pub"):
        public_key(path)
    path.with_suffix(".pub").write_text(f"{KEY}\n")
    assert public_key(path.with_suffix(".pub")) == KEY
