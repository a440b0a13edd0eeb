"""What a person's shell needs to run plain `pulumi` on the checkout's engine and state."""

from __future__ import annotations

import shlex
from pathlib import Path

from tools.engine.drive import Session

EXPORTED = (
    "PATH",
    "VIRTUAL_ENV",
    "PULUMI_HOME",
    "PULUMI_BACKEND_URL",
    "PULUMI_CONFIG_PASSPHRASE_FILE",
    "PULUMI_SKIP_UPDATE_CHECK",
    "DOCKER_HOST",
    "GROUNDWORK_PROVIDERS",
)


def print_environment(session: Session) -> int:
    """`eval "$(make -s env)"` lets a person run plain `pulumi` on the checkout's engine and state."""
    for name in EXPORTED:
        if name in session.environment:
            print(f"export {name}={shlex.quote(session.environment[name])}")
    print(
        f"# pulumi up -C {_shown(session.project.folder)} -s {session.stack} "
        f"--config-file {_shown(session.stack_file.file)} --policy-pack {_shown(session.checkout.policy)}"
    )
    if session.mode == "simulated":
        print("# simulated: `python -m sim` serves the providers and prints what PULUMI_DEBUG_PROVIDERS must be")
    return 0


def _shown(path: Path) -> str:
    return shlex.quote(str(path))
