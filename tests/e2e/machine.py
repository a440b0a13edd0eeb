"""A real machine without hardware: qemu boots Debian's own kernel, systemd and cloud-init, on a processor of software.

It has two networks. By the first it reaches the package mirror, and the test reaches its ssh. The second leads to a
network namespace that stands for everything around it: administrators, other machines, the world.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from groundwork import ssh
from tests.e2e.conftest import free_port
from tests.sample import ROOT

MADE = ROOT / ".groundwork" / "machines"
NEEDED = ("qemu-system-x86_64", "qemu-img", "debootstrap", "mkfs.ext4", "genisoimage", "ip", "ssh", "ssh-keygen")
ADDRESS = "10.20.0.4"
MACHINE, STRANGER = "10.20.0.5", "10.20.0.6"
ADMIN, OTHER_ADMIN = "192.0.2.10", "192.0.2.11"
WORLD, OTHER_WORLD = "198.51.100.9", "198.51.100.10"
METADATA = "169.254.169.254"
MANAGED_FROM = "10.0.2.2"
"""Where qemu's own network has the test, as the machine sees it."""
BOOT_SECONDS, HARDEN_SECONDS = 420, 2400
"""An emulated processor is some thirty times slower than a real one."""


def missing() -> list[str]:
    """Programs that are not here."""
    return [name for name in NEEDED if not shutil.which(name)]


