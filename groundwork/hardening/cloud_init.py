"""The cloud-init document of a new machine: it carries the very script that `ops harden` runs on one that exists."""

from __future__ import annotations

from typing import Any

import yaml

from .script import script
from .state import USER, Hardening

PATH = "/usr/local/sbin/groundwork-harden"


class _Block(str):
    """Text that keeps its lines in YAML."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(
    _Block, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")
)


def document(hardening: Hardening, *, host_key_private: str, host_key_public: str) -> str:
    """A document `#cloud-config` for one machine.

    The host key (OpenSSH's format, ED25519) is known only to the component, which calls this where it has it: nothing
    else here depends on it. Give it to AWS compressed, since that takes 16 KiB at most.
    """
    parts: dict[str, Any] = {
        # Nobody but who deploys: no user of the image's own. It is there before sshd is, so that no early attempt to
        # reach the machine is one of an unknown user, which fail2ban counts.
        "users": [
            {
                "name": USER,
                "shell": "/bin/bash",
                "lock_passwd": True,
                # A script that stops early has not come to the file of its own that says so, and is run again by hand.
                "sudo": "ALL=(ALL:ALL) NOPASSWD: ALL",
                "ssh_authorized_keys": list(hardening.deployers),
            }
        ],
        "disable_root": True,
        # Every image has it; another one would be generated.
        "locale": "C.UTF-8",
        "ssh_pwauth": False,
        "ssh_deletekeys": True,
        "ssh_keys": {
            "ed25519_private": _Block(host_key_private.rstrip("\n") + "\n"),
            "ed25519_public": host_key_public.strip(),
        },
        "preserve_hostname": True,
        "write_files": [
            {"path": PATH, "permissions": "0700", "owner": "root:root", "content": _Block(script(hardening))}
        ],
        "runcmd": [[PATH]],
    }
    return "#cloud-config\n" + yaml.dump(parts, Dumper=_Dumper, sort_keys=False, width=10_000)
