"""Conditions on a request and its answer, for what Envoy says by itself and for what it counts or records."""

from typing import Any

from envoy.config.accesslog.v3.accesslog_pb2 import (
    AccessLogFilter,
    ComparisonFilter,
    ExtensionFilter,
    HeaderFilter,
    StatusCodeFilter,
)
from envoy.config.core.v3.base_pb2 import RuntimeUInt32
from envoy.config.route.v3.route_components_pb2 import HeaderMatcher
from envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from services.gateway.xds.wire import packed

# Envoy wants a key by which an operator may override the number; nobody does.
_UNSET = "easel.unset"


def speaks_grpc() -> Any:
    """The client is one of gRPC."""
    kind = HeaderMatcher(name="content-type", string_match=StringMatcher(prefix="application/grpc"))
    return AccessLogFilter(header_filter=HeaderFilter(header=kind))


def status_is(status: int) -> Any:
    """The answer has this status."""
    return _status(ComparisonFilter.Op.EQ, status)


def status_from(status: int) -> Any:
    """The answer has this status or a higher one."""
    return _status(ComparisonFilter.Op.GE, status)


def metadata_is(space: str, name: str, value: str) -> Any:
    """The route that was taken says this of itself."""
    return holds(f"xds.route_metadata.filter_metadata['{space}']['{name}'] == '{value}'")


def holds(expression: str) -> Any:
    """An expression of CEL; false where a part of it is not there."""
    return AccessLogFilter(
        extension_filter=ExtensionFilter(
            name="envoy.access_loggers.extension_filters.cel",
            typed_config=packed(ExpressionFilter(expression=expression)),
        )
    )


def _status(op: Any, status: int) -> Any:
    number = RuntimeUInt32(default_value=status, runtime_key=_UNSET)
    return AccessLogFilter(
        status_code_filter=StatusCodeFilter(comparison=ComparisonFilter(op=op, value=number))
    )
