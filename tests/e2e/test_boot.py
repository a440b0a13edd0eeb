"""Machines booted for real: one new, by its cloud-init document, and one that was there, by `ops harden`.

Needs root, qemu, debootstrap and Debian's mirror. What is booted is Debian 12 with its own kernel for clouds, and gets
its packages from the mirror as any machine does; what ships is Ubuntu 24.04 or Debian 12 in the image of the cloud. It
takes half an hour on two cores, since the processor is emulated: GROUNDWORK_BOOT=1 says that it is wanted.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from groundwork.hardening import Hardening, document, ready_command
from groundwork.hardening.script import UNITS, files
from groundwork.hardening.system import SYSCTL
from groundwork.stack_file import Configuration, read_values
from groundwork.system import load_system
from ops.checkout import Stack
from ops.harden import harden, host_of
from tests.e2e.machine import (
    ADDRESS,
    ADMIN,
    BOOT_SECONDS,
    HARDEN_SECONDS,
    MACHINE,
    MADE,
    MANAGED_FROM,
    METADATA,
    OTHER_ADMIN,
    OTHER_WORLD,
    STRANGER,
    WORLD,
    Around,
    Booted,
    Key,
    missing,
)  # fmt: skip
from tests.sample import ROOT
from tools.engine.checkout import Checkout

LEAST_LYNIS = 80
ENTRY_PORT, FORGOTTEN_PORT = 80, 8081
WANTED_SOCKETS = {"tcp 0.0.0.0:22", "tcp [::]:22"}
"""What listens on an address that others reach, before there are containers."""
BAN_SECONDS = 120


@pytest.fixture(scope="module")
def disk() -> Path:
    """The disk that both machines begin with."""
    if not os.environ.get("GROUNDWORK_BOOT"):
        pytest.skip("NOT BOOTED: it takes half an hour and more; GROUNDWORK_BOOT=1 says that it is wanted")
    if missing() or os.geteuid():
        pytest.skip(f"NOT BOOTED: needs root and, of Debian, {', '.join(missing()) or 'everything that is here'}")
    made = subprocess.run([ROOT / "tests/e2e/machine_disk.sh", MADE], capture_output=True, text=True, timeout=1800)
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:]
    return MADE / "disk.qcow2"


@pytest.fixture(scope="module")
def around(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Around]:
    found = Around(f"groundwork-{os.getpid()}")
    found.make()
    found.serve(tmp_path_factory.mktemp("outside"))
    yield found
    found.remove()


@pytest.fixture(scope="module")
def machine(around: Around, tmp_path_factory: pytest.TempPathFactory) -> Booted:
    """The one machine, not yet started: new and old have the same keys, port and disks, one after the other."""
    folder = tmp_path_factory.mktemp("machine")
    return Booted(folder / "new", "new", Key.made(folder / "host"), Key.made(folder / "user"), "groundwork", around)


def configuration(machine: Booted) -> Configuration:
    host = {
        "address": "127.0.0.1", "port": machine.port, "private_address": ADDRESS,
        "host_key": " ".join(machine.host_key.public.split()[:2]),
    }  # fmt: skip
    machines = {
        "kind": "existing",
        "administrators": ["192.0.2.0/24", f"{MANAGED_FROM}/32"],
        "swap_mib": 128,
        "roles": {"all": {"memory_mib": 1500, "data_disk": "/dev/vdb", "hosts": [host]}},
    }
    entry = {"address": "0.0.0.0", "http_port": ENTRY_PORT}
    values = {"time_zone": "Asia/Shanghai", "machines": machines, "entry": entry}
    return read_values({f"groundwork:{key}": value for key, value in values.items()}, "boot")


def stack(machine: Booted) -> Stack:
    return Stack(
        project=Checkout(ROOT).project("housing"),
        name="boot",
        configuration=configuration(machine),
        system=load_system(ROOT, "housing"),
    )


def hardening(machine: Booted) -> Hardening:
    """As `ops harden` composes it for that host."""
    path = machine.key.path.with_suffix(".pub")
    return host_of(stack(machine), "all-1", machine.user, [path]).hardening


@pytest.fixture(scope="module")
def new(machine: Booted) -> Iterator[Booted]:
    """A machine of a cloud, ready by its document alone."""
    wanted = hardening(machine)
    machine.start(document(wanted, host_key_private=machine.host_key.private, host_key_public=machine.host_key.public))
    machine.wait_until(ready_command(wanted), BOOT_SECONDS + HARDEN_SECONDS)
    yield machine
    machine.stop()


def state(machine: Booted) -> dict[str, object]:
    """Everything that hardening decides, to be compared."""
    paths = " ".join(file.path for file in files(hardening(machine)))
    keys = " ".join(line.split(" = ")[0] for line in SYSCTL.splitlines() if " = " in line)
    also = "/etc/login.defs /etc/default/ufw /etc/logrotate.conf /etc/logrotate.d/fail2ban /etc/hostname"
    also += " /home/groundwork/.ssh/authorized_keys"
    return {
        "files": machine.run(f"sha256sum {paths} {also}; stat -c '%n %a %U' {paths} {also}"),
        "fstab": re.sub("UUID=[0-9a-f-]+", "UUID", machine.run("cat /etc/fstab")),
        "sysctl": machine.run(f"sysctl {keys}"),
        "units": machine.run(f"systemctl is-enabled {' '.join(UNITS)}; systemctl is-active {' '.join(UNITS)}"),
        "ufw": machine.run("ufw show added; ufw status verbose"),
        "rules": machine.run("for one in DOCKER-USER GROUNDWORK-{ENTER,LEAVE}; do iptables -S $one; done"),
        "sockets": sockets(machine),
        "groups": machine.run("id groundwork | sed 's/.*groups=//; s/[0-9]*//g'"),
        "ready": machine.run(f"runuser -u groundwork -- sh -c '{ready_command(hardening(machine))}'; echo $?"),
    }


def sockets(machine: Booted) -> set[str]:
    """What listens where others reach it; containerd's and the resolver's own loopback is nobody's."""
    lines = machine.run("ss -Hltnu | awk '{print $1, $5}'").splitlines()
    return {line for line in lines if not re.search(r" 127\.|%|\[::1\]", line)}


