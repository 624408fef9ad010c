"""Services, nodes and groups as callers see them, put together from the picture. Pure."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from easel.admin.v1 import admin_pb2
from libs.domain.records import Instance, Node, ResourceGroup, Resources, Rollout, Service
from libs.domain.states import LIVE_STATES, InstanceState
from libs.domain.traffic import SHARED_GATEWAY
from libs.rpc.convert import SERVICE_STATES_OUT, progress_to_proto, resources_to_proto, time_to_proto
from services.scheduler.admin.documents import shown
from services.scheduler.admin.group_views import TRAFFIC_STATES_OUT
from services.scheduler.convert import (
    SAFETY_LOCKS_OUT,
    instance_to_proto,
    node_to_proto,
    rollout_to_proto,
)
from services.scheduler.gpus.fences import active_fence
from services.scheduler.groups.picture import shares_of
from services.scheduler.live import Now
from services.scheduler.reconcile.state import running_version
from services.scheduler.retention import delete_at
from services.scheduler.world import World


class ServiceViews:
    """Services as callers see them, with what is said of all of them: where they are called, how long an
    idle one is kept."""

    def __init__(
        self,
        world: World,
        gateway_url: Callable[[str], str | None],
        fallback: str,
        delete_idle_after: timedelta,
        waiting: Callable[[str], int] = lambda service: 0,
    ) -> None:
        """`gateway_url` is where a gateway says it is; `fallback` stands for the shared one before; `waiting`
        is how many requests gateways hold for a service."""
        self._world, self._gateway_url, self._fallback = world, gateway_url, fallback
        self._delete_idle_after, self._waiting = delete_idle_after, waiting

    def url_of(self, gateway: str) -> str:
        """Where clients reach a gateway; empty while that is not known."""
        record = self._world.gateways.get(gateway)
        known = self._gateway_url(gateway) or (record.public_url if record else "")
        return known or (self._fallback if gateway == SHARED_GATEWAY else "")

    def of(self, service: Service) -> admin_pb2.Service:
        view = service_view(self._world, service, self.url_of(service.gateway))
        view.waiting = self._waiting(service.name)
        gone_at = time_to_proto(delete_at(service, self._delete_idle_after))
        if gone_at is not None:
            view.delete_at.CopyFrom(gone_at)
        return view


def service_view(world: World, service: Service, gateway_url: str) -> admin_pb2.Service:
    instances = list(world.instances_of(service.name))
    live = [i for i in instances if i.state in LIVE_STATES]
    pending = [i for i in live if i.state is InstanceState.PENDING]
    rollout = world.rollouts.get(service.name)
    return admin_pb2.Service(
        name=service.name,
        id=service.id,
        state=SERVICE_STATES_OUT[service.state],
        why=service.why,
        version=service.version,
        running_version=running_version(service, live),
        wanted=service.wanted,
        ready=sum(i.serves for i in live),
        pending=len(pending),
        total=len(live),
        spec_json=shown(service, world.version(service.name, service.version)),
        resource_group=service.resource_group,
        endpoint=f"{gateway_url}/api/predict/{service.name}",
        labels=dict(service.labels),
        created_at=time_to_proto(service.created_at),
        updated_at=time_to_proto(service.updated_at),
        revision=service.edits,
        pending_reasons=sorted({i.why for i in pending if i.why}),
        safety_lock=SAFETY_LOCKS_OUT[service.safety_lock],
        rollout=_rollout_view(rollout, service, live) if rollout is not None else None,
        latest_version=max(world.versions[service.name]),
        group=service.group,
        traffic_state=TRAFFIC_STATES_OUT[service.traffic_state],
        weight=service.weight,
        traffic_share=_share(world, service),
        gateway=service.gateway,
        autoscaler_enabled=service.name in world.autoscalers,
        cronscaler_enabled=service.name in world.cronscalers,
    )


def _share(world: World, service: Service) -> float:
    group = world.groups.get(service.group)
    shares = shares_of(world, group) if group is not None else ()
    return next((each.share for each in shares if each.service == service.name), 0.0)


def _rollout_view(rollout: Rollout, service: Service, live: Iterable[Instance]) -> admin_pb2.Rollout:
    updated = sum(i.serves and i.version == rollout.version for i in live)
    return rollout_to_proto(rollout, updated, service.wanted)


def instance_view(world: World, instance: Instance, now: Now) -> admin_pb2.Instance:
    node = world.nodes.get(instance.node)
    view = instance_to_proto(instance, node.runtime if node else None)
    view.connections = now.connections
    if now.progress is not None:
        view.progress.CopyFrom(progress_to_proto(now.progress))
    return view


def node_view(world: World, node: Node, last_seen: Callable[[str], datetime | None]) -> admin_pb2.Node:
    held = _holding(world.instances_on(node.name))
    view = node_to_proto(node, total(i.resources for i in held), len(held), last_seen(node.name))
    for gpu in view.gpus:
        if fence := active_fence(world.gpu_fences, node.name, gpu.uuid):
            gpu.fenced, gpu.why = True, f"fenced: {fence.why}"
    return view


def group_view(world: World, group: ResourceGroup) -> admin_pb2.ResourceGroup:
    nodes = [n for n in world.nodes.values() if n.resource_group == group.name]
    held = [i for n in nodes for i in _holding(world.instances_on(n.name))]
    return admin_pb2.ResourceGroup(
        name=group.name,
        kind=group.kind,
        nodes=len(nodes),
        capacity=resources_to_proto(total(_offer(n) for n in nodes)),
        allocated=resources_to_proto(total(i.resources for i in held)),
        created_at=time_to_proto(group.created_at),
    )


def total(amounts: Iterable[Resources]) -> Resources:
    """The sum of some amounts."""
    summed = Resources()
    for one in amounts:
        summed = Resources(
            summed.cpu_milli + one.cpu_milli,
            summed.memory_mib + one.memory_mib,
            summed.disk_mib + one.disk_mib,
            summed.gpus + one.gpus,
        )
    return summed


def _offer(node: Node) -> Resources:
    return Resources(
        node.capacity.cpu_milli, node.capacity.memory_mib, node.capacity.disk_mib, len(node.gpus)
    )


def _holding(instances: Iterable[Instance]) -> list[Instance]:
    return [i for i in instances if i.state is not InstanceState.LOST]
