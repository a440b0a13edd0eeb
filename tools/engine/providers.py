"""Decides whether a run uses the real providers or the simulated ones, and says why.

Real takes the plugins of the versions that the Python SDKs expect, and what the stack runs on: a Docker engine that
answers, or ssh to its machines, or a kubeconfig with the stack's context, and kubectl; and credentials of its account
where it has anything on AWS.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundwork.faults import FaultsError
from groundwork.kubeconfig import kubeconfig_of
from groundwork.settings import Settings
from groundwork.targets import KubernetesTarget
from tools import kubectl
from tools.engine.checkout import Checkout, Missing, Mode, UserError
from tools.engine.credentials import aws_credentials
from tools.engine.install import Version, parse_version

DOCKER_TIMEOUT_SECONDS = 2
PLUGIN_SERVER = ("get.pulumi.com", 443)
PLUGIN_SERVER_TIMEOUT_SECONDS = 2.0
PLUGIN_INSTALL_TIMEOUT_SECONDS = 300.0
FALLBACK_STACK = "dev"  # the only stack that falls back to the simulation by itself


@dataclass(frozen=True)
class Decision:
    """Which providers a run uses; `missing` says what keeps it from being real, unless it was chosen."""

    mode: Mode
    missing: tuple[Missing, ...] = ()


def decide(requested: str, stack: str, look: Callable[[], tuple[Missing, ...]]) -> Decision:
    """`PROVIDERS=` ("", "real" or "simulated") and the stack to a decision; `look` finds what real ones lack.

    Raises UserError where real providers are wanted, or due, and cannot be had.
    """
    if requested not in ("", "real", "simulated"):
        raise UserError(f"PROVIDERS={requested}: must be real or simulated (or left out)")
    if requested == "simulated":
        return Decision("simulated")
    missing = look()
    if not missing:
        return Decision("real")
    if requested == "" and stack == FALLBACK_STACK:
        return Decision("simulated", missing)
    why = "PROVIDERS=real" if requested else f"Stack {stack} runs on real providers"
    lines = "\n".join(f"  - {entry}" for entry in missing)
    hint = "" if requested else "\nTo try it without any: PROVIDERS=simulated."
    raise UserError(f"{why}, but these are missing:\n{lines}{hint}")


def users_plugins(environment: Mapping[str, str]) -> Path:
    """Where the user's own Pulumi keeps plugins, from the environment that the user has."""
    home = environment.get("PULUMI_HOME") or Path(environment.get("HOME", "~"), ".pulumi")
    return Path(home).expanduser() / "plugins"


def plugins_of(settings: Settings) -> tuple[str, ...]:
    """The packages that a stack takes resources from."""
    kind = settings.machines.kind
    return (
        settings.target.kind,
        "random",
        *(("aws",) if settings.aws else ()),
        *(("command",) if kind != "none" else ()),  # waits until a machine is ready
        *(("tls",) if kind == "aws" else ()),  # host keys
    )


def look(
    checkout: Checkout, pulumi: Path, environment: Mapping[str, str], users: Path, settings: Settings
) -> tuple[Missing, ...]:
    """What real providers lack on this machine; gets plugins where the plugin server is reachable.

    `environment` is that of the run, `users` the folder of the user's own plugins.
    """
    place = (*_place(settings, environment), *_account(settings, environment))
    names = plugins_of(settings)
    absent = _absent_plugins(checkout, environment, users, names)
    # Without a place plugins would serve nothing: no download for them.
    if absent and not place and _reachable(PLUGIN_SERVER):
        for name, version in absent.items():
            _install_plugin(pulumi, name, version, environment)
        absent = _absent_plugins(checkout, environment, users, names)
    return (*place, *([_plugins_missing(absent)] if absent else []))


def _place(settings: Settings, environment: Mapping[str, str]) -> tuple[Missing, ...]:
    """What the way to where the stack runs lacks."""
    if isinstance(settings.target, KubernetesTarget):
        return (*cluster(settings.target, environment), *kubectl_missing(environment))
    if settings.machines.kind != "none":
        return _tools_missing(settings, environment)
    engine = docker_engine(environment)
    return (engine,) if engine else ()


def _tools_missing(settings: Settings, environment: Mapping[str, str]) -> tuple[Missing, ...]:
    """Every machine is reached by ssh, and one of AWS without a public address through its Session Manager."""
    wanted = {"ssh": "machines are reached by it: install OpenSSH's client"}
    machines = settings.machines
    if machines.kind == "aws" and not all(role.public for role in machines.roles.values()):
        reason = "machines without a public address are reached through AWS Session Manager"
        wanted |= {
            "aws": f"{reason}: install the AWS CLI, version 2",
            "session-manager-plugin": f"{reason}: install the plugin of that name for the AWS CLI",
        }
    path = environment.get("PATH")
    return tuple(Missing(f"{name} on PATH", how) for name, how in wanted.items() if not shutil.which(name, path=path))


def _account(settings: Settings, environment: Mapping[str, str]) -> tuple[Missing, ...]:
    missing = aws_credentials(settings.aws.account, environment) if settings.aws else None
    return (missing,) if missing else ()