def test_no_unit_failed_and_cloud_init_is_content(new: Booted) -> None:
    assert new.run("systemctl --failed --no-legend --plain") == ""
    assert "status: done" in new.run("cloud-init status")
    assert "Valid" in new.run("cloud-init schema --system")


def test_exactly_the_wanted_ports_listen(new: Booted) -> None:
    assert sockets(new) == WANTED_SOCKETS


def test_each_port_answers_to_those_it_is_for_and_to_nobody_else(new: Booted) -> None:
    assert new.around.connects(ADMIN, 22)
    for source in (WORLD, MACHINE, STRANGER):
        assert not new.around.connects(source, 22), source


def test_kernel_settings_and_limits_are_in_force(new: Booted) -> None:
    wanted = [line for line in SYSCTL.splitlines() if " = " in line]
    keys = " ".join(line.split(" = ")[0] for line in wanted)
    assert new.run(f"sysctl {keys}").splitlines() == wanted
    limits = new.run("grep -E 'open files|processes' /proc/$(systemctl show -P MainPID fail2ban)/limits")
    assert limits.count("65535") >= 2, limits
    assert new.run("swapon --noheadings --show=NAME").split() == ["/swapfile"]
    assert new.run("findmnt --noheadings --output SOURCE,FSTYPE /var/lib/docker").split() == ["/dev/vdb", "ext4"]


@pytest.fixture(scope="module")
def containers(new: Booted) -> Booted:
    """A published port that was opened to the world, one that nobody opened, and a gateway that refuses a client."""
    line = (
        '{"time":"2026-11-24T12:00:00+00:00","request_id":"x","client":"' + WORLD + '","method":"GET","path":"/",'
        '"status":429,"bytes":1,"seconds":0.000,"upstream":"","upstream_seconds":""}'
    )
    new.run(
        "mkdir -p /tmp/image/bin /tmp/image/www && cp /bin/busybox /tmp/image/bin/; cd /tmp/image; "
        "for one in sh httpd sleep cat; do ln -sf busybox bin/$one; done; echo inside > www/index.html; "
        "tar -c . | docker import - box:1",
        timeout=400,
    )
    new.run(f"i=0; while [ $i -lt 130 ]; do echo '{line}'; i=$((i+1)); done > /tmp/refused")
    serve = "box:1 httpd -f -h /www -p 80"
    for command in (
        "network create --subnet 10.212.0.0/28 outward",
        "network create --subnet 10.214.0.0/28 private",
        f"run -d --name entry --init --restart unless-stopped --network outward -p {ENTRY_PORT}:80 "
        f"-p 127.0.0.1:8088:80 --health-cmd 'cat /www/index.html' {serve}",
        f"run -d --name forgotten --restart unless-stopped --network outward -p {FORGOTTEN_PORT}:80 {serve}",
        "run -d --name private --restart unless-stopped --network private box:1 sleep 1000000",
    ):
        new.run(f"docker {command}", timeout=400)
    return new


def reaches(machine: Booted, container: str, *targets: str) -> list[bool]:
    """Whether the container comes through to each `address:port`."""
    program = (
        "import socket,sys\nfor one in sys.argv[1:]:\n h,p=one.split(\":\"); s=socket.socket(); s.settimeout(10)\n"
        " try: s.connect((h,int(p))); print(1)\n except OSError: print(0)"
    )
    machine.run(f"cat > /tmp/reaches.py << 'END'\n{program}\nEND")
    pid = machine.run(f"docker inspect -f '{{{{.State.Pid}}}}' {container}").strip()
    said = machine.run(f"nsenter -t {pid} -n python3 /tmp/reaches.py {' '.join(targets)}", timeout=300)
    return [line == "1" for line in said.split()]


