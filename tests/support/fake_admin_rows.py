"""What the in-memory admin API keeps of how requests travel."""

from dataclasses import dataclass, field

from easel.admin.v1 import admin_pb2 as pb
from easel.common.v1 import common_pb2 as common


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