def cluster(target: KubernetesTarget, environment: Mapping[str, str]) -> tuple[Missing, ...]:
    """What is wrong with the kubeconfig that the stack names. Whether the cluster answers, the engine says."""
    try:
        kubeconfig_of(target, environment)
    except FaultsError as error:
        return tuple(Missing(f"{fault.where}: {fault.what}", fault.instead) for fault in error.faults)
    return ()


def kubectl_missing(environment: Mapping[str, str]) -> tuple[Missing, ...]:
    if kubectl.find(environment):
        return ()
    return (Missing("kubectl on PATH", f"it shows what runs, and leads into it: {kubectl.INSTALL}"),)


def _plugins_missing(absent: Mapping[str, str]) -> Missing:
    names = ", ".join(f"{name} {version}" for name, version in absent.items())
    return Missing(
        f"Pulumi plugin{'s' if len(absent) > 1 else ''} {names}",
        "`pulumi plugin install resource NAME VERSION` on a machine that reaches Pulumi's plugin server, "
        "then copy its ~/.pulumi/plugins here",
    )


def docker_engine(environment: Mapping[str, str]) -> Missing | None:
    """None if a Docker engine answers at DOCKER_HOST or the current context, else what is wrong with it."""
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(
            timeout=DOCKER_TIMEOUT_SECONDS, environment=dict(environment), use_ssh_client=True
        )
        try:
            client.ping()
        finally:
            client.close()
    except (DockerException, OSError) as error:
        return docker_trouble(str(error), environment.get("DOCKER_HOST", ""))
    return None


def docker_trouble(error: str, host: str) -> Missing:
    """The SDK's words about an engine that does not answer as something a person can act on."""
    where = f"a Docker engine at {host}" if host else "a Docker engine"
    if "permission denied" in error.lower():
        return Missing(
            f"access to {where}",
            "you may not open its socket; `sudo usermod -aG docker $USER`, then log in again",
        )
    if "no such file" in error.lower() or "connection refused" in error.lower():
        return Missing(where, "none runs here; install and start Docker, or set DOCKER_HOST")
    return Missing(where, f"it does not answer within {DOCKER_TIMEOUT_SECONDS} s ({_last_words(error)})")


def docker_host(environment: Mapping[str, str]) -> dict[str, str]:
    """DOCKER_HOST for the current context: the plugin knows nothing of contexts."""
    from docker.context import ContextAPI

    if environment.get("DOCKER_HOST"):
        return {}
    host = ContextAPI.kwargs_from_context(environment=dict(environment)).get("base_url", "")
    return {"DOCKER_HOST": host.removeprefix("http+")} if host else {}


def expected_version(name: str) -> Version:
    """The plugin version that the installed Python SDK asks the engine for."""
    spec = importlib.util.find_spec(f"pulumi_{name}")
    assert spec and spec.origin, f"pulumi_{name} is not installed"
    described = json.loads(Path(spec.origin).with_name("pulumi-plugin.json").read_text())
    version = parse_version(described["version"])
    assert version
    return version


def compatible(found: Version | None, expected: Version) -> bool:
    """Whether the engine takes a plugin of one version where another is asked for: not older, same major."""
    return found is not None and found >= expected and found[0] == expected[0]


def plugin_in(folder: Path, name: str, expected: Version) -> Path | None:
    """The directory of a usable, wholly installed plugin in a `plugins` folder."""
    for candidate in sorted(folder.glob(f"resource-{name}-v*")):
        complete = (candidate / f"pulumi-resource-{name}").is_file() and not candidate.with_name(
            candidate.name + ".partial"
        ).exists()
        version = parse_version(re.sub(r"^resource-\w+-v", "", candidate.name))
        if complete and compatible(version, expected):
            return candidate
    return None


def _absent_plugins(
    checkout: Checkout, environment: Mapping[str, str], users: Path, names: Sequence[str]
) -> dict[str, str]:
    """Name to version of the plugins that are not there; one of the user's is linked here."""
    absent: dict[str, str] = {}
    own = checkout.home / "plugins"
    for name in names:
        expected = expected_version(name)
        ambient = shutil.which(f"pulumi-resource-{name}", path=environment.get("PATH"))
        if ambient or plugin_in(own, name, expected):
            continue
        found = plugin_in(users, name, expected)
        if found:
            _link_files(found, own / found.name)
        else:
            absent[name] = ".".join(map(str, expected))
    return absent


def _link_files(found: Path, folder: Path) -> None:
    """Links a plugin's files one by one: the engine overlooks a plugin whose directory is a link."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in found.iterdir():
        link = folder / file.name
        link.unlink(missing_ok=True)
        link.symlink_to(file)


def _reachable(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, PLUGIN_SERVER_TIMEOUT_SECONDS).close()
    except OSError:
        return False
    return True


def _install_plugin(pulumi: Path, name: str, version: str, environment: Mapping[str, str]) -> None:
    print(f"Getting the Pulumi plugin {name} {version} …", flush=True)
    command = [str(pulumi), "plugin", "install", "resource", name, version]
    try:
        subprocess.run(
            command,
            env=dict(os.environ) | dict(environment),
            timeout=PLUGIN_INSTALL_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        print(f"Gave up on it after {PLUGIN_INSTALL_TIMEOUT_SECONDS:.0f} s.", flush=True)


def _last_words(error: str) -> str:
    return error.strip().splitlines()[-1][:160] if error.strip() else "no reason given"
