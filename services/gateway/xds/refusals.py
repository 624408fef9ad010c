"""A counter for each kind of answer that the gateway gives by itself.

Envoy has none by status, and none for what is answered without an instance. What instances answer well is
passed over after a look at two numbers.
"""

from typing import Any

from envoy.config.accesslog.v3.accesslog_pb2 import (
    AccessLog,
    AccessLogFilter,
    AndFilter,
    GrpcStatusFilter,
    OrFilter,
)
from xds.type.v3.typed_struct_pb2 import TypedStruct

from services.gateway.xds.conditions import holds, speaks_grpc, status_from
from services.gateway.xds.limits import LIMITS
from services.gateway.xds.wire import packed

_CONFIG = "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config"
# In the order in which they stand in the name of a counter. The service is that of a route with limits, or on
# which requests wait: only there a request has a service, and the number of counters a bound.
_TAGS = (
    ("service", f"%METADATA(ROUTE:{LIMITS}:service)%"),
    ("status", "%RESPONSE_CODE%"),
    ("grpc", "%GRPC_STATUS_NUMBER%"),
    ("flags", "%RESPONSE_FLAGS%"),
)


def counted_refusals() -> Any:
    """Counts as `easel.refused.service.S.status.N.grpc.G.flags.F`, empty where there is none of it."""
    ok = GrpcStatusFilter.Status.OK
    not_ok = AccessLogFilter(grpc_status_filter=GrpcStatusFilter(statuses=[ok], exclude=True))
    failed = AccessLogFilter(
        or_filter=OrFilter(
            filters=[
                status_from(400),
                AccessLogFilter(and_filter=AndFilter(filters=[speaks_grpc(), not_ok])),
            ]
        )
    )
    by_itself = holds("response.code_details != 'via_upstream'")
    # Named by its fields: the package of protos lacks the scope, without which Envoy takes none.
    config = TypedStruct(type_url=_CONFIG)
    tags = [{"name": name, "value_format": value} for name, value in _TAGS]
    counter = {"stat": {"name": "refused", "tags": tags}, "value_fixed": 1}
    config.value.update({"stats_scope": {"prefix": "easel"}, "counters": [counter]})
    return AccessLog(
        name="envoy.access_loggers.stats",
        filter=AccessLogFilter(and_filter=AndFilter(filters=[failed, by_itself])),
        typed_config=packed(config),
    )
