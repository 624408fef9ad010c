"""Dialling another Easel service."""

import asyncio
from collections.abc import AsyncIterable, Callable
from functools import partial
from typing import Any

import grpc

_OPTIONS = [
    ("grpc.max_receive_message_length", 256 * 1024 * 1024),
    ("grpc.max_send_message_length", 256 * 1024 * 1024),
    # A peer that vanished without a word is noticed within eight seconds.
    ("grpc.keepalive_time_ms", 5_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 300),
    # Two clients of one process never share a connection by accident.
    ("grpc.use_local_subchannel_pool", 1),
]


def dial(address: str, token: str, *interceptors: grpc.aio.ClientInterceptor) -> grpc.aio.Channel:
    """A channel to `address` ("host:port" or "unix:/path") whose every call carries the bearer token.

    Nothing is connected until the first call. Close the channel when done with it.
    """
    bearer = ("authorization", f"Bearer {token}")
    return grpc.aio.insecure_channel(
        address, options=_OPTIONS, interceptors=[*interceptors, *_adding(bearer)]
    )


def _adding(entry: tuple[str, str]) -> list[grpc.aio.ClientInterceptor]:
    def with_entry(details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        metadata = grpc.aio.Metadata(*(details.metadata or ()), entry)
        return grpc.aio.ClientCallDetails(
            details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
        )

    # grpc.aio picks an interceptor by its type, one type a call shape.
    class _UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(
            self, continuation: Callable[..., Any], details: grpc.aio.ClientCallDetails, request: Any
        ) -> Any:
            return await continuation(with_entry(details), request)

    class _UnaryStream(grpc.aio.UnaryStreamClientInterceptor):
        async def intercept_unary_stream(
            self, continuation: Callable[..., Any], details: grpc.aio.ClientCallDetails, request: Any
        ) -> Any:
            return await continuation(with_entry(details), request)

    class _StreamUnary(grpc.aio.StreamUnaryClientInterceptor):
        async def intercept_stream_unary(
            self, continuation: Callable[..., Any], details: grpc.aio.ClientCallDetails, requests: Any
        ) -> Any:
            return await _ending_with(requests, partial(continuation, with_entry(details)))

    class _StreamStream(grpc.aio.StreamStreamClientInterceptor):
        async def intercept_stream_stream(
            self, continuation: Callable[..., Any], details: grpc.aio.ClientCallDetails, requests: Any
        ) -> Any:
            return await _ending_with(requests, partial(continuation, with_entry(details)))

    return [_UnaryUnary(), _UnaryStream(), _StreamUnary(), _StreamStream()]


async def _ending_with(requests: object, begin: Callable[..., Any]) -> Any:
    """The call that `begin` makes of the requests; once it is over, nobody waits for another of them."""
    if not isinstance(requests, AsyncIterable):
        return await begin(requests)
    sent = _Sent(requests)
    call = await begin(sent)
    call.add_done_callback(sent.end)
    return call


class _Sent:
    """What a call sends.

    grpc.aio reads it in a task of its own, and forgets that task when the call ends by itself: it would wait
    for the next request until it is collected, with an error in the log.
    """

    def __init__(self, requests: AsyncIterable[Any]) -> None:
        self._requests = aiter(requests)
        self._reader: asyncio.Task[Any] | None = None
        self._over = False

    def __aiter__(self) -> "_Sent":
        return self

    async def __anext__(self) -> Any:
        if self._over:
            raise StopAsyncIteration
        self._reader = asyncio.current_task()
        return await anext(self._requests)

    def end(self, _: object) -> None:
        self._over = True
        if self._reader is not None:
            self._reader.cancel()
