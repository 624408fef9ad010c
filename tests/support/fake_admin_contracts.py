"""What the in-memory admin API serves: each contract, how it is registered, and its servicer."""

from collections.abc import Callable
from typing import Any

from easel.admin.v1 import admin_pb2_grpc as rpc
from easel.admin.v1 import scaling_pb2_grpc
from easel.autoscaler.v1 import autoscaler_pb2_grpc
from easel.metrics.v1 import metrics_pb2_grpc
from tests.support.fake_admin import FakeAdmin
from tests.support.fake_admin_gateways import AccessTokens, Gateways
from tests.support.fake_admin_scaling import Autoscalers, Capacity, Metrics, Replays, Usage
from tests.support.fake_admin_servicers import Events, Instances, Nodes, Services, Tokens
from tests.support.fake_admin_storage import Datasets, Images, Secrets
from tests.support.fake_admin_traffic import Groups, Traffic

CONTRACTS: dict[str, tuple[Callable[..., None], Callable[[FakeAdmin], Any]]] = {
    "easel.admin.v1.ServiceService": (rpc.add_ServiceServiceServicer_to_server, Services),
    "easel.admin.v1.InstanceService": (rpc.add_InstanceServiceServicer_to_server, Instances),
    "easel.admin.v1.NodeService": (rpc.add_NodeServiceServicer_to_server, Nodes),
    "easel.admin.v1.EventService": (rpc.add_EventServiceServicer_to_server, Events),
    "easel.admin.v1.TokenService": (rpc.add_TokenServiceServicer_to_server, Tokens),
    "easel.admin.v1.SecretService": (rpc.add_SecretServiceServicer_to_server, Secrets),
    "easel.admin.v1.DatasetService": (rpc.add_DatasetServiceServicer_to_server, Datasets),
    "easel.admin.v1.ImageService": (rpc.add_ImageServiceServicer_to_server, Images),
    "easel.admin.v1.GroupService": (rpc.add_GroupServiceServicer_to_server, Groups),
    "easel.admin.v1.TrafficService": (rpc.add_TrafficServiceServicer_to_server, Traffic),
    "easel.admin.v1.GatewayService": (rpc.add_GatewayServiceServicer_to_server, Gateways),
    "easel.admin.v1.AccessTokenService": (rpc.add_AccessTokenServiceServicer_to_server, AccessTokens),
    "easel.metrics.v1.MetricsService": (metrics_pb2_grpc.add_MetricsServiceServicer_to_server, Metrics),
    "easel.autoscaler.v1.ReplayService": (autoscaler_pb2_grpc.add_ReplayServiceServicer_to_server, Replays),
    "easel.admin.v1.AutoscalerService": (
        scaling_pb2_grpc.add_AutoscalerServiceServicer_to_server,
        Autoscalers,
    ),
    "easel.admin.v1.CapacityService": (scaling_pb2_grpc.add_CapacityServiceServicer_to_server, Capacity),
    "easel.admin.v1.UsageService": (scaling_pb2_grpc.add_UsageServiceServicer_to_server, Usage),
}
