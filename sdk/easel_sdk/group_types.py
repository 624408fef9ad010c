"""Groups of services and how requests are shared among members, as plain frozen values.

They are all in `easel_sdk.types` too. Shares are from 0 to 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.domain.states import RampPhase, TrafficMode, TrafficState
from libs.domain.traffic import MemberRule


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
