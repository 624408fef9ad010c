"""A trace collector inside the test: an OTLP gRPC server whose spans can be asked for by trace."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from easel.otlp.v1 import otlp_pb2 as pb


@dataclass(frozen=True)
class CollectedSpan:
    """One span as it arrived; ids are lower-case hex, `parent_id` is empty for a root."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    failed: bool
    why: str
    attributes: Mapping[str, str]
    started_ns: int
    ended_ns: int


class OtlpCollector:
    """Keeps every span that is exported to it. `endpoint` is what a service is configured with."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.spans: list[CollectedSpan] = []

    def export(self, request: pb.ExportTraceServiceRequest, context: object) -> pb.ExportTraceServiceResponse:
        for resource in request.resource_spans:
            service = _text(resource.resource.attributes).get("service.name", "")
            for scope in resource.scope_spans:
                self.spans += [
                    CollectedSpan(
                        service=service,
                        name=span.name,
                        trace_id=span.trace_id.hex(),
                        span_id=span.span_id.hex(),
                        parent_id=span.parent_span_id.hex(),
                        failed=span.status.code == pb.Status.CODE_ERROR,
                        why=span.status.message,
                        attributes=_text(span.attributes),
                        started_ns=span.start_time_unix_nano,
                        ended_ns=span.end_time_unix_nano,
                    )
                    for span in scope.spans
                ]
        return pb.ExportTraceServiceResponse()

    def trace(self, trace_id: str) -> list[CollectedSpan]:
        """The spans of one trace so far, oldest first."""
        return sorted(
            (span for span in self.spans if span.trace_id == trace_id), key=lambda span: span.started_ns
        )

    def named(self, name: str, service: str = "") -> list[CollectedSpan]:
        """The spans of that name, of one service or of all, in the order of arrival."""
        return [span for span in self.spans if span.name == name and service in ("", span.service)]


@contextmanager
def otlp_collector(port: int = 0) -> Iterator[OtlpCollector]:
    """A collector on a free port of 127.0.0.1, or on `port`, for the length of the block.

    It answers from threads of its own, so that whoever exports to it may block the test's event loop.
    """
    collector = OtlpCollector()
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((_handlers(collector),))
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(grace=None).wait(5)


def _handlers(collector: OtlpCollector) -> grpc.GenericRpcHandler:
    export = grpc.unary_unary_rpc_method_handler(
        collector.export,
        request_deserializer=pb.ExportTraceServiceRequest.FromString,
        response_serializer=pb.ExportTraceServiceResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(
        "opentelemetry.proto.collector.trace.v1.TraceService", {"Export": export}
    )


def _text(attributes: Iterable[pb.KeyValue]) -> dict[str, str]:
    kinds = {each.key: (each.value.WhichOneof("value"), each.value) for each in attributes}
    return {key: str(getattr(value, kind)) if kind else "" for key, (kind, value) in kinds.items()}
