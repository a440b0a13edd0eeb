"""The words with which machines are reached; tests/judges/test_ssh.py says them to a real server."""

from __future__ import annotations

from groundwork.ssh import command, options, through_jump, url

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDp1bnQgZ3JvdW5kd29yayBrZXkgZm9yIGRvY3MgMTIzNDU2"


def settings(words: list[str]) -> dict[str, str]:
    assert set(words[::2]) == {"-o"}
    return dict(word.split("=", 1) for word in words[1::2])


def test_the_only_key_is_the_one_that_is_given_and_its_comment_is_left_out() -> None:
    assert settings(options(f"{KEY} root@app-1"))["KnownHostsCommand"] == f"/bin/echo %H {KEY}"
    assert options(f"{KEY}\n") == options(f"{KEY} root@app-1")


def test_no_file_of_this_computer_has_a_say_in_it_and_nobody_is_asked() -> None:
    found = settings(options(KEY))
    assert found["UserKnownHostsFile"] == found["GlobalKnownHostsFile"] == "/dev/null"
    assert (found["StrictHostKeyChecking"], found["BatchMode"], found["ForwardAgent"]) == ("yes", "yes", "no")


def test_the_same_machine_has_the_same_words_on_every_computer() -> None:
    """They are in the state: another path would be a change for everybody else."""
    words = options(KEY, through_jump("jump.example.com"))
    assert words == options(KEY, through_jump("jump.example.com"))
    assert not [word for word in words if "~" in word or "/home" in word or "/root" in word or "/tmp" in word]


def test_a_way_is_only_taken_where_one_is_given() -> None:
    assert "ProxyCommand" not in settings(options(KEY))
    assert settings(options(KEY, through_jump("me@jump.example.com:2222")))["ProxyCommand"].endswith(
        "-W [%h]:%p -p 2222 me@jump.example.com"
    )
    assert settings(options(KEY, through_jump("jump.example.com")))["ProxyCommand"].endswith("-p 22 jump.example.com")


def test_a_machine_has_a_url_and_a_command_for_it() -> None:
    assert url("10.0.0.1") == "ssh://groundwork@10.0.0.1"
    assert url("db.example.com", 2222) == "ssh://groundwork@db.example.com:2222"
    assert command(url("db.example.com", 2222), ["-o", "BatchMode=yes"], "sudo", "true") == [
        "ssh", "-o", "BatchMode=yes", "-l", "groundwork", "-p", "2222", "--", "db.example.com", "sudo", "true",
    ]  # fmt: skip


def test_what_looks_like_an_option_is_never_one() -> None:
    words = command(url("10.0.0.1"), [], "-oProxyCommand=x")
    assert words.index("--") < words.index("10.0.0.1") < words.index("-oProxyCommand=x")
