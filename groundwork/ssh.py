"""How a machine is reached by ssh: by the key that it was given and no other, without a file and without a question.

The Docker provider, `ops` and the command that waits for a machine all take these options. Each word is an argument of
its own and the same on every computer, since the provider's are kept in the state. Needs OpenSSH 8.5 or newer here.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

USER = "groundwork"
"""Who deploys: may speak to Docker, and become root."""
PORT = 22
CONNECT_SECONDS = 10
SILENT_SECONDS = 15
"""A connection that says nothing for three times that long is dead: of a machine that restarts, for instance."""
SESSION_DOCUMENT = "AWS-StartSSHSession"


def url(host: str, port: int = PORT) -> str:
    """How Docker's clients name a machine."""
    return f"ssh://{USER}@{host}" + (f":{port}" if port != PORT else "")


def options(host_key: str, proxy: str = "") -> list[str]:
    """The options of ssh for a machine with this host key, `KIND BASE64` with or without a comment. `proxy` is the
    command that leads there where no network does."""
    kind, key = host_key.split()[:2]
    settings = {
        # Asked for the names and for the key: the same line, whatever it is looked up by.
        "KnownHostsCommand": f"/bin/echo %H {kind} {key}",
        # What others have noted of that address is about another machine: addresses return.
        "UserKnownHostsFile": "/dev/null",
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        # A question would wait for ever behind an engine.
        "BatchMode": "yes",
        "ConnectTimeout": str(CONNECT_SECONDS),
        "ServerAliveInterval": str(SILENT_SECONDS),
        # An agent that is lent to a machine can be used by whoever is root there.
        "ForwardAgent": "no",
        **({"ProxyCommand": proxy} if proxy else {}),
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def through_jump(jump: str) -> str:
    """The way by another host, `user@host:port` or less. Its key is the one known here, or is noted the first time: the
    machine's own key is held at the end of the way, so a false host in between can refuse to pass on, and no more."""
    host, _, port = jump.partition(":")
    return (
        f"ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o ConnectTimeout={CONNECT_SECONDS} "
        f"-W [%h]:%p -p {port or PORT} {host}"
    )


def through_session(region: str) -> str:
    """The way by AWS Systems Manager to an instance, whose id is the host's name. Nothing listens to the outside."""
    return (
        f"aws ssm start-session --region {region} --target %h --document-name {SESSION_DOCUMENT} "
        "--parameters portNumber=%p"
    )


def command(machine: str, ssh_options: Sequence[str], *words: str) -> list[str]:
    """The command that runs `words` on the machine that `url` names; the shell there reads them."""
    found = urlsplit(machine)
    return ["ssh", *ssh_options, "-l", found.username or USER, "-p", str(found.port or PORT), "--",
            str(found.hostname), *words]  # fmt: skip
