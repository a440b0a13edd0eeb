"""Runs a Pulumi program under mocks and keeps what it asked the engine for.

`MockResourceArgs` drops parent, provider, dependencies and options; this monitor keeps the whole request. It is the one
place that leans on the SDK's half-private monitor.
"""

from __future__ import annotations

import asyncio
import json
import runpy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from google.protobuf import json_format
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.stack import run_in_stack

from .sample import ROOT

STACK = "pulumi:pulumi:Stack"


@dataclass(frozen=True)
class Secret:
    """A value that travelled encrypted."""

    value: Any


@dataclass
class Registration:
    """One resource as registered: `inputs` in plain data with each secret wrapped, `options` the request itself."""

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    inputs: dict[str, Any]
    options: Any = field(repr=False)
    outputs: dict[str, Any] | None = None
    """What a component registered at its end; None as long as it did not."""

    @property
    def plain(self) -> dict[str, Any]:
        """The inputs with secrets opened."""
        opened: dict[str, Any] = opened_secrets(self.inputs)
        return opened

    @property
    def dependencies(self) -> frozenset[str]:
        return frozenset(self.options.dependencies)

    @property
    def provider(self) -> str:
        return str(self.options.provider)


@dataclass
class Recording:
    """Everything that one run registered, in order, and the stack's outputs."""

    registrations: list[Registration] = field(default_factory=list)

    def of_type(self, suffix: str) -> list[Registration]:
        return [one for one in self.registrations if one.type.endswith(suffix)]

    def by_urn(self, urn: str) -> Registration:
        return next(one for one in self.registrations if one.urn == urn)

    def named(self, name: str) -> Registration:
        return next(one for one in self.registrations if one.name == name)

    @property
    def outputs(self) -> dict[str, Any]:
        (stack,) = self.of_type(STACK)
        assert stack.outputs is not None
        return stack.outputs

    def before(self, one: Registration) -> frozenset[str]:
        """Names of everything that `one` waits for, directly or through others."""
        found: set[str] = set()
        waiting = list(one.dependencies)
        while waiting:
            urn = waiting.pop()
            if urn not in found:
                found.add(urn)
                waiting += self.by_urn(urn).dependencies
        return frozenset(self.by_urn(urn).name for urn in found)


class Recorder(mocks.MockMonitor):
    def __init__(self) -> None:
        super().__init__(Echo())
        self.recording = Recording()

    def RegisterResource(self, request: Any) -> Any:
        inputs = read(json_format.MessageToDict(request.object))
        urn = self.make_urn(request.parent, request.type, request.name)
        assert urn not in {one.urn for one in self.recording.registrations}, f"{urn} is registered twice"
        self.recording.registrations.append(
            Registration(urn, request.type, request.name, request.parent, request.custom, inputs, request)
        )
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        # The engine itself makes these outputs secret; the mock monitor does not.
        for name in request.additionalSecretOutputs:
            if name in answer.object.fields:
                value = json_format.MessageToDict(answer.object)[name]
                answer.object.update({name: {rpc._special_sig_key: rpc._special_secret_sig, "value": value}})
        return answer

    def RegisterResourceOutputs(self, request: Any) -> Any:
        self.recording.by_urn(request.urn).outputs = read(json_format.MessageToDict(request.outputs))
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


class Hooks:
    """Where the engine would keep the program's hooks; under mocks nothing fails, so none is called."""

    def register_error_hook(self, hook: pulumi.ErrorHook) -> None:
        assert callable(hook.callback)


