"""Every leaf of the settings' schema is broken by a program: misspelled, of a wrong type, out of bounds.

Each mutation must give exactly one fault that says where, what was found, and what to write instead; through both
doors: the stack file as a person writes it, and the configuration as the engine hands it to the program.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml

from groundwork.faults import Fault, FaultsError
from groundwork.settings import Settings
from groundwork.stack_file import read_engine_values, read_stack_file

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
ON_DOCKER: dict[str, Any] = {
    "system": "housing",
    "time_zone": "Asia/Shanghai",
    "target": {"kind": "docker", "memory_mib": 4096, "subnets": "10.212.0.0/14"},
    "entry": {
        "address": "127.0.0.1",
        "http_port": 8080,
        "https_port": 8443,
        "server_names": ["portal.example.com"],
        "certificate": CERTIFICATE,
        "trusted_proxies": ["10.0.0.0/24"],
        "requests_per_second": 50,
        "burst": 200,
        "max_body_mib": 100,
    },
    "registry": {"prefix": "harbor.example.com/hub", "username": "deploy"},
    "gateway": {"image": "nginx:1.30", "memory_mib": 64, "cpus": 1, "replicas": 1},
    "apps": {
        "api": {
            "image": "housing/api:1.4",
            "replicas": 2,
            "memory_mib": 256,
            "cpus": 0.5,
            "settings": {"LOG_LEVEL": "debug"},
        }
    },
    "services": {
        "postgres": {
            "version": "17",
            "image": "postgres:17",
            "memory_mib": 1024,
            "cpus": 2,
            "disk_gib": 50,
            "credentials": 3,
        }
    },
    "monitoring": {
        "logs": {"enabled": True, "retention_days": 14, "retention_gib": 4},
        "scrape_seconds": 15,
        "retention_days": 30,
        "retention_gib": 5,
        "receivers": {
            "mail": {
                "kind": "mail",
                "to": ["ops@example.com"],
                "sender": "alerts@example.com",
                "server": "mail.example.com:587",
                "username": "alerts",
            }
        },
        "routing": {
            "p0": ["mail"],
            "p1": ["mail"],
            "p2": ["mail"],
            "p3": ["mail"],
            "heartbeat": ["mail"],
            "escalation": {"to": ["mail"], "minutes": 30},
            "quiet": {"begin": "22:00", "end": "08:00", "p2": True},
        },
        "programs": {"prometheus": {"image": "prom/prometheus:v3.13.5", "memory_mib": 256, "cpus": 1}},
    },
    "keep_data": True,
}
TOLD_BY = {
    "webhook": {"kind": "webhook", "server": "im.example.com:443", "resolved": True},
    "on_call": {"kind": "on_call", "address": "https://events.example.com/v2/enqueue"},
}
BEHIND_A_CONTROLLER: dict[str, Any] = {
    "target": {
        "kind": "kubernetes",
        "context": "admin@production",
        "kubeconfig": "~/.kube/production",
        "namespace": "housing",
        "storage_class": "fast",
        "shared_storage_class": "files",
        "exposure": {
            "kind": "ingress",
            "controller": "traefik",
            "class_name": "public",
            "namespace": "traefik",
            "issuer": "letsencrypt",
            "port": 30080,
        },
        "dns_namespace": "kube-system",
        "dns_labels": {"k8s-app": "kube-dns"},
    },
    "apps": {"api": {"autoscale": {"least": 2, "most": 10, "cpu_percent": 70, "memory_percent": 80}}},
}
WITH_A_CERTIFICATE: dict[str, Any] = {
    "monitoring": {"receivers": {"chat": TOLD_BY["webhook"]}},
    "target": {
        "kind": "kubernetes",
        "context": "admin@production",
        "exposure": {"kind": "gateway", "class_name": "cilium", "namespace": "entry", "tls_secret": "portal-tls"},
    }
}
DEPLOYER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGdyb3VuZHdvcmsgZ3JvdW5kd29yayBncm91bmR3b3Jr ops"
ON_AWS: dict[str, Any] = {
    "aws": {
        "account": "123456789012",
        "region": "ap-southeast-1",
        "network": {
            "range": "10.20.0.0/16",
            "zones": ["ap-southeast-1a"],
            "nat": "one",
            "endpoints": ["ssm"],
            "flow_log_days": 30,
        },
        "tags": {"CostCenter": "42"},
    },
    "machines": {
        "kind": "aws",
        "image": "ubuntu-24.04",
        "administrators": ["203.0.113.0/24"],
        "deployers": [DEPLOYER],
        "time_servers": ["time.example.com"],
        "swap_mib": 1024,
        "reboot_at": "04:30",
        "protect": True,
        "unprotected": ["app-1"],
        "roles": {
            "app": {
                "vcpus": 4,
                "memory_gib": 8,
                "zones": ["ap-southeast-1a"],
                "data_disk_gib": 40,
                "public": False,
            }
        },
    },
    "edge": {
        "hosted_zone": "example.com",
        "managed_rules": ["common"],
        "count_only": False,
        "requests_per_five_minutes": 1000,
        "idle_seconds": 3600,
        "access_log_days": 90,
    },
    "backups": {
        "kind": "aws",
        "lock": "compliance",
        "lock_days": 30,
        "keep_days": 3650,
        "replica_region": "ap-southeast-2",
    },
    "previews": {
        "repository": "team/portal",
        "environment": "preview",
        "state_bucket": "team-pulumi-state",
        "secrets_key": "arn:aws:kms:ap-southeast-1:123456789012:key/0123",
    },
}
ON_EXISTING: dict[str, Any] = {
    "machines": {
        "kind": "existing",
        "administrators": ["203.0.113.0/24"],
        "time_servers": ["time.example.com"],
        "swap_mib": 1024,
        "reboot_at": "04:30",
        "roles": {
            "app": {
                "memory_mib": 4096,
                "data_disk": "/dev/sdb",
                "hosts": [
                    {
                        "address": "app-1.example.com",
                        "private_address": "10.0.0.11",
                        "host_key": DEPLOYER,
                        "port": 22,
                        "jump": "me@jump.example.com",
                    }
                ],
            }
        },
    },
    "backups": {
        "kind": "s3_compatible",
        "endpoint": "https://oss.example.com",
        "region": "cn-hangzhou",
        "bucket": "backups",
        "path_style": False,
    },
}
WITHOUT_MACHINES: dict[str, Any] = {
    "monitoring": {"receivers": {"duty": TOLD_BY["on_call"]}},
    "machines": {"kind": "none"},
    "entry": {
        "server_names": ["portal.example.com"],
        "acme": {
            "email": "ops@example.com",
            "directory": "https://ca.example.net:9000/acme/directory",
            "ca_certificate": CERTIFICATE,
            "renew_days": 30,
            "image": "goacme/lego:v4.35.2",
        },
    },
    "backups": {"kind": "local", "directory": "/var/backups/groundwork"},
}
SAMPLES = (ON_DOCKER, BEHIND_A_CONTROLLER, WITH_A_CERTIFICATE, ON_AWS, ON_EXISTING, WITHOUT_MACHINES)
"""Together they say something at every place where something may be said."""
SAMPLE_NAMES = ("docker", "ingress", "gateway", "aws", "existing", "none")

SCHEMA = Settings.model_json_schema()
Steps = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """One node of a sample: its path, and the schemas that its value may follow (`null` left out)."""

    sample: int
    path: Steps
    schemas: tuple[dict[str, Any], ...]
    is_field: bool
    """Its last step is a key that the model names, not one that the user chooses."""


@dataclass(frozen=True)
class Mutation:
    """`value` at `path` instead of what is there; `renamed`: the key at `path` is called so instead."""

    kind: str
    place: Place
    value: Any = None
    renamed: str | None = None

    @property
    def path(self) -> Steps:
        return self.place.path

    @property
    def where(self) -> str:
        """The path as a fault must name it."""
        steps = (*self.path[:-1], self.renamed) if self.renamed is not None else self.path
        return "groundwork:" + ".".join(str(step) for step in steps)

    def applied(self, to: dict[str, Any] | None = None) -> dict[str, Any]:
        mutated = copy.deepcopy(SAMPLES[self.place.sample] if to is None else to)
        node: Any = mutated
        for step in self.path[:-1]:
            node = node[step]
        if self.renamed is not None:
            node[self.renamed] = node.pop(self.path[-1])
        else:
            node[self.path[-1]] = self.value
        return mutated


def alternatives(schema: dict[str, Any], value: Any) -> Iterator[dict[str, Any]]:
    """The schemas that a value may follow, references resolved, `null` left out, the variant chosen."""
    if "$ref" in schema:
        yield from alternatives(SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]], value)
    elif "anyOf" in schema:
        for one in schema["anyOf"]:
            yield from alternatives(one, value)
    elif "oneOf" in schema:
        variants = [variant for one in schema["oneOf"] for variant in alternatives(one, value)]
        yield next(one for one in variants if one["properties"]["kind"]["const"] == value["kind"])
    elif schema.get("type") != "null":
        yield schema


def places(schema: dict[str, Any], sample: int, value: Any, path: Steps = (), is_field: bool = True) -> Iterator[Place]:
    """Every place of the schema at which the sample says something."""
    schemas = tuple(alternatives(schema, value))
    if path:
        yield Place(sample, path, schemas, is_field)
    for one in schemas:
        for key, inner in one.get("properties", {}).items():
            if key in value:
                yield from places(inner, sample, value[key], (*path, key))
        if one.get("type") == "object" and "properties" not in one:
            (key,) = value
            (inner,) = one.get("patternProperties", {"": one.get("additionalProperties")}).values()
            yield from places(inner, sample, value[key], (*path, key), is_field=False)
        if one.get("type") == "array":
            yield from places(one["items"], sample, value[0], (*path, 0), is_field=False)


WRONG = {
    "string": [512, True, ["a"], {"a": "b"}],
    "integer": ["many", "", True, 1.5, [1], {"a": 1}],
    "number": ["many", True, [1], {"a": 1}],
    "boolean": ["perhaps", 7, [True], {"a": True}],
    "array": ["a", 5, {"a": "b"}],
    "object": ["a", 5, ["a"]],
}


def mutations_of(place: Place) -> Iterator[Mutation]:
    path, last = place.path, place.path[-1]
    if place.is_field:
        name = str(last)
        yield Mutation("misspelled", place, renamed=f"{name[:-1]}{name[-1] * 2}")
    elif isinstance(last, str):
        yield Mutation("name", place, renamed="9 lives!")
    for schema in place.schemas:
        for wrong in WRONG[schema["type"]]:
            yield Mutation("type", place, wrong)
        if "minimum" in schema:
            yield Mutation("below", place, schema["minimum"] - 1)
            yield Mutation("above", place, schema["maximum"] + 1)
        if "pattern" in schema:
            yield Mutation("pattern", place, "!! no")
        if "minLength" in schema:
            yield Mutation("length", place, "a" * (schema["minLength"] - 1))
        if "maxLength" in schema:
            yield Mutation("length", place, "a" * (schema["maxLength"] + 1))
        if "const" in schema or "enum" in schema:
            yield Mutation("enum", place, "something-else")
        if schema.get("format") in ("ipv4", "ipv4network"):
            yield from (Mutation("format", place, wrong) for wrong in ("10.0.0", "10.0.0.300", "fe80::1"))
        if schema.get("format") == "ipv4network":
            yield Mutation("format", place, "10.0.0.1/8")
    if path == ("target", "subnets"):
        yield from (Mutation("range", place, wrong) for wrong in ("10.0.0.0/24", "8.0.0.0/8"))
    if path == ("aws", "network", "range"):
        yield from (Mutation("range", place, wrong) for wrong in ("10.0.0.0/20", "8.0.0.0/16", "169.254.0.0/16"))
    if path == ("entry", "certificate"):
        yield Mutation("pem", place, "MIIBsomething")
    if path == ("time_zone",):
        yield Mutation("zone", place, "Asia/Shanghia")


def all_places() -> Iterator[Place]:
    """Of all samples, each once: a place is known by its path and by what may stand there."""
    seen: set[tuple[Any, ...]] = set()
    for number, sample in enumerate(SAMPLES):
        for place in places(SCHEMA, number, sample):
            known = (place.path, *map(id, place.schemas))
            if known not in seen:
                seen.add(known)
                yield place


PLACES = list(all_places())
MUTATIONS = [mutation for place in PLACES for mutation in mutations_of(place)]

ACCEPTED = (
    # YAML 1.1, which people have in their fingers, reads these words as true and false, and so does the model.
    ("keep_data", "yes", True),
    ("keep_data", "off", False),
    ("keep_data", 1, True),
    # A network of one address needs no /32.
    ("trusted_proxies", ["10.0.0.7"], (IPv4Network("10.0.0.7/32"),)),
)
"""Of another type than the schema says, and taken all the same: (key, value, what it is read as)."""


def through_stack_file(values: dict[str, Any], folder: Path) -> Settings:
    path = folder / "Pulumi.test.yaml"
    path.write_text(yaml.safe_dump({"config": {f"groundwork:{key}": value for key, value in values.items()}}))
    return read_stack_file(path).settings


def through_engine(values: dict[str, Any], _folder: Path) -> Settings:
    """PULUMI_CONFIG: a scalar is a string, whatever it was in the file; what has structure is JSON."""
    text = {
        f"groundwork:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()
    }
    return read_engine_values(json.dumps(text), "test").settings


DOORS = {"file": through_stack_file, "engine": through_engine}


def named(mutation: Mutation) -> str:
    said = mutation.renamed if mutation.renamed is not None else str(mutation.value)[:24]
    return f"{mutation.kind}-{'.'.join(map(str, mutation.path))}-{said}"


JARGON = re.compile(
    r"pydantic|dictionary|tuple|instance of|Settings\b|Input|function-|validat|unable to|\[key\]|Traceback"
)


def written(value: object) -> str:
    """The value as a person would write it in YAML, cut as messages cut it."""
    text = value if isinstance(value, str) and value else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def faults_of(values: dict[str, Any], door: str, folder: Path) -> tuple[Fault, ...]:
    with pytest.raises(FaultsError) as caught:
        DOORS[door](values, folder)
    assert str(caught.value).endswith("\n".join(f"  {n}. {f}" for n, f in enumerate(caught.value.faults, 1)))
    return caught.value.faults


def parametrized(mutations: list[Mutation]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("mutation", mutations, ids=named)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("sample", SAMPLES, ids=SAMPLE_NAMES)
def test_the_samples_are_accepted(sample: dict[str, Any], door: str, tmp_path: Path) -> None:
    assert DOORS[door](sample, tmp_path) == Settings.model_validate(sample)


def test_the_samples_reach_every_field_of_every_model() -> None:
    walked = {id(field) for place in PLACES for one in place.schemas for field in one.get("properties", {}).values()}
    models = [model for model in SCHEMA["$defs"].values() if "properties" in model]
    assert walked == {id(field) for model in models for field in model["properties"].values()}
    assert {place.path[0] for place in PLACES} == set(Settings.model_fields)


@pytest.mark.parametrize("door", DOORS)
@parametrized(MUTATIONS)
def test_one_mutation_is_one_readable_fault(mutation: Mutation, door: str, tmp_path: Path) -> None:
    (fault,) = faults_of(mutation.applied(), door, tmp_path)
    assert fault.where == mutation.where
    if mutation.kind == "misspelled":
        assert fault.what == f"there is no key `{mutation.renamed}`"
        assert fault.instead == f"did you mean `{mutation.path[-1]}`?"
    elif mutation.kind == "name":
        assert fault.what == f"`{mutation.renamed}` can't be a name here"
        assert fault.instead.startswith(("a name should match ^", "known here: "))
    else:
        assert fault.what == f"`{written(mutation.value)}` can't be used"
        assert fault.instead.startswith("it should be ")
        (schema,) = mutation.place.schemas
        if "minimum" in schema:
            assert f"from {schema['minimum']} to {schema['maximum']}" in fault.instead
        if mutation.kind == "pattern":
            assert schema["pattern"] in fault.instead
    assert not JARGON.search(str(fault)), fault


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("sample", range(len(SAMPLES)))
def test_all_faults_of_a_file_are_told_at_once(sample: int, door: str, tmp_path: Path) -> None:
    walked = list(places(SCHEMA, sample, SAMPLES[sample]))
    leaves = [place for place in walked if not any(other.path[:-1] == place.path for other in walked)]
    # Which decides what all others mean.
    leaves = [place for place in leaves if place.path[-1] != "kind"]
    broken = SAMPLES[sample]
    for place in leaves:
        broken = Mutation("type", place, {"no": "such"}).applied(broken)
    faults = faults_of(broken, door, tmp_path)
    assert sorted(fault.where for fault in faults) == sorted(Mutation("", place).where for place in leaves)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("key", "value", "read"), ACCEPTED)
def test_what_is_accepted_though_of_another_type(
    key: str, value: object, read: object, door: str, tmp_path: Path
) -> None:
    whole = {key: value} if key in Settings.model_fields else {"entry": {key: value}}
    settings = DOORS[door](whole, tmp_path)
    assert getattr(settings if key in Settings.model_fields else settings.entry, key) == read
