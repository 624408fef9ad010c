"""Copies of a service's requests to the targets of its mirror, such that no target can slow the original.

A copy is held in memory until its request has ended and only then sent, in one piece: while the original is
under way nothing of it waits for the target. What is too long to be held is not copied, what finds no room
among the copies under way is dropped, and each copy ends with the target's keepalive at the latest.
"""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.common.mutation_rules.v3.mutation_rules_pb2 import HeaderMutation
from envoy.config.core.v3.base_pb2 import DataSource, HeaderValue, HeaderValueOption, RuntimeFractionalPercent
from envoy.config.route.v3.route_components_pb2 import RouteAction
from envoy.extensions.filters.http.buffer.v3.buffer_pb2 import Buffer
from envoy.extensions.filters.http.lua.v3.lua_pb2 import Lua
from envoy.extensions.filters.http.upstream_codec.v3.upstream_codec_pb2 import UpstreamCodec
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2 as upstream
from envoy.type.v3.percent_pb2 import FractionalPercent
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from services.gateway.routes import Backend, Mirror, Service
from services.gateway.xds.clusters import UPSTREAM, assignment, cluster, protocol
from services.gateway.xds.edge import NO_REACH, Reach
from services.gateway.xds.resource import CLUSTER, Resource, resource
from services.gateway.xds.wire import milliseconds, packed, span

# By this header a target tells a copy from a request; its value is the service that was called.
MIRROR_HEADER = "x-easel-mirror-of"
# What opens the service that was called opens nothing for the target, which may belong to somebody else.
_KEPT_BACK = ("authorization", "cookie")
# Copies under way to one target, and how long the body of one may be.
MOST_COPIES = 100
LARGEST_COPY = 1024 * 1024
# Where the target has no keepalive.
_LONGEST_COPY = timedelta(seconds=60)
_SCRIPT = Path(__file__).with_name("mirror_path.lua").read_text()


def copied_to(service: Service) -> list[Mirror]:
    """The targets that get copies now: none without a ready instance, and none at a ratio of 0."""
    return [each for each in service.mirrors if each.ratio and each.endpoints]


def mirror_cluster(service: str, target: str) -> str:
    """The cluster of one target; no version of a service has such a name."""
    return f"{service}/~{target}"


def mirror_resources(service: Service, reach: Reach = NO_REACH) -> list[Resource]:
    """A cluster for each target that gets copies, apart from those that the target's own requests go to."""
    return [each for mirror in copied_to(service) for each in _resources(service, mirror, reach)]


def add_mirrors(service: Service, action: RouteAction) -> None:
    """Makes the routes of a service copy what they carry."""
    action.request_mirror_policies.extend(_policy(service, each) for each in copied_to(service))


def _policy(service: Service, mirror: Mirror) -> Any:
    mark = HeaderValueOption(
        header=HeaderValue(key=MIRROR_HEADER, value=service.name),
        append_action=HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
    )
    policy = RouteAction.RequestMirrorPolicy(
        cluster=mirror_cluster(service.name, mirror.service),
        trace_sampled=BoolValue(value=False),
        disable_shadow_host_suffix_append=True,
        request_headers_mutations=[
            *(HeaderMutation(remove=name) for name in _KEPT_BACK),
            HeaderMutation(append=mark),
        ],
    )
    if mirror.ratio < 100:
        # Of a hundred, not of a million: Envoy draws one number a request, whose leading digits choose the
        # member of a group. The last two are left to the mirror, so that it sees all members alike.
        share = FractionalPercent(
            numerator=mirror.ratio, denominator=FractionalPercent.DenominatorType.HUNDRED
        )
        policy.runtime_fraction.CopyFrom(RuntimeFractionalPercent(default_value=share))
    return policy


def _resources(service: Service, mirror: Mirror, reach: Reach) -> Iterable[Resource]:
    """Those of a service that has the target's instances, under a name and with bounds of its own."""
    name = mirror_cluster(service.name, mirror.service)
    stand_in = Service(mirror.service, grpc=mirror.grpc)
    backend = Backend(0, mirror.endpoints)
    message = Cluster.FromString(cluster(stand_in, backend, reach).body)
    message.name = name
    message.connect_timeout.CopyFrom(milliseconds(500))
    most = UInt32Value(value=MOST_COPIES)
    bounds = CircuitBreakers.Thresholds(max_connections=most, max_pending_requests=most, max_requests=most)
    message.circuit_breakers.CopyFrom(CircuitBreakers(thresholds=[bounds]))
    message.typed_extension_protocol_options[UPSTREAM].CopyFrom(packed(_handing_over(service, mirror)))
    yield resource(CLUSTER, name, message)
    yield assignment(name, backend)


def _handing_over(service: Service, mirror: Mirror) -> upstream.HttpProtocolOptions:
    options = protocol(mirror.grpc)
    longest = mirror.keepalive or _LONGEST_COPY
    options.common_http_protocol_options.max_stream_duration.CopyFrom(span(longest))
    held = Buffer(max_request_bytes=UInt32Value(value=LARGEST_COPY))
    options.http_filters.extend(
        [
            *_path(service, mirror),
            HttpFilter(name="envoy.filters.http.buffer", typed_config=packed(held)),
            HttpFilter(name="envoy.filters.http.upstream_codec", typed_config=packed(UpstreamCodec())),
        ]
    )
    return options


def _path(service: Service, mirror: Mirror) -> list[Any]:
    """A copy has the path that an instance of the service sees; one of the target may expect another."""
    if service.grpc or mirror.grpc or not (service.keep_path or mirror.keep_path):
        return []
    front = f"/api/predict/{mirror.service}" if mirror.keep_path else ""
    whole = "true" if service.keep_path else "false"
    script = f'local FRONT, WHOLE = "{front}", {whole}\n{_SCRIPT}'
    config = Lua(default_source_code=DataSource(inline_string=script))
    return [HttpFilter(name="envoy.filters.http.lua", typed_config=packed(config))]
