"""The copy of a stack file that the engine may write into: tools/engine/stackfile.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tools.engine import stackfile
from tools.engine.checkout import Checkout, Mode, Project, UserError

SALT = "v1:abc=:v1:def"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    (tmp_path / "Pulumi.yaml").write_text("name: groundwork\nruntime: python\n")
    return Checkout(tmp_path)


def write(checkout: Checkout, content: object) -> Project:
    (checkout.root / "Pulumi.dev.yaml").write_text(yaml.safe_dump(content))
    return checkout.project("")


def test_the_tracked_file_stays_as_it_is_and_the_salt_is_kept(checkout: Checkout) -> None:
    project = write(checkout, {"config": {"groundwork:a": 1}})
    before = (checkout.root / "Pulumi.dev.yaml").read_bytes()
    first = stackfile.prepare(checkout, project, "dev", "real")
    assert first.file != checkout.root / "Pulumi.dev.yaml" and not first.users_own
    first.file.write_text(first.file.read_text() + f"encryptionsalt: {SALT}\n")  # as Pulumi does
    project = write(checkout, {"config": {"groundwork:a": 2}})
    second = stackfile.prepare(checkout, project, "dev", "real")
    assert stackfile.read(second.file) == {"config": {"groundwork:a": 2}, "encryptionsalt": SALT}
    assert b"encryptionsalt" not in before + (checkout.root / "Pulumi.dev.yaml").read_bytes()


def test_the_two_modes_share_no_file(checkout: Checkout) -> None:
    project = write(checkout, {"config": {}})
    modes: list[Mode] = ["real", "simulated"]
    files = {stackfile.prepare(checkout, project, "dev", mode).file for mode in modes}
    assert len(files) == 2


def test_what_a_team_shares_is_not_brought_up_from_one_checkout(checkout: Checkout) -> None:
    stackfile.refuse_shared(write(checkout, {"encryptionsalt": SALT, "secretsprovider": "passphrase"}), "dev")
    project = write(checkout, {"secretsprovider": "awskms://alias/k?region=eu-west-1", "encryptedkey": "x"})
    with pytest.raises(UserError, match=r"encrypted by awskms://alias/k, .*\n.*pulumi up -C .* -s dev --policy-pack"):
        stackfile.refuse_shared(project, "dev")


@pytest.mark.parametrize(
    "own", [{"encryptionsalt": SALT}, {"secretsprovider": "awskms://k", "encryptedkey": "x"}]
)
def test_a_file_with_its_own_encryption_is_used_itself_for_real_and_opened_for_a_simulation(
    checkout: Checkout, own: dict[str, str]
) -> None:
    project = write(checkout, own | {"config": {"groundwork:key": {"secure": "v1:cipher"}}})
    real = stackfile.prepare(checkout, project, "dev", "real")
    assert real == stackfile.StackFile(checkout.root / "Pulumi.dev.yaml", users_own=True)
    simulated = stackfile.read(stackfile.prepare(checkout, project, "dev", "simulated").file)
    assert not set(own) & set(simulated)
    assert simulated["config"]["groundwork:key"].startswith("simulated-")


def test_ciphertext_that_nothing_opens_is_refused_for_real(checkout: Checkout) -> None:
    project = write(checkout, {"config": {"groundwork:key": {"secure": "v1:cipher"}}})
    with pytest.raises(UserError, match="pulumi config set --secret"):
        stackfile.prepare(checkout, project, "dev", "real")


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(plain)
def test_plain_values_pass_unchanged(value: object) -> None:
    assert stackfile.without_ciphertext(value) == value


@given(st.text(min_size=1), st.text(min_size=1))
def test_placeholders_differ_exactly_when_ciphertexts_do(one: str, other: str) -> None:
    def replaced(text: str) -> object:
        return stackfile.without_ciphertext({"deep": [{"secure": text}]})

    assert (replaced(one) == replaced(other)) == (one == other)
    assert "secure" not in str(replaced(one))


def test_a_passphrase_is_made_once_and_only_for_its_owner_to_read(checkout: Checkout) -> None:
    file = stackfile.prepare(checkout, write(checkout, {}), "dev", "real")
    first = stackfile.passphrase_environment(checkout, file, {})
    passphrase = Path(first["PULUMI_CONFIG_PASSPHRASE_FILE"])
    text = passphrase.read_text()
    assert len(text) > 30 and passphrase.stat().st_mode & 0o777 == 0o600
    assert stackfile.passphrase_environment(checkout, file, {}) == first and passphrase.read_text() == text


def test_the_users_passphrase_is_for_the_users_own_encryption_only(checkout: Checkout) -> None:
    given = {"PULUMI_CONFIG_PASSPHRASE": "mine"}
    encrypted = stackfile.prepare(checkout, write(checkout, {"encryptionsalt": SALT}), "dev", "real")
    assert stackfile.passphrase_environment(checkout, encrypted, given) == {}
    assert not (checkout.made / "passphrase").exists()
    plain = stackfile.prepare(checkout, write(checkout, {}), "dev", "real")
    assert stackfile.passphrase_environment(checkout, plain, given) == stackfile.passphrase_environment(
        checkout, plain, {}
    )


def test_an_encrypted_file_without_its_passphrase_is_refused(checkout: Checkout) -> None:
    file = stackfile.prepare(checkout, write(checkout, {"encryptionsalt": SALT}), "dev", "real")
    with pytest.raises(UserError, match="set PULUMI_CONFIG_PASSPHRASE_FILE"):
        stackfile.passphrase_environment(checkout, file, {})


@pytest.mark.parametrize("text", ["config: [", "- a\n- b\n"])
def test_what_is_no_stack_file_is_named(checkout: Checkout, text: str) -> None:
    (checkout.root / "Pulumi.dev.yaml").write_text(text)
    with pytest.raises(UserError, match=r"Pulumi\.dev\.yaml"):
        stackfile.prepare(checkout, checkout.project(""), "dev", "simulated")


def test_unknown_systems_and_stacks_are_answered_with_the_known_ones(checkout: Checkout) -> None:
    write(checkout, {})
    (checkout.root / "systems" / "housing").mkdir(parents=True)
    (checkout.root / "systems" / "housing" / "Pulumi.yaml").write_text("name: housing\nmain: ../..\n")
    assert checkout.project("housing").name == "housing"
    with pytest.raises(UserError, match=r"Did you mean housing\? Systems: housing"):
        checkout.project("huosing")
    with pytest.raises(UserError, match=r"Did you mean dev\? Stacks of groundwork: dev"):
        checkout.project("").stack_file("dve")
