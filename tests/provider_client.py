"""The calls that the engine makes of a provider plugin, for tests of one provider without an engine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

import sim
from sim.values import Properties, read, write


@dataclass(frozen=True)
class Diffed:
    """`kinds` maps the engine's path of each change to its kind, such as `UPDATE_REPLACE`."""

    changed: bool
    replaces: frozenset[str]
    kinds: dict[str, str]
    deletes_first: bool


@dataclass(frozen=True)
class ProviderClient:
    stub: provider_pb2_grpc.ResourceProviderStub

    def configure(self, package: str = "kubernetes", **settings: str) -> None:
        """Tell the provider of this connection its settings."""
        variables = {f"{package}:config:{name}": value for name, value in settings.items()}
        self.stub.Configure(provider_pb2.ConfigureRequest(variables=variables, acceptSecrets=True))

    def diff_config(self, old: Properties, new: Properties) -> list[str]:
        """Which changes of a provider's own inputs replace all that it made."""
        answer = self.stub.DiffConfig(
            provider_pb2.DiffRequest(urn=urn("pulumi:providers:kubernetes", "k"), olds=write(old), news=write(new))
        )
        return sorted(answer.replaces)

    def check(
        self, token: str, given: Properties, old: Properties | None = None, name: str = "thing"
    ) -> tuple[Properties, list[tuple[str, str]]]:
        """The checked inputs, and (property, reason) of each failure."""
        answer = self.stub.Check(
            provider_pb2.CheckRequest(
                urn=urn(token, name),
                news=write(given),
                olds=write(old) if old is not None else None,
                randomSeed=b"0123456789abcdef0123456789abcdef",
            )
        )
        return read(answer.inputs), [(failure.property, failure.reason) for failure in answer.failures]

    def diff(
        self, token: str, state: Properties, inputs: Properties, name: str = "thing", identity: str = "id"
    ) -> Diffed:
        answer = self.stub.Diff(
            provider_pb2.DiffRequest(id=identity, urn=urn(token, name), olds=write(state), news=write(inputs))
        )
        return Diffed(
            changed=answer.changes == provider_pb2.DiffResponse.DIFF_SOME,
            replaces=frozenset(answer.replaces),
            kinds={
                path: provider_pb2.PropertyDiff.Kind.Name(change.kind)
                for path, change in answer.detailedDiff.items()
            },
            deletes_first=answer.deleteBeforeReplace,
        )

    def create(
        self, token: str, inputs: Properties, name: str = "thing", *, preview: bool = False
    ) -> tuple[str, Properties]:
        """The id ("" in a preview) and the outputs. Raises grpc.RpcError as the engine would see it."""
        answer = self.stub.Create(
            provider_pb2.CreateRequest(urn=urn(token, name), properties=write(inputs), preview=preview)
        )
        return answer.id, read(answer.properties)

    def update(
        self,
        token: str,
        identity: str,
        state: Properties,
        inputs: Properties,
        name: str = "thing",
        *,
        preview: bool = False,
    ) -> Properties:
        answer = self.stub.Update(
            provider_pb2.UpdateRequest(
                id=identity, urn=urn(token, name), olds=write(state), news=write(inputs), preview=preview
            )
        )
        return read(answer.properties)

    def delete(self, token: str, identity: str, name: str = "thing", *, state: Properties | None = None) -> None:
        self.stub.Delete(
            provider_pb2.DeleteRequest(id=identity, urn=urn(token, name), properties=write(state or {}))
        )

    def invoke(self, token: str, arguments: Properties) -> Properties:
        answer = self.stub.Invoke(provider_pb2.InvokeRequest(tok=token, args=write(arguments)))
        return read(getattr(answer, "return"))  # a reserved word of Python


def urn(token: str, name: str) -> str:
    return f"urn:pulumi:dev::tests::{token}::{name}"


@contextmanager
def connected(address: str) -> Iterator[ProviderClient]:
    """A client of the provider at `host:port`."""
    # A pool of its own: like the engine's, no two clients share a connection.
    options = [
        ("grpc.max_receive_message_length", -1),
        ("grpc.use_local_subchannel_pool", 1),
        # An error may carry a whole object.
        ("grpc.max_metadata_size", 1 << 20),
        ("grpc.absolute_max_metadata_size", 1 << 20),
    ]
    with grpc.insecure_channel(address, options=options) as channel:
        yield ProviderClient(provider_pb2_grpc.ResourceProviderStub(channel))


@contextmanager
def real_and_simulated(plugin: str | Path, package: str) -> Iterator[tuple[ProviderClient, ProviderClient]]:
    """Clients of a plugin's program and of the simulation of its package."""
    with (
        subprocess.Popen([plugin, "127.0.0.1:1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as program,
        sim.serve(faults="") as debug_providers,
    ):
        try:
            assert program.stdout is not None
            port = program.stdout.readline().decode().strip()
            simulated = dict(part.split(":") for part in debug_providers.split(","))[package]
            with connected(f"127.0.0.1:{port}") as real, connected(f"127.0.0.1:{simulated}") as client:
                yield real, client
        finally:
            program.terminate()
