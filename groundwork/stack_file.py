"""From a stack's configuration, however it arrives, to Settings and the fingerprints of its secrets.

Pulumi accepts a misspelled key in silence, and `Config` cannot list its keys; so the whole configuration is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from .faults import Fault, FaultsError, nearest
from .model import model_faults
from .settings import Settings

NAMESPACE = "groundwork"
SECRET_PREFIX = "secret_"
FOREIGN_NAMESPACES = frozenset({"pulumi", "docker", "random"})
"""Namespaces whose keys are read by somebody else: the engine and the providers."""


OF_THE_ENGINE = ("encryptionsalt", "secretsprovider", "encryptedkey", "environment")
"""Keys beside `config`, which pulumi itself writes or reads."""
TOP_LEVEL = ("config", *OF_THE_ENGINE)


class _NoKeyTwice(yaml.SafeLoader):
    """The engine refuses a key that is there twice; PyYAML would take the last one in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if keys.count(key.value) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value} is there twice", key.start_mark
                )
        return dict(super().construct_mapping(node, deep))


@dataclass(frozen=True)
class Configuration:
    """One environment as read: `settings`, and for each configured secret a fingerprint that changes with its value."""

    settings: Settings
    secrets: Mapping[str, str]


def read_stack_file(path: Path) -> Configuration:
    """The configuration in `path`, a `Pulumi.<stack>.yaml`; FaultsError with all that is wrong with it."""
    try:
        document = yaml.load(path.read_text(), Loader=_NoKeyTwice)
    except FileNotFoundError:
        there = sorted(file.name for file in path.parent.glob("Pulumi.*.yaml"))
        raise FaultsError(str(path), [Fault(path.name, "no such stack file", nearest(path.name, there))]) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FaultsError(
            str(path),
            [Fault(path.name, "is not YAML", " ".join(str(error).replace('in "<unicode string>", ', "in ").split()))],
        ) from None
    document = {} if document is None else document
    values = document.get("config") if isinstance(document, dict) else document
    values = {} if values is None else values
    unread = sorted(str(key) for key in document if key not in TOP_LEVEL) if isinstance(document, dict) else []
    if unread:
        raise FaultsError(str(path), [Fault(key, "is not read by anybody", nearest(key, TOP_LEVEL)) for key in unread])
    if not isinstance(values, dict):
        fault = Fault(
            "config", "is not a mapping", "write `config:` and below it lines such as `groundwork:system: housing`"
        )
        raise FaultsError(str(path), [fault])
    return read_values(values, str(path))


def read_engine_values(text: str, stack: str) -> Configuration:
    """The configuration as the engine hands it to the program: JSON in which everything structured is JSON again."""
    return read_values({key: _structured(value) for key, value in json.loads(text).items()}, f"stack {stack}")


def _structured(value: str) -> Any:
    if value[:1] in "[{" or value in ("true", "false"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def read_values(values: Mapping[str, Any], source: str) -> Configuration:
    """Settings from keys such as `groundwork:target`; FaultsError names `source` and everything that is wrong."""
    faults: list[Fault] = []
    plain: dict[str, Any] = {}
    secrets: dict[str, str] = {}
    for key, value in values.items():
        namespace, _, name = str(key).partition(":")
        if namespace in FOREIGN_NAMESPACES and name:
            continue
        if namespace != NAMESPACE or not name:
            known = {f"{NAMESPACE}:{field}" for field in Settings.model_fields}
            faults.append(Fault(str(key), "is not read by anybody", nearest(f"{NAMESPACE}:{name or namespace}", known)))
        elif name.startswith(SECRET_PREFIX):
            secrets[name.removeprefix(SECRET_PREFIX)] = fingerprint(str(key), value)
        elif _is_secret(value):
            faults.append(Fault(str(key), "is encrypted", f"only `{NAMESPACE}:{SECRET_PREFIX}<name>` may be a secret"))
        else:
            plain[name] = value
    try:
        settings = Settings.model_validate(plain)
    except ValidationError as error:
        faults += [_rooted(fault) for fault in model_faults(error, Settings, NAMESPACE)]
    if faults:
        raise FaultsError(source, faults)
    return Configuration(settings, secrets)


def _is_secret(value: object) -> bool:
    return isinstance(value, dict) and set(value) == {"secure"}


def _rooted(fault: Fault) -> Fault:
    return Fault(fault.where.replace(".", ":", 1), fault.what, fault.instead)


def fingerprint(key: str, value: object) -> str:
    """Four bytes that change with a secret. Slow to compute and short, so that they tell nobody the secret."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.scrypt(text.encode(), salt=key.encode(), n=2**14, r=8, p=1, dklen=4).hex()
