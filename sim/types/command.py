"""Command's row. Nothing is run, and what it would print is empty.

Sources: provider/pkg/provider/local of pulumi-command 1.2, where any changed input changes what the command prints, and
the SDK, which asks the engine to replace on `triggers`: also where there is an `update`, whatever its description says
(pulumi-command issue 855). What shall be an update in place belongs in `create`, `environment` or `stdin`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sim.types.row import ResourceType, words


def _args() -> Any:
    from pulumi_command import local

    return local.CommandArgs


COMMAND = ResourceType(
    sdk=_args,
    replace_on=words("triggers"),
    computed=words("archive assets stderr stdout"),
    moved_by_updates=words("archive assets stderr stdout"),
    compute=lambda _identity, _inputs: {"stderr": "", "stdout": ""},
)

TYPES: Mapping[str, ResourceType] = {"command:local:Command": COMMAND}
