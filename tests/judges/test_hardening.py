"""What hardening writes, read by the programs that it is for, in the versions that machines have. Each is shown a fault
as well: some accept anything unless they are asked in the right way."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from groundwork.hardening import document, script
from groundwork.hardening.access import REFUSED_A_MINUTE
from groundwork.hardening.firewall import container_rules, host_rules
from groundwork.hardening.script import files
from groundwork.nginx import ROUTES
from tests.hardened import HOST_KEY, KEY, all_roles, hardened
from tests.sample import ROOT

from .conftest import MADE, UNREACHABLE, alone, in_venv

ENTER = """
mount --rbind /dev "$1/dev" && mount --bind "$2/etc" "$1/etc" && mount --bind "$2/local" "$1/usr/local" || exit 99
mount -t tmpfs tmp "$1/run" && mkdir -p "$1/run/sshd" "$1/run/lock" && ip link set lo up 2> /dev/null
root=$1; shift 2; exec chroot "$root" "$@"
"""


@dataclass(frozen=True)
class System:
    """A system with one machine's files in it. Whoever enters is root there, in a network without interfaces."""

    root: Path
    own: Path

    def put(self, path: str, text: str) -> None:
        place = self.own / ("local" if path.startswith("/usr/local/") else "")
        place = place / path.removeprefix("/usr/local/" if path.startswith("/usr/local/") else "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def text(self, path: str) -> str:
        return (self.own / path.removeprefix("/")).read_text()

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        entered = ["unshare", "--user", "--map-root-user", "--mount", "--net", "sh", "-c", ENTER, "enter"]
        done = subprocess.run(
            [*entered, str(self.root), str(self.own), *command],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode != 99, done.stderr
        return done

    def accepts(self, *command: str) -> str:
        done = self.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def refuses(self, *command: str) -> str:
        done = self.run(*command)
        assert done.returncode != 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="session")
def machine() -> Path:
    """The root of a system such as machines have."""
    with alone("machine"):
        done = subprocess.run([ROOT / "tests/judges/install_machine.sh"], capture_output=True, text=True, timeout=600)
    if done.returncode == UNREACHABLE:
        pytest.fail(f"the packages can't be reached from here. {done.stderr.strip()}")
    assert done.returncode == 0, done.stdout + done.stderr
    return MADE / "machine"


@pytest.fixture
def system(machine: Path, tmp_path: Path) -> Iterator[System]:
    shutil.copytree(machine / "etc", tmp_path / "etc", symlinks=True)
    found = System(machine, tmp_path)
    for file in files(hardened()):
        found.put(file.path, file.content)
        (tmp_path / file.path.removeprefix("/").replace("usr/local/", "local/")).chmod(int(file.mode, 8))
    yield found


ROLES = all_roles()


@pytest.mark.parametrize("role", ROLES)
def test_cloud_init_finds_its_schema_kept_by_the_document_of_every_role(system: System, role: str) -> None:
    system.put("/etc/document.yaml", document(ROLES[role], host_key_private=HOST_KEY, host_key_public=KEY))
    said = system.accepts("cloud-init", "schema", "--config-file", "/etc/document.yaml")
    assert "Valid cloud-config" in said, said


def test_cloud_init_refuses_a_document_with_a_wrong_type(system: System) -> None:
    text = document(hardened(), host_key_private=HOST_KEY, host_key_public=KEY).replace("runcmd:", "runcmd: 5\nx:")
    system.put("/etc/document.yaml", text)
    system.refuses("cloud-init", "schema", "--config-file", "/etc/document.yaml")


def scripts() -> dict[str, str]:
    rendered = {f"{role}/harden": script(hardening) for role, hardening in ROLES.items()}
    for file in files(hardened()):
        if file.content.startswith("#!"):
            rendered[file.path.rsplit("/", 1)[1]] = file.content
    return rendered


SCRIPTS = scripts()


@pytest.mark.parametrize("name", SCRIPTS)
def test_shellcheck_finds_nothing_in_any_script_of_a_machine(name: str, tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text(SCRIPTS[name])
    done = subprocess.run([in_venv("shellcheck"), path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_every_script_of_a_machine_is_among_those_that_are_judged() -> None:
    assert {"app/harden", "bare/harden", "groundwork-ready", "groundwork-refused"} <= SCRIPTS.keys()


def test_sshd_takes_its_settings_and_they_are_in_force(system: System) -> None:
    system.accepts("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/etc/ssh/ssh_host_ed25519_key")
    system.accepts("/usr/sbin/sshd", "-t")
    effective = set(system.accepts("/usr/sbin/sshd", "-T").splitlines())
    assert effective >= {
        "permitrootlogin no",
        "passwordauthentication no",
        "kbdinteractiveauthentication no",
        "authenticationmethods publickey",
        "allowgroups groundwork",
        "allowgroups sudo",
        "maxstartups 64:30:128",
        "allowtcpforwarding local",
        "x11forwarding no",
    }


def test_sshd_refuses_a_setting_that_it_does_not_know(system: System) -> None:
    system.accepts("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/etc/ssh/ssh_host_ed25519_key")
    path = "/etc/ssh/sshd_config.d/00-groundwork.conf"
    system.put(path, system.text(path).replace("PermitRootLogin", "PermitRootLogins"))
    assert "PermitRootLogins" in system.refuses("/usr/sbin/sshd", "-t")


def test_fail2ban_starts_both_jails_with_the_wanted_values(system: System) -> None:
    system.accepts("fail2ban-client", "-t")
    said = system.accepts("fail2ban-client", "-d")
    assert {"['add', 'sshd', 'systemd']", "['add', 'groundwork-refused', 'systemd']"} <= set(said.splitlines())
    assert f"['set', 'groundwork-refused', 'maxretry', {REFUSED_A_MINUTE}]" in said
    assert "['set', 'sshd', 'maxretry', 5]" in said
    (start,) = (line for line in said.splitlines() if "'refused'" in line and "'chain_hook'" in line)
    assert "'forward'" in start and "'f2b-forward'" in start
    for ignored in ("10.20.0.5", "10.20.128.0/21", "10.212.0.0/14"):
        assert ignored in said


def logged(**values: str | int) -> str:
    """A line of the gateway's log, made from the gateway's own format, as fail2ban reads it from the journal."""
    match = re.search(r"log_format structured escape=json\n(.+?);", ROUTES, re.DOTALL)
    assert match
    text = "".join(re.findall(r"'(.*)'", match[1]))
    known: dict[str, str | int] = {
        "time_iso8601": "2026-11-24T12:00:00+00:00", "request_id": "ab12", "remote_addr": "198.51.100.9",
        "request_method": "GET", "uri": "/api/", "status": 429, "body_bytes_sent": 169, "request_time": "0.000",
        "upstream_addr": "", "upstream_response_time": "",
    }  # fmt: skip
    for name, value in (known | values).items():
        escaped = json.dumps(value)[1:-1] if isinstance(value, str) else str(value)
        text = text.replace(f"${name}", escaped)
    json.loads(text)
    return f"app-1 groundwork-refused[812]: {text}\n"


def matches(system: System, line: str) -> bool:
    system.put("/etc/line", line)
    done = system.run("fail2ban-regex", "/etc/line", "/etc/fail2ban/filter.d/groundwork-refused.conf")
    found = re.search(r"Lines: 1 lines, 0 ignored, (\d) matched", done.stdout)
    assert found, done.stdout + done.stderr
    return found[1] == "1"


def test_a_request_that_the_gateway_refused_counts(system: System) -> None:
    assert matches(system, logged())
    assert matches(system, logged(uri='/with "quotes" and \\ backslashes'))


def test_what_an_app_refused_or_the_gateway_served_does_not_count(system: System) -> None:
    assert not matches(system, logged(upstream_addr="10.212.0.18:8000"))
    assert not matches(system, logged(status=200))


def test_no_client_has_another_one_banned(system: System) -> None:
    forged = '","client":"203.0.113.1","method":"GET","path":"/","status":429,"bytes":1,"seconds":0.0,"upstream":"",'
    assert not matches(system, logged(status=200, uri=forged))


def test_ufw_prints_the_rules_in_the_words_in_which_they_are_written(system: System) -> None:
    rules = host_rules(hardened())
    for rule in rules:
        system.accepts("ufw", *rule.split())
    said = system.accepts("ufw", "show", "added").splitlines()
    assert [line.removeprefix("ufw ") for line in said if line.startswith("ufw ")] == list(rules)
    for rule in rules:
        system.accepts("ufw", "--force", "delete", *rule.split())
    assert "(None)" in system.accepts("ufw", "show", "added")


def test_ufw_refuses_a_rule_that_it_does_not_know(system: System) -> None:
    system.refuses("ufw", *host_rules(hardened())[0].replace("proto", "protocol").split())


@pytest.mark.parametrize("role", ROLES)
def test_the_kernel_takes_the_rules_for_containers(system: System, role: str) -> None:
    system.put("/etc/rules", container_rules(ROLES[role]))
    load = "iptables-restore --noflush /etc/rules"
    twice = system.accepts("sh", "-c", f"{load} && {load} && iptables -S DOCKER-USER")
    assert len(twice.splitlines()) == 6, twice


def test_the_kernel_refuses_rules_with_an_unknown_target(system: System) -> None:
    system.put("/etc/rules", container_rules(hardened()).replace("-j REJECT", "-j REFUSE"))
    system.refuses("iptables-restore", "--noflush", "/etc/rules")


UNITS = sorted(
    file.path.rsplit("/", 1)[1]
    for file in files(hardened())
    if re.fullmatch(r"/etc/systemd/system/[^/]+\.(service|slice)", file.path)
)


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_understands_every_unit(system: System, unit: str) -> None:
    assert not complaints(system, unit)


def test_systemd_complains_of_a_setting_that_it_does_not_know(system: System) -> None:
    path = "/etc/systemd/system/groundwork.slice"
    system.put(path, system.text(path).replace("TasksMax", "TaskMax"))
    assert "TaskMax" in complaints(system, "groundwork.slice")


def complaints(system: System, unit: str) -> str:
    """What `systemd-analyze verify` says of a unit: it exits with 0 whatever it says."""
    done = system.run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit)
    return "\n".join(line for line in (done.stdout + done.stderr).splitlines() if unit in line or "groundwork" in line)


def test_sudo_takes_its_rules_and_refuses_others(system: System) -> None:
    system.accepts("visudo", "--check", "--file=/etc/sudoers.d/groundwork")
    system.put("/etc/broken", system.text("/etc/sudoers.d/groundwork").replace("NOPASSWD:", "NOPASSWORD"))
    system.refuses("visudo", "--check", "--file=/etc/broken")


def test_apt_knows_when_a_machine_may_restart(system: System) -> None:
    said = system.accepts("apt-config", "dump")
    assert 'Unattended-Upgrade::Automatic-Reboot "true";' in said
    assert 'Unattended-Upgrade::Automatic-Reboot-Time "04:30";' in said
    assert 'APT::Periodic::Unattended-Upgrade "1";' in said
    assert '"--force-confold"' in said
    system.put("/etc/apt/apt.conf.d/99broken", 'APT::Periodic::Enable "1"\n')
    system.refuses("apt-config", "dump")


def test_logrotate_understands_its_settings(system: System) -> None:
    path = "/etc/logrotate.d/groundwork"
    assert "error:" not in system.accepts("logrotate", "--debug", path)
    system.put(path, system.text(path).replace("missingok", "missing_ok"))
    assert "error:" in system.run("logrotate", "--debug", path).stderr


PACKAGE = "prometheus-node-exporter"
BESIDE = f"/etc/systemd/system/{PACKAGE}.service.d"
INSTALLED = f"""
mount -t tmpfs tmp /var/lib && mount -t tmpfs tmp /var/cache && mount -t tmpfs tmp /var/log && mount -t tmpfs tmp /tmp
mkdir -p /var/lib/dpkg/info /var/lib/dpkg/updates /var/lib/apt/lists/partial /var/cache/apt/archives/partial
mkdir -p /var/log/apt /var/log/groundwork /tmp/made/DEBIAN && touch /var/lib/dpkg/status /var/log/groundwork/harden.log
printf 'Package: {PACKAGE}\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.com>\nDescription: x\n' \
    > /tmp/made/DEBIAN/control
dpkg-deb --build /tmp/made /tmp/made.deb && dpkg --install /tmp/made.deb || exit 98
"""
"""A package of that name, known to the machine's own dpkg."""
THEN = """
systemctl() { echo "systemctl $*"; }
drop_node_exporter
drop_node_exporter
echo "changes: $changes"
dpkg-query --show --showformat 'package: ${db:Status-Status}\n' prometheus-node-exporter 2>&1 || true
"""


def dropped(system: System, before: str = "") -> str:
    """What the step says on a machine that has the package, when it is done twice."""
    steps, found, _ = script(hardened()).partition('[ "$(id --user)" = 0 ]')
    assert found
    system.put("/etc/steps", f"set -e\n{INSTALLED}\n{before}\n{steps}\n{THEN}")
    return system.accepts("bash", "/etc/steps")


def test_a_machine_of_before_loses_the_exporter_that_it_was_given(system: System) -> None:
    system.put(f"{BESIDE}/groundwork.conf", "[Service]\nEnvironmentFile=\n")
    said = dropped(system)
    assert "changes: 1\n" in said and said.count("prometheus-node-exporter is gone") == 1, said
    assert "package: installed" not in said
    assert not (system.own / BESIDE.removeprefix("/")).exists()


def test_a_run_that_ended_in_between_is_gone_on_with(system: System) -> None:
    system.put(f"{BESIDE}/groundwork.conf", "[Service]\nEnvironmentFile=\n")
    said = dropped(system, before=f"dpkg --purge {PACKAGE}")
    assert "changes: 1\n" in said
    assert not (system.own / BESIDE.removeprefix("/")).exists()


def test_an_exporter_that_somebody_else_installed_stays(system: System) -> None:
    system.put(f"{BESIDE}/theirs.conf", "[Service]\n")
    said = dropped(system)
    assert "changes: 0\n" in said and "package: installed\n" in said
    assert (system.own / BESIDE.removeprefix("/") / "theirs.conf").exists()


def test_nothing_of_the_exporter_is_written_any_more() -> None:
    assert PACKAGE not in script(hardened()).partition("drop_node_exporter()")[0]
