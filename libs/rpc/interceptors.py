"""What every call to an Easel server passes: who is calling, how long it may take, how refusals leave."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NoReturn, TypeAlias

import grpc

from libs.domain.errors import DeadlineExceeded, EaselError, PermissionDenied, Unauthenticated
from libs.domain.states import TokenRole
from libs.rpc.errors import DETAILS_KEY, status_of

log = logging.getLogger(__name__)

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
Continuation: TypeAlias = Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]

# Open to everyone who can reach the port: they tell nothing but the published contract and liveness.
OPEN_SERVICES = ("grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection")


class Refusals(grpc.aio.ServerInterceptor):
    """Turns EaselErrors into status codes with details, and bounds unary calls by a default deadline.

    A stream, of requests or of responses, lasts as long as its caller wants. Anything else that a call
    raises is a bug: it is logged whole, and its caller learns that it happened.
    """

    def __init__(self, default_deadline: timedelta = timedelta(seconds=30)) -> None:
        self._deadline = default_deadline.total_seconds()

    async def intercept_service(
        self, continuation: Continuation, details: grpc.HandlerCallDetails
    ) -> Handler:
        handler = await continuation(details)
        if handler is None or details.method.split("/")[1] in OPEN_SERVICES:
            return handler
        if handler.response_streaming:
            return self._streaming(handler, details.method)
        return self._unary(handler, details.method)

    def _unary(self, handler: "grpc.RpcMethodHandler[Any, Any]", method: str) -> Handler:
        inner: Any = handler.stream_unary if handler.request_streaming else handler.unary_unary

        async def call(request: Any, context: Context) -> Any:
            async with _answering(context, method):
                if handler.request_streaming:
                    return await inner(request, context)
                try:
                    return await asyncio.wait_for(inner(request, context), self._deadline)
                except TimeoutError:
                    why = f"{method} did not end within {self._deadline:g} s"
                    raise DeadlineExceeded(why) from None

        make = (
            grpc.stream_unary_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        return make(call, handler.request_deserializer, handler.response_serializer)

    def _streaming(self, handler: "grpc.RpcMethodHandler[Any, Any]", method: str) -> Handler:
        inner: Any = handler.stream_stream if handler.request_streaming else handler.unary_stream

        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            async with _answering(context, method):
                async for response in inner(request, context):
                    yield response

        make = (
            grpc.stream_stream_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_stream_rpc_method_handler
        )
        return make(call, handler.request_deserializer, handler.response_serializer)


class BearerTokens(grpc.aio.ServerInterceptor):
    """Lets a call pass only with a token whose role opens the called contract."""

    def __init__(
        self,
        role_of: Callable[[str], TokenRole | None],
        roles: Mapping[str, TokenRole | frozenset[TokenRole]],
    ) -> None:
        """`role_of` tells a secret's role, None when unknown; `roles` names the one that each contract needs,
        or those of which any opens it."""
        self._role_of = role_of
        self._roles = {
            contract: frozenset({needed}) if isinstance(needed, TokenRole) else needed
            for contract, needed in roles.items()
        }

    async def intercept_service(
        self, continuation: Continuation, details: grpc.HandlerCallDetails
    ) -> Handler:
        contract = details.method.split("/")[1]
        if contract in OPEN_SERVICES:
            return await continuation(details)
        refused = self._refusal(contract, dict(details.invocation_metadata or ()))
        return await continuation(details) if refused is None else _refusing(refused)

    def _refusal(self, contract: str, metadata: Mapping[str, str | bytes]) -> EaselError | None:
        scheme, _, secret = str(metadata.get("authorization", "")).partition(" ")
        if scheme.lower() != "bearer" or not secret:
            return Unauthenticated("the call carries no token: send `authorization: Bearer <token>`")
        role = self._role_of(secret)
        if role is None:
            return Unauthenticated("the token of this call is not known here")
        if role not in self._roles.get(contract, frozenset()):
            return PermissionDenied(f"a token of role {role.value!r} does not open {contract}")
        return None


def guards(
    listen: str, contracts: Sequence[str], role_of: Callable[[str], TokenRole | None]
) -> Sequence[grpc.aio.ServerInterceptor]:
    """Over TCP a caller shows a join token; a unix socket is open to its owner alone."""
    if listen.startswith("unix:"):
        return [Refusals()]
    return [Refusals(), BearerTokens(role_of, dict.fromkeys(contracts, TokenRole.JOIN))]


def _refusing(error: EaselError) -> Handler:
    async def call(_requests: Any, context: Context) -> AsyncIterator[Any]:
        await _refuse(context, error)
        yield

    return grpc.stream_stream_rpc_method_handler(call)


@asynccontextmanager
async def _answering(context: Context, method: str) -> AsyncIterator[None]:
    """Lets nothing but the refusal of a call out of its body."""
    try:
        yield
    except EaselError as refused:
        await _refuse(context, refused)
    except grpc.aio.AbortError:
        raise
    except Exception:
        await _break(context, method)


async def _refuse(context: Context, error: EaselError) -> NoReturn:
    code, sentence, details = status_of(error)
    await context.abort(code, sentence, ((DETAILS_KEY, details),))
    raise AssertionError("abort always raises")


async def _break(context: Context, method: str) -> NoReturn:
    log.exception("a call broke", extra={"method": method})
    await context.abort(grpc.StatusCode.INTERNAL, f"{method} broke; the server's log says how")
    raise AssertionError("abort always raises")
