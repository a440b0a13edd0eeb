"""One request for each promise of the gateway, from outside, as a user's client would send it."""

from __future__ import annotations

import base64
import http.client
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from groundwork.settings import Settings
from groundwork.system import Route
from groundwork.targets import DockerTarget
from ops.checkout import Stack
from ops.entry import Way, way_in
from ops.request import Answer, fetch
from ops.result import Result
from ops.running import Running
from ops.watching import monitoring_results
from tools.engine.checkout import UserError

SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "strict-origin-when-cross-origin",
}
"""What every answer of the gateway carries; over https also how long https is kept (HSTS)."""
MIB = 1_048_576


@dataclass(frozen=True, kw_only=True)
class Door:
    """Where the gateway is asked: `base` without a slash at its end; `http_port` where plain http leads to it."""

    base: str
    way: Way
    max_body_mib: int
    http_port: int | None = None

    @property
    def over_tls(self) -> bool:
        return self.base.startswith("https:")

    def ask(self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> Answer:
        return fetch(url, method=method, headers=headers, tls=self.way.tls, through=self.way.port)


Judge = Callable[[Answer], str | None]
"""What is wrong with an answer; None when it is as promised."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """A request to the stack's own address and how its answer is judged, or why it is `left_out`."""

    name: str
    path: str = "/"
    judge: Judge = lambda _: None
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    left_out: str | None = None
    http_port: int | None = None
    """Asks over plain http at this port instead."""


def run(stack: Stack, running: Running) -> list[Result]:
    """Every check in order, against the stack's own addresses alone. UserError for a simulated stack."""
    if running.simulated:
        raise UserError(f"{stack.label} is SIMULATED: nothing was started, so there is nothing to ask.")
    with way_in(running, running.place) as way:
        if way.trouble:
            raise UserError(f"The gateway can't be reached: {way.trouble}")
        settings = stack.configuration.settings
        door = Door(
            base=way.url(running.urls["system"]).rstrip("/"), way=way, http_port=http_port(settings),
            max_body_mib=settings.entry.max_body_mib,
        )  # fmt: skip
        found = [result_of(door, check) for check in checks(stack.system.routes, door)]
    return [*found, *(monitoring_results(running) if settings.monitoring else [])]


def http_port(settings: Settings) -> int | None:
    """Where plain http leads to https; None where it does not, or nothing outside listens for it."""
    if isinstance(settings.target, DockerTarget):
        return 80 if settings.edge else settings.entry.http_port if settings.entry.has_tls else None
    exposure = settings.target.exposure
    return 80 if exposure.ends_tls else None


def result_of(door: Door, check: Check) -> Result:
    if check.left_out:
        return Result(check=check.name, outcome="left out", detail=check.left_out)
    base = door.base
    if check.http_port is not None:
        base = urlunsplit(("http", f"{urlsplit(base).hostname}:{check.http_port}", "", "", ""))
    try:
        answer = door.ask(f"{base}{check.path}", method=check.method, headers=dict(check.headers))
    except (OSError, http.client.HTTPException) as error:
        return Result(check=check.name, outcome="failed", detail=str(error) or type(error).__name__)
    wrong = check.judge(answer)
    return Result(
        check=check.name, outcome="failed" if wrong else "ok", detail=wrong or str(answer.status),
        milliseconds=round(answer.milliseconds, 1),
    )  # fmt: skip


def checks(routes: tuple[Route, ...], door: Door) -> Iterator[Check]:
    """All checks of a stack. The front end's page is asked for first, to know it again."""
    yield Check(name="gateway /health", path="/health", judge=is_status(200))
    for route in routes:
        yield route_check(route)
    deep = [route for route in routes if route.path.startswith("/health")]
    yield Check(
        name="every backing service /health/deep", path="/health/deep", judge=is_status(200),
        left_out=None if deep else "no route leads there",
    )  # fmt: skip
    yield Check(name="security headers", judge=lambda answer: missing_headers(answer, door.over_tls))
    yield redirect_check(door)
    yield front_end_check(routes, door)
    size = door.max_body_mib * MIB + 1
    yield Check(
        name=f"a body above {door.max_body_mib} MiB is refused",
        path=routes[0].path if routes else "/", method="POST",
        headers=(("Content-Length", str(size)),), judge=is_status(413),
        left_out=None if routes else "the system has no route",
    )  # fmt: skip


def is_status(*wanted: int) -> Judge:
    expected = " or ".join(map(str, wanted))
    return lambda answer: None if answer.status in wanted else f"{answer.status} instead of {expected}"


def route_check(route: Route) -> Check:
    """Whether the app behind the route answers: anything that is no error of a server, or the upgrade."""
    if not route.websocket:
        return Check(name=f"{route.path} reaches {route.app}", path=route.path, judge=is_answered)
    key = base64.b64encode(os.urandom(16)).decode()
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
    upgrade |= {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
    return Check(
        name=f"{route.path} upgrades to a WebSocket of {route.app}",
        path=route.path, headers=tuple(upgrade.items()),
        # An app may want to know first who is there; then the upgrade reached it as well.
        judge=is_status(101, 401, 403),
    )  # fmt: skip


def is_answered(answer: Answer) -> str | None:
    """A 404 may be the app's own; 429 is the gateway's, and from 500 on nobody answered as he should."""
    return f"{answer.status}" if answer.status >= 500 or answer.status == 429 else None


def missing_headers(answer: Answer, over_tls: bool) -> str | None:
    wrong = [
        f"{name}: {answer.headers.get(name, 'missing')} instead of {value}"
        for name, value in SECURITY_HEADERS.items()
        if answer.headers.get(name) != value
    ]
    wrong += ["x-request-id: missing"] if not answer.headers.get("x-request-id") else []
    if over_tls and "max-age=" not in answer.headers.get("strict-transport-security", ""):
        wrong.append("strict-transport-security: missing")
    return "; ".join(wrong) or None


def redirect_check(door: Door) -> Check:
    name = "http leads to https"
    if not door.over_tls:
        return Check(name=name, left_out="the stack has no certificate")
    if door.http_port is None:
        return Check(name=name, left_out="nothing outside listens for http")

    def judge(answer: Answer) -> str | None:
        location = answer.headers.get("location", "")
        # A load balancer of AWS knows no 308.
        if answer.status in (301, 308) and location.startswith("https://") and location.endswith("/smoke?a=1"):
            return None
        return f"{answer.status} to `{location}` instead of 308 to the same path over https"

    return Check(name=name, path="/smoke?a=1", judge=judge, http_port=door.http_port)


def front_end_check(routes: tuple[Route, ...], door: Door) -> Check:
    """Whether a path of the page's own router gives the page."""
    name = "an unknown path gives the front end's page"
    if not any(route.path == "/" for route in routes):
        return Check(name=name, left_out="no route for /")
    try:
        page = door.ask(f"{door.base}/")
    except (OSError, http.client.HTTPException):
        return Check(name=name)  # it fails by itself in the same way
    if "text/html" not in page.headers.get("content-type", ""):
        return Check(name=name, left_out="what answers at / is no HTML page")

    def judge(answer: Answer) -> str | None:
        same = answer.status == 200 and answer.body == page.body
        return None if same else f"{answer.status} with another body than /"

    return Check(name=name, path="/groundwork-smoke/no-such-page", judge=judge)


def show(console: Console, results: list[Result]) -> None:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("Check", overflow="fold")
    table.add_column("Outcome", no_wrap=True)
    table.add_column("ms", justify="right", no_wrap=True)
    table.add_column("Detail", overflow="fold")
    colours = {"ok": "green", "failed": "red", "left out": "yellow"}
    for result in results:
        took = f"{result.milliseconds:.0f}" if result.milliseconds is not None else ""
        outcome = f"[{colours[result.outcome]}]{result.outcome}[/]"
        table.add_row(escape(result.check), outcome, took, escape(result.detail))
    console.print(table)
    failed = sum(result.failed for result in results)
    console.print(f"[red]{failed} failed[/]" if failed else "[green]all as promised[/]")
