"""What can be done to nodes and resource groups: pure decisions for the ledger."""

import re
from collections.abc import Container, Mapping
from dataclasses import replace
from datetime import datetime

from libs.db.changes import Changes
from libs.domain.errors import AlreadyExists, FailedPrecondition, InvalidRequest
from libs.domain.records import PUBLIC_GROUP, Event, Node, ResourceGroup
from libs.domain.states import EventKind, NodeState
from services.scheduler.pool.machine import machine_of
from services.scheduler.world import World

GROUP_KINDS = ("public", "dedicated")
_GROUP_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def cordoned(world: World, name: str, why: str, now: datetime) -> Changes:
    node = world.node(name)
    why = why or "cordoned by hand"
    return _changed(node, replace(node, schedulable=False, why=why), "NodeCordoned", why, now)


def uncordoned(world: World, name: str, now: datetime) -> Changes:
    node = world.node(name)
    after = replace(node, schedulable=True, draining=False, why="")
    return _changed(node, after, "NodeUncordoned", "open to instances again", now)


def drained(world: World, name: str, why: str, now: datetime) -> Changes:
    node = world.node(name)
    why = why or "drained by hand"
    after = replace(node, schedulable=False, draining=True, why=why)
    return _changed(node, after, "NodeDraining", why, now)


def updated(world: World, name: str, group: str | None, labels: Mapping[str, str], now: datetime) -> Changes:
    """Moves and labels; what runs on a node that moves stays until it is replaced."""
    node = world.node(name)
    for trouble in machine_of(labels).troubles:
        raise InvalidRequest(f"labels[{trouble.label}]", trouble.value, trouble.expected)
    if group is not None:
        world.resource_group(group)
        if group != node.resource_group and any(world.instances_on(name)):
            raise FailedPrecondition(f"node {name!r} holds instances; drain it before it moves")
    merged = {k: v for k, v in {**node.labels, **labels}.items() if v}
    after = replace(node, resource_group=group or node.resource_group, labels=merged)
    return _changed(node, after, "NodeUpdated", "its group or labels were changed", now)


def deleted(world: World, name: str, linked: Container[str], now: datetime) -> Changes:
    """Forgets a node that is lost or empty, and what is left of lost instances on it.

    Raises NotFound, and FailedPrecondition while it holds instances or its agent is connected.
    """
    node = world.node(name)
    if name in linked:
        raise FailedPrecondition(f"the agent of node {name!r} is connected; stop it first, or it joins again")
    held = tuple(world.instances_on(name))
    if held and node.state is not NodeState.LOST:
        raise FailedPrecondition(
            f"node {name!r} holds {len(held)} instances and is {node.state.value}; drain it first"
        )
    event = Event(now, EventKind.NORMAL, "NodeDeleted", "deleted by hand", "node", name)
    fences = (fence for fence in world.gpu_fences.values() if fence.node == name)
    return Changes(delete=(node, *held, *fences), events=(event,))


def group_created(world: World, name: str, kind: str, now: datetime) -> Changes:
    if not _GROUP_NAME.fullmatch(name):
        raise InvalidRequest("name", name, "1 to 63 of a-z, 0-9, - and _")
    if name in world.resource_groups:
        raise AlreadyExists(f"there is a resource group {name!r} already")
    return Changes(put=(ResourceGroup(name, _kind(kind), now),))


def group_updated(world: World, name: str, kind: str) -> Changes:
    group = world.resource_group(name)
    if name == PUBLIC_GROUP:
        raise FailedPrecondition(f"{PUBLIC_GROUP!r} stays public")
    return Changes(put=(replace(group, kind=_kind(kind)),))


def group_deleted(world: World, name: str) -> Changes:
    group = world.resource_group(name)
    if name == PUBLIC_GROUP:
        raise FailedPrecondition(f"{PUBLIC_GROUP!r} is where services without a resource group run")
    nodes = [n.name for n in world.nodes.values() if n.resource_group == name]
    if nodes:
        raise FailedPrecondition(
            f"resource group {name!r} still has {len(nodes)} nodes, {nodes[0]} one of them"
        )
    services = [s.name for s in world.services.values() if s.resource_group == name]
    if services:
        raise FailedPrecondition(f"resource group {name!r} is still used by service {services[0]!r}")
    return Changes(delete=(group,))


def _kind(kind: str) -> str:
    kind = kind or "dedicated"
    if kind not in GROUP_KINDS:
        raise InvalidRequest("kind", kind, "public or dedicated")
    return kind


def _changed(before: Node, after: Node, reason: str, why: str, now: datetime) -> Changes:
    if before == after:
        return Changes()
    return Changes(put=(after,), events=(Event(now, EventKind.NORMAL, reason, why, "node", after.name),))