def test_what_was_opened_is_reached_and_what_was_only_published_is_not(containers: Booted) -> None:
    assert containers.around.connects(WORLD, ENTRY_PORT)
    for source in (WORLD, ADMIN, MACHINE):
        assert not containers.around.connects(source, FORGOTTEN_PORT), source
    assert containers.run("python3 -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:8088').read())\"")


def test_containers_reach_no_metadata_and_not_the_machine_itself(containers: Booted) -> None:
    own = (f"{METADATA}:80", f"{ADDRESS}:22", "10.212.0.1:22")
    assert reaches(containers, "entry", f"{WORLD}:80", f"{OTHER_WORLD}:80", *own) == [True, True, *[False] * 3]
    assert containers.run(f"timeout 10 bash -c '</dev/tcp/{METADATA}/80' && echo reached") == "reached\n"


def test_private_networks_lead_to_machines_and_nowhere_else(containers: Booted) -> None:
    assert reaches(containers, "private", f"{WORLD}:80", f"{STRANGER}:80", f"{METADATA}:80") == [False, False, False]


def test_every_container_is_below_the_limits_of_all(containers: Booted) -> None:
    pid = containers.run("docker inspect -f '{{.State.Pid}}' entry").strip()
    assert "/groundwork.slice/docker-" in containers.run(f"cat /proc/{pid}/cgroup")
    assert containers.run("systemctl show -P TasksMax groundwork.slice").strip() == "3000"
    assert "65535" in containers.run(f"grep 'open files' /proc/{pid}/limits")


def test_who_guesses_keys_is_banned_from_ssh(containers: Booted) -> None:
    for number in range(6):
        guess = ("ssh", "-b", OTHER_ADMIN, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o",
                 "UserKnownHostsFile=/dev/null", f"guess{number}@{ADDRESS}", "true")  # fmt: skip
        subprocess.run(containers.around.inside(*guess), capture_output=True, timeout=120)
    assert banned(containers, "sshd", OTHER_ADMIN)
    assert not containers.around.connects(OTHER_ADMIN, 22)
    assert containers.around.connects(ADMIN, 22)


def test_whom_the_gateway_refused_too_often_is_banned_from_its_ports(containers: Booted) -> None:
    containers.run(
        "docker run -d --name gateway --label groundwork.role=gateway --network none -v /tmp/refused:/refused:ro "
        "box:1 sh -c 'cat /refused; exec sleep 1000000'", timeout=400,
    )  # fmt: skip
    assert banned(containers, "groundwork-refused", WORLD)
    assert not containers.around.connects(WORLD, ENTRY_PORT)
    assert containers.around.connects(OTHER_WORLD, ENTRY_PORT)


def banned(machine: Booted, jail: str, address: str) -> bool:
    until = time.monotonic() + BAN_SECONDS
    while time.monotonic() < until:
        if address in machine.run(f"fail2ban-client get {jail} banip").split():
            return True
        time.sleep(5)
    return False


def test_lynis_gives_at_least_eighty(new: Booted) -> None:
    new.run("lynis audit system -Q --no-colors > /var/log/lynis.out", timeout=3600)
    (index,) = re.findall(r"hardening_index=(\d+)", new.run("cat /var/log/lynis-report.dat"))
    assert int(index) >= LEAST_LYNIS, new.run("grep -E 'suggestion|warning' /var/log/lynis-report.dat")


def test_everything_is_back_after_a_restart(containers: Booted) -> None:
    before = state(containers)
    containers.restart()
    containers.wait_until(ready_command(hardening(containers)), BOOT_SECONDS)
    assert state(containers) == before
    assert containers.run("systemctl --failed --no-legend --plain") == ""
    assert containers.around.connects(OTHER_WORLD, ENTRY_PORT)
    assert not containers.around.connects(OTHER_WORLD, FORGOTTEN_PORT)


def test_an_existing_host_reaches_the_same_state_and_a_second_run_changes_nothing(machine: Booted, new: Booted) -> None:
    wanted = state(new)
    wanted["sockets"] = WANTED_SOCKETS
    new.stop()
    old = replace(machine, folder=machine.folder.with_name("old"), name="old", user="admin", process=None)
    admin = {"name": "admin", "shell": "/bin/bash", "sudo": "ALL=(ALL) NOPASSWD:ALL", "groups": ["sudo"],
             "ssh_authorized_keys": [old.key.public]}  # fmt: skip
    keys = {"ed25519_private": old.host_key.private, "ed25519_public": old.host_key.public}
    old.start("#cloud-config\n" + yaml.safe_dump({"users": [admin], "locale": "C.UTF-8", "ssh_keys": keys}))
    try:
        old.wait_until("cloud-init status --wait > /dev/null", BOOT_SECONDS)
        host = host_of(stack(old), "all-1", "admin", [old.key.path.with_suffix(".pub")])
        said: list[str] = []
        assert harden(host, said.append) == 0, said
        assert state(old) == wanted
        said.clear()
        assert harden(replace(host, login="groundwork"), said.append) == 0, said
        assert "nothing to change" in said and not [line for line in said if line.startswith("changed")]
    finally:
        old.stop()
