"""The probe application's worker and beat, as far as they go without a broker; their shell probes; the schedule."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery.backends.redis import RedisBackend
from hypothesis import given
from hypothesis import strategies as st
from probe import beat, broker, jobs, kinds, signs, worker
from probe.database import Database
from probe.mysql import MySQL
from probe.postgres import Postgres
from probe.schedule import EveryPeriod, Scheduler
from probe.settings import Settings

from tests.unit.probe_server import environment, free_port

SHELLS = [shell for shell in ("sh", "dash", "bash", "busybox") if shutil.which(shell)]
PASSWORD = "s3cret-Passw0rd"


def commands(text: str | None) -> dict[str, str]:
    """The shell commands that a docstring names, by sign."""
    return dict(re.findall(r"^    (live|ready): +(.+)$", text or "", re.MULTILINE))


def holds(sign: str, folder: Path, shell: str = "sh") -> bool:
    command = commands(signs.__doc__)[sign].replace("/tmp/", f"{folder}/")
    arguments = [shell, "sh", "-c", command] if shell == "busybox" else [shell, "-c", command]
    return subprocess.run(arguments, capture_output=True, timeout=10).returncode == 0


def until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.05)


# --- signs


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(signs, "LIVE", tmp_path / "live")
    monkeypatch.setattr(signs, "READY", tmp_path / "ready")
    return tmp_path


def test_every_docstring_has_the_same_commands() -> None:
    assert commands(signs.__doc__).keys() == {"live", "ready"}
    assert commands(worker.__doc__) == commands(beat.__doc__) == commands(signs.__doc__)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_sign_holds_for_its_time(folder: Path, shell: str) -> None:
    assert not holds("live", folder, shell)
    signs.begin()
    assert holds("live", folder, shell)
    assert not holds("ready", folder, shell)
    signs.ready()
    assert holds("ready", folder, shell)
    signs.live(-1)
    assert not holds("live", folder, shell)


def test_what_an_earlier_process_left_is_not_ready(folder: Path) -> None:
    signs.ready()
    signs.begin()
    assert not holds("ready", folder)
    signs.not_ready()  # twice is fine


# --- processes


@contextlib.contextmanager
def process(module: str, folder: Path, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """A worker or beat with nobody to talk to, and `folder` for its /tmp."""
    away = f"app:{PASSWORD}@127.0.0.1:{free_port()}"
    settings = {
        "TMPDIR": str(folder),
        "CELERY_BROKER_URL": f"amqp://{away}/app",
        "CELERY_RESULT_BACKEND": f"redis://{away}/0",
        "DATABASE_URL": f"mysql://{away}/app",
        **settings,
    }
    running = subprocess.Popen(
        [sys.executable, "-m", module],
        env=environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def ended(running: subprocess.Popen[str], seconds: float) -> str:
    running.send_signal(signal.SIGTERM)
    output, _ = running.communicate(timeout=seconds)
    assert running.returncode == 0, output
    assert PASSWORD not in output
    return output


def test_a_worker_without_its_broker_lives_and_is_not_ready(tmp_path: Path) -> None:
    with process("probe.worker", tmp_path) as running:
        until(lambda: holds("live", tmp_path), 20)
        first = (tmp_path / "live").read_text()
        until(lambda: (tmp_path / "live").read_text() > first, 20)  # renewed while it waits
        assert not holds("ready", tmp_path)
        assert "next try in" in ended(running, 15)


def test_beat_turns_without_its_broker_and_keeps_its_schedule(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with process("probe.beat", tmp_path, BEAT_SCHEDULE=str(data / "schedule"), TICK_SECONDS="1") as running:
        until(lambda: holds("ready", tmp_path), 20)
        assert holds("live", tmp_path)
        time.sleep(2)
        assert "not sent: OperationalError" in ended(running, 15)
    assert not holds("ready", tmp_path)
    assert list(data.glob("schedule*"))


@pytest.mark.parametrize(
    ("module", "settings", "wanted"),
    [
        ("worker", {}, "CELERY_BROKER_URL (or CELERY_BROKER_URL_FILE) is not set"),
        ("worker", {"CELERY_BROKER_URL": "amqp://h/"}, "DATABASE_URL (or DATABASE_URL_FILE) is not set"),
        (
            "beat",
            {"CELERY_BROKER_URL": "amqp://h/", "DATABASE_URL": "mysql://h/d", "BEAT_SCHEDULE": "/nowhere/schedule"},
            "/nowhere is missing; mount a volume there",
        ),
    ],
)
def test_a_missing_setting_is_one_line(module: str, settings: dict[str, str], wanted: str) -> None:
    command = [sys.executable, "-m", f"probe.{module}"]
    run = subprocess.run(command, env=environment(**settings), capture_output=True, text=True, timeout=30)
    assert run.returncode == 2
    assert run.stderr.startswith(f"{module}: {wanted}")
    assert run.stderr.count("\n") == 1


# --- the schedule

SECONDS = 10


class Clock:
    """Stands in for the module time."""

    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        return self.now


class Sent:
    """Beat's application with a broker that takes everything, or nothing."""

    def __init__(self, schedule: Path) -> None:
        settings = Settings(celery_broker_url="amqp://h/", tick_seconds=SECONDS, beat_schedule=str(schedule))
        self.app = broker.application(settings, sender=True)
        vars(self.app)["send_task"] = self._send
        self.schedule = schedule
        self.periods: list[int] = []
        self.away = False

    def _send(self, name: str, values: tuple[int]) -> None:
        assert name == kinds.TICK
        if self.away:
            raise ConnectionError
        self.periods.extend(values)

    def beat(self) -> Scheduler:
        return Scheduler(app=self.app, schedule_filename=str(self.schedule))


