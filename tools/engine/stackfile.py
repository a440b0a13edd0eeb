"""The stack file that the engine is given: a copy, because Pulumi writes an `encryptionsalt` into what it
uses.

The copy lies in `.groundwork/config/<project>/<mode>/` beside a Pulumi.yaml of its own, so that commands
that know no `--config-file` (`stack init`) work there too.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.engine.checkout import Checkout, Mode, Project, UserError

SALT = "encryptionsalt"
OWN_ENCRYPTION = (SALT, "secretsprovider", "encryptedkey")


@dataclass(frozen=True)
class StackFile:
    """The file for `--config-file`, its folder, and whether the user's own passphrase opens it."""

    file: Path
    users_own: bool

    @property
    def folder(self) -> Path:
        return self.file.parent


def effective(tracked: Mapping[str, Any], mode: Mode, kept_salt: str | None) -> dict[str, Any]:
    """The content of the copy: the tracked file's, in simulated runs without what only its own key opens."""
    content = dict(tracked)
    if mode == "simulated":
        content = {key: value for key, value in content.items() if key not in OWN_ENCRYPTION}
        content["config"] = without_ciphertext(content.get("config") or {})
    if kept_salt:
        content[SALT] = kept_salt
    return content


def without_ciphertext(value: Any) -> Any:
    """Every `{secure: …}` becomes a plain placeholder, the same for the same ciphertext.

    A simulated run so needs no key, and a changed secret still shows as a change.
    """
    if isinstance(value, Mapping):
        if set(value) == {"secure"} and isinstance(value["secure"], str):
            return "simulated-" + hashlib.sha256(value["secure"].encode()).hexdigest()[:24]
        return {key: without_ciphertext(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [without_ciphertext(entry) for entry in value]
    return value


PASSPHRASES = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")


def has_own_encryption(tracked: Mapping[str, Any]) -> bool:
    return any(key in tracked for key in OWN_ENCRYPTION)


def refuse_shared(project: Project, stack: str) -> None:
    """UserError where a key of a cloud opens the secrets: then several people deploy, and the state is not here."""
    provider = str(read(project.stack_file(stack)).get("secretsprovider", "passphrase"))
    if not provider.startswith("passphrase"):
        raise UserError(
            f"{project.stack_file(stack)}: its secrets are encrypted by {provider.partition('?')[0]}, so others deploy "
            "it as well, and its state is in a back end that you share, not in this checkout.\n"
            f"Log in there and use plain pulumi: pulumi up -C {project.folder} -s {stack} --policy-pack "
            "policy (docs/production.md). PROVIDERS=simulated goes on working here."
        )


def prepare(checkout: Checkout, project: Project, stack: str, mode: Mode) -> StackFile:
    """Writes the copy for this run, or names the tracked file where a real run must use it itself."""
    source = project.stack_file(stack)
    tracked = read(source)
    if mode == "real" and has_own_encryption(tracked):
        return StackFile(source, users_own=True)
    if mode == "real" and without_ciphertext(tracked) != tracked:
        raise UserError(
            f"{source}: has encrypted values (`secure:`) but no `encryptionsalt` or `secretsprovider` "
            f"to open them. Set them again: pulumi config set --secret KEY -C {project.folder} -s {stack}"
        )
    folder = checkout.made / "config" / project.name / mode
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"Pulumi.{stack}.yaml"
    kept = read(file).get(SALT) if file.is_file() else None
    _replace(folder / "Pulumi.yaml", yaml.safe_dump({"name": project.name, "runtime": "python"}))
    _replace(file, yaml.safe_dump(effective(tracked, mode, kept), sort_keys=False, allow_unicode=True))
    return StackFile(file, users_own=False)


def read(file: Path) -> dict[str, Any]:
    """A stack file as a mapping. Raises UserError for YAML that is none, with line and column."""
    try:
        content = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        where = str(error).replace('in "<unicode string>", ', "in ")
        raise UserError(f"{file}: not valid YAML: {where}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"{file}: must be a mapping with `config:`, not a {type(content).__name__}")
    return content


def passphrase_environment(
    checkout: Checkout, stack_file: StackFile, environment: Mapping[str, str]
) -> dict[str, str]:
    """What to add to the environment so that secrets in the state can be read.

    The user's passphrase is for stack files that are encrypted with it; all else is the checkout's own matter.
    """
    if stack_file.users_own:
        if any(environment.get(name) for name in PASSPHRASES):
            return {}
        raise UserError(
            f"{stack_file.file} is encrypted with a passphrase of its own: set PULUMI_CONFIG_PASSPHRASE_FILE "
            "(or PULUMI_CONFIG_PASSPHRASE) to it."
        )
    file = checkout.made / "passphrase"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.touch(mode=0o600)
        part.write_text(secrets.token_urlsafe(32))
        part.rename(file)
    return {"PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}


def _replace(file: Path, text: str) -> None:
    part = file.with_suffix(".part")
    part.write_text(text)
    part.rename(file)
