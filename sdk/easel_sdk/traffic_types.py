"""How requests travel, as plain frozen values. Shares are from 0 to 1, latencies in milliseconds.

They are all in `easel_sdk.types` too.
"""

from dataclasses import dataclass

from easel_sdk.gateway_types import (
    AccessToken,
    CertificateStatus,
    DirectEndpoint,
    Gateway,
    GatewaySettings,
    NewAccessToken,
    Registry,
    WebLink,
)
from easel_sdk.group_types import Group, GroupMember, Ramp, RampPlan
from easel_sdk.mirror_types import ComparedPair, Comparison, Mirror
from libs.domain.states import RampPhase, TrafficMode, TrafficState
from libs.domain.traffic import GatewayDomain, MemberRule


@dataclass(frozen=True)
class RouteTarget:
    """One of the sets of instances a request may go to: its share of such requests, and "address:port"s."""

    service: str
    version: int
    share: float
    endpoints: tuple[str, ...]


@dataclass(frozen=True)
class RouteExplanation:
    """Where a request would go, and what it would meet on its way.

    `status` is what the gateway itself would answer with; 0 when the request goes to an instance, which
    then sees `path`. `token` names the access token that opens it.
    """

    gateway: str
    generation: int
    envoys: int
    status: int
    why: str
    steps: tuple[str, ...]
    group: str
    service: str
    token: str
    targets: tuple[RouteTarget, ...]
    limits: tuple[str, ...]
    mirrors: tuple[str, ...]
    path: str


@dataclass(frozen=True)
class LatencyBucket:
    """How many requests took at most so long. `upper_ms` is None for the last one, which holds them all."""

    upper_ms: float | None
    count: int


@dataclass(frozen=True)
class ServiceTraffic:
    """What the Envoys counted for one version of a service since they started. Counts may begin anew."""

    service: str
    version: int
    requests: int
    status_2xx: int
    status_4xx: int
    status_5xx: int
    in_flight: int
    # Refused by the gateway: for a rate, for requests in flight, for the keepalive.
    rate_limited: int
    overflowed: int
    timed_out: int
    grpc_ok: int
    grpc_failed: int
    latency: tuple[LatencyBucket, ...]


@dataclass(frozen=True)
class Traffic:
    """The numbers of each version, and which gateways could not be asked, one sentence each."""

    versions: tuple[ServiceTraffic, ...]
    notes: tuple[str, ...] = ()


__all__ = [
    "AccessToken",
    "CertificateStatus",
    "ComparedPair",
    "Comparison",
    "DirectEndpoint",
    "Gateway",
    "GatewayDomain",
    "GatewaySettings",
    "Group",
    "GroupMember",
    "LatencyBucket",
    "MemberRule",
    "Mirror",
    "NewAccessToken",
    "Ramp",
    "RampPhase",
    "RampPlan",
    "Registry",
    "RouteExplanation",
    "RouteTarget",
    "ServiceTraffic",
    "Traffic",
    "TrafficMode",
    "TrafficState",
    "WebLink",
]
