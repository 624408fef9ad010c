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
from envoy.extensions.access_loggers.stats.v3.stats_pb2 import Config
from google.protobuf.wrappers_pb2 import UInt64Value

from services.gateway.xds.conditions import holds, speaks_grpc, status_from
from services.gateway.xds.limits import LIMITS
from services.gateway.xds.wire import packed

# In the order in which they stand in the name of a counter. The service is that of a route with limits: only
# there a request has a service, and the number of counters a bound.
_TAGS = (
    ("service", f"%METADATA(ROUTE:{LIMITS}:service)%"),
    ("status", "%RESPONSE_CODE%"),
    ("grpc", "%GRPC_STATUS_NUMBER%"),
    ("flags", "%RESPONSE_FLAGS%"),
)


def counted_refusals() -> Any:
    """Counts as `refused.service.S.status.N.grpc.G.flags.F`, empty where there is none of it."""
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
    counter = Config.Counter(
        stat=Config.Stat(
            name="refused", tags=[Config.Tag(name=name, value_format=value) for name, value in _TAGS]
        ),
        value_fixed=UInt64Value(value=1),
    )
    return AccessLog(
        name="envoy.access_loggers.stats",
        filter=AccessLogFilter(and_filter=AndFilter(filters=[failed, by_itself])),
        typed_config=packed(Config(counters=[counter])),
    )
