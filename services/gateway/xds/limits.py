"""Bounds on requests, as Envoy keeps them: a rate in a filter, requests in flight in the clusters.

The sentences are metadata of the routes, from which the replies take them; so is the name by which the filter
finds a service's bucket, which all doors of an entry share.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLogFilter, AndFilter, ResponseFlagFilter
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption, RuntimeFractionalPercent
from envoy.config.route.v3.route_components_pb2 import RateLimit
from envoy.extensions.common.ratelimit.v3.ratelimit_pb2 import (
    LocalRateLimitDescriptor,
    RateLimitDescriptor,
)
from envoy.extensions.filters.http.local_ratelimit.v3.local_rate_limit_pb2 import LocalRateLimit
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    ResponseMapper,
)
from envoy.type.metadata.v3.metadata_pb2 import MetadataKey
from envoy.type.v3.http_status_pb2 import HttpStatus
from envoy.type.v3.percent_pb2 import FractionalPercent
from envoy.type.v3.token_bucket_pb2 import TokenBucket
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from services.gateway.routes import Backend, Service
from services.gateway.routing.limits import QUEUE_FULL, TOO_MANY_REQUESTS, bounds, shares
from services.gateway.xds.conditions import metadata_is, speaks_grpc, status_is
from services.gateway.xds.wire import milliseconds, packed

RATE_FILTER = "envoy.filters.http.local_ratelimit"
# Metadata of the routes of services with limits.
LIMITS = "easel.limits"
_SERVICE, _RATE, _IN_FLIGHT, _STATUS = "service", "rate", "in_flight", "status"

# A bucket is filled all the time, at least one token a second.
_AGAIN = HeaderValueOption(
    header=HeaderValue(key="retry-after", value="1"),
    append_action=HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
)
_RESOURCE_EXHAUSTED = HeaderValueOption(
    header=HeaderValue(key="grpc-status", value="8"),
    append_action=HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
)
_ALWAYS = RuntimeFractionalPercent(default_value=FractionalPercent(numerator=100))
_NEVER_EMPTY = 4_294_967_295


def rate_filter() -> Any:
    """The filter as it stands in the chain, where it bounds nothing."""
    return packed(LocalRateLimit(stat_prefix="rate"))


def rates(services: Iterable[Service]) -> dict[str, Any]:
    """The filter's configuration for an entry that leads to `services`; empty where none has a rate."""
    buckets = []
    for service in services:
        rate = bounds(service).rate
        if rate is not None:
            entry = RateLimitDescriptor.Entry(key=_SERVICE, value=service.name)
            buckets.append(LocalRateLimitDescriptor(entries=[entry], token_bucket=_bucket(rate.most)))
    if not buckets:
        return {}
    by_service = RateLimit.Action.MetaData(
        descriptor_key=_SERVICE,
        source=RateLimit.Action.MetaData.Source.ROUTE_ENTRY,
        metadata_key=MetadataKey(key=LIMITS, path=[MetadataKey.PathSegment(key=_SERVICE)]),
    )
    config = LocalRateLimit(
        stat_prefix="rate",
        status=HttpStatus(code=TOO_MANY_REQUESTS),
        filter_enabled=_ALWAYS,
        filter_enforced=_ALWAYS,
        # What names no bucket, such as a request without a token, takes from this one.
        token_bucket=_bucket(_NEVER_EMPTY),
        always_consume_default_token_bucket=BoolValue(value=False),
        rate_limits=[RateLimit(actions=[RateLimit.Action(metadata=by_service)])],
        descriptors=buckets,
        response_headers_to_add=[_AGAIN],
        rate_limited_as_resource_exhausted=True,
    )
    return {RATE_FILTER: packed(config)}


def limit_metadata(service: Service) -> Mapping[str, Mapping[str, Any]]:
    """What the routes of a service say of its limits; empty where it has none and nothing waits for it.

    Whoever may not wait is counted by service too.
    """
    found = bounds(service)
    said: dict[str, str] = {}
    if found.rate is not None:
        said[_RATE] = found.rate.refusal
    if found.in_flight is not None:
        said[_IN_FLIGHT] = found.in_flight.refusal
        said[_STATUS] = str(found.in_flight.status)
    return {LIMITS: {_SERVICE: service.name, **said}} if said or service.holds else {}


def bound_in_flight(service: Service, backend: Backend, cluster: Cluster) -> None:
    """Lets the cluster of a version take its part of requests and no more, where there is a bound."""
    most = shares(service).get(backend.version)
    if most:
        cluster.circuit_breakers.thresholds[0].max_requests.value = most


def limit_replies() -> list[Any]:
    """What is told to requests beyond a bound."""
    overflow = AccessLogFilter(response_flag_filter=ResponseFlagFilter(flags=["UO"]))
    replies = []
    for status in (QUEUE_FULL, TOO_MANY_REQUESTS):
        cause = _both(overflow, metadata_is(LIMITS, _STATUS, str(status)))
        headers = [_AGAIN] if status == TOO_MANY_REQUESTS else []
        replies += _said(cause, _IN_FLIGHT, status, headers)
    return replies + _said(status_is(TOO_MANY_REQUESTS), _RATE, TOO_MANY_REQUESTS, [])


def _said(cause: Any, sentence: str, status: int, headers: list[Any]) -> list[Any]:
    """The sentence that the route keeps, bare to gRPC clients, as JSON to others."""
    words = f"%METADATA(ROUTE:{LIMITS}:{sentence})%"
    to_grpc = ResponseMapper(
        filter=_both(cause, speaks_grpc()), headers_to_add=[*headers, _RESOURCE_EXHAUSTED]
    )
    to_grpc.body_format_override.text_format_source.inline_string = words
    to_http = ResponseMapper(filter=cause, status_code=UInt32Value(value=status), headers_to_add=headers)
    to_http.body_format_override.json_format.update({"code": status, "message": words})
    return [to_grpc, to_http]


def _both(one: Any, other: Any) -> Any:
    return AccessLogFilter(and_filter=AndFilter(filters=[one, other]))


def _bucket(per_second: int) -> TokenBucket:
    return TokenBucket(
        max_tokens=per_second,
        tokens_per_fill=UInt32Value(value=per_second),
        fill_interval=milliseconds(1_000),
    )
