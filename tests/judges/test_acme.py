"""The gateway's certificate from a real authority: nginx, lego and pebble on this machine's loopback.

The shell is busybox's, as in lego's image. Waiting is shortened; nothing else is other than in a container.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509

from groundwork.certificates import MOUNTED, PORT, SERVED, script
from groundwork.nginx import ALIVE, HTTP, HTTPS, VERSION
from groundwork.settings import Acme
from tests.sample import planned

from .conftest import free_port, in_venv
from .test_gateway import SYSTEM, nginx, placed
from .test_tls import WAIVED

NAMES = ("shop.example.com", "www.example.com")
DAY = 4
"""Seconds; and the certificates that are renewed have fewer days to live than `renew_days`."""


@contextmanager
def started(command: list[str], log: Path, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a process group of its own, ended with whatever it has started."""
    with log.open("ab") as to:
        process = subprocess.Popen(command, stdout=to, stderr=to, start_new_session=True, **more)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=10)


def until(wanted: Callable[[], object], log: Path, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)


@dataclass(frozen=True)
class Authority:
    """pebble, which looks for the names at this machine's gateway."""

    directory: str
    management: str
    own: Path
    """The certificate of its directory."""

    def root(self) -> str:
        """Of what it issues."""
        answer = httpx.get(f"{self.management}/roots/0", verify=ssl.create_default_context(cafile=str(self.own)))
        return answer.text


