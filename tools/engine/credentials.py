"""Whether this machine may speak to the AWS account that a stack names. The provider asks again, and refuses others."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tools.engine.checkout import Missing

STS_TIMEOUT_SECONDS = 15.0
VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
"""Each of them leads to credentials."""
FILES = {"AWS_CONFIG_FILE": "config", "AWS_SHARED_CREDENTIALS_FILE": "credentials"}
LOG_IN = "`aws sso login`, or set AWS_PROFILE (docs/production.md)"


def aws_credentials(account: str, environment: Mapping[str, str]) -> Missing | None:
    """None where there are credentials of the account, as far as it can be seen: without the AWS CLI only that there
    are some."""
    command = shutil.which("aws", path=environment.get("PATH"))
    if command is None:
        return None if _any(environment) else Missing(f"credentials of the AWS account {account}", LOG_IN)
    try:
        asked = subprocess.run(
            [command, "sts", "get-caller-identity", "--output", "json"],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=STS_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Missing(
            f"an answer of AWS about account {account} within {STS_TIMEOUT_SECONDS:.0f} s",
            "`aws sts get-caller-identity` must answer here; look at the way out to the Internet",
        )
    if asked.returncode:
        words = (asked.stderr.strip().splitlines() or ["no reason given"])[-1]
        return Missing(f"credentials of the AWS account {account} ({words[:160]})", LOG_IN)
    found = str(json.loads(asked.stdout).get("Account"))
    if found != account:
        return Missing(
            f"credentials of the AWS account {account}",
            f"those that are here are of account {found}, and groundwork:aws.account is {account}: choose another "
            "AWS_PROFILE, or the other stack",
        )
    return None


def _any(environment: Mapping[str, str]) -> bool:
    if any(environment.get(name) for name in VARIABLES):
        return True
    home = Path(environment.get("HOME", "~")).expanduser() / ".aws"
    return any(Path(environment.get(name) or home / file).is_file() for name, file in FILES.items())
