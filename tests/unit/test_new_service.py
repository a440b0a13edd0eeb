"""Adding a backing service is one file: this one. It gets on both targets what all others have."""

from __future__ import annotations

import re
from collections import Counter
from typing import ClassVar

from components.environment import Environment, EnvironmentArgs
from groundwork.catalog import BackingService, Sizing
from groundwork.catalog.redis import Redis
from groundwork.system import App, Route, System
from groundwork.workload import Exec, File, Probes, Resources, Template, Volume, Workload
from tests.clusters import CLUSTER, ENGINE, Stack
from tests.recorder import record
from tests.sample import configured


class Memcached(BackingService):
    """As somebody would write it who knows nothing of targets."""

    versions: ClassVar = {"1.6": "memcached:1.6"}
    default_version: ClassVar[str] = "1.6"
    default_resources: ClassVar[Resources] = Resources(memory_mib=96, cpus=0.5)
    minimum_memory_mib: ClassVar[int] = 32
    port: ClassVar[int] = 11211
    user: ClassVar[str] = "11211:11211"

    def workload(self, sizing: Sizing) -> Workload:
        return Workload(
            name=self.name,
            role="service",
            image=sizing.image,
            command=("memcached", f"--memory-limit={sizing.resources.memory_mib // 2}"),
            user=self.user,
            env={"TZ": "UTC"},
            files=(File(name="memcached.conf", content="-S\n"), self.admin_file()),
            volumes=(Volume(name=f"{self.name}-data", path="/data"),),
            port=self.port,
            resources=sizing.resources,
            probes=Probes(liveness=Exec(command="pidof memcached"), readiness=Exec(command="nc -z 127.0.0.1 11211")),
        )

    def create_account(self, username: str) -> str:
        return f"echo make {username}"

    def retire_account(self, username: str) -> str:
        return f"echo end {username}"


def with_store(service: BackingService) -> Stack:
    app = App(
        name="web",
        image="example/web:1",
        port=8080,
        uses=("store",),
        settings={"STORE": "{store.username}:{store.password}@{store.host}:{store.port}"},
    )
    system = System(name="one", services=(service,), apps=(app,), routes=(Route(path="/", app="web"),))
    configuration = configured({"services": {"store": {"credentials": 2}}})
    return Stack(project="shop", name="test", system=system, configuration=configuration)


def kinds(names: list[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """Types and names of what was made, without digests and releases."""
    return Counter((kind, re.sub(r"-[0-9a-f]{8}\b", "", name)) for kind, name in names)


def test_a_new_backing_service_gets_on_a_cluster_all_that_the_others_have() -> None:
    mine, others = (
        kinds([(one.kind, one.name) for one in with_store(service).on(CLUSTER).manifests])
        for service in (Memcached(name="store"), Redis(name="store"))
    )
    assert mine == others
    assert {("StatefulSet", "store"), ("PersistentVolumeClaim", "store-data"), ("Job", "store-accounts")} <= mine.keys()
    assert {("Job", "store-retire"), ("NetworkPolicy", "store"), ("Service", "store")} <= mine.keys()


def test_a_new_backing_service_gets_on_an_engine_all_that_the_others_have() -> None:
    def made(service: BackingService) -> Counter[tuple[str, str]]:
        stack = with_store(service)
        arguments = EnvironmentArgs(settings=stack.settings, deployment=stack.deployment)
        run = record(lambda: Environment("stack", arguments))
        return kinds([(one.type, one.name) for one in run.registrations if not one.type.endswith(":RemoteImage")])

    mine = made(Memcached(name="store"))
    assert mine == made(Redis(name="store"))
    assert len({kind for kind, name in mine if "store" in name}) >= 4


def test_a_new_backing_service_is_the_same_on_both() -> None:
    stack = with_store(Memcached(name="store"))
    engine, cluster = (stack.on(target).deployment for target in (ENGINE, CLUSTER))
    assert engine.connections == cluster.connections
    assert {(one.client, one.server) for one in engine.connections} >= {("web", "store"), ("store-accounts", "store")}
    (setting,) = [file for file in cluster.workload("web").files if file.name == "secrets/STORE"]
    assert isinstance(setting.content, Template) and setting.content.parts[:2] == ("app_2", ":")
