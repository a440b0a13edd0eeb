"""The cluster of these tests: built once per checkout, started once per run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.build import ensure
from tests.cluster.client import Api
from tests.cluster.servers import Cluster, running


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Cluster]:
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        programs = ensure(lambda text: print(text, flush=True))
    with running(programs, tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Iterator[Api]:
    client = cluster.api()
    yield client
    client.close()
