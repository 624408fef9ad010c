"""What a node's inventory changes. Pure."""

from dataclasses import replace
from datetime import datetime

from easel.agent.v1 import agent_pb2
from libs.db.changes import Changes, Record
from libs.domain.errors import InvalidRequest
from libs.domain.records import PUBLIC_GROUP, Event, Node, ResourceGroup
from libs.domain.states import EventKind, NodeState
from libs.rpc.convert import RUNTIMES, gpu_from_proto, resources_from_proto, time_from_proto
from services.scheduler.agents.reports import absent_after_hello, changes_from_reports
from services.scheduler.pool.machine import machine_of
from services.scheduler.pool.reclaim import back, told, told_events
from services.scheduler.world import World

# Free disk changes all the time; a change of less than this is no news.
_DISK_STEP_MIB = 1024


def said_hello(world: World, hello: agent_pb2.Hello, epoch: int, now: datetime) -> Changes:
    """All that a connecting agent tells, as one change: nothing is placed on a node in between.

    Raises InvalidRequest.
    """
    running = [report.id for report in hello.running]
    parts = (
        joined(world, hello, epoch, now),
        changes_from_reports(world, hello.node, hello.running, now),
        absent_after_hello(world, hello.node, running, now),
    )
    return Changes(
        put=tuple(record for part in parts for record in part.put),
        delete=tuple(record for part in parts for record in part.delete),
        events=tuple(event for part in parts for event in part.events),
    )


def inventory_told(world: World, name: str, inventory: agent_pb2.Inventory, now: datetime) -> Changes:
    """What a heartbeat changes: nothing, as long as the node is what it was."""
    node = world.nodes.get(name)
    if node is None or not inventory.HasField("capacity"):
        return Changes()
    after = with_inventory(node, inventory)
    if abs(after.capacity.disk_mib - node.capacity.disk_mib) < _DISK_STEP_MIB:
        after = replace(after, capacity=replace(after.capacity, disk_mib=node.capacity.disk_mib))
    return Changes(put=(after,), events=_said(node, after, now)) if after != node else Changes()


def joined(world: World, hello: agent_pb2.Hello, epoch: int, now: datetime) -> Changes:
    """The node as its agent introduces it; group, cordon and labels set by operators stay as they were."""
    if not hello.node:
        raise InvalidRequest("node", hello.node, "the name of the node")
    known = world.nodes.get(hello.node)
    put: list[Record] = []
    group = hello.resource_group or PUBLIC_GROUP
    if known is None and group not in world.resource_groups:
        kind = "public" if group == PUBLIC_GROUP else "dedicated"
        put.append(ResourceGroup(group, kind, now))
    base = back(known, now) if known else Node(name=hello.node, created_at=now, resource_group=group)
    node = replace(
        with_inventory(base, hello.inventory),
        state=NodeState.READY,
        why="",
        epoch=epoch,
        last_seen=now,
        agent_version=hello.agent_version,
    )
    said = _said(known, node, now)
    if known is None:
        return Changes((*put, node), (), (_event(node, "NodeJoined", f"joined {group}", now), *said))
    if known.state is NodeState.READY:
        return Changes((*put, node), (), said)
    why = f"its agent is back after it was {known.state.value}"
    return Changes((*put, node), (), (_event(node, "NodeBack", why, now), *said))


def _said(before: Node | None, after: Node, now: datetime) -> tuple[Event, ...]:
    """What is new about the machine: that it goes away, or that its labels cannot be read."""
    known = machine_of(before.labels).troubles if before is not None else ()
    new = (trouble for trouble in machine_of(after.labels).troubles if trouble not in known)
    unread = (_event(after, "NodeLabelUnread", str(trouble), now, EventKind.WARNING) for trouble in new)
    return (*told_events(before, after, now), *unread)


def with_inventory(node: Node, inventory: agent_pb2.Inventory) -> Node:
    """The node as its agent describes it now."""
    return replace(
        told(node, time_from_proto(inventory, "reclaim_at"), inventory.reclaim_why),
        address=inventory.address,
        zone=inventory.zone,
        runtime=RUNTIMES.get(inventory.runtime, node.runtime),
        capacity=resources_from_proto(inventory.capacity),
        gpus=tuple(gpu_from_proto(gpu) for gpu in inventory.gpus),
        gpu_note=inventory.gpu_note,
        gpu_driver_version=inventory.gpu_driver_version,
        labels={**node.labels, **inventory.labels},
        images=tuple(sorted(inventory.images)),
        first_port=inventory.first_port,
        last_port=inventory.last_port,
        busy_ports=tuple(sorted(inventory.busy_ports)),
        cuda_versions=tuple(sorted(inventory.cuda_versions)),
    )


def _event(node: Node, reason: str, why: str, now: datetime, kind: EventKind = EventKind.NORMAL) -> Event:
    return Event(now, kind, reason, why, "node", node.name)
