"""Who is told: the receivers that a stack file names, and which severity goes to which of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import time
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, model_validator

from ..faults import nearest
from ..model import Model, Name, Whole
from ..workload import FILES

Url = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.:_-]+(/[A-Za-z0-9._~/-]*)?$")]
MailAddress = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+$"), Field(examples=["ops@example.com"])
]
Server = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9.-]+:\d{1,5}$"), Field(examples=["mail.example.com:587"])
]
Clock = Annotated[
    str,
    StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$"),
    Field(examples=["22:00"]),
]


class Mail(Model):
    """Mail, by a server that takes it. The password is the secret `groundwork:secret_alert_<name>_password`."""

    kind: Literal["mail"]
    """How they are told."""
    to: Annotated[tuple[MailAddress, ...], Field(min_length=1)]
    """Who gets it."""
    sender: MailAddress
    """Whom it comes from."""
    server: Server
    """Host and port of the mail server; 465 is spoken to in TLS, others turn to it."""
    username: str | None = None
    """Who logs in there; without one nobody does, and there is no password."""

    @property
    def way_out(self) -> str:
        return self.server

    @property
    def secrets(self) -> tuple[str, ...]:
        return ("password",) if self.username else ()

    def settings(self, files: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
        login: dict[str, Any] = {}
        if self.username:
            login = {"auth_username": self.username, "auth_password_file": files["password"]}
        return "email_configs", {
            "to": ", ".join(self.to),
            "from": self.sender,
            "smarthost": self.server,
            "require_tls": True,
            "send_resolved": True,
            **login,
        }


class Webhook(Model):
    """A POST with the alerts as JSON: for bridges to instant messengers and SMS. Since such addresses often hold a key,
    the address is the secret `groundwork:secret_alert_<name>_url`."""

    kind: Literal["webhook"]
    """How they are told."""
    server: Annotated[Server, Field(examples=["im.example.com:443"])]
    """Host and port of that address: the one way out that is opened for it."""
    resolved: bool = True
    """Also tells when it is over."""

    @property
    def way_out(self) -> str:
        return self.server

    @property
    def secrets(self) -> tuple[str, ...]:
        return ("url",)

    def settings(self, files: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
        return "webhook_configs", {"url_file": files["url"], "send_resolved": self.resolved}


class OnCall(Model):
    """A service that calls whoever is on duty, by version 2 of PagerDuty's Events API, which others understand as well.
    Its key is the secret `groundwork:secret_alert_<name>_key`."""

    kind: Literal["on_call"]
    """How they are told."""
    address: Url = "https://events.pagerduty.com/v2/enqueue"
    """Where events go; another one for another service."""

    @property
    def way_out(self) -> str:
        parts = urlsplit(self.address)
        return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"

    @property
    def secrets(self) -> tuple[str, ...]:
        return ("key",)

    def settings(self, files: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
        return "pagerduty_configs", {
            "routing_key_file": files["key"],
            "url": self.address,
            "send_resolved": True,
            "severity": '{{ if eq .CommonLabels.severity "P0" }}critical{{ else }}error{{ end }}',
        }


Receiver = Annotated[Mail | Webhook | OnCall, Field(discriminator="kind")]
Receivers = Annotated[tuple[Name, ...], Field(max_length=10)]


class Escalation(Model):
    """Who else is told where nobody has silenced or mended a P0."""

    to: Annotated[Receivers, Field(min_length=1)]
    """Names of receivers."""
    minutes: Annotated[Whole, Field(ge=5, le=240)] = 30
    """How long it has lasted then. 30: twice the 15 minutes within which a P0 is answered (M3)."""


class Quiet(Model):
    """The hours, in the stack's time zone, in which what can wait does."""

    begin: Clock = "22:00"
    """From then on nothing is sent."""
    end: Clock = "08:00"
    """What is still wrong is sent from then on."""
    p2: bool = False
    """Holds back P2 too, which is otherwise answered within 4 hours at night as well."""

    @model_validator(mode="after")
    def _leaves_a_day(self) -> Quiet:
        if not 1 <= self.minutes <= QUIET_MINUTES:
            raise ValueError(
                f"quiet from {self.begin} to {self.end} are {self.minutes / 60:g} hours; it should be more than none "
                f"and at most {QUIET_MINUTES // 60}, so that what waited is sent between them"
            )
        return self

    @property
    def minutes(self) -> int:
        """How long it is, across midnight or not."""
        begin, end = (time.fromisoformat(text) for text in (self.begin, self.end))
        return (end.hour * 60 + end.minute - begin.hour * 60 - begin.minute) % 1440


QUIET_MINUTES = 16 * 60
"""P3 is looked at every 6 hours: at least once in the other 8."""


class Routing(Model):
    """Which severity goes to which receivers. What names none is seen in Alertmanager alone."""

    p0: Receivers = ()
    """Answered within 15 minutes: on-call service and instant messenger, at once, again every 15 minutes."""
    p1: Receivers = ()
    """Answered within an hour: on-call service, again every hour."""
    p2: Receivers = ()
    """Answered within 4 hours: instant messenger, again every 4 hours."""
    p3: Receivers = ()
    """Answered within a day: mail, all together, again every day."""
    heartbeat: Receivers = ()
    """Gets the Watchdog every 5 minutes; something outside that raises the alarm when it stays away."""
    escalation: Escalation | None = None
    quiet: Quiet | None = None

    @property
    def named(self) -> Mapping[str, tuple[str, ...]]:
        """Names of receivers by the key that names them."""
        levels = {level: getattr(self, level) for level in ("p0", "p1", "p2", "p3", "heartbeat")}
        return levels | {"escalation.to": self.escalation.to if self.escalation else ()}


def misrouted(receivers: Mapping[str, Receiver], routing: Routing) -> Iterator[tuple[str, str, str]]:
    """What does not fit, as the key, what is wrong there, and what to write instead."""
    used = {name for names in routing.named.values() for name in names}
    for key, names in routing.named.items():
        for name in names:
            if name not in receivers:
                yield f"routing.{key}", f"there is no receiver `{name}`", nearest(name, receivers)
        if len(set(names)) < len(names):
            yield f"routing.{key}", "a receiver is named twice", "name each once"
    for name in receivers:
        if name not in used:
            yield f"receivers.{name}", "nothing is sent to it", "name it in `routing`, or take it out"
    if routing.escalation and not routing.p0:
        yield "routing.escalation", "is there without anybody who is told first", "name receivers in `routing.p0`"


def secret_name(receiver: str, secret: str) -> str:
    """The name of a secret, as in `groundwork:secret_<name>`."""
    return f"alert_{receiver.replace('-', '_')}_{secret}"


def secret_names(receivers: Mapping[str, Receiver]) -> tuple[str, ...]:
    """Of all secrets that the receivers need."""
    return tuple(secret_name(name, secret) for name, receiver in receivers.items() for secret in receiver.secrets)


def secret_file(name: str) -> str:
    """Where Alertmanager reads it; no secret is in its configuration."""
    return f"{FILES}/secrets/{name}"