@pytest.fixture
def sent(tmp_path: Path, folder: Path) -> Sent:
    return Sent(tmp_path / "schedule")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(1_800_000_000.0)  # the start of a period
    monkeypatch.setattr("probe.schedule.time", clock)
    return clock


def test_a_tick_is_sent_once_a_period_whoever_sends_it(sent: Sent, clock: Clock) -> None:
    start = int(clock.now) // SECONDS
    for seconds in (3, 5, 9.9, 10, 10.1, 17, 19.99, 20.5, 29, 30):
        clock.now = start * SECONDS + seconds
        for _ in range(2):
            scheduler = sent.beat()  # a new process each time
            assert 0 < scheduler.tick() <= 1
            scheduler.tick()
            scheduler.close()
    # The first period of a new volume has no tick.
    assert sent.periods == [start + 1, start + 2, start + 3]


def test_a_clock_that_is_set_back_repeats_nothing(sent: Sent, clock: Clock) -> None:
    scheduler = sent.beat()
    for seconds in (0, 10, 5, 11, 20):
        clock.now = 1_800_000_000 + seconds
        scheduler.tick()
    assert [period - 180_000_000 for period in sent.periods] == [1, 2]


def test_a_tick_that_was_not_taken_is_sent_again_within_its_period(sent: Sent, clock: Clock) -> None:
    sent.beat().close()
    sent.away = True
    clock.now += SECONDS
    sent.beat().tick()
    clock.now += SECONDS - 1
    scheduler = sent.beat()
    scheduler.tick()
    sent.away = False
    scheduler.tick()
    scheduler.tick()
    assert [period - 180_000_000 for period in sent.periods] == [1]


@given(st.lists(st.floats(0, 40, exclude_min=True), min_size=1, max_size=50), st.integers(1, 15))
def test_due_exactly_once_in_each_period_in_which_it_is_asked(pauses: list[float], seconds: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock(1_800_000_000.0)
        patch.setattr("probe.schedule.time", clock)
        schedule = EveryPeriod(seconds)
        last, sent, asked = schedule.now(), [], set()
        begin = schedule.period(last)
        for pause in pauses:
            clock.now += pause
            asked.add(schedule.period(schedule.now()))
            due, wait = schedule.is_due(last)
            assert 0 < wait <= seconds
            if due:
                last = schedule.now()
                sent.append(schedule.period(last))
    assert sent == sorted(asked - {begin})


# --- what two sides must agree on


def test_results_are_where_celery_puts_them() -> None:
    assert RedisBackend.task_keyprefix == jobs.RESULT_PREFIX


def test_the_environment_gives_a_sender_no_result_back_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_RESULT_BACKEND", "redis://h/0")
    app = broker.application(Settings(celery_broker_url="amqp://h/"), sender=True)
    assert type(app.backend).__name__ == "DisabledBackend"


def test_every_queue_is_durable_and_replicated() -> None:
    app = broker.application(Settings(celery_broker_url="amqp://h/"), sender=False)
    assert set(app.amqp.queues) == {kinds.JOBS, kinds.PROMPT}
    for queue in app.amqp.queues.values():
        assert queue.durable
        assert queue.queue_arguments == {"x-queue-type": "quorum"}


@pytest.mark.parametrize("database", [MySQL, Postgres])
def test_each_database_says_everything_that_differs(database: type[Database]) -> None:
    for name in Database.__annotations__:
        assert getattr(database, name), name
    assert len(MySQL.migrations) == len(Postgres.migrations)
