"""What Easel keeps of how requests travel: groups, ramps, mirrors, gateways, access tokens, registries.

Records as those of `libs/domain/records.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from libs.domain.states import RampPhase, TrafficMode, TrafficState

# Services that name no gateway are on this one.
SHARED_GATEWAY = "gateway"
# As many as the ready instances.
BY_INSTANCES = -1


@dataclass(frozen=True)
class MemberRule:
    """Requests that show this header or this cookie go to one member. An empty value stands for any."""

    service: str
    header: str = ""
    cookie: str = ""
    value: str = ""


@dataclass(frozen=True)
class Group:
    """Services behind one entry. Members name it in their service.json; `kept` ones stay without members."""

    name: str
    token: str
    created_at: datetime
    updated_at: datetime
    traffic_mode: TrafficMode = TrafficMode.AUTO
    kept: bool = False
    gateway: str = SHARED_GATEWAY
    labels: Mapping[str, str] = field(default_factory=dict)
    # By the value of which header a member is chosen, and in which cookie the choice is kept.
    sticky_header: str = ""
    sticky_cookie: str = ""
    rules: tuple[MemberRule, ...] = ()
    revision: int = 0


@dataclass(frozen=True)
class Ramp:
    """The newest way of a member to all of its group's requests. Replaced by the next one.

    `steps` are percents; `step` is the index of the one in force. Bounds are None where none was asked for:
    the share of failed requests, and by which share the 99th percentile of latency may lie above the others'.
    """

    service: str
    group: str
    steps: tuple[int, ...]
    every_s: int
    started_at: datetime
    stepped_at: datetime
    max_error_rate: float | None = None
    max_p99_increase: float | None = None
    min_requests: int = 50
    step: int = 0
    phase: RampPhase = RampPhase.RUNNING
    why: str = ""
    # What the member had before, to go back to.
    before_state: TrafficState = TrafficState.STANDALONE
    before_weight: int = BY_INSTANCES
    finished_at: datetime | None = None
    revision: int = 0


@dataclass(frozen=True)
class Mirror:
    """Copies of a service's requests go to `targets`. `ratio` is in percent, `compare_ppm` in millionths."""

    service: str
    targets: tuple[str, ...]
    ratio: int
    created_at: datetime
    updated_at: datetime
    compare_ppm: int = 0
    revision: int = 0


@dataclass(frozen=True)
class GatewayDomain:
    """A host name of a gateway; its certificate is in a secret, in files on the gateway's host or nowhere."""

    name: str
    secret: str = ""
    certificate_file: str = ""
    key_file: str = ""


@dataclass(frozen=True)
class Gateway:
    """What an operator set for a gateway. 0 takes the default; a body limit of -1 is none.

    `host` is the gateway whose process runs its Envoy; empty when a process of its own dials in.
    """

    name: str
    created_at: datetime
    updated_at: datetime
    host: str = ""
    port: int = 0
    tls_port: int = 0
    workers: int = 0
    public_url: str = ""
    domains: tuple[GatewayDomain, ...] = ()
    redirect_https: bool = False
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    body_limit_bytes: int = 0
    keepalive_ms: int = 0
    max_connections: int = 0
    upstream_tls_secret: str = ""
    revision: int = 0


@dataclass(frozen=True)
class AccessToken:
    """Opens a service or a group to its callers. `owner_kind` is "service" or "group"."""

    id: str
    owner_kind: str
    owner: str
    name: str
    value: str
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revision: int = 0


@dataclass(frozen=True)
class Registry:
    """Where instances are written for clients that look them up themselves. `kind` is "nacos"."""

    id: str
    kind: str
    url: str
    created_at: datetime
    namespace: str = ""
    group: str = ""
    # The secret with `user` and `password`; empty for none.
    secret: str = ""
    revision: int = 0
