"""Writes the lists of metrics of Loki and the shipper as they run: `python -m tests.monitoring.collect_logs`.

Some are not there before something has gone wrong: so something does.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import httpx

from tests.monitoring.collect import NAME, keep
from tests.monitoring.log_programs import Container, exchanged, loki, shipping
from tests.sample import planned

WANTED = {
    "loki": (
        "loki_discarded_samples_total",
        "loki_distributor_bytes_received_total",
        "loki_prometheus_rule_evaluation_failures_total",
        "loki_prometheus_notifications_dropped_total",
    ),
    "shipper": (
        "otelcol_exporter_send_failed_log_records_total",
        "otelcol_exporter_sent_log_records_total",
        "otelcol_fileconsumer_open_files",
    ),
}
OLD = "2020-01-02T03:04:05.000000006Z"


def main() -> None:
    deployment = planned({"monitoring": {}})
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        store = loki(folder, deployment.workload("loki"))
        shipper = shipping(folder, deployment.workload("shipper"), store.port)
        labels = {"groundwork.project": "shop", "groundwork.stack": "test", "groundwork.workload": "api", "tag": "a"}
        container = Container(folder=shipper.logs / "a", labels=labels)
        container.write("first\n")
        container.path.with_name("a-json.log.1").write_text(
            exchanged(container.path.read_text(), {container.path.read_text().split('"time":"')[1][:30]: OLD})
        )
        try:
            store.start()
            store.wait()
            shipper.start()
            shipper.wait()
            urls = {"loki": store.url, "shipper": f"http://127.0.0.1:{shipper.metrics_port}"}
            found: dict[str, set[str]] = {}
            for name, url in urls.items():
                until = time.monotonic() + 120
                while missing := set(WANTED[name]) - found.get(name, set()):
                    if time.monotonic() > until:
                        raise SystemExit(f"{name} has no {', '.join(sorted(missing))}")
                    lines = httpx.get(f"{url}/metrics", timeout=10).text.split("\n")
                    found[name] = set(NAME.findall("\n".join(line for line in lines if not line.startswith("#"))))
                    time.sleep(1)
        finally:
            shipper.end()
            store.end()
    keep("loki", deployment.workload("loki").image.reference.partition(":")[2], found["loki"])
    keep("shipper", "OpenTelemetry Collector 0.160.0", found["shipper"])


if __name__ == "__main__":
    main()
