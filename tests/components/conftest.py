"""Recorded runs of all components: one plain stack, and one that uses whatever a stack may use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from components.environment import Environment, EnvironmentArgs
from groundwork.images import ImageLock
from groundwork.plan import plan
from groundwork.system import System
from tests.machines import FOUR_ROLES, existing
from tests.recorder import Recording, record
from tests.sample import API, CERTIFICATE, MARK, SHOP, WEB, changed, configured

from .fleets import on_aws
from .networks import recorded_network, stack_on_aws

TLS_KEY, REGISTRY_PASSWORD, SMTP = "tls-key-in-pem", "registry-password", "smtp-password"
FULL_SYSTEM = changed(
    SHOP,
    apps=(
        WEB,
        changed(API, egress=("mail.example.com:587",), replicas=2),
        changed(
            API,
            name="worker",
            settings={"SMTP_PASSWORD": "{secret.smtp}", "REDIS_PASSWORD": "{redis.password}"},
            secret_settings="environment",
            uses=("redis",),
            release_command=(),
        ),
    ),
    required_secrets=("smtp",),
)
FULL_VALUES = {
    "entry": {"certificate": CERTIFICATE, "address": "0.0.0.0", "http_port": 80, "https_port": 443},
    "registry": {"prefix": "harbor.example.com/hub", "username": "deploy"},
    "target": {"memory_mib": 8192},
    "services": {"postgres": {"credentials": 3}, "redis": {"credentials": 2}},
    "secret_tls_key": TLS_KEY,
    "secret_registry_password": REGISTRY_PASSWORD,
    "secret_smtp": SMTP,
}

CLOUD = {
    "edge": {"hosted_zone": "example.com"},
    "entry": {"server_names": ["shop.example.com"]},
    "backups": {"kind": "aws", "replica_region": "ap-southeast-2"},
    "previews": {"repository": "team/shop", "state_bucket": "team-pulumi-state"},
}


def recorded(values: Mapping[str, Any], system: System = SHOP, lock: ImageLock = MARK) -> Recording:
    """What the components register for `system` with these values below `groundwork:`."""
    configuration = configured(values)
    deployment = plan(system, configuration, lock, project="shop", stack="test")
    arguments = EnvironmentArgs(settings=configuration.settings, deployment=deployment, simulated=True)
    secrets = {f"groundwork:{key}": value for key, value in values.items() if key.startswith("secret_")}
    return record(lambda: Environment("shop", arguments), config=secrets, secret_keys=frozenset(secrets))


@pytest.fixture(scope="session")
def plain() -> Recording:
    return recorded({"keep_data": False})


@pytest.fixture(scope="session")
def full() -> Recording:
    return recorded(FULL_VALUES, FULL_SYSTEM)


@pytest.fixture(scope="session")
def cluster() -> Recording:
    """The same as `full` on a cluster, whose entry holds the certificate."""
    target = {"kind": "kubernetes", "context": "test"}
    return recorded(FULL_VALUES | {"target": target}, FULL_SYSTEM)


@pytest.fixture(scope="session")
def network() -> Recording:
    """A network of AWS with all that it can have."""
    return recorded_network(network={"nat": "one_per_zone", "endpoints": ["ssm", "ecr", "logs"]})


@pytest.fixture(scope="session")
def fleet() -> Recording:
    """Machines of AWS in four roles."""
    return on_aws()


@pytest.fixture(scope="session")
def cloud() -> Recording:
    """A whole stack on AWS: four roles in two zones behind a load balancer, backup buckets, and pull requests."""
    return recorded(stack_on_aws(**CLOUD))


RUNS = ("plain", "full", "cluster", "network", "fleet", "cloud")


@pytest.fixture(scope="session", params=RUNS)
def every_run(request: pytest.FixtureRequest) -> Recording:
    """Whole stacks and parts of them: for what holds for each component."""
    found: Recording = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def placed() -> Recording:
    """The same as `full` on machines of four roles, two of them for apps."""
    values = {key: value for key, value in FULL_VALUES.items() if key != "target"}
    return recorded(values | {"machines": existing(**FOUR_ROLES)}, FULL_SYSTEM)


@pytest.fixture(scope="session")
def watched() -> Recording:
    """The same as `placed`, with monitoring."""
    values = {key: value for key, value in FULL_VALUES.items() if key != "target"}
    return recorded(values | {"machines": existing(**FOUR_ROLES), "monitoring": {}}, FULL_SYSTEM)


@pytest.fixture(scope="session", params=["plain", "full", "placed", "watched", "cluster"])
def any_run(request: pytest.FixtureRequest) -> Recording:
    """Each of all: for what holds on both targets, and on machines."""
    found: Recording = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session", params=["plain", "full", "placed", "watched"])
def run(request: pytest.FixtureRequest) -> Recording:
    """Each on a Docker engine, or on several."""
    found: Recording = request.getfixturevalue(request.param)
    return found
