"""Real or simulated: tools/engine/providers.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.engine import providers
from tools.engine.checkout import Checkout, UserError
from tools.engine.providers import Decision, Missing

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