class Echo(mocks.Mocks):
    """Outputs are the inputs, and what only the provider knows."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        package, _, module = args.typ.partition(":")
        arn = {"arn": f"arn:aws:{module.partition('/')[0]}:::{args.name}"} if package == "aws" else {}
        return f"{args.name}-id", {**args.inputs, **arn, **computed(args.typ, args.name, args.inputs)}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        if args.token == "aws:ec2/getAmi:getAmi":
            return {**args.args, "id": f"ami-of-{args.args['owners'][0]}"}, []
        if args.token == "aws:route53/getZone:getZone":
            return {"zoneId": f"Z-{args.args['name']}", "name": args.args["name"]}, []
        raise AssertionError(f"{args.token}: the program asks nobody anything")


def computed(type_: str, name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What only the provider knows, made up: whatever stands in another resource's inputs because of it is found."""
    of_iam = "arn:aws:iam::123456789012"
    known: dict[str, dict[str, Any]] = {
        "random:index/randomPassword:RandomPassword": {"result": f"password-of-{name}", "bcryptHash": "x"},
        "docker:index/remoteImage:RemoteImage": {"repoDigest": inputs.get("name"), "imageId": "sha256:0"},
        "aws:kms/key:Key": {"arn": f"arn:aws:kms:a-region-1:123456789012:key/{name}", "keyId": f"{name}-key-id"},
        "aws:iam/role:Role": {"arn": f"{of_iam}:role/{inputs.get('name', name)}"},
        "aws:ec2/eip:Eip": {"publicIp": f"address-of-{name}", "allocationId": f"allocation-of-{name}"},
        "tls:index/privateKey:PrivateKey": {
            "privateKeyOpenssh": f"private-{name}\n",
            "publicKeyOpenssh": f"ssh-ed25519 public-{name}\n",
        },
        "aws:acm/certificate:Certificate": {"domainValidationOptions": proofs(inputs)},
        "aws:lb/loadBalancer:LoadBalancer": {"dnsName": f"{name}.elb.amazonaws.com", "zoneId": "ZBALANCER"},
        "aws:route53/record:Record": {"fqdn": inputs.get("name")},
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider": {"arn": f"{of_iam}:oidc-provider/{name}"},
    }
    return known.get(type_, {})


def proofs(certificate: Mapping[str, Any]) -> list[dict[str, str]]:
    """What an authority asks for before it believes that somebody has the names of a certificate."""
    names = [certificate.get("domainName", ""), *certificate.get("subjectAlternativeNames", ())]
    return [
        {
            "domainName": name,
            "resourceRecordName": f"_proof.{name}.",
            "resourceRecordType": "CNAME",
            "resourceRecordValue": f"_{name}.acm-validations.aws.",
        }
        for name in names
    ]


def read(value: Any) -> Any:
    """Plain data from the wire's form, secrets wrapped."""
    if isinstance(value, list):
        return [read(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get(rpc._special_sig_key) == rpc._special_secret_sig:
        return Secret(read(value["value"]))
    return {key: read(item) for key, item in value.items()}


def opened_secrets(value: Any) -> Any:
    if isinstance(value, Secret):
        return opened_secrets(value.value)
    if isinstance(value, list):
        return [opened_secrets(item) for item in value]
    if isinstance(value, dict):
        return {key: opened_secrets(item) for key, item in value.items()}
    return value


def texts(value: Any) -> Iterator[str]:
    """Every text in plain sight: those inside secrets are left out."""
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(item)


def record(
    program: Callable[[], object],
    *,
    project: str = "shop",
    stack: str = "test",
    config: Mapping[str, str] | None = None,
    secret_keys: frozenset[str] = frozenset(),
) -> Recording:
    """Runs `program` as the language host would, with `config` as the engine hands it over."""
    monitor = Recorder()

    def run() -> None:
        program()

    # `set_mocks` would make a stack resource of its own, and leave error hooks without a place to register.
    settings.configure(
        mocks.MockSettings(  # type: ignore[no-untyped-call]
            monitor=monitor,
            monitor_features=set(monitor.GetDeploymentInfo(None).supportedFeatures),  # type: ignore[no-untyped-call]
            engine=mocks.MockEngine(None),
            project=project,
            stack=stack,
            dry_run=False,
            organization=None,
            callbacks=Hooks(),
        )
    )
    pulumi.runtime.set_all_config(dict(config or {}), list(secret_keys))
    asyncio.set_event_loop(loop := asyncio.new_event_loop())
    try:
        loop.run_until_complete(run_in_stack(run))
    finally:
        loop.close()
        asyncio.set_event_loop(None)
        pulumi.runtime.set_all_config({}, [])
    return monitor.recording


def record_program(
    config: Mapping[str, Any], *, project: str, stack: str, secret_keys: frozenset[str] = frozenset()
) -> Recording:
    """The repository's own `__main__.py`; the caller sets the environment's PULUMI_CONFIG to `engine_form(config)`."""
    return record(
        lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"),
        project=project,
        stack=stack,
        config=engine_form(config),
        secret_keys=secret_keys,
    )


def engine_form(config: Mapping[str, Any]) -> dict[str, str]:
    """The configuration as the engine hands it over: everything is a string, what has structure as JSON."""
    return {
        key: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        for key, value in config.items()
    }
