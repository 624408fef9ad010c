"""Traces that are on: the OpenTelemetry SDK and an OTLP/gRPC exporter, one provider a service."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

import grpc
import grpc.aio
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

from easel.otlp.v1 import otlp_pb2 as pb
from libs.telemetry.grpc_traces import TracingServer, client_tracers
from libs.telemetry.traces import Attributes, Span, Traces, remote_parent

log = logging.getLogger(__name__)

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
EXPORT_EVERY_MS = 500
EXPORT_WITHIN_S = 3.0
_KINDS = {
    SpanKind.INTERNAL: pb.Span.KIND_INTERNAL,
    SpanKind.SERVER: pb.Span.KIND_SERVER,
    SpanKind.CLIENT: pb.Span.KIND_CLIENT,
    SpanKind.PRODUCER: pb.Span.KIND_PRODUCER,
    SpanKind.CONSUMER: pb.Span.KIND_CONSUMER,
}


class OtlpTraces(Traces):
    """Traces of one service, sent in batches from a thread of their own."""

    enabled = True

    def __init__(self, service: str, endpoint: str) -> None:
        self._provider = TracerProvider(
            resource=Resource.create({SERVICE_NAME: service}),
            sampler=ParentBased(ALWAYS_ON),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(OtlpExporter(endpoint), schedule_delay_millis=EXPORT_EVERY_MS)
        )
        self._tracer = self._provider.get_tracer("easel")
        self._closed = False

    @contextmanager
    def span(self, name: str, parent: str = "", attributes: Attributes | None = None) -> Iterator[Span]:
        context = remote_parent(parent)
        with self._tracer.start_as_current_span(name, context=context, attributes=attributes) as span:
            yield span

    def record(
        self,
        name: str,
        parent: str,
        started: datetime,
        ended: datetime,
        attributes: Attributes | None = None,
    ) -> None:
        context = remote_parent(parent)
        span = self._tracer.start_span(
            name, context=context, attributes=attributes, start_time=_nanoseconds(started)
        )
        span.end(_nanoseconds(max(started, ended)))

    def client_interceptors(self) -> list[grpc.aio.ClientInterceptor]:
        return client_tracers(self._tracer)

    def server_interceptors(self) -> list[grpc.aio.ServerInterceptor]:
        return [TracingServer(self._tracer)]

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._provider.shutdown()


class OtlpExporter(SpanExporter):
    """Sends batches to a collector; drops what it cannot send in time.

    Says once that the collector is away, and once that it is back.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._away = False
        scheme, _, address = endpoint.rpartition("://")
        target = address.rstrip("/")
        self._channel = (
            grpc.secure_channel(target, grpc.ssl_channel_credentials())
            if scheme == "https"
            else grpc.insecure_channel(target)
        )
        self._send = self._channel.unary_unary(
            EXPORT,
            request_serializer=pb.ExportTraceServiceRequest.SerializeToString,
            response_deserializer=pb.ExportTraceServiceResponse.FromString,
        )

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            self._send(request_of(spans), timeout=EXPORT_WITHIN_S)
        except (grpc.RpcError, ValueError) as error:  # ValueError: the channel was closed meanwhile
            if not self._away:
                code = error.code().name if isinstance(error, grpc.Call) else str(error)
                log.warning(
                    "trace collector is away, spans are dropped",
                    extra={"endpoint": self._endpoint, "why": code},
                )
            self._away = True
            return SpanExportResult.FAILURE
        if self._away:
            log.warning("trace collector is back", extra={"endpoint": self._endpoint})
        self._away = False
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self._channel.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def request_of(spans: Sequence[ReadableSpan]) -> pb.ExportTraceServiceRequest:
    """The spans of one provider as one OTLP request."""
    resource = spans[0].resource.attributes if spans else {}
    return pb.ExportTraceServiceRequest(
        resource_spans=[
            pb.ResourceSpans(
                resource=pb.Resource(attributes=_attributes(resource)),
                scope_spans=[
                    pb.ScopeSpans(
                        scope=pb.InstrumentationScope(name="easel"),
                        spans=[_span(span) for span in spans],
                    )
                ],
            )
        ]
    )


def _span(span: ReadableSpan) -> pb.Span:
    context = span.get_span_context()
    return pb.Span(
        trace_id=context.trace_id.to_bytes(16, "big") if context else b"",
        span_id=context.span_id.to_bytes(8, "big") if context else b"",
        parent_span_id=span.parent.span_id.to_bytes(8, "big") if span.parent else b"",
        name=span.name,
        kind=_KINDS[span.kind],
        start_time_unix_nano=span.start_time or 0,
        end_time_unix_nano=span.end_time or 0,
        attributes=_attributes(span.attributes or {}),
        events=[
            pb.Span.Event(
                time_unix_nano=event.timestamp,
                name=event.name,
                attributes=_attributes(event.attributes or {}),
            )
            for event in span.events
        ],
        status=pb.Status(
            code=pb.Status.CODE_ERROR
            if span.status.status_code is StatusCode.ERROR
            else pb.Status.CODE_UNSPECIFIED,
            message=span.status.description or "",
        ),
    )


def _attributes(attributes: Mapping[str, object]) -> list[pb.KeyValue]:
    return [pb.KeyValue(key=key, value=_any(value)) for key, value in attributes.items()]


def _any(value: object) -> pb.AnyValue:
    match value:
        case bool():
            return pb.AnyValue(bool_value=value)
        case int():
            return pb.AnyValue(int_value=value)
        case float():
            return pb.AnyValue(double_value=value)
        case _:
            return pb.AnyValue(string_value=str(value))


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1_000
