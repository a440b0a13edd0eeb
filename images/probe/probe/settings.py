"""Settings of the probe application, read from the environment.

Every setting NAME may instead come as NAME_FILE, the path of a file that holds the value: a mounted secret
does not show in `docker inspect`, an environment variable does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

Fault = Literal["", "not_ready", "not_listening"]

# Schemes that are taken and not named when an address is refused.
ALIASES = frozenset({"postgres", "rediss", "amqps"})

# Seconds that the server needs for itself after the last request: closing WebSockets, pools and sockets.
CLOSING_SECONDS = 4.0


class SettingsError(Exception):
    """A setting that cannot work; the message names the variable and what to write instead, never a value."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the environment says. Services whose URL is empty are not checked and not used."""

    database_url: str = field(default="", repr=False)
    """postgresql://user:password@host:5432/name or mysql://user:password@host:3306/name"""
    redis_url: str = field(default="", repr=False)
    """redis://user:password@host:6379/0; a cache"""
    celery_broker_url: str = field(default="", repr=False)
    """amqp://user:password@host:5672/vhost"""
    celery_result_backend: str = field(default="", repr=False)
    """redis://user:password@host:6379/1; where the worker puts what a job returned"""
    jwt_secret_key: str = field(default="", repr=False)
    """Shown only as a key id (checks.key_id), so that a test sees a rotated secret arrive."""
    release: str = "unreleased"
    replica: str = "local"
    port: int = 8000
    grace_seconds: float = 20.0
    """From SIGTERM to the end of the process; keep it below the platform's own grace."""
    drain_seconds: float = 2.0
    """From SIGTERM on, how long new connections are still taken (readiness already says no): the time in
    which whoever routes to this replica learns that it is going."""
    tick_seconds: int = 10
    """The period of beat's tick; the periods are counted from 1970 on, so that every process knows the present one."""
    worker_concurrency: int = 2
    """Processes of a worker, each of which does one job at a time."""
    beat_schedule: str = "/data/celerybeat-schedule"
    """Where beat keeps the time of its last tick: in a volume that outlives the container."""
    access_log: bool = False
    forwarded_allow_ips: str = "*"
    """Peers whose X-Forwarded-* headers are believed; all, since the network lets only the gateway in."""
    fault: Fault = ""


def from_environment(environ: Mapping[str, str]) -> Settings:
    """The settings in `environ`; raises SettingsError on the first one that cannot work."""
    grace = _number(environ, "GRACE_SECONDS", 20.0, low=6, high=600)
    drain = _number(environ, "DRAIN_SECONDS", min(2.0, grace / 10), low=0, high=300)
    if drain + CLOSING_SECONDS > grace and "DRAIN_SECONDS" in environ:
        raise SettingsError(
            f"DRAIN_SECONDS ({drain:g}) leaves no time within GRACE_SECONDS ({grace:g}) to end what is "
            f"under way; write at most {max(grace - CLOSING_SECONDS, 0):g}"
        )
    fault = _text(environ, "PROBE_FAULT")
    if fault not in get_args(Fault):
        raise SettingsError(f"PROBE_FAULT is {fault!r}; write not_ready, not_listening or nothing")
    return Settings(
        database_url=_url(environ, "DATABASE_URL", ("postgresql", "postgres", "mysql")),
        redis_url=_url(environ, "REDIS_URL", ("redis", "rediss")),
        celery_broker_url=_url(environ, "CELERY_BROKER_URL", ("amqp", "amqps")),
        celery_result_backend=_url(environ, "CELERY_RESULT_BACKEND", ("redis", "rediss")),
        jwt_secret_key=_text(environ, "JWT_SECRET_KEY"),
        release=_text(environ, "RELEASE") or "unreleased",
        replica=environ.get("HOSTNAME") or "local",
        port=int(_number(environ, "PORT", 8000, low=1, high=65535)),
        grace_seconds=grace,
        drain_seconds=drain,
        tick_seconds=int(_number(environ, "TICK_SECONDS", 10, low=1, high=3600)),
        worker_concurrency=int(_number(environ, "WORKER_CONCURRENCY", 2, low=1, high=64)),
        beat_schedule=_text(environ, "BEAT_SCHEDULE") or "/data/celerybeat-schedule",
        access_log=_text(environ, "ACCESS_LOG").lower() in ("1", "true", "yes", "on"),
        forwarded_allow_ips=_text(environ, "FORWARDED_ALLOW_IPS") or "*",
        fault=fault,  # type: ignore[arg-type]  # one of Fault, checked above
    )


def for_beat(environ: Mapping[str, str]) -> Settings:
    """The settings of beat, which sends to the broker and needs nothing else."""
    settings = from_environment(environ)
    _needed("CELERY_BROKER_URL", settings.celery_broker_url)
    return settings


def for_jobs(environ: Mapping[str, str]) -> Settings:
    """The settings of a worker, which counts what it does in the database."""
    settings = for_beat(environ)
    _needed("DATABASE_URL", settings.database_url)
    return settings


def _needed(name: str, value: str) -> None:
    if not value:
        raise SettingsError(f"{name} (or {name}_FILE) is not set; jobs need it")


def _text(environ: Mapping[str, str], name: str) -> str:
    """The value of NAME or the contents of the file NAME_FILE without its last line end; else empty."""
    path = environ.get(f"{name}_FILE", "")
    if not path:
        return environ.get(name, "")
    if environ.get(name):
        raise SettingsError(f"{name} and {name}_FILE are both set; leave one of them out")
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise SettingsError(f"{name}_FILE: cannot read {path}: {reason}") from None


def _number(environ: Mapping[str, str], name: str, default: float, *, low: float, high: float) -> float:
    text = _text(environ, name).strip()
    try:
        number = float(text) if text else default
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise SettingsError(f"{name} is {text!r}; write a number from {low:g} to {high:g}")
    return number


def _url(environ: Mapping[str, str], name: str, schemes: tuple[str, ...]) -> str:
    url = _text(environ, name).strip()
    if not url:
        return ""
    # The value itself holds a password and must not enter the message.
    forms = " or ".join(f"{scheme}://" for scheme in schemes if scheme not in ALIASES)
    wanted = f"{name} does not read as {forms}user:password@host:port/name"
    try:
        parts = urlsplit(url)
        valid = parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise SettingsError(f"{wanted}; special characters in a password must be percent-encoded")
    return url
