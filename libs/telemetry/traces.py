"""Traces: off until an endpoint is set, and then OpenTelemetry over OTLP, with W3C trace context.

A trace context travels as its `traceparent` text: in gRPC metadata, in rows of the database and in
assignments, so that what happens later and elsewhere joins the trace of what caused it. With no endpoint
nothing of OpenTelemetry is imported.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    import grpc.aio
    from opentelemetry.context import Context

Attributes = Mapping[str, str | int | float | bool]


class Span(Protocol):
    """A piece of work in progress."""

    def set_attribute(self, key: str, value: str | int | float | bool) -> None: ...


class Unrecorded:
    """The span when traces are off."""

    def set_attribute(self, key: str, value: str | int | float | bool) -> None:
        """Keeps nothing."""


class Traces:
    """The traces of one service when they are off; the base of those that are on.

    Never raises, and never waits for the collector except in `close`, which is bounded. Close it, or use it
    as a context manager, so that the last spans leave.
    """

    enabled = False

    @contextmanager
    def span(self, name: str, parent: str = "", attributes: Attributes | None = None) -> Iterator[Span]:
        """Records the body as a span: a child of the traceparent `parent`, or of the current span if empty.

        An exception that leaves the body marks the span as failed, and travels on.
        """
        yield Unrecorded()

    def record(
        self,
        name: str,
        parent: str,
        started: datetime,
        ended: datetime,
        attributes: Attributes | None = None,
    ) -> None:
        """Records work that already happened, as a child of the traceparent `parent`."""

    def client_interceptors(self) -> list["grpc.aio.ClientInterceptor"]:
        """For a grpc.aio channel: a span a call, its context sent along."""
        return []

    def server_interceptors(self) -> list["grpc.aio.ServerInterceptor"]:
        """For a grpc.aio server: a span a call, a child of the caller's when it sent its context."""
        return []

    def close(self) -> None:
        """Sends what is left, for a few seconds at most. Safe to call twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def configure_traces(service: str, endpoint: str) -> Traces:
    """The traces of `service`, sent to the OTLP gRPC `endpoint` (`http://host:4317` or `host:4317`).

    An empty endpoint turns them off. Several services of one process each call this: every one has its own
    resource, and their spans still join one trace.
    """
    if not endpoint:
        return Traces()
    from libs.telemetry.otlp import OtlpTraces

    return OtlpTraces(service, endpoint)


def inject() -> str:
    """The traceparent of the current span, to be stored or sent; empty when there is none."""
    if "opentelemetry.trace" not in sys.modules:
        return ""
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def remote_parent(traceparent: str) -> "Context":
    """The context in which a span becomes a child of `traceparent`.

    The current context when `traceparent` is empty, and one without a parent when it is malformed.
    """
    from opentelemetry.context import Context, get_current
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    if not traceparent:
        return get_current()
    return TraceContextTextMapPropagator().extract({"traceparent": traceparent}, context=Context())
