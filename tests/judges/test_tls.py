"""sslyze holds a running gateway against Mozilla's intermediate configuration."""

from __future__ import annotations

import subprocess

from .conftest import in_venv
from .test_gateway import Running, running  # noqa: F401  the fixture

WAIVED = {"certificate_path_validation": "the certificate of this test is signed by itself"}


def test_the_gateway_is_what_mozilla_calls_intermediate(running: Running) -> None:  # noqa: F811
    command = [in_venv("sslyze"), "--mozilla_config=intermediate", running.https.removeprefix("https://")]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    _, judged, verdict = said.partition("COMPLIANCE AGAINST TLS CONFIGURATION")
    assert judged, said
    findings = {line.strip(" *").split(":")[0] for line in verdict.splitlines() if line.strip().startswith("* ")}
    assert findings == WAIVED.keys(), verdict
