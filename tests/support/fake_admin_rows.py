"""What the in-memory admin API keeps of how requests travel, and of sizes and numbers."""

import json
from dataclasses import dataclass, field
from typing import Any

from easel.admin.v1 import admin_pb2 as pb
from easel.admin.v1 import scaling_pb2 as scaling
from easel.autoscaler.v1 import autoscaler_pb2
from easel.common.v1 import common_pb2 as common
from libs.domain.errors import EaselError, InvalidRequest


@dataclass
class TrafficRows:
    """Groups, mirrors, gateways, registries, access tokens with their values; tests may write all of them.

    `explanation`, and `traffic` by service, are what is answered to who asks. `ramp_steps` are the states
    that a ramp goes through, one each time its group is asked for. `gateway_why` is why no Envoy of a gateway
    that is made can be started.
    """

    groups: dict[str, pb.Group] = field(default_factory=dict)
    mirrors: dict[str, pb.Mirror] = field(default_factory=dict)
    gateways: dict[str, pb.Gateway] = field(default_factory=dict)
    gateway_why: str = ""
    registries: dict[str, pb.Registry] = field(default_factory=dict)
    tokens: dict[str, pb.AccessToken] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    ramp_steps: list[pb.Ramp] = field(default_factory=list)
    explanation: common.RouteExplanation = field(default_factory=common.RouteExplanation)
    explained: list[pb.ExplainRouteRequest] = field(default_factory=list)
    traffic: dict[str, list[pb.GetTrafficResponse]] = field(default_factory=dict)
    links: list[pb.CreateWebLinkRequest] = field(default_factory=list)
    gateway_updates: list[pb.UpdateGatewayRequest] = field(default_factory=list)


@dataclass
class ScalingRows:
    """What is told of numbers by (kind, subject, measure), of sizes and of usage; tests write all of it.

    `watches` are the numbers that a watch tells, one after the other; then it ends with `watch_end`.
    """

    numbers: dict[tuple[str, str, str], float] = field(default_factory=dict)
    service_of: dict[str, str] = field(default_factory=dict)
    series: dict[tuple[str, str, str], list[tuple[float, float]]] = field(default_factory=dict)
    watches: list[dict[tuple[str, str, str], float]] = field(default_factory=list)
    watch_end: EaselError | None = None
    refuses: EaselError | None = None
    # Names that are no measures.
    unmeasured: set[str] = field(default_factory=set)
    asked: list[Any] = field(default_factory=list)
    autoscalers: dict[str, scaling.Autoscaler] = field(default_factory=dict)
    cronscalers: dict[str, scaling.Cronscaler] = field(default_factory=dict)
    # When every job is due next; None: never again.
    next_run_s: float | None = 1_900_000_000.0
    scalings: list[scaling.Scaling] = field(default_factory=list)
    merges: list[scaling.SetAutoscalerRequest] = field(default_factory=list)
    replays: list[autoscaler_pb2.ReplayRequest] = field(default_factory=list)
    replayed: autoscaler_pb2.ReplayResponse = field(default_factory=autoscaler_pb2.ReplayResponse)
    capacity: list[scaling.GroupCapacity] = field(default_factory=list)
    usage: scaling.GetUsageResponse = field(default_factory=scaling.GetUsageResponse)

    def refuse_beyond(self, service: str, instances: int) -> None:
        """As for a size beyond the bounds of a policy."""
        known = self.autoscalers.get(service)
        policy = json.loads(known.policy_json) if known is not None else {"min": 0, "max": 1000}
        least, most = policy.get("min", 1), policy.get("max", 10)
        if not least <= instances <= most:
            kept = f"{least} to {most}, within which its autoscaler keeps it"
            raise InvalidRequest("instances", instances, kept)
