"""Every alert reaches whom it should, for every choice of receivers, and no secret is in the configuration."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from groundwork.monitoring.alerts import Alert
from groundwork.monitoring.receivers import QUIET_MINUTES, Quiet, Receiver, Routing, misrouted, secret_names
from groundwork.monitoring.routing import CAUSES, CONSEQUENCES, TIMING, alertmanager_config
from tests.monitoring import programs
from tests.monitoring.reference import ALERTS

from .conftest import free_port

RECEIVERS: dict[str, Receiver] = TypeAdapter(dict[str, Receiver]).validate_python(
    {
        "team-mail": {
            "kind": "mail",
            "to": ["ops@example.com"],
            "sender": "alerts@example.com",
            "server": "mail.example.com:587",
            "username": "alerts",
        },
        "chat": {"kind": "webhook", "server": "im.example.com:443"},
        "duty": {"kind": "on_call"},
        "boss": {"kind": "webhook", "server": "im.example.com:443", "resolved": False},
    }
)
CHOICES = {
    "nobody": Routing(),
    "mail alone": Routing(p0=("team-mail",), p1=("team-mail",), p2=("team-mail",), p3=("team-mail",)),
    "chat for what is urgent": Routing(p0=("chat",), p1=("chat",)),
    "everything": Routing.model_validate(
        {
            "p0": ["duty", "chat"],
            "p1": ["duty"],
            "p2": ["chat"],
            "p3": ["team-mail"],
            "heartbeat": ["boss"],
            "escalation": {"to": ["boss"]},
            "quiet": {"p2": True},
        }
    ),
}


def used(routing: Routing) -> dict[str, Receiver]:
    names = {name for names in routing.named.values() for name in names}
    return {name: receiver for name, receiver in RECEIVERS.items() if name in names}


def config(routing: Routing, zone: str = "Asia/Shanghai") -> str:
    return alertmanager_config(used(routing), routing, zone)


def amtool(monitoring: Path, *arguments: str | Path) -> str:
    command = [str(part) for part in (monitoring / "amtool", *arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module", params=CHOICES)
def choice(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Routing, Path]:
    routing = CHOICES[request.param]
    path = tmp_path_factory.mktemp("routing") / "alertmanager.yml"
    path.write_text(config(routing))
    return routing, path


def test_amtool_accepts_the_configuration(monitoring: Path, choice: tuple[Routing, Path]) -> None:
    assert "SUCCESS" in amtool(monitoring, "check-config", choice[1])


@pytest.mark.parametrize("alert", ALERTS.values(), ids=ALERTS)
def test_an_alert_reaches_whom_it_should(monitoring: Path, choice: tuple[Routing, Path], alert: Alert) -> None:
    routing, path = choice
    labels = {"alertname": alert.name, "severity": alert.severity, "service": alert.service, **alert.labels}
    said = [f"{name}={value}" for name, value in labels.items() if "{{" not in value]
    level = "heartbeat" if alert.name == "Watchdog" else alert.severity
    expected: list[str] = [level] if routing.named[level.lower()] else ["nobody"]
    if routing.escalation and level == "P0":
        expected.insert(0, "escalation")
    assert amtool(monitoring, "config", "routes", "test", f"--config.file={path}", *said) == ",".join(expected)


def test_no_secret_is_in_the_configuration_and_each_is_a_file() -> None:
    routing = CHOICES["everything"]
    assert set(secret_names(RECEIVERS)) == {
        "alert_team_mail_password",
        "alert_chat_url",
        "alert_duty_key",
        "alert_boss_url",
    }
    text = config(routing)
    for name in secret_names(RECEIVERS):
        assert f"_file: /etc/groundwork/secrets/{name}\n" in text


def inhibited(source: Alert, target: Alert) -> bool:
    """Whether Alertmanager keeps the target back while the source fires; of equal labels those of the rule."""
    both = [
        {"alertname": one.name, "severity": one.severity, "service": one.service, **one.labels}
        for one in (source, target)
    ]
    rules = yaml.safe_load(config(Routing()))["inhibit_rules"]
    return any(
        all(matches(matcher, both[0]) for matcher in rule["source_matchers"])
        and all(matches(matcher, both[1]) for matcher in rule["target_matchers"])
        and all(both[0].get(name) == both[1].get(name) for name in rule.get("equal", ()))
        for rule in rules
    )


def matches(matcher: str, labels: dict[str, str]) -> bool:
    name, _, wanted = matcher.replace("=~", "=").partition("=")
    return labels[name] in wanted.strip('"').split("|")


def test_a_database_that_is_down_says_nothing_of_its_details() -> None:
    assert inhibited(ALERTS["PostgresDown.postgres"], ALERTS["PostgresCacheHitsLow.postgres"])
    assert inhibited(ALERTS["PostgresDown.postgres"], ALERTS["ErrorRateHigh.each"])
    assert not inhibited(ALERTS["PostgresDown.postgres"], ALERTS["RedisCacheHitsLow.cache"])


def test_the_worst_of_several_thresholds_is_the_one_that_is_sent() -> None:
    assert inhibited(ALERTS["CertificateExpires.3.gateway"], ALERTS["CertificateExpires.20.gateway"])
    assert inhibited(ALERTS["AvailabilityBudgetBurns.1h.system"], ALERTS["AvailabilityBudgetBurns.6h.system"])
    assert not inhibited(ALERTS["CertificateExpires.20.gateway"], ALERTS["CertificateExpires.3.gateway"])


def test_of_a_silent_machine_nothing_is_said_of_its_parts() -> None:
    for name in ("ExporterDown.each", "ReplicaDown.each"):
        assert inhibited(on("app-1", "MachineSilent.spare.each"), on("app-1", name))
        assert not inhibited(on("app-1", "MachineSilent.spare.each"), on("app-2", name))
    assert not inhibited(on("data-1", "MachineSilent.only.each"), on("app-2", "MachineSilent.spare.each"))
    assert not inhibited(on("app-1", "DiskFullSoon.4.host"), on("app-2", "DiskFullSoon.24.host"))
    assert inhibited(on("app-1", "DiskFullSoon.4.host"), on("app-1", "DiskFullSoon.24.host"))


def on(machine: str, name: str) -> Alert:
    """The alert as it fires about one machine."""
    alert = ALERTS[name]
    about = machine if alert.name == "MachineSilent" else alert.service
    return replace(alert, service=about, labels={**alert.labels, "machine": machine})


def test_no_p0_but_a_consequence_is_ever_kept_back() -> None:
    urgent = [alert for alert in ALERTS.values() if alert.severity == "P0"]
    kept = {one.name for one in urgent for other in urgent if one is not other and inhibited(other, one)}
    assert kept == {"AvailabilityBudgetBurns"}


def test_what_inhibits_and_what_is_inhibited_are_alerts() -> None:
    known = {alert.name for alert in ALERTS.values()}
    assert {*CAUSES.split("|"), *CONSEQUENCES.split("|")} <= known


def test_quiet_hours_are_those_of_the_stacks_time_zone_and_may_cross_midnight() -> None:
    for begin, end, ranges in (
        ("22:00", "08:00", [("22:00", "24:00"), ("00:00", "08:00")]),
        ("01:00", "06:30", [("01:00", "06:30")]),
        ("20:00", "00:00", [("20:00", "24:00")]),
    ):
        made = yaml.safe_load(config(Routing(quiet=Quiet(begin=begin, end=end)), "Asia/Shanghai"))
        (interval,) = made["time_intervals"][0]["time_intervals"]
        assert interval["location"] == "Asia/Shanghai"
        assert [(one["start_time"], one["end_time"]) for one in interval["times"]] == ranges


@pytest.mark.parametrize(("begin", "end"), [("08:00", "08:00"), ("06:00", "00:00")])
def test_quiet_hours_that_leave_no_day_are_refused(begin: str, end: str) -> None:
    with pytest.raises(ValidationError, match="should be more than none and"):
        Quiet(begin=begin, end=end)


def test_what_waits_for_the_day_is_looked_at_in_it_however_long_the_night() -> None:
    assert TIMING["P3"]["group_interval"] == "6h"
    assert 24 * 60 - QUIET_MINUTES > 6 * 60


def test_what_is_misrouted_is_named_with_what_to_write() -> None:
    routing = Routing.model_validate({"p1": ["chta", "duty", "duty"], "escalation": {"to": ["duty"]}})
    receivers = {name: RECEIVERS[name] for name in ("chat", "duty")}
    assert list(misrouted(receivers, routing)) == [
        ("routing.p1", "there is no receiver `chta`", "did you mean `chat`?"),
        ("routing.p1", "a receiver is named twice", "name each once"),
        ("receivers.chat", "nothing is sent to it", "name it in `routing`, or take it out"),
        ("routing.escalation", "is there without anybody who is told first", "name receivers in `routing.p0`"),
    ]
    assert not list(misrouted(RECEIVERS, CHOICES["everything"]))


Said = list[tuple[float, str, dict[str, Any]]]


@contextmanager
def listener() -> Iterator[tuple[int, Said]]:
    """Takes what webhooks are sent: when, where to, and what."""
    said: Said = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            said.append((time.monotonic(), self.path, json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Taking)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, said
    finally:
        server.shutdown()


@contextmanager
def alertmanager(folder: Path, text: str) -> Iterator[str]:
    port = free_port()
    (folder / "alertmanager.yml").write_text(text)
    command = programs.alertmanager(
        "--config.file=alertmanager.yml",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--storage.path=data",
    )
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        for _ in range(100):
            assert process.poll() is None, (folder / "log").read_text()
            try:
                if httpx.get(f"http://127.0.0.1:{port}/-/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def post(url: str, *alerts: dict[str, str]) -> None:
    now = datetime.now(UTC).isoformat()
    body = [{"labels": labels, "startsAt": now} for labels in alerts]
    assert httpx.post(f"{url}/api/v2/alerts", json=body).status_code == 200


def test_a_p0_that_lasts_goes_further_and_one_that_is_silenced_does_not(monitoring: Path, tmp_path: Path) -> None:
    routing = Routing.model_validate({"p0": ["chat"], "p2": ["chat"], "escalation": {"to": ["boss"], "minutes": 30}})
    with listener() as (port, said):
        text = config(routing)
        for name in ("chat", "boss"):
            (tmp_path / name).write_text(f"http://127.0.0.1:{port}/{name}")
            text = text.replace(f"/etc/groundwork/secrets/alert_{name}_url", str(tmp_path / name))
        # Minutes are seconds here, and less.
        for before, now in (("group_wait: 10s", "group_wait: 1s"), ("group_wait: 30m", "group_wait: 6s")):
            assert before in text
            text = text.replace(before, now)
        text = text.replace("group_wait: 1m", "group_wait: 1s").replace("group_interval: 1m", "group_interval: 1s")
        with alertmanager(tmp_path, text) as url:
            begun = time.monotonic()
            post(
                url,
                {"alertname": "ServiceDown", "severity": "P0", "service": "api"},
                {"alertname": "ServiceDown", "severity": "P0", "service": "worker"},
                {"alertname": "ReplicaDown", "severity": "P2", "service": "api"},
                {"alertname": "HostCpuHigh", "severity": "P2", "service": "host"},
            )
            amtool(
                monitoring,
                "silence",
                "add",
                f"--alertmanager.url={url}",
                "--comment=at work",
                "--author=test",
                "--duration=5m",
                "service=worker",
            )
            time.sleep(max(0.0, begun + 9 - time.monotonic()))
    heard = {
        (path, alert["labels"]["alertname"], alert["labels"]["service"])
        for _, path, body in said
        for alert in body["alerts"]
    }
    first = min(when for when, path, _ in said if path == "/boss") - begun
    assert ("/boss", "ServiceDown", "api") in heard and ("/chat", "ServiceDown", "api") in heard
    assert ("/boss", "ServiceDown", "worker") not in heard
    assert ("/chat", "HostCpuHigh", "host") in heard
    assert ("/chat", "ReplicaDown", "api") not in heard
    assert first >= 5.5
