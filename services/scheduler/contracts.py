"""The table of contracts that the scheduler serves: who may call each, and what answers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from easel.admin.v1 import admin_pb2_grpc as admin
from easel.admin.v1 import scaling_pb2_grpc as scaling
from easel.agent.v1 import agent_pb2_grpc as agent
from easel.autoscaler.v1 import autoscaler_pb2_grpc
from easel.facts.v1 import facts_pb2_grpc as facts
from easel.gateway.v1 import gateway_pb2_grpc as gateway
from easel.metrics.v1 import metrics_pb2_grpc
from libs.db.store import Store
from libs.domain.states import TokenRole
from libs.rpc.server import Service
from libs.telemetry.traces import inject
from services.scheduler.access.last_used import LastUsed
from services.scheduler.access.opening import WebLinks
from services.scheduler.admin.access_servicer import AccessTokenServicer
from services.scheduler.admin.autoscaler_servicer import AutoscalerServicer
from services.scheduler.admin.dataset_servicer import DatasetServicer
from services.scheduler.admin.event_servicer import EventServicer
from services.scheduler.admin.gateway_servicer import GatewayServicer
from services.scheduler.admin.group_servicer import GroupServicer
from services.scheduler.admin.image_servicer import ImageServicer
from services.scheduler.admin.instance_servicer import InstanceServicer
from services.scheduler.admin.node_servicer import NodeServicer
from services.scheduler.admin.secret_servicer import SecretServicer
from services.scheduler.admin.service_servicer import ServiceServicer
from services.scheduler.admin.services import Services
from services.scheduler.admin.token_servicer import TokenServicer
from services.scheduler.admin.traffic_servicer import TrafficServicer
from services.scheduler.admin.usage_servicer import UsageServicer
from services.scheduler.admin.views import ServiceViews
from services.scheduler.agents.servicer import AgentLinkServicer
from services.scheduler.agents.sessions import Sessions
from services.scheduler.capacity.servicer import CapacityServicer
from services.scheduler.diagnose.asking import Diagnoses
from services.scheduler.facts_feed.feed import FactsFeed
from services.scheduler.facts_feed.servicer import FactsServicer
from services.scheduler.forwarding.metrics_servicer import MetricsForwarder
from services.scheduler.forwarding.peer import Peer
from services.scheduler.forwarding.replay_servicer import ReplayForwarder
from services.scheduler.images.states import PullStates
from services.scheduler.ledger import Ledger
from services.scheduler.live import Live
from services.scheduler.mirrors.comparisons import Comparisons
from services.scheduler.ramp.loop import Ramps
from services.scheduler.reconcile.placing import Placer
from services.scheduler.routes.gateways import Gateways
from services.scheduler.routes.servicer import Listeners, RoutesServicer
from services.scheduler.routes.table import RoutesTable
from services.scheduler.scaling.servicer import ScalingServicer
from services.scheduler.scaling.waiting import WaitingRequests
from services.scheduler.secrets.vault import Vault
from services.scheduler.settings import Settings
from services.scheduler.traffic.asking import Asking

ROLES: dict[str, TokenRole | frozenset[TokenRole]] = {
    **{
        f"easel.admin.v1.{name}": TokenRole.ADMIN
        for name in (
            "ServiceService",
            "InstanceService",
            "NodeService",
            "EventService",
            "TokenService",
            "SecretService",
            "DatasetService",
            "ImageService",
            "AccessTokenService",
            "GroupService",
            "GatewayService",
            "TrafficService",
            "UsageService",
            "CapacityService",
            "AutoscalerService",
        )
    },
    "easel.metrics.v1.MetricsService": TokenRole.ADMIN,
    "easel.autoscaler.v1.ReplayService": TokenRole.ADMIN,
    "easel.autoscaler.v1.ScalingService": TokenRole.ADMIN,
    "easel.agent.v1.AgentLinkService": TokenRole.JOIN,
    "easel.gateway.v1.RoutesService": TokenRole.JOIN,
    "easel.facts.v1.FactsService": frozenset({TokenRole.JOIN, TokenRole.ADMIN}),
}


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Parts:
    """What contracts are answered from."""

    settings: Settings
    store: Store
    ledger: Ledger
    table: RoutesTable
    gateways: Gateways
    sessions: Sessions
    live: Live
    diagnoses: Diagnoses
    vault: Vault
    pulls: PullStates
    used: LastUsed
    ramps: Ramps
    comparisons: Comparisons
    told: Listeners
    metrics: Peer
    autoscaler: Peer
    feed: FactsFeed
    waiting: WaitingRequests
    placer: Placer
    stop: asyncio.Event


def contracts(parts: Parts) -> list[Service]:
    """Every contract with what answers it."""
    added = {
        **_of_services(parts),
        **_of_sizes(parts),
        **_of_traffic(parts),
        **_of_storage(parts),
        **_of_links(parts),
        **_handed_on(parts),
    }
    return [Service(name, add) for name, add in added.items()]


Adders = dict[str, Callable[[Any], None]]


def _of_services(parts: Parts) -> Adders:
    p, settings = parts, parts.settings
    views = ServiceViews(
        p.ledger.world,
        p.gateways.public_url,
        settings.public_url,
        settings.delete_idle_after,
        p.waiting.of,
    )
    services = Services(p.ledger, now, inject, p.vault)
    service = ServiceServicer(p.ledger, services, views, p.diagnoses, p.stop)
    instances = InstanceServicer(p.ledger, p.sessions, p.live, p.diagnoses, now)
    nodes = NodeServicer(p.ledger, p.placer, p.sessions, now)
    events = EventServicer(p.ledger, p.store, p.stop)
    groups = GroupServicer(p.ledger, views, p.ramps.said, now)
    return {
        "easel.admin.v1.ServiceService": partial(admin.add_ServiceServiceServicer_to_server, service),
        "easel.admin.v1.InstanceService": partial(admin.add_InstanceServiceServicer_to_server, instances),
        "easel.admin.v1.NodeService": partial(admin.add_NodeServiceServicer_to_server, nodes),
        "easel.admin.v1.EventService": partial(admin.add_EventServiceServicer_to_server, events),
        "easel.admin.v1.GroupService": partial(admin.add_GroupServiceServicer_to_server, groups),
    }


def _of_sizes(parts: Parts) -> Adders:
    p = parts
    usage = UsageServicer(p.ledger.world, p.store, now, p.settings.usage_kept)
    policies = AutoscalerServicer(p.ledger, p.store, p.waiting.of, now)
    decisions = ScalingServicer(p.ledger, now)
    return {
        "easel.admin.v1.UsageService": partial(scaling.add_UsageServiceServicer_to_server, usage),
        "easel.admin.v1.CapacityService": partial(
            scaling.add_CapacityServiceServicer_to_server, CapacityServicer(p.ledger.world, p.placer)
        ),
        "easel.admin.v1.AutoscalerService": partial(
            scaling.add_AutoscalerServiceServicer_to_server, policies
        ),
        "easel.autoscaler.v1.ScalingService": partial(
            autoscaler_pb2_grpc.add_ScalingServiceServicer_to_server, decisions
        ),
    }


def _of_traffic(parts: Parts) -> Adders:
    p = parts
    asking = Asking(p.ledger.world, p.gateways, p.told.questions, p.told.traffic, now)
    links = WebLinks(p.ledger.world, p.gateways, p.settings.public_url, now)
    traffic = TrafficServicer(p.ledger, p.comparisons, asking, links, now)
    gateways = GatewayServicer(p.ledger, p.gateways, p.table, now)
    access = AccessTokenServicer(p.ledger, p.used, now)
    return {
        "easel.admin.v1.AccessTokenService": partial(admin.add_AccessTokenServiceServicer_to_server, access),
        "easel.admin.v1.GatewayService": partial(admin.add_GatewayServiceServicer_to_server, gateways),
        "easel.admin.v1.TrafficService": partial(admin.add_TrafficServiceServicer_to_server, traffic),
    }


def _of_storage(parts: Parts) -> Adders:
    p = parts
    tokens = TokenServicer(p.ledger, now)
    secrets = SecretServicer(p.ledger, p.vault, now)
    datasets = DatasetServicer(p.ledger, p.vault, now)
    images = ImageServicer(p.ledger, p.vault, p.pulls, now)
    return {
        "easel.admin.v1.TokenService": partial(admin.add_TokenServiceServicer_to_server, tokens),
        "easel.admin.v1.SecretService": partial(admin.add_SecretServiceServicer_to_server, secrets),
        "easel.admin.v1.DatasetService": partial(admin.add_DatasetServiceServicer_to_server, datasets),
        "easel.admin.v1.ImageService": partial(admin.add_ImageServiceServicer_to_server, images),
    }


def _of_links(parts: Parts) -> Adders:
    """Of agents and gateways, which dial in, and of those that follow the facts."""
    p = parts
    link = AgentLinkServicer(p.ledger, p.store, p.sessions, p.live, p.pulls, now)
    routes = RoutesServicer(p.table, p.gateways, p.ledger, p.told, now, p.stop)
    return {
        "easel.agent.v1.AgentLinkService": partial(agent.add_AgentLinkServiceServicer_to_server, link),
        "easel.gateway.v1.RoutesService": partial(gateway.add_RoutesServiceServicer_to_server, routes),
        "easel.facts.v1.FactsService": partial(
            facts.add_FactsServiceServicer_to_server, FactsServicer(p.feed, p.stop)
        ),
    }


def _handed_on(parts: Parts) -> Adders:
    """What other services answer."""
    metrics, replay = MetricsForwarder(parts.metrics), ReplayForwarder(parts.autoscaler)
    return {
        "easel.metrics.v1.MetricsService": partial(
            metrics_pb2_grpc.add_MetricsServiceServicer_to_server, metrics
        ),
        "easel.autoscaler.v1.ReplayService": partial(
            autoscaler_pb2_grpc.add_ReplayServiceServicer_to_server, replay
        ),
    }
