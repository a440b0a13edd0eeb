"""What tests of the core start from: the stack files of the repository, and small systems planned in one call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel

from groundwork.catalog.postgres import Postgres
from groundwork.catalog.redis import Redis
from groundwork.deployment import Deployment
from groundwork.images import ImageLock
from groundwork.misfits import misfits
from groundwork.plan import plan
from groundwork.stack_file import Configuration, read_values
from groundwork.system import App, Route, System, load_system
from groundwork.workload import Image

ROOT = Path(__file__).parent.parent
MARK = ImageLock({}, "mark")
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

API = App(
    name="api",
    image="example/api:1",
    port=8000,
    uses=("postgres", "redis"),
    settings={
        "DATABASE_URL": "postgresql://{postgres.username}:{postgres.password}@{postgres.host}/{postgres.database}",
        "REDIS_HOST": "{redis.host}",
        "JWT_KEY": "{secret.jwt_key}",
        "LOG_LEVEL": "info",
    },
    release_command=("migrate",),
    memory_mib=200,
)
WEB = App(name="web", image="example/web:1", port=8080, memory_mib=32)
SHOP = System(
    name="shop",
    services=(Postgres(database="shop"), Redis()),
    apps=(WEB, API),
    routes=(Route(path="/", app="web"), Route(path="/api/", app="api")),
    generated_secrets=("jwt_key",),
)


def stack_files() -> list[Path]:
    """Every stack file of the repository, a project beside each."""
    return sorted(file for folder in (ROOT, *ROOT.glob("systems/*")) for file in folder.glob("Pulumi.*.yaml"))


def project_of(stack_file: Path) -> str:
    return str(yaml.safe_load((stack_file.parent / "Pulumi.yaml").read_text())["name"])


def stack_of(stack_file: Path) -> str:
    return stack_file.name.split(".")[1]


def with_secrets(stack_file: Path) -> tuple[dict[str, Any], frozenset[str]]:
    """A stack file's values with a made-up one for each secret that is encrypted or still to be given, and their keys.

    Whoever adds a system gives its secrets when they deploy it; its tests do not wait for that.
    """
    values = (yaml.safe_load(stack_file.read_text()) or {}).get("config") or {}
    configuration = read_values(values, str(stack_file))
    system = load_system(ROOT, configuration.settings.system or project_of(stack_file))
    encrypted = {key for key, value in values.items() if isinstance(value, dict) and set(value) == {"secure"}}
    missing = {fault.where for fault in misfits(system, configuration) if fault.what.startswith("is missing")}
    made_up = {key for key in encrypted | missing if key.startswith("groundwork:secret_")}
    return values | {key: f"made-up-{key}" for key in made_up}, frozenset(made_up)


def configured(values: Mapping[str, Any] | None = None) -> Configuration:
    """Values below `groundwork:`, as a stack file would give them."""
    return read_values({f"groundwork:{key}": value for key, value in (values or {}).items()}, "stack test")


def planned(
    values: Mapping[str, Any] | None = None,
    system: System = SHOP,
    lock: ImageLock = MARK,
    *,
    project: str = "shop",
    stack: str = "test",
) -> Deployment:
    return plan(system, configured(values), lock, project=project, stack=stack)


def locked(reference: str, digit: str = "1", origin: Literal["registry", "local"] = "registry") -> ImageLock:
    """A lock that knows one image, and marks all others as simulated."""
    image = Image(reference=reference, digest=f"sha256:{digit * 64}", origin=origin)
    return ImageLock({reference: image}, "mark")


M = TypeVar("M", bound=BaseModel)


def changed(model: M, **update: Any) -> M:
    """The model with other values, checked as if it had been written so."""
    return type(model)(**{name: getattr(model, name) for name in type(model).model_fields} | update)
