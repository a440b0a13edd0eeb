"""Real or simulated: tools/engine/providers.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from groundwork.settings import Settings
from tests.sample import configured
from tools.engine import providers
from tools.engine.checkout import Checkout, Missing, UserError
from tools.engine.credentials import aws_credentials
from tools.engine.providers import Decision

ENGINE = Missing("a Docker engine", "install it")


def none_missing() -> tuple[Missing, ...]:
    return ()


def engine_missing() -> tuple[Missing, ...]:
    return (ENGINE,)


@pytest.mark.parametrize("stack", ["dev", "prod"])
@pytest.mark.parametrize("requested", ["", "real"])
def test_real_where_everything_is_there(requested: str, stack: str) -> None:
    assert providers.decide(requested, stack, none_missing) == Decision("real")


def test_only_dev_falls_back_and_keeps_the_reason() -> None:
    assert providers.decide("", "dev", engine_missing) == Decision("simulated", (ENGINE,))


@pytest.mark.parametrize(
    ("requested", "stack"), [("", "prod"), ("", "staging"), ("real", "dev"), ("real", "prod")]
)
def test_no_other_way_to_the_simulation_by_itself(requested: str, stack: str) -> None:
    with pytest.raises(UserError, match="a Docker engine: install it"):
        providers.decide(requested, stack, engine_missing)


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_simulated_by_choice_looks_for_nothing(stack: str) -> None:
    def look() -> tuple[Missing, ...]:
        raise AssertionError("looked for a Docker engine")

    assert providers.decide("simulated", stack, look) == Decision("simulated")


def test_a_third_kind_is_refused() -> None:
    with pytest.raises(UserError, match="PROVIDERS=fake: must be real or simulated"):
        providers.decide("fake", "dev", none_missing)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("Error while fetching: PermissionError(13, 'Permission denied')", "usermod -aG docker"),
        ("FileNotFoundError(2, 'No such file or directory')", "install and start Docker"),
        ("[Errno 111] Connection refused", "install and start Docker"),
        ("Read timed out. (read timeout=2)", "does not answer within 2 s"),
    ],
)
def test_a_silent_docker_engine_is_named_with_what_to_do(error: str, advice: str) -> None:
    assert advice in str(providers.docker_trouble(error, ""))


def test_an_absent_socket_is_found_missing_within_the_time_out(tmp_path: Path) -> None:
    missing = providers.docker_engine({"DOCKER_HOST": f"unix://{tmp_path}/no.sock"})
    assert missing and "no.sock" in missing.what and "install and start Docker" in missing.remedy


@pytest.mark.parametrize(
    ("found", "usable"),
    [((5, 1, 0), True), ((5, 2, 1), True), ((5, 0, 9), False), ((6, 0, 0), False), (None, False)],
)
def test_a_plugin_serves_the_sdk_when_not_older_and_of_its_major(
    found: tuple[int, ...] | None, usable: bool
) -> None:
    assert providers.compatible(found, (5, 1, 0)) is usable


def plugin(folder: Path, name: str) -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "pulumi-resource-docker").touch()
    return folder / name


def test_a_plugin_whose_download_broke_off_is_not_taken(tmp_path: Path) -> None:
    found = plugin(tmp_path, "resource-docker-v5.1.0")
    assert providers.plugin_in(tmp_path, "docker", (5, 1, 0)) == found
    (tmp_path / "resource-docker-v5.1.0.partial").touch()
    assert providers.plugin_in(tmp_path, "docker", (5, 1, 0)) is None


def test_the_users_own_pulumi_home_counts(tmp_path: Path) -> None:
    environment = {"HOME": "/home/me", "PULUMI_HOME": str(tmp_path)}
    assert providers.users_plugins(environment) == tmp_path / "plugins"


def test_users_plugins_are_linked_into_the_checkout_and_absent_ones_named(tmp_path: Path) -> None:
    version = ".".join(map(str, providers.expected_version("docker")))
    users = plugin(tmp_path / "home" / ".pulumi" / "plugins", f"resource-docker-v{version}")
    checkout = Checkout(tmp_path / "clone")
    folder = providers.users_plugins({"HOME": str(tmp_path / "home")})
    absent = providers._absent_plugins(checkout, {"PATH": "/nowhere"}, folder, ("docker", "random"))
    assert list(absent) == ["random"]
    linked = checkout.home / "plugins" / users.name
    # A directory of its own: the engine overlooks one that is a link.
    assert not linked.is_symlink()
    assert (linked / "pulumi-resource-docker").resolve() == users / "pulumi-resource-docker"


ACCOUNT = "123456789012"
AWS: dict[str, Any] = {
    "account": ACCOUNT,
    "region": "ap-southeast-1",
    "network": {"zones": ["ap-southeast-1a"]},
}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDp1bnQgZ3JvdW5kd29yayBrZXkgZm9yIGRvY3MgMTIzNDU2"


def aws_machines(*, public: bool = False) -> Settings:
    role = {"vcpus": 2, "memory_gib": 4, "zones": ["ap-southeast-1a"], "public": public}
    return configured(
        {"aws": AWS, "machines": {"kind": "aws", "deployers": [KEY], "roles": {"all": role}}}
    ).settings


def existing_machines() -> Settings:
    host = {"address": "a.example.com", "private_address": "10.0.0.9", "host_key": KEY}
    return configured(
        {"machines": {"kind": "existing", "roles": {"all": {"memory_mib": 4096, "hosts": [host]}}}}
    ).settings


def test_a_stack_needs_the_plugins_of_what_it_uses_alone() -> None:
    assert providers.plugins_of(configured().settings) == ("docker", "random")
    cluster = {"kind": "kubernetes", "context": "test"}
    assert providers.plugins_of(configured({"target": cluster}).settings) == ("kubernetes", "random")
    assert providers.plugins_of(existing_machines()) == ("docker", "random", "command")
    assert providers.plugins_of(aws_machines()) == ("docker", "random", "aws", "command", "tls")


def command(folder: Path, name: str, text: str = "") -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_machines_need_ssh_and_no_docker_engine_here(tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path), "DOCKER_HOST": "unix:///nowhere"}
    assert [one.what for one in providers._place(existing_machines(), environment)] == ["ssh on PATH"]
    command(tmp_path, "ssh")
    assert providers._place(existing_machines(), environment) == ()
    assert providers._place(aws_machines(public=True), environment) == ()
    private = [one.what for one in providers._place(aws_machines(), environment)]
    assert private == ["aws on PATH", "session-manager-plugin on PATH"]


def test_a_stack_without_aws_asks_for_no_credentials() -> None:
    assert providers._account(existing_machines(), {"PATH": "/nowhere", "HOME": "/nowhere"}) == ()


def test_absent_credentials_are_named_with_the_account_and_the_remedy(tmp_path: Path) -> None:
    environment = {"PATH": "/nowhere", "HOME": str(tmp_path)}
    [missing] = providers._account(aws_machines(), environment)
    assert missing.what == f"credentials of the AWS account {ACCOUNT}"
    assert "aws sso login" in missing.remedy and "AWS_PROFILE" in missing.remedy
    assert providers._account(aws_machines(), environment | {"AWS_PROFILE": "team"}) == ()
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text("[default]\n")
    assert providers._account(aws_machines(), environment) == ()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (f"echo '{json.dumps({'Account': ACCOUNT})}'", None),
        (f"echo '{json.dumps({'Account': '999999999999'})}'", "those that are here are of account 999999999999"),
        ("echo 'The SSO session has expired' >&2; exit 255", "(The SSO session has expired)"),
    ],
    ids=["right", "another account", "expired"],
)
def test_the_cli_is_asked_whose_credentials_they_are(tmp_path: Path, answer: str, expected: str | None) -> None:
    command(tmp_path / "bin", "aws", answer)
    missing = aws_credentials(ACCOUNT, {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "HOME": str(tmp_path)})
    if expected is None:
        assert missing is None
    else:
        assert missing and ACCOUNT in missing.what and expected in str(missing)