def ran(*command: str | Path, timeout: float = 60) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Key:
    """A key pair of ssh in files."""

    path: Path

    @classmethod
    def made(cls, path: Path) -> Key:
        ran("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path)
        return cls(path)

    @property
    def private(self) -> str:
        return self.path.read_text()

    @property
    def public(self) -> str:
        return self.path.with_suffix(".pub").read_text().strip()


@dataclass
class Around:
    """The network namespace at the other end of the machine's second network."""

    name: str
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def make(self) -> None:
        ran("ip", "netns", "add", self.name)
        ran("ip", "-n", self.name, "link", "set", "lo", "up")

    def take(self, interface: str) -> None:
        ran("ip", "link", "set", interface, "netns", self.name)
        addresses = (f"{METADATA}/32", "10.20.0.1/24", f"{MACHINE}/24", f"{STRANGER}/24")
        for address in (*addresses, *(f"{one}/32" for one in (ADMIN, OTHER_ADMIN, WORLD, OTHER_WORLD))):
            ran("ip", "-n", self.name, "address", "add", address, "dev", interface)
        ran("ip", "-n", self.name, "link", "set", interface, "up")

    def give_back(self, interface: str) -> None:
        ran("ip", "-n", self.name, "link", "delete", interface)

    def serve(self, folder: Path) -> None:
        """A web server on port 80 of every address there."""
        (folder / "index.html").write_text("from outside\n")
        command = self.inside("python3", "-m", "http.server", "80", "--directory", str(folder))
        self.servers.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def inside(self, *command: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.name}", *command]

    def connects(self, source: str, port: int, to: str = ADDRESS) -> bool:
        """Whether somebody accepts a TCP connection from that address within three seconds."""
        program = (
            "import socket,sys; s=socket.socket(); s.settimeout(3); s.bind((sys.argv[1],0)); "
            "s.connect((sys.argv[2],int(sys.argv[3])))"
        )
        command = self.inside("python3", "-c", program, source, to, str(port))
        return subprocess.run(command, capture_output=True, timeout=30).returncode == 0

    def remove(self) -> None:
        for server in self.servers:
            server.terminate()
            server.wait(timeout=10)
        ran("ip", "netns", "delete", self.name)


@dataclass
class Booted:
    """One machine that runs. `user` is who logs in by `key`."""

    folder: Path
    name: str
    host_key: Key
    key: Key
    user: str
    around: Around
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self, user_data: str) -> None:
        self.folder.mkdir(parents=True)
        seed = self.folder / "seed"
        seed.mkdir()
        (seed / "user-data").write_text(user_data)
        (seed / "meta-data").write_text(f"instance-id: {self.name}\nlocal-hostname: named-by-the-cloud\n")
        beyond = ("192.0.2.0/24", "198.51.100.0/24", f"{METADATA}/32")
        ethernets = {
            "wan": {"match": {"macaddress": "52:54:00:00:00:01"}, "dhcp4": True},
            "lan": {
                "match": {"macaddress": "52:54:00:00:00:02"},
                "addresses": [f"{ADDRESS}/24"],
                "routes": [{"to": network, "via": "10.20.0.1"} for network in beyond],
            },
        }
        (seed / "network-config").write_text(yaml.safe_dump({"version": 2, "ethernets": ethernets}))
        ran("genisoimage", "-quiet", "-output", self.folder / "seed.iso", "-volid", "cidata", "-joliet", "-rock", seed)
        create = ("qemu-img", "create", "-q", "-f", "qcow2")
        ran(*create, "-b", MADE / "disk.qcow2", "-F", "qcow2", self.folder / "root.qcow2")
        ran(*create, self.folder / "data.qcow2", "4G")
        tap = self.tap
        ran("ip", "tuntap", "add", "dev", tap, "mode", "tap")
        with (self.folder / "qemu.log").open("w") as log:
            self.process = subprocess.Popen(self._qemu(tap), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        time.sleep(2)
        assert self.process.poll() is None, (self.folder / "qemu.log").read_text()
        self.around.take(tap)

    @property
    def tap(self) -> str:
        return f"gw-{self.port}"

    def _qemu(self, tap: str) -> list[str]:
        forwarded = f"user,id=wan,hostfwd=tcp:127.0.0.1:{self.port}-:22"
        command = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048"]
        command += ["-kernel", str(MADE / "kernel"), "-initrd", str(MADE / "initrd")]
        command += ["-append", "root=/dev/vda rw console=ttyS0 apparmor=1 security=apparmor"]
        for disk in ("root.qcow2", "data.qcow2"):
            command += ["-drive", f"file={self.folder / disk},if=virtio,format=qcow2,cache=unsafe"]
        command += ["-drive", f"file={self.folder / 'seed.iso'},if=virtio,format=raw,readonly=on"]
        command += ["-netdev", forwarded, "-device", "virtio-net-pci,netdev=wan,mac=52:54:00:00:00:01"]
        command += ["-netdev", f"tap,id=lan,ifname={tap},script=no,downscript=no"]
        command += ["-device", "virtio-net-pci,netdev=lan,mac=52:54:00:00:00:02", "-object", "rng-random,id=rng"]
        command += ["-device", "virtio-rng-pci,rng=rng", "-display", "none", "-monitor", "none"]
        return [*command, "-serial", f"file:{self.folder / 'console.log'}"]

    def ssh(self, *words: str, user: str = "") -> list[str]:
        """The command of ssh that runs `words` there, with the machine's own key and no other."""
        options = [*ssh.options(self.host_key.public), "-i", str(self.key.path), "-o", "IdentitiesOnly=yes"]
        return ["ssh", *options, "-l", user or self.user, "-p", str(self.port), "--", "127.0.0.1", *words]

    def run(self, command: str, *, timeout: float = 180, check: bool = True) -> str:
        """What a command there prints, as root."""
        words = f"sudo bash -c {_quoted(command)}"
        done = subprocess.run(
            self.ssh(words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def wait_until(self, command: str, seconds: float) -> str:
        """Runs a command as the user until it succeeds; what it said at the end."""
        until = time.monotonic() + seconds
        while True:
            assert self.process and self.process.poll() is None, "qemu has ended"
            try:
                done = subprocess.run(self.ssh(command), capture_output=True, text=True, timeout=120)
            except subprocess.TimeoutExpired:
                continue
            if done.returncode == 0:
                return done.stdout
            assert time.monotonic() < until, f"{done.stdout}{done.stderr}\n{self.console()}"
            time.sleep(10)

    def console(self) -> str:
        return (self.folder / "console.log").read_text(errors="replace")[-3000:]

    def restart(self) -> None:
        """An orderly restart, until its ssh answers again."""
        before = self.run("cat /proc/sys/kernel/random/boot_id")
        subprocess.run(self.ssh("sudo systemctl reboot"), capture_output=True, timeout=60)
        self.wait_until(f"[ $(cat /proc/sys/kernel/random/boot_id) != {before.strip()} ]", BOOT_SECONDS)

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=30)
            self.process = None
            self.around.give_back(self.tap)


def _quoted(command: str) -> str:
    return "'" + command.replace("'", "'\\''") + "'"


