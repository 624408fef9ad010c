"""How requests travel, as plain frozen values. Shares are from 0 to 1, latencies in milliseconds.

They are all in `easel_sdk.types` too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypedDict

from libs.domain.states import RampPhase, TrafficMode, TrafficState
from libs.domain.traffic import GatewayDomain, MemberRule


@dataclass(frozen=True)
class GroupMember:
    """A service of a group. A weight of -1 stands for as many as its ready instances."""

    service: str
    traffic_state: TrafficState
    weight: int
    ready: int
    # Its share of the group's requests now, from 0 to 1.
    share: float


@dataclass(frozen=True)
class RampPlan:
    """The steps, in growing percents of the group's requests, and how long each of them lasts.

    `max_error_rate` is a share of requests from 0 to 1, `max_p99_increase` by which share the 99th
    percentile of latency may lie above that of the other members (0.2 for 20 %); None for no bound. A step
    is judged once it has had `min_requests`; 0 takes 50.
    """

    steps: tuple[int, ...]
    every: timedelta
    max_error_rate: float | None = None
    max_p99_increase: float | None = None
    min_requests: int = 0


@dataclass(frozen=True)
class Ramp:
    """A member on its way to all of its group's requests. `step` is the index of the one in force."""

    service: str
    group: str
    plan: RampPlan
    phase: RampPhase
    why: str
    step: int
    stepped_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class Group:
    """Services behind one entry. A `kept` one was created by itself, and stays without members."""

    name: str
    traffic_mode: TrafficMode
    members: tuple[GroupMember, ...]
    endpoint: str
    labels: Mapping[str, str]
    kept: bool
    gateway: str
    # By the value of which header a member is chosen, and in which cookie the choice is kept.
    sticky_header: str
    sticky_cookie: str
    rules: tuple[MemberRule, ...]
    created_at: datetime | None
    updated_at: datetime | None
    # The newest ramp of a member; None before the first.
    ramp: Ramp | None = None


@dataclass(frozen=True)
class ComparedPair:
    """The answers of a service and of a mirror's target to the same request."""

    at: datetime | None
    method: str
    path: str
    status: int
    target_status: int
    latency_ms: float
    target_latency_ms: float
    # Where the bodies differ: JSON paths with both values, or the sizes of both.
    differences: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """What the answers of a mirror's target were like beside the service's own, `since` then."""

    service: str
    target: str
    pairs: int
    same_status: int
    # Of those with the same status; JSON is compared by value.
    same_body: int
    # Pairs in which the target did not answer.
    unanswered: int
    # How much longer the target took; negative where it was faster.
    latency_difference_p50_ms: float
    latency_difference_p99_ms: float
    # The newest that differed.
    differing: tuple[ComparedPair, ...]
    since: datetime | None


@dataclass(frozen=True)
class Mirror:
    """Copies of a service's requests go to `targets`, `ratio` of a hundred; `compare` is a share of all."""

    service: str
    targets: tuple[str, ...]
    ratio: int
    compare: float
    created_at: datetime | None
    updated_at: datetime | None
    comparisons: tuple[Comparison, ...] = ()
    # What keeps a target from getting copies, one sentence each.
    notes: tuple[str, ...] = ()


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


@dataclass(frozen=True)
class WebLink:
    """A link that opens a service's pages in a browser until `expires_at`. Whoever has it may open it."""

    url: str = field(repr=False)
    expires_at: datetime | None


@dataclass(frozen=True)
class AccessToken:
    """Opens a service or a group (one of the two) to its callers. `expires_at` is None for never."""

    id: str
    service: str
    group: str
    name: str
    created_at: datetime | None
    expires_at: datetime | None
    # To about a minute; None before the first use.
    last_used_at: datetime | None


@dataclass(frozen=True)
class NewAccessToken:
    """An access token with its value; after a rotation, `before` is the one it takes the place of."""

    token: AccessToken
    value: str = field(repr=False)
    before: AccessToken | None = None


@dataclass(frozen=True)
class CertificateStatus:
    """A domain's certificate: until when it is valid, and why it is not in force where it is not."""

    domain: str
    not_after: datetime | None
    why: str


class GatewaySettings(TypedDict, total=False):
    """What may be set for a gateway, named as in `Gateway`. What is left out takes the default, or stays."""

    host: str
    port: int
    tls_port: int
    workers: int
    public_url: str
    domains: tuple[GatewayDomain, ...]
    redirect_https: bool
    allow: tuple[str, ...]
    deny: tuple[str, ...]
    body_limit_bytes: int
    keepalive: timedelta
    max_connections: int
    upstream_tls_secret: str


@dataclass(frozen=True)
class Gateway:
    """What carries requests in. 0 stands for the default; a body limit of -1 is none.

    `host` is the gateway whose process runs its Envoy; empty when a process of its own dials in.
    """

    name: str
    shared: bool
    host: str
    port: int
    tls_port: int
    # Worker threads of its Envoy; 0 for one a core.
    workers: int
    public_url: str
    domains: tuple[GatewayDomain, ...]
    redirect_https: bool
    # Networks in CIDR; an empty `allow` is everyone.
    allow: tuple[str, ...]
    deny: tuple[str, ...]
    body_limit_bytes: int
    # What services get that name none; 0 for the default.
    keepalive: timedelta
    max_connections: int
    # The secret with ca, certificate and key for TLS toward instances; empty for none.
    upstream_tls_secret: str
    created_at: datetime | None
    updated_at: datetime | None
    connected: bool
    envoys: int
    why: str
    services: int
    certificates: tuple[CertificateStatus, ...]
    # Set for the gateway of one node.
    node: str


@dataclass(frozen=True)
class Registry:
    """Where instances are written for clients that look them up themselves. `kind` is "nacos"."""

    id: str
    kind: str
    url: str
    namespace: str
    group: str
    # The secret with `user` and `password`; empty for none.
    secret: str
    created_at: datetime | None
    used_by: tuple[str, ...]


@dataclass(frozen=True)
class DirectEndpoint:
    """Where clients that connect directly reach a service, and how often the place is chosen."""

    address: str
    port: int
    weight: int


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
