"""Services, nodes and groups as callers see them, put together from the picture. Pure."""

from collections.abc import Callable, Iterable
from datetime import datetime

from easel.admin.v1 import admin_pb2
from libs.domain.records import Instance, Node, ResourceGroup, Resources, Service
from libs.domain.states import LIVE_STATES, InstanceState
from libs.rpc.convert import SERVICE_STATES_OUT, resources_to_proto, time_to_proto
from services.scheduler.admin.specs import shown
from services.scheduler.convert import instance_to_proto, node_to_proto
from services.scheduler.world import World


def service_view(world: World, service: Service, gateway_url: str) -> admin_pb2.Service:
    instances = list(world.instances_of(service.name))
    live = [i for i in instances if i.state in LIVE_STATES]
    pending = [i for i in live if i.state is InstanceState.PENDING]
    stored = world.version(service.name, service.version).spec_json
    return admin_pb2.Service(
        name=service.name,
        id=service.id,
        state=SERVICE_STATES_OUT[service.state],
        why=service.why,
        version=service.version,
        running_version=max((i.version for i in live if i.ready), default=0),
        wanted=service.wanted,
        ready=sum(i.ready for i in live),
        pending=len(pending),
        total=len(live),
        spec_json=shown(stored, service.wanted),
        resource_group=service.resource_group,
        endpoint=f"{gateway_url}/api/predict/{service.name}",
        labels=dict(service.labels),
        created_at=time_to_proto(service.created_at),
        updated_at=time_to_proto(service.updated_at),
        revision=service.revision,
        pending_reasons=sorted({i.why for i in pending if i.why}),
    )


def instance_view(world: World, instance: Instance) -> admin_pb2.Instance:
    node = world.nodes.get(instance.node)
    return instance_to_proto(instance, node.runtime if node else None)


def node_view(world: World, node: Node, last_seen: Callable[[str], datetime | None]) -> admin_pb2.Node:
    held = _holding(world.instances_on(node.name))
    return node_to_proto(node, total(i.resources for i in held), len(held), last_seen(node.name))


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
