"""Why an instance must be replaced. Pure: each function answers a sentence, empty when it may stay."""

from datetime import datetime, timedelta

from libs.domain.records import Instance, Node, Service
from libs.domain.states import TROUBLED_STATES
from services.scheduler.rollout.situation import Situation

# Before the time in which an instance may end its requests: for the gateways to hear of it.
LAST_CALL = timedelta(seconds=5)
# How the sentence begins of an instance that goes to a better node, which nobody needs to hurry.
MOVES = "moves from"


def outdated(instance: Instance, service: Service) -> bool:
    """Whether it is of another version, or of before a restart of its service."""
    return instance.version != service.version or predates_restart(instance, service)


def predates_restart(instance: Instance, service: Service) -> bool:
    """Whether it was made before a restart of its service was asked for."""
    return service.restarted_at is not None and instance.created_at < service.restarted_at


def of_another_version(instance: Instance, service: Service) -> str:
    if instance.version == service.version:
        return ""
    return f"version {service.version} replaces version {instance.version}"


def must_move(instance: Instance, situation: Situation) -> str:
    """Why it must be replaced by one of the same version."""
    why = must_leave(instance, situation)
    if why or instance.isolated:
        return why
    if predates_restart(instance, situation.service):
        return "a restart of the service was asked for"
    return _port_is_taken(instance, situation) or _gpu_is_fenced(instance, situation)


def must_leave(instance: Instance, situation: Situation) -> str:
    """Why not even one that is kept for inspection may stay."""
    if instance.replace_why:
        return instance.replace_why
    node = situation.nodes.get(instance.node)
    if node is None:
        return ""
    return f"node {node.name} is being drained" if node.draining else reclaimed(node)


def moves_by_choice(instance: Instance) -> bool:
    """Whether it leaves only because another node is better: what is under way in it may end first."""
    return instance.replace_why.startswith(MOVES)


def reclaimed(node: Node) -> str:
    """That the node is taken away by its owner; empty while nothing is announced."""
    if node.reclaim_at is None:
        return ""
    sentence = f"node {node.name} is taken away at {node.reclaim_at:%H:%M:%S} UTC"
    return f"{sentence}: {node.reclaim_why}" if node.reclaim_why else sentence


def last_call(instance: Instance, situation: Situation) -> bool:
    """Whether it must leave now, since its node will be gone when its requests have ended."""
    return soon_gone(situation.nodes.get(instance.node), situation.leave_within, situation.now)


def soon_gone(node: Node | None, within: timedelta, now: datetime) -> bool:
    """Whether the owner of a node takes it away in no more than that time."""
    return node is not None and node.reclaim_at is not None and now + within >= node.reclaim_at


def _port_is_taken(instance: Instance, situation: Situation) -> str:
    node = situation.nodes.get(instance.node)
    if node is None or instance.state not in TROUBLED_STATES or not instance.host_port:
        return ""
    taken = f"port {instance.host_port} of node {node.name} belongs to"
    if holder := situation.port_holder(instance):
        return f"{taken} instance {holder}"
    return f"{taken} another program" if instance.host_port in node.busy_ports else ""


def _gpu_is_fenced(instance: Instance, situation: Situation) -> str:
    for uuid in instance.gpu_uuids:
        fence = situation.fences.get((instance.node, uuid))
        if fence is not None and fence.lifted_at is None:
            return f"GPU {uuid} of node {instance.node} is fenced: {fence.why or fence.cause}"
    return ""
