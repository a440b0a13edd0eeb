"""One simulated package as the gRPC service that the engine expects of a provider plugin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Never, TypeAlias

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from sim.diff import changes
from sim.faults import Faults
from sim.inputs import complete, faults, named, property_names, with_defaults
from sim.types import FUNCTIONS, TYPES, ResourceType
from sim.values import UNKNOWN, Properties, read, secret, write
from sim.world import Refusal, Subject, World

Context: TypeAlias = grpc.ServicerContext
About: TypeAlias = (
    provider_pb2.DiffRequest | provider_pb2.UpdateRequest | provider_pb2.DeleteRequest | provider_pb2.ReadRequest
)
"""Calls about a resource that exists."""


class SimulatedProvider(provider_pb2_grpc.ResourceProviderServicer):
    """Answers for one package (`aws`, `docker`, …) and creates nothing.

    `version` is what GetPluginInfo tells the engine; `faults` are shared by all packages of a process.
    """

    def __init__(self, package: str, version: str, faults: Faults, world: World) -> None:
        self._package = package
        self._version = version
        self._faults = faults
        self._world = world

    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: Context
    ) -> provider_pb2.ProviderHandshakeResponse:
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=True, accept_resources=True, accept_outputs=True
        )

    def Attach(self, request: plugin_pb2.PluginAttach, context: Context) -> Empty:
        return Empty()

    def Cancel(self, request: Empty, context: Context) -> Empty:
        return Empty()

    def GetPluginInfo(self, request: Empty, context: Context) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self._version)

    def GetSchema(
        self, request: provider_pb2.GetSchemaRequest, context: Context
    ) -> provider_pb2.GetSchemaResponse:
        return provider_pb2.GetSchemaResponse(schema="{}")

    def CheckConfig(self, request: provider_pb2.CheckRequest, context: Context) -> provider_pb2.CheckResponse:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: Context) -> provider_pb2.DiffResponse:
        changed = request.olds != request.news
        kind = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        replaces = self._world.moved(read(request.olds), read(request.news))
        return provider_pb2.DiffResponse(changes=kind, replaces=replaces)

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: Context
    ) -> provider_pb2.ConfigureResponse:
        self._world.configure(context.peer(), request.variables)
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, acceptResources=True, acceptOutputs=True, supportsPreview=True
        )

    def Invoke(self, request: provider_pb2.InvokeRequest, context: Context) -> provider_pb2.InvokeResponse:
        function = FUNCTIONS.get(request.tok)
        if function is None:
            _abort(
                context,
                grpc.StatusCode.UNIMPLEMENTED,
                f"the function {request.tok} is not simulated; add it to the table in sim/types/",
            )
        with _refusing(context):
            answer = function(self._world.surroundings(context.peer()), read(request.args))
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(write(answer))  # a reserved word of Python
        return response

    def Check(self, request: provider_pb2.CheckRequest, context: Context) -> provider_pb2.CheckResponse:
        token, name = _token_and_name(request.urn)
        row = TYPES.get(token)
        if row is None:
            reason = f"{token} is not simulated; add it to the table in sim/types/"
            return provider_pb2.CheckResponse(
                inputs=request.news, failures=[provider_pb2.CheckFailure(reason=reason)]
            )
        given = self._world.given(context.peer(), read(request.news), property_names(row.args))
        return provider_pb2.CheckResponse(
            inputs=write(complete(row, given, read(request.olds), name, request.randomSeed)),
            failures=[
                provider_pb2.CheckFailure(property=fault.path, reason=fault.reason)
                for fault in faults(row, given, name)
            ],
        )

    def Diff(self, request: provider_pb2.DiffRequest, context: Context) -> provider_pb2.DiffResponse:
        token, _ = _token_and_name(request.urn)
        row = _row(token, context)
        state, inputs = read(request.olds), read(request.news)
        self._world.note(_subject(request, context), state)
        found = changes(row, state, self._world.surroundings(context.peer()) | inputs)
        replaces = sorted({change.top for change in found if change.replaces})
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if found else provider_pb2.DiffResponse.DIFF_NONE,
            replaces=replaces,
            diffs=sorted({change.top for change in found}),
            detailedDiff={change.path: change.message() for change in found},
            hasDetailedDiff=True,
            deleteBeforeReplace=bool(replaces) and row.deletes_first(request.id, inputs),
        )

    def Create(self, request: provider_pb2.CreateRequest, context: Context) -> provider_pb2.CreateResponse:
        token, name = _token_and_name(request.urn)
        row = _row(token, context)
        inputs = read(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=write(_preview(row, inputs, {})))
        with _refusing(context):
            not_ready = self._faults.strike("create", token, name)
            around = self._world.surroundings(context.peer()) | named(row, with_defaults(row, inputs, empty=True))
            identity = row.identify(around)
            outputs = _state(row, inputs, row.compute(identity, around))
            subject = Subject(context.peer(), token, identity)
            self._world.admit(subject, outputs)
        reason = not_ready or self._world.failed_wait(subject, inputs)
        if reason:
            _abort_initialization(context, identity, outputs, reason)
        return provider_pb2.CreateResponse(id=identity, properties=write(outputs))

    def Update(self, request: provider_pb2.UpdateRequest, context: Context) -> provider_pb2.UpdateResponse:
        token, name = _token_and_name(request.urn)
        row = _row(token, context)
        state, inputs = read(request.olds), read(request.news)
        subject = _subject(request, context)
        with _refusing(context):
            self._world.change(subject, state, inputs)
        if request.preview:
            known = {name: value for name, value in state.items() if name not in row.moved_by_updates}
            return provider_pb2.UpdateResponse(properties=write(_preview(row, inputs, known)))
        with _refusing(context):
            not_ready = self._faults.strike("update", token, name)
        outputs = _state(row, inputs, state)
        self._world.note(subject, outputs)
        if not_ready:
            _abort_initialization(context, request.id, outputs, not_ready)
        return provider_pb2.UpdateResponse(properties=write(outputs))

    def Delete(self, request: provider_pb2.DeleteRequest, context: Context) -> Empty:
        token, name = _token_and_name(request.urn)
        subject = _subject(request, context)
        with _refusing(context):
            self._world.leave(subject, read(request.properties))
            self._faults.strike("delete", token, name)
        self._world.forget(subject)
        return Empty()

    def Read(self, request: provider_pb2.ReadRequest, context: Context) -> provider_pb2.ReadResponse:
        """The state says what is live: a refresh finds everything as it was, an import finds nothing."""
        if not request.properties.fields:
            return provider_pb2.ReadResponse()
        self._world.note(_subject(request, context), read(request.properties))
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)


def _token_and_name(urn: str) -> tuple[str, str]:
    """`urn:pulumi:dev::shop::parent$docker:index/network:Network::edge` ─► type token and logical name."""
    _, _, types, name = urn.split("::", 3)
    return types.split("$")[-1], name


def _subject(request: About, context: Context) -> Subject:
    return Subject(context.peer(), _token_and_name(request.urn)[0], request.id)


def _row(token: str, context: Context) -> ResourceType:
    if token not in TYPES:
        _abort(context, grpc.StatusCode.INVALID_ARGUMENT, f"{token} is not in the table of sim/types/")
    return TYPES[token]


def _state(row: ResourceType, inputs: Properties, computed: Properties) -> Properties:
    """What was given, as it was given (secrets stay secret), and what only the provider knows."""
    given = {
        name: value for name, value in with_defaults(row, inputs, empty=True).items() if value is not None
    }
    given.pop("__defaults", None)
    names = row.computed | (row.computed_inputs - given.keys())
    outputs = given | {name: computed[name] for name in names if name in computed}
    outputs |= {name: given.get(source, {}) for name, source in row.mirrors.items()}
    return outputs | {name: secret(outputs[name]) for name in row.secret if name in outputs}


def _preview(row: ResourceType, inputs: Properties, state: Properties) -> Properties:
    unknown: Properties = {name: UNKNOWN for name in row.computed | row.computed_inputs}
    return _state(row, inputs, unknown | state)


@contextmanager
def _refusing(context: Context) -> Iterator[None]:
    """A Refusal inside becomes a failed operation that changed nothing."""
    try:
        yield
    except Refusal as refusal:
        _abort(context, grpc.StatusCode.INVALID_ARGUMENT, str(refusal))


def _abort_initialization(context: Context, identity: str, outputs: Properties, reason: str) -> Never:
    """The bridge's answer to an error after creation: code UNKNOWN, with the live resource in the details."""
    live = Any()
    live.Pack(provider_pb2.ErrorResourceInitFailed(id=identity, properties=write(outputs), reasons=[reason]))
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=reason, details=[live])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    _abort(context, grpc.StatusCode.UNKNOWN, reason)


def _abort(context: Context, code: grpc.StatusCode, message: str) -> Never:
    context.abort(code, message)
    raise AssertionError("abort always raises")
