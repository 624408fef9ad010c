"""Interceptors for grpc.aio that make a span of a call and carry its W3C context in the metadata.

A call that streams its answer is recorded until its first message: a watch may last for days. Calls that
stream their requests (the agent link, the routes feed) carry contexts in their messages instead.
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from libs.telemetry.traces import inject, remote_parent

_UNTRACED = ("/grpc.health.", "/grpc.reflection.")


def client_tracers(tracer: Tracer) -> list[grpc.aio.ClientInterceptor]:
    """grpc sorts interceptors by the kind of call, so there is one for each kind."""
    return [_TracingUnaryClient(tracer), _TracingStreamClient(tracer)]


class _TracingUnaryClient(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        name = _method(details.method)
        with self._tracer.start_as_current_span(name, kind=SpanKind.CLIENT, record_exception=False) as span:
            call = await continuation(_with_context(details), request)
            try:
                await call
            except grpc.aio.AioRpcError as error:
                _failed(span, error.code().name, error.details() or "")
            return call


class _TracingStreamClient(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def intercept_unary_stream(
        self, continuation: Callable[..., Any], details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        with self._tracer.start_as_current_span(_method(details.method), kind=SpanKind.CLIENT):
            return await continuation(_with_context(details), request)


class TracingServer(grpc.aio.ServerInterceptor):
    """A span for each call that is served, a child of the caller's span."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(details)
        if handler is None or details.method.startswith(_UNTRACED) or handler.request_streaming:
            return handler
        parent = next((str(v) for k, v in details.invocation_metadata or () if k == "traceparent"), "")
        if handler.unary_unary is not None and inspect.iscoroutinefunction(handler.unary_unary):
            return grpc.unary_unary_rpc_method_handler(
                self._unary(handler.unary_unary, details.method, parent),
                handler.request_deserializer,
                handler.response_serializer,
            )
        if handler.unary_stream is not None and inspect.isasyncgenfunction(handler.unary_stream):
            return grpc.unary_stream_rpc_method_handler(
                self._stream(handler.unary_stream, details.method, parent),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return handler

    def _unary(self, serve: Callable[..., Awaitable[Any]], method: str, parent: str) -> Callable[..., Any]:
        async def traced(request: Any, context: Any) -> Any:
            with self._span(method, parent) as span:
                try:
                    return await serve(request, context)
                finally:
                    _mark(span, context)

        return traced

    def _stream(
        self, serve: Callable[..., AsyncIterator[Any]], method: str, parent: str
    ) -> Callable[..., Any]:
        async def traced(request: Any, context: Any) -> AsyncIterator[Any]:
            messages = serve(request, context)
            with self._span(method, parent) as span:
                try:
                    first = await anext(messages)
                except StopAsyncIteration:
                    return
                finally:
                    _mark(span, context)
            yield first
            async for message in messages:
                yield message

        return traced

    def _span(self, method: str, parent: str) -> Any:
        return self._tracer.start_as_current_span(
            _method(method),
            context=remote_parent(parent),
            kind=SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        )


def _mark(span: Span, context: Any) -> None:
    code = context.code()
    if code not in (None, 0, grpc.StatusCode.OK):
        name = code.name if isinstance(code, grpc.StatusCode) else str(code)
        _failed(span, name, str(context.details() or ""))


def _failed(span: Span, code: str, why: str) -> None:
    span.set_attribute("rpc.grpc.status", code)
    span.set_status(Status(StatusCode.ERROR, f"{code}: {why}"))


def _method(method: str | bytes) -> str:
    text = method.decode() if isinstance(method, bytes) else method
    return text.removeprefix("/")


def _with_context(details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
    metadata = grpc.aio.Metadata(*(details.metadata or ()))
    metadata.add("traceparent", inject())
    return grpc.aio.ClientCallDetails(
        method=details.method,
        timeout=details.timeout,
        metadata=metadata,
        credentials=details.credentials,
        wait_for_ready=details.wait_for_ready,
    )
