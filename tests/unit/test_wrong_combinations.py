"""What fits the schema and can't work all the same: each combination by hand, with the whole message a person reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest

from groundwork.faults import FaultsError
from groundwork.images import ImageLock
from groundwork.stack_file import read_engine_values, read_stack_file, read_values
from groundwork.system import System, load_system
from tests.recorder import record_program
from tests.sample import API, CERTIFICATE, MARK, ROOT, SHOP, WEB, changed, locked, planned

NEEDS_SMTP = changed(SHOP, required_secrets=("smtp",))


def refusal(attempt: Callable[[], object]) -> str:
    with pytest.raises(FaultsError) as caught:
        attempt()
    return str(caught.value)


def refused_plan(values: dict[str, Any], system: System = SHOP, lock: ImageLock = MARK) -> str:
    """The numbered faults of a stack with these values below `groundwork:`."""
    first, _, faults = refusal(lambda: planned(values, system, lock)).partition("\n")
    assert first.startswith("stack test has ") and first.endswith("; nothing was changed.")
    return faults


WRONG_PLANS: dict[str, tuple[dict[str, Any], str]] = {
    "an app that the system does not have": (
        {"apps": {"aip": {"replicas": 2}}},
        "  1. groundwork:apps.aip: there is no app `aip`\n    did you mean `api`?",
    ),
    "a service that the system does not have": (
        {"services": {"postgre": {"memory_mib": 512}}},
        "  1. groundwork:services.postgre: there is no service `postgre`\n    did you mean `postgres`?",
    ),
    "a version that the catalog does not have": (
        {"services": {"postgres": {"version": "13"}}},
        "  1. groundwork:services.postgres.version: `13` can't be used\n    known here: 14, 15, 16, 17, 18",
    ),
    "a service with less memory than it starts with": (
        {"services": {"postgres": {"memory_mib": 64}}},
        "  1. groundwork:services.postgres.memory_mib: `64` can't be used\n    postgres needs at least 160",
    ),
    "a certificate without its key": (
        {"entry": {"certificate": CERTIFICATE}},
        "  1. groundwork:secret_tls_key: is missing; entry.certificate is given, and a certificate needs its key\n"
        "    run `pulumi config set --secret groundwork:secret_tls_key`",
    ),
    "a key without its certificate": (
        {"secret_tls_key": "k"},
        "  1. groundwork:secret_tls_key: there is no certificate for this key\n"
        "    give groundwork:entry.certificate too",
    ),
    "a registry user without a password": (
        {"registry": {"prefix": "harbor.example.com/hub", "username": "deploy"}},
        "  1. groundwork:secret_registry_password: is missing; registry.username is given, and a user "
        "needs a password\n"
        "    run `pulumi config set --secret groundwork:secret_registry_password`",
    ),
    "a registry password without a user": (
        {"registry": {"prefix": "harbor.example.com/hub"}, "secret_registry_password": "p"},
        "  1. groundwork:secret_registry_password: there is no user for it\n    give groundwork:registry.username too",
    ),
    "a secret that nobody uses": (
        {"secret_jwt_kye": "s"},
        "  1. groundwork:secret_jwt_kye: is a secret that nobody uses\n    did you mean `jwt_key`?",
    ),
    "http and https at one port": (
        {"entry": {"certificate": CERTIFICATE, "http_port": 443, "https_port": 443}, "secret_tls_key": "k"},
        "  1. groundwork:entry: http_port and https_port are both 443\n    give https_port another number",
    ),
    "more memory during a release than the machine has": (
        {"target": {"memory_mib": 1024}},
        "  1. groundwork:target.memory_mib: the machine gives 1024 MiB, its containers need 1496 MiB while a release "
        "is under way\n    give at least 1496, or lower memory_mib or replicas; the largest is postgres with "
        "1 x 512 MiB",
    ),
    "too few addresses for networks": (
        {"target": {"subnets": "10.0.0.0/24"}},
        "  1. groundwork:target.subnets: `10.0.0.0/24` can't be used\n"
        "    it should be a private range of at least /20 (256 networks), such as 10.212.0.0/14",
    ),
    "public addresses for networks": (
        {"target": {"subnets": "8.0.0.0/16"}},
        "  1. groundwork:target.subnets: `8.0.0.0/16` can't be used\n"
        "    it should be a private range of at least /20 (256 networks), such as 10.212.0.0/14",
    ),
    "a setting from a service that the app does not use": (
        {"apps": {"web": {"settings": {"DB": "{postgres.host}"}}}},
        "  1. app web, setting DB: `{postgres.host}` is of a service that the app does not use\n"
        "    add `postgres` to its uses",
    ),
    "a setting from a service that nobody has": (
        {"apps": {"web": {"settings": {"DB": "{mysql.host}"}}}},
        "  1. app web, setting DB: `{mysql.host}` names no service\n    known here: postgres, redis, secret",
    ),
    "a setting that the service does not give": (
        {"apps": {"api": {"settings": {"DB": "{postgres.hots}"}}}},
        "  1. app api, setting DB: `{postgres.hots}` is nothing that postgres gives\n    did you mean `host`?",
    ),
    "a setting with half a placeholder": (
        {"apps": {"api": {"settings": {"DB": "{postgres.host"}}}},
        "  1. app api, setting DB: `{postgres.host` is no template: expected '}' before end of string\n"
        "    write a brace that is meant as such twice: {{ or }}",
    ),
    "a setting with a format": (
        {"apps": {"api": {"settings": {"DB": "{postgres.port:>6}"}}}},
        "  1. app api, setting DB: `{postgres.port:>6}` is no template: `postgres.port` is followed by a format, and "
        "values are taken as they are\n    write a brace that is meant as such twice: {{ or }}",
    ),
    "a setting with an unknown secret": (
        {"apps": {"api": {"settings": {"KEY": "{secret.jwt}"}}}},
        "  1. app api, setting KEY: there is no secret `jwt`\n    did you mean `jwt_key`?",
    ),
    "a certificate that is none": (
        {"entry": {"certificate": "hello"}},
        "  1. groundwork:entry.certificate: `hello` can't be used\n"
        "    it should be a certificate chain in PEM, beginning with -----BEGIN CERTIFICATE-----",
    ),
    "a trusted proxy by name": (
        {"entry": {"trusted_proxies": ["loadbalancer"]}},
        "  1. groundwork:entry.trusted_proxies.0: `loadbalancer` can't be used\n"
        "    it should be an IPv4 network such as 10.0.0.0/16",
    ),
    "a time zone that is nearly one": (
        {"time_zone": "Asia/Shanghia"},
        "  1. groundwork:time_zone: `Asia/Shanghia` can't be used\n"
        "    it should be a name of the IANA time zone database; did you mean `Asia/Shanghai`?",
    ),
    "an encrypted value where everybody may read it": (
        {"time_zone": {"secure": "v1:abc"}},
        "  1. groundwork:time_zone: is encrypted\n    only `groundwork:secret_<name>` may be a secret",
    ),
    "two faults in different places": (
        {"apps": {"aip": {}}, "services": {"redis": {"version": "6"}}},
        "  1. groundwork:apps.aip: there is no app `aip`\n    did you mean `api`?\n"
        "  2. groundwork:services.redis.version: `6` can't be used\n    known here: 7, 8",
    ),
}


@pytest.mark.parametrize("case", WRONG_PLANS)
def test_the_message_says_where_what_and_what_instead(case: str) -> None:
    values, message = WRONG_PLANS[case]
    assert refused_plan(values) == message


def test_a_secret_that_the_system_requires_must_be_given() -> None:
    assert refused_plan({}, NEEDS_SMTP) == (
        "  1. groundwork:secret_smtp: is missing; the system needs it\n"
        "    run `pulumi config set --secret groundwork:secret_smtp`"
    )
    assert planned({"secret_smtp": "s"}, NEEDS_SMTP)


def test_an_image_that_the_lock_does_not_have_is_named_with_its_user() -> None:
    lock = replace(locked("nginx:1.30"), missing="refuse")
    faults = refused_plan({}, lock=lock)
    assert faults.count("images.lock has no digest for") == 4
    assert "image of api: images.lock has no digest for `example/api:1`\n    run `make lock`" in faults


WRONG_KEYS = {
    "the project's own namespace": ("housing:target", "did you mean `groundwork:target`?"),
    "no namespace": ("target", "did you mean `groundwork:target`?"),
    "a misspelled namespace": ("groundwrok:entry", "did you mean `groundwork:entry`?"),
}


@pytest.mark.parametrize("case", WRONG_KEYS)
def test_a_key_that_nobody_reads_is_refused(case: str) -> None:
    key, instead = WRONG_KEYS[case]
    message = refusal(lambda: read_values({key: {}}, "stack test"))
    assert message == f"stack test has 1 fault; nothing was changed.\n  1. {key}: is not read by anybody\n    {instead}"


def test_keys_of_the_engine_and_of_providers_are_left_to_them() -> None:
    assert read_values({"pulumi:tags": {"a": "b"}, "docker:host": "x", "random:y": 1}, "stack test").secrets == {}


WRONG_FILES = {
    "broken YAML": ("config:\n  a: b: c\n", "Pulumi.test.yaml: is not YAML\n    mapping values are not allowed here"),
    "config is a list": ("config: [1]\n", "config: is not a mapping\n    write `config:` and below it lines such as"),
    "the file is a text": ("hello\n", "config: is not a mapping\n    write `config:` and below it lines such as"),
    "config is misspelled": (
        "confg:\n  groundwork:entry: {}\n",
        "confg: is not read by anybody\n    did you mean `config`?",
    ),
    "a key is there twice": (
        "config:\n  groundwork:apps:\n    api: {replicas: 1}\n    api: {replicas: 2}\n",
        'Pulumi.test.yaml: is not YAML\n    the key api is there twice in line 3, column 5',
    ),
    "no text at all": ("\x00", "Pulumi.test.yaml: is not YAML\n    unacceptable character #x0000"),
}


@pytest.mark.parametrize("case", WRONG_FILES)
def test_a_file_that_is_no_stack_file_is_refused(case: str, tmp_path: Path) -> None:
    text, message = WRONG_FILES[case]
    path = tmp_path / "Pulumi.test.yaml"
    path.write_text(text)
    assert f"{path} has 1 fault; nothing was changed.\n  1. {message}" in refusal(lambda: read_stack_file(path))


def test_a_stack_that_has_no_file_names_the_nearest_that_has(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.prod.yaml").touch()
    message = refusal(lambda: read_stack_file(tmp_path / "Pulumi.pord.yaml"))
    assert message.endswith("Pulumi.pord.yaml: no such stack file\n    did you mean `Pulumi.prod.yaml`?")


def test_a_system_that_does_not_exist_names_the_nearest_that_does() -> None:
    message = refusal(lambda: load_system(ROOT, "husing"))
    assert message.endswith("groundwork:system: there is no system `husing`\n    did you mean `housing`?")


WRONG_SYSTEMS = {
    "no-such-field": (
        "SYSTEM = Postgres(databse='x')",
        "Postgres.databse: there is no key `databse`\n    did you mean `database`?",
    ),
    "taken-name": (
        "SYSTEM = System(name='x', apps=(App(name='gateway', image='x', port=1),))",
        "System: the name `gateway` is taken\n    apps and services need names of their own",
    ),
    "no-service": (
        "SYSTEM = System(name='x', apps=(App(name='a', image='x', port=1, uses=('postgres',)),))",
        "System: app a: uses `postgres`, which is no service\n    nothing may be named here",
    ),
    "no-app": (
        "SYSTEM = System(name='x', apps=(), routes=(Route(path='/', app='web'),))",
        "System: route /: there is no app `web`\n    nothing may be named here",
    ),
    "root": (
        "SYSTEM = App(name='a', image='x', port=1, user='0:0')",
        "App.user: `0:0` can't be used\n    it should be text, matching ^[1-9]",
    ),
    "no-image": (
        "SYSTEM = App(name='a', port=1)",
        "App: app a: needs either `image` or `image_of`\n    give one of them",
    ),
    "two-images": (
        "SYSTEM = App(name='a', image='x', image_of='b', port=1)",
        "App: app a: needs either `image` or `image_of`\n    give one of them",
    ),
    "image-of-nobody": (
        "A = App(name='a', image='x', port=1)\n"
        "SYSTEM = System(name='x', apps=(A, App(name='b', image_of='aa', port=1)))",
        "System: app b: `aa` is no app with an image\n    did you mean `a`?",
    ),
    "image-of-a-borrower": (
        "A = App(name='a', image='x', port=1)\nB = App(name='b', image_of='a', port=1)\n"
        "SYSTEM = System(name='x', apps=(A, B, App(name='c', image_of='b', port=1)))",
        "System: app c: `b` is no app with an image\n    known here: a",
    ),
    "unprobed": (
        "SYSTEM = App(name='a', image='x')",
        "App: app a: is probed by http or by commands\n    give `port`, or both `live_command` and `ready_command`",
    ),
    "half-probed": (
        "SYSTEM = App(name='a', image='x', live_command='true')",
        "App: app a: is probed by http or by commands\n    give `port`, or both `live_command` and `ready_command`",
    ),
    "probed-twice": (
        "SYSTEM = App(name='a', image='x', port=1, ready_command='true')",
        "App: app a: is probed by http or by commands\n    give `port`, or both `live_command` and `ready_command`",
    ),
    "scheduled-server": (
        "SYSTEM = App(name='a', image='x', command=('x',), port=1, schedule='0 2 * * *')",
        "App: app a: runs to its end on a schedule\n    it needs `command`, and can have no port, probes, volumes or "
        "singleton",
    ),
    "scheduled-nothing": (
        "SYSTEM = App(name='a', image='x', schedule='0 2 * * *')",
        "App: app a: runs to its end on a schedule\n    it needs `command`, and can have no port, probes, volumes or "
        "singleton",
    ),
    "no-schedule": (
        "SYSTEM = App(name='a', image='x', command=('x',), schedule='hourly')",
        "App.schedule: `hourly` can't be used\n    it should be text such as `0 2 * * *`, matching ",
    ),
    "two-singletons": (
        "SYSTEM = App(name='a', image='x', port=1, singleton=True, replicas=2)",
        "App: app a: never runs twice at once\n    take `replicas` and `autoscale` out",
    ),
    "scaled-singleton": (
        "SYSTEM = App(name='a', image='x', port=1, singleton=True, autoscale={'least': 2})",
        "App: app a: never runs twice at once\n    take `replicas` and `autoscale` out",
    ),
    "many-writers": (
        "SYSTEM = App(name='a', image='x', port=1, volumes=({'name': 'data', 'path': '/data'},))",
        "App: app a: volume data has one writer\n    say `shared=True` there, or `singleton=True`",
    ),
    "route-to-a-worker": (
        "A = App(name='a', image='x', live_command='true', ready_command='true')\n"
        "SYSTEM = System(name='x', apps=(A,), routes=(Route(path='/', app='a'),))",
        "System: route /: app a has no port\n    give it one",
    ),
    "nothing": ("", "SYSTEM: is missing\n    end the file with `SYSTEM = System(…)`"),
    "no-system": ("SYSTEM = 5", "SYSTEM: is no System\n    end the file with `SYSTEM = System(…)`"),
    "no-python": ("SYSTEM = System(\n", "line 3: '(' was never closed\n    it is a Python file"),
    "no-import": (
        "\nimport nothing_of_that_name\n",
        "line 4: ModuleNotFoundError: No module named 'nothing_of_that_name'",
    ),
}


@pytest.mark.parametrize("case", WRONG_SYSTEMS)
def test_a_wrong_system_file_is_refused_as_readably(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import systems

    text, message = WRONG_SYSTEMS[case]
    name = f"wrong_{case.replace('-', '_')}"
    folder = tmp_path / "systems" / name
    folder.mkdir(parents=True)
    imports = "from groundwork.system import App, Route, System\nfrom groundwork.catalog.postgres import Postgres\n"
    (folder / "system.py").write_text(imports + text)
    monkeypatch.setattr(systems, "__path__", [str(tmp_path / "systems")])
    assert f"systems/{name}/system.py has 1 fault; nothing was changed.\n  1. {message}" in refusal(
        lambda: load_system(tmp_path, name)
    )


@pytest.mark.parametrize(
    "values",
    [
        {"groundwork:system": "husing"},
        {"groundwork:apps": '{"api": {"replicas": 0}}', "housing:target": "{}"},
        {"groundwork:entry": json.dumps({"certificate": CERTIFICATE})},
        {"groundwork:target": '{"memory_mib": 256}'},
        {"groundwork:secret_smpt": "x"},
    ],
)
def test_the_program_ends_with_the_message_alone(values: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A RunError is what the language host prints without a traceback."""
    monkeypatch.setenv("PULUMI_CONFIG", json.dumps(values))
    monkeypatch.setenv("GROUNDWORK_PROVIDERS", "simulated")
    with pytest.raises(pulumi.RunError) as caught:
        record_program(values, project="housing", stack="dev")
    message = str(caught.value)
    assert message == refusal(lambda: the_core_alone(values))
    assert "nothing was changed." in message and "Traceback" not in message
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def the_core_alone(values: dict[str, str]) -> None:
    from groundwork.plan import plan

    configuration = read_engine_values(json.dumps(values), "dev")
    system = load_system(ROOT, configuration.settings.system or "housing")
    plan(system, configuration, MARK, project="housing", stack="dev")


def test_the_samples_themselves_are_right() -> None:
    assert {WEB.name, API.name} <= {workload.name for workload in planned().workloads}
