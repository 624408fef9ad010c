"""What every route to a service says, whichever entry it belongs to: where, how long, with which filters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

from envoy.config.route.v3.route_components_pb2 import RetryPolicy, RouteAction, WeightedCluster
from envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import PreviousHostsPredicate
from google.protobuf.wrappers_pb2 import UInt32Value

from services.gateway.routes import Backend, Service
from services.gateway.xds.clusters import cluster_name
from services.gateway.xds.filters import body_exemption
from services.gateway.xds.limits import limit_metadata
from services.gateway.xds.mirrors import add_mirrors
from services.gateway.xds.samples import sampled
from services.gateway.xds.wire import milliseconds, packed, span

_UNTIL_DONE = milliseconds(0)

# Each gives filters, by name, with their configuration for the routes of a service; none that it does not
# use. A filter stands in the listener switched off, and such a configuration switches it on.
_FILTERS: tuple[Callable[[Service], Mapping[str, Any]], ...] = (body_exemption, sampled)
# Each gives metadata, by name space, for the routes of a service.
_METADATA: tuple[Callable[[Service], Mapping[str, Mapping[str, Any]]], ...] = (limit_metadata,)
# Each may add to the action of the routes of a service, such as mirrors.
_AMENDMENTS: tuple[Callable[[Service, RouteAction], None], ...] = (add_mirrors,)


@dataclass(frozen=True)
class Forwarding:
    """The action is None where a service has no version yet: nobody can answer."""

    action: Any
    retry: Any
    filters: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def clusters(self) -> tuple[str, ...]:
        """The clusters that must be in force before such a route."""
        if self.action is None:
            return ()
        mirrors = [each.cluster for each in self.action.request_mirror_policies]
        if self.action.cluster:
            return (self.action.cluster, *mirrors)
        return (*(each.name for each in self.action.weighted_clusters.clusters), *mirrors)


def forwarding(service: Service) -> Forwarding:
    """How requests are handed to a service."""
    return Forwarding(
        _action(service),
        retry_policy(None if service.grpc else service.keepalive),
        route_filters(service),
        route_metadata(service),
    )


def route_filters(service: Service) -> dict[str, Any]:
    """The filters that this service's requests pass through, with what they need to know."""
    return {name: config for source in _FILTERS for name, config in source(service).items()}


def route_metadata(service: Service) -> dict[str, Mapping[str, Any]]:
    """What the listener's statistics, logs and replies read of a route."""
    return {name: values for source in _METADATA for name, values in source(service).items()}


def serving(service: Service) -> list[Backend]:
    """The versions that requests may go to: those with instances, else the newest one."""
    ready = [backend for backend in service.backends if backend.endpoints]
    return ready or list(service.backends[-1:])


def _action(service: Service) -> RouteAction | None:
    chosen = serving(service)
    if not chosen:
        return None
    action = RouteAction(timeout=_UNTIL_DONE)
    if service.grpc:
        action.max_stream_duration.grpc_timeout_header_max.CopyFrom(_UNTIL_DONE)
    if len(chosen) == 1:
        action.cluster = cluster_name(service.name, chosen[0].version)
    else:
        for backend in chosen:
            weight = UInt32Value(value=len(backend.endpoints))
            name = cluster_name(service.name, backend.version)
            action.weighted_clusters.clusters.append(WeightedCluster.ClusterWeight(name=name, weight=weight))
    for amend in _AMENDMENTS:
        amend(service, action)
    return action


@cache
def retry_policy(keepalive: timedelta | None) -> Any:
    """Another instance is tried only where the first one cannot have seen the request.

    The bound on a try runs from the end of the request to the first byte of the answer: a stream that has
    begun is never cut.
    """
    policy = RetryPolicy(
        retry_on="connect-failure,refused-stream,reset-before-request",
        num_retries=UInt32Value(value=4),
        host_selection_retry_max_attempts=5,
        retry_host_predicate=[
            RetryPolicy.RetryHostPredicate(
                name="envoy.retry_host_predicates.previous_hosts",
                typed_config=packed(PreviousHostsPredicate()),
            )
        ],
        retry_back_off=RetryPolicy.RetryBackOff(base_interval=milliseconds(5), max_interval=milliseconds(50)),
    )
    if keepalive:
        policy.per_try_timeout.CopyFrom(span(keepalive))
    return policy
