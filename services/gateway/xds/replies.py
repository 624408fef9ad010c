"""What clients read when Envoy answers by itself: the table of replies as Envoy applies it."""

from typing import Any

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLogFilter, AndFilter, ResponseFlagFilter
from envoy.config.core.v3.base_pb2 import DataSource
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    LocalReplyConfig,
    ResponseMapper,
)
from google.protobuf.wrappers_pb2 import UInt32Value

from services.gateway.routing.arrival import too_long
from services.gateway.routing.replies import REPLIES, TOO_LONG, Reply
from services.gateway.xds.conditions import speaks_grpc, status_is
from services.gateway.xds.limits import limit_replies
from services.gateway.xds.waiting import waiting_replies


def local_replies(body_limit: int = 0) -> Any:
    """Sentences as JSON, and as bare text where gRPC carries them in grpc-message."""
    said = (too_long(body_limit) if body_limit and reply is TOO_LONG else reply for reply in REPLIES)
    mappers = [mapper for reply in said for mapper in (_to_grpc(reply), _to_http(reply))]
    return LocalReplyConfig(mappers=[*waiting_replies(), *limit_replies(), *mappers])


def _to_http(reply: Reply) -> Any:
    body = SubstitutionFormatString()
    body.json_format.update({"code": reply.status, "message": reply.sentence})
    mapper = ResponseMapper(filter=_cause(reply), body_format_override=body)
    if reply.flags or reply.mark:
        mapper.status_code.CopyFrom(UInt32Value(value=reply.status))
    return mapper


def _to_grpc(reply: Reply) -> Any:
    both = AccessLogFilter(and_filter=AndFilter(filters=[_cause(reply), speaks_grpc()]))
    mapper = ResponseMapper(filter=both, body=DataSource(inline_string=reply.to_grpc or reply.sentence))
    if reply.mark:
        mapper.status_code.CopyFrom(UInt32Value(value=reply.status))
    return mapper


def _cause(reply: Reply) -> Any:
    if reply.flags:
        return AccessLogFilter(response_flag_filter=ResponseFlagFilter(flags=reply.flags))
    return status_is(reply.answered)
