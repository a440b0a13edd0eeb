"""The commands of docs/production.md, as they stand there, against a simulated AWS: a state that is shared, and secrets
that a key of the cloud opens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.engine.stack import ROOT

PAGE = (ROOT / "docs/production.md").read_text()
REGION = "ap-southeast-1"


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """The address of an AWS that forgets all at the end."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def done(aws: str, pulumi: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which both pages of commands have run."""
    project = tmp_path_factory.mktemp("project")
    (project / "Pulumi.yaml").write_text("name: groundwork\nruntime: python\n")
    (project / "Pulumi.prod.yaml").write_text("config: {}\n")
    # Of one machine there is no host name per bucket.
    here = f"&endpoint={aws.removeprefix('http://')}&disableSSL=true&s3ForcePathStyle=true"
    script = commands("Once per account") + commands("Once per stack").replace("?region=", f"?{here}&region=", 1)
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=project,
        env=environment(aws, pulumi, project) | {"REGISTRY_PASSWORD": "hunter2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return project


def commands(heading: str) -> str:
    (text,) = re.findall(rf"## {heading}\n.*?```sh\n(.*?)```", PAGE, re.DOTALL)
    return str(text)


def environment(aws: str, pulumi: Path, project: Path) -> dict[str, str]:
    path = [str(Path(sys.executable).parent), str(pulumi.parent), str(ROOT / "tools/engine"), os.environ["PATH"]]
    return {
        "PATH": os.pathsep.join(path),
        "HOME": str(project),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": aws,
        "GROUNDWORK_PYTHON": sys.executable,
        "PULUMI_HOME": str(project / ".home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


def client(service: str, aws: str) -> Any:
    return boto3.client(
        service, endpoint_url=aws, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test"
    )


def test_the_state_is_in_a_bucket_that_keeps_its_past_and_is_nobody_elses(done: Path, aws: str) -> None:
    s3 = client("s3", aws)
    bucket = "team-pulumi-state"
    keys = [found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert ".pulumi/stacks/groundwork/prod.json" in keys
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    access = s3.get_public_access_block(Bucket=bucket)
    assert set(access["PublicAccessBlockConfiguration"].values()) == {True}


def test_secrets_are_opened_by_the_key_and_by_no_passphrase(done: Path, aws: str, pulumi: Path) -> None:
    text = (done / "Pulumi.prod.yaml").read_text()
    assert f"secretsprovider: awskms://alias/pulumi-secrets?region={REGION}" in text
    assert "encryptedkey: " in text and "hunter2" not in text
    read = [str(pulumi), "config", "get", "--stack", "prod", "groundwork:secret_registry_password"]
    opened = subprocess.run(
        read, cwd=done, env=environment(aws, pulumi, done), capture_output=True, text=True, check=True
    )
    assert opened.stdout.strip() == "hunter2"


def test_the_key_rotates(done: Path, aws: str) -> None:
    kms = client("kms", aws)
    key = kms.describe_key(KeyId="alias/pulumi-secrets")["KeyMetadata"]["KeyId"]
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
