"""Where promtool, amtool and the servers they belong to are; got once a checkout."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.sample import ROOT

FOLDER = ROOT / ".groundwork" / "judges" / "monitoring" / "usr" / "bin"


def install() -> subprocess.CompletedProcess[str]:
    """Exit status 75 means that Debian's mirror can't be reached."""
    script: Path = ROOT / "tests/judges/install_monitoring.sh"
    return subprocess.run([script], capture_output=True, text=True, timeout=600, check=False)


def alertmanager(*arguments: str) -> list[str]:
    """The command for it. Debian's reads its templates from /usr/share: in a mount namespace of its own it finds those
    that were unpacked beside it."""
    share = FOLDER.parent / "share"
    mount = f'mount -t overlay overlay -o "lowerdir={share}:/usr/share" /usr/share && exec "$@"'
    root = [] if os.geteuid() == 0 else ["--map-root-user"]
    program = str(FOLDER / "prometheus-alertmanager")
    return ["unshare", *root, "--mount", "sh", "-c", mount, "sh", program, *arguments]
