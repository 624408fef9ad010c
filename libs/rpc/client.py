"""Dialling another Easel service."""

from collections.abc import Callable
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
            return await continuation(with_entry(details), requests)

    class _StreamStream(grpc.aio.StreamStreamClientInterceptor):
        async def intercept_stream_stream(
            self, continuation: Callable[..., Any], details: grpc.aio.ClientCallDetails, requests: Any
        ) -> Any:
            return await continuation(with_entry(details), requests)

    return [_UnaryUnary(), _UnaryStream(), _StreamUnary(), _StreamStream()]
