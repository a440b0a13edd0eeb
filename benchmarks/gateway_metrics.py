"""What counting costs the gateway: requests per second with and without it, in one run, on this machine's loopback.

    python -m benchmarks.gateway_metrics --rounds 5 --seconds 4

Three gateways serve the same app, which is nginx too and answers at once, so that the gateway is most of the work:
as it is without metrics (and, for that reason, without a line in the log), with the access log alone, and with metrics.
They take turns, round after round, so that what else the machine does meets all of them; the median round counts.
Processor time per request is that of the gateway's workers, and depends less on who else wants the processors.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from groundwork.nginx import ALIVE, HTTP, METRICS, VERSION
from tests.judges.conftest import HERE, MADE, free_port
from tests.judges.test_gateway import APP, CLUSTER, SYSTEM, counting, nginx, placed
from tests.sample import planned

CONNECTIONS = 32
ENTRY = {"requests_per_second": 100_000, "burst": 100_000}
BACKEND = """\
worker_processes 1;
pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        keepalive_requests 1000000;
        location = /alive {{ return 204; }}
        location / {{ return 200 "{{}}"; }}
    }}
}}
"""
VARIANTS = ("without metrics", "access log alone", "with metrics")


@dataclass
class Gateway:
    """One of VARIANTS; `rates` and `costs` (requests/s, processor µs a request) by round."""

    name: str
    folder: Path
    port: int
    metrics: str | None
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    def workers(self) -> list[int]:
        pid = int((self.folder / "tmp-nginx.pid").read_text())
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def processor_seconds(self) -> float:
        """User and system time of all workers."""
        spent = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13] for pid in self.workers()]
        return sum(int(ticks) for one in spent for ticks in one) / os.sysconf("SC_CLK_TCK")

    def private_mib(self) -> float:
        """Memory that its workers have for themselves."""
        found = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.workers()]
        sizes = [int(kib) for text in found for kib in re.findall(r"Private_\w+: +(\d+) kB", text)]
        return sum(sizes) / 1024

    def round(self, root: Path, seconds: int) -> None:
        before = self.processor_seconds()
        command = [str(root / "usr/bin/wrk"), "-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds}s"]
        done = subprocess.run([*command, f"http://127.0.0.1:{self.port}/api/x"], capture_output=True, text=True)
        (answers,) = map(int, re.findall(r"(\d+) requests in", done.stdout)) if done.returncode == 0 else (0,)
        if not answers or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
            raise SystemExit(f"{self.name}: wrk says\n{done.stdout}{done.stderr}")
        self.rates.append(answers / seconds)
        self.costs.append((self.processor_seconds() - before) / answers * 1e6)


def gateway(root: Path, folder: Path, variant: str, app: int, stack: ExitStack) -> Gateway:
    ports = {port: free_port() for port in (HTTP, ALIVE, VERSION, METRICS.port)}
    metered = variant != VARIANTS[0]
    with pytest.MonkeyPatch.context() as patch:
        if metered:
            counting(patch)
        main = placed(planned({"target": CLUSTER, "entry": ENTRY}, SYSTEM), folder, ports=ports | {APP: app}).main
    if variant == VARIANTS[1]:
        routes = folder / "site" / "routes.conf"
        routes.write_text(routes.read_text().replace(" if=$counted", ""))
    stack.enter_context(nginx(root, main, ports[ALIVE]))
    url = f"http://127.0.0.1:{ports[METRICS.port]}{METRICS.path}"
    return Gateway(variant, folder, ports[HTTP], url if variant == VARIANTS[2] else None)


@contextmanager
def running(root: Path) -> Iterator[list[Gateway]]:
    """All variants before one app."""
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        app = free_port()
        (folder / "app").mkdir()
        (folder / "app" / "nginx.conf").write_text(BACKEND.format(folder=folder / "app", port=app))
        stack.enter_context(nginx(root, folder / "app" / "nginx.conf", app))
        found = []
        for number, variant in enumerate(VARIANTS):
            place = folder / str(number)
            place.mkdir()
            found.append(gateway(root, place, variant, app, stack))
        yield found


def counted(found: Gateway) -> int:
    assert found.metrics
    text = httpx.get(found.metrics).text
    return int(re.findall(r'gateway_requests_total\{app="api",status="2xx"\} (\d+)', text)[0])


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=int, default=4, help="of each gateway in a round")
    chosen = options.parse_args()
    subprocess.run([HERE / "install.sh"], check=True)
    root = MADE / "root"
    with running(root) as gateways:
        for _ in range(chosen.rounds):
            for one in gateways:
                one.round(root, chosen.seconds)
        asked = sum(gateways[2].rates) * chosen.seconds
        seen = counted(gateways[2])
        # Some are under way when wrk leaves.
        if not asked <= seen <= asked + CONNECTIONS * chosen.rounds:
            print(f"{asked:.0f} answers, and {seen} were counted", file=sys.stderr)
            return 1
        print(f"{'':18} requests/s  processor µs a request  MiB of both workers")
        for one in gateways:
            rate, cost = statistics.median(one.rates), statistics.median(one.costs)
            print(f"{one.name:18} {rate:10.0f}  {cost:22.1f}  {one.private_mib():19.1f}")
        for other in gateways[:2]:
            rate = statistics.median(b / a for a, b in zip(other.rates, gateways[2].rates, strict=True))
            cost = statistics.median(b - a for a, b in zip(other.costs, gateways[2].costs, strict=True))
            print(f"with metrics / {other.name}: {rate:.2f} of the requests/s, {cost:+.1f} µs a request")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