@contextmanager
def authority(judges: Path, folder: Path, http_port: int, days: int) -> Iterator[Authority]:
    folder.mkdir()
    programs = judges / "usr/bin"
    (folder / "openssl.cnf").write_text("[req]\ndistinguished_name = name\n[name]\n")
    command = [str(programs / "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", "own.key", "-out", "own.pem"]
    subprocess.run(command, cwd=folder, env={"OPENSSL_CONF": "openssl.cnf"}, check=True, capture_output=True)
    ports = {name: free_port() for name in ("listen", "management", "dns", "names")}
    configuration = {
        "pebble": {
            "listenAddress": f"127.0.0.1:{ports['listen']}",
            "managementListenAddress": f"127.0.0.1:{ports['management']}",
            "certificate": str(folder / "own.pem"),
            "privateKey": str(folder / "own.key"),
            "httpPort": http_port,
            "tlsPort": http_port,
            "profiles": {"default": {"description": "the only one", "validityPeriod": days * 86_400}},
        }
    }
    (folder / "pebble.json").write_text(json.dumps(configuration))
    log = folder / "log"
    names = [str(programs / "pebble-challtestsrv"), "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]
    names += ["-dnsserver", f"127.0.0.1:{ports['dns']}", "-management", f"127.0.0.1:{ports['names']}"]
    names += [f"-{kind}=" for kind in ("http01", "https01", "tlsalpn01", "doh")]
    server = [str(programs / "pebble"), "-config", str(folder / "pebble.json")]
    server += ["-dnsserver", f"127.0.0.1:{ports['dns']}"]
    with (
        started(names, log) as first,
        started(server, log, env={"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}) as second,
    ):
        found = Authority(
            f"https://127.0.0.1:{ports['listen']}/dir", f"https://127.0.0.1:{ports['management']}", folder / "own.pem"
        )
        until(lambda: answers(found), log)
        assert first.poll() is second.poll() is None, log.read_text()
        yield found


def answers(found: Authority) -> bool:
    try:
        return "CERTIFICATE" in found.root()
    except httpx.TransportError:
        return False


@dataclass
class Stack:
    """A gateway that runs, and the client that can be started beside it."""

    judges: Path
    folder: Path
    http_port: int
    https_port: int
    challenges: int
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.folder / "client.log"

    @property
    def served(self) -> Path:
        return self.folder / "certificates" / SERVED

    @property
    def is_ready(self) -> bool:
        return (self.folder / "tmp-.has-a-certificate").exists()

    @contextmanager
    def client(self, acme: Acme, names: tuple[str, ...] = NAMES) -> Iterator[subprocess.Popen[bytes]]:
        """The workload's script with busybox's shell and tools, and lego."""
        programs = self.folder / "bin"
        programs.mkdir(exist_ok=True)
        busybox = self.judges / "usr/bin/busybox"
        for name in ("sh", "timeout", "cat", "mkdir", "install", "cmp", "chmod", "mv", "touch", "rm", "sleep"):
            tool = programs / name
            tool.write_text(f'#!/bin/sh\nexec {busybox} {name} "$@"\n')
            tool.chmod(0o755)
        if not (programs / "lego").exists():
            (programs / "lego").symlink_to(self.judges / "usr/bin/lego")
        text = script(acme, names, str(self.folder / "certificates"), DAY, DAY)
        text = text.replace("/tmp/.", f"{self.folder}/tmp-.").replace(f":{PORT} ", f":{self.challenges} ")
        (self.folder / "certificates.sh").write_text(text.replace("sleep 5", "sleep 0.1"))
        environment = {"PATH": str(programs)}
        if acme.ca_certificate:
            (self.folder / "ca.pem").write_text(acme.ca_certificate)
            environment["LEGO_CA_CERTIFICATES"] = str(self.folder / "ca.pem")
        (self.folder / "tmp-.has-a-certificate").unlink(missing_ok=True)
        command = [str(busybox), "sh", str(self.folder / "certificates.sh")]
        self.log.write_text("")
        with started(command, self.log, env=environment, cwd=self.folder) as process:
            yield process

    def http(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.http_port}{path}", headers={"Host": NAMES[0]})

    def https(self, trusted: str, name: str = NAMES[0]) -> int:
        """The status of an answer over a connection of its own whose certificate is believed."""
        with httpx.Client(verify=ssl.create_default_context(cadata=trusted)) as client:
            return self.asked(client, name)

    def asked(self, client: httpx.Client, name: str = NAMES[0]) -> int:
        url = f"https://127.0.0.1:{self.https_port}/health"
        return client.get(url, headers={"Host": name}, extensions={"sni_hostname": name}).status_code

    def certificate(self) -> x509.Certificate:
        """The one that nginx presents."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", self.https_port), 5) as plain,
            context.wrap_socket(plain, server_hostname=NAMES[0]) as link,
        ):
            presented = link.getpeercert(binary_form=True)
        assert presented
        return x509.load_der_x509_certificate(presented)


@pytest.fixture
def stack(judges: Path, tmp_path: Path) -> Iterator[Stack]:
    """A gateway that waits for its first certificate."""
    ports = {port: free_port() for port in (HTTP, HTTPS, ALIVE, VERSION)}
    one = Stack(judges, tmp_path, ports[HTTP], ports[HTTPS], free_port())
    (tmp_path / "certificates").mkdir()
    entry = {"server_names": list(NAMES), "https_port": ports[HTTPS], "acme": {"email": "ops@example.net"}}
    main = placed(planned({"entry": entry}, SYSTEM), tmp_path, ports=ports).main
    (routes,) = (tmp_path / "live/current").glob("*.conf")
    text = routes.read_text().replace(MOUNTED, f"{tmp_path}/certificates").replace("valid=1m", "valid=1s")
    routes.write_text(text.replace(f"server certificates:{PORT} resolve", f"server 127.0.0.1:{one.challenges}"))
    with nginx(judges, main, ports[ALIVE]):
        yield one


@pytest.fixture
def pebble(judges: Path, stack: Stack) -> Iterator[Authority]:
    with authority(judges, stack.folder / "authority", stack.http_port, days=7) as found:
        yield found


def acme_of(found: Authority, **more: Any) -> Acme:
    return Acme(email="ops@example.net", directory=found.directory, ca_certificate=found.own.read_text(), **more)


def sees(stack: Stack, names: tuple[str, ...]) -> bool:
    presented = stack.certificate().extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(presented.get_values_for_type(x509.DNSName)) == set(names)


def test_before_the_first_certificate_http_answers_and_https_fails_cleanly(stack: Stack) -> None:
    for _ in range(3):
        with pytest.raises(ssl.SSLError, match=r"ALERT_INTERNAL_ERROR|internal error"):
            stack.certificate()
    assert stack.http("/health").status_code == 200
    assert stack.http("/").status_code == 503
    assert stack.http("/.well-known/acme-challenge/x").status_code == 502, "nobody answers challenges yet"
    log = (stack.folder / "log").read_text()
    assert "cannot load certificate" in log and "worker process" not in log, log


def test_the_first_certificate_is_served_without_a_reload_and_http_leads_there(stack: Stack, pebble: Authority) -> None:
    with stack.client(acme_of(pebble, renew_days=1)):
        until(lambda: stack.is_ready, stack.log)
        assert [stack.https(pebble.root(), name) for name in NAMES] == [200, 200]
        assert sees(stack, NAMES)
        answer = stack.http("/a?b=1")
        assert answer.status_code == 308
        assert answer.headers["location"] == f"https://{NAMES[0]}:{stack.https_port}/a?b=1"
        assert stack.http("/health").status_code == 200
        first = stack.certificate().serial_number
        time.sleep(2 * DAY)
        assert stack.certificate().serial_number == first, "one that is not to be renewed yet was"


def test_the_gateway_may_read_the_certificate_and_not_the_accounts_key(stack: Stack, pebble: Authority) -> None:
    with stack.client(acme_of(pebble)):
        until(lambda: stack.is_ready, stack.log)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (stack.served, *stack.served.glob("tls.*"))}
    assert modes == {SERVED: 0o750, "tls.crt": 0o640, "tls.key": 0o640}
    kept = stack.folder / "certificates" / "lego"
    (account,) = kept.glob("accounts/**/*.key")
    assert account.stat().st_mode & 0o077 == 0
    assert all(folder.stat().st_mode & 0o077 == 0 for folder in (kept / "accounts", kept / "certificates"))


def test_a_renewal_cuts_no_connection_and_refuses_none(stack: Stack, pebble: Authority) -> None:
    ended = threading.Event()
    statuses: list[int] = []
    troubles: list[str] = []

    def ask_all_the_time() -> None:
        while not ended.is_set():
            try:
                statuses.append(stack.https(root))
            except (httpx.TransportError, ssl.SSLError) as error:
                troubles.append(repr(error))

    with ExitStack() as until_done:
        until_done.enter_context(stack.client(acme_of(pebble)))
        until(lambda: stack.is_ready, stack.log)
        root, first = pebble.root(), stack.certificate()
        patient = httpx.Limits(keepalive_expiry=600)
        context = ssl.create_default_context(cadata=root)
        kept = until_done.enter_context(httpx.Client(verify=context, limits=patient))
        assert stack.asked(kept) == 200
        (connection,) = kept._transport._pool.connections  # type: ignore[attr-defined]
        asking = threading.Thread(target=ask_all_the_time)
        asking.start()
        serials = {first.serial_number}

        def renewed_three_times() -> bool:
            serials.add(stack.certificate().serial_number)
            return len(serials) > 3

        try:
            until(renewed_three_times, stack.log, 60)
            assert stack.asked(kept) == 200
            assert kept._transport._pool.connections == [connection]  # type: ignore[attr-defined]
        finally:
            ended.set()
            asking.join()
        assert stack.certificate().public_key() == first.public_key()
    assert not troubles, troubles
    assert len(statuses) > 100 and set(statuses) == {200}


def test_another_name_gets_a_certificate_with_the_same_key_from_the_same_account(
    stack: Stack, pebble: Authority
) -> None:
    with stack.client(acme_of(pebble)):
        until(lambda: stack.is_ready, stack.log)
    before = stack.certificate()
    more = (*NAMES, "api.example.com")
    with stack.client(acme_of(pebble), more):
        until(lambda: stack.is_ready, stack.log)
        until(lambda: sees(stack, more), stack.log)
    assert stack.certificate().public_key() == before.public_key()
    assert len([*(stack.folder / "certificates/lego/accounts").glob("**/account.json")]) == 1


def test_what_was_got_before_is_ready_at_once_when_the_authority_is_away(judges: Path, stack: Stack) -> None:
    with authority(judges, stack.folder / "authority", stack.http_port, days=7) as found:
        acme = acme_of(found)
        root = found.root()
        with stack.client(acme):
            until(lambda: stack.is_ready, stack.log)
    with stack.client(acme):
        until(lambda: stack.is_ready, stack.log, 5)
        until(lambda: "Next try in" in stack.log.read_text(), stack.log, 60)
        assert "connection refused" in stack.log.read_text()
        assert not stack.is_ready, "who can't renew must say so"
        assert stack.https(root) == 200


WRONG: dict[str, tuple[dict[str, str], str]] = {
    "a path that is no directory": ({"directory": "/nowhere"}, "404"),
    "an authority that nobody trusts": ({"ca_certificate": ""}, "unknown authority"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_directory_is_said_and_tried_again(stack: Stack, pebble: Authority, case: str) -> None:
    change, reason = WRONG[case]
    directory = pebble.directory.replace("/dir", change.get("directory", "/dir"))
    acme = Acme(
        email="ops@example.net",
        directory=directory,
        ca_certificate=None if "ca_certificate" in change else pebble.own.read_text(),
    )
    with stack.client(acme) as process:
        # It asks for half a minute, in case the way there is only just being made.
        until(lambda: "Next try in" in stack.log.read_text(), stack.log, 60)
        assert process.poll() is None
    said = stack.log.read_text()
    assert reason in said, said
    assert f"certificates: none from {directory} for {', '.join(NAMES)}" in said
    assert not stack.is_ready
    assert stack.http("/health").status_code == 200


def test_a_name_that_does_not_lead_here_is_named(judges: Path, stack: Stack) -> None:
    with (
        authority(judges, stack.folder / "authority", free_port(), days=7) as elsewhere,
        stack.client(acme_of(elsewhere)),
    ):
        until(lambda: "Next try in" in stack.log.read_text(), stack.log)
    said = stack.log.read_text()
    assert NAMES[0] in said and "connection" in said and not stack.is_ready, said


def test_with_it_the_gateway_is_what_mozilla_calls_intermediate(stack: Stack, pebble: Authority) -> None:
    with stack.client(acme_of(pebble, renew_days=1)):
        until(lambda: stack.is_ready, stack.log)
        command = [in_venv("sslyze"), "--mozilla_config=intermediate", f"{NAMES[0]}:{stack.https_port}{{127.0.0.1}}"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    _, judged, verdict = said.partition("COMPLIANCE AGAINST TLS CONFIGURATION")
    assert judged, said
    findings = {line.strip(" *").split(":")[0] for line in verdict.splitlines() if line.strip().startswith("* ")}
    assert findings == WAIVED.keys(), verdict
