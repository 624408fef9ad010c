"""What is wrong with a node, as far as it matters to what runs on it. Pure."""

from collections.abc import Iterator

from libs.domain.causes import Cause
from libs.domain.records import Node
from libs.domain.states import InstanceState, NodeState
from services.scheduler.diagnose.finding import Finding, Severity, finding
from services.scheduler.diagnose.picture import Picture


def of_node(picture: Picture, node: Node) -> Iterator[Finding]:
    """The gravest that is true of the node's life, and what an operator has asked of it."""
    why = f": {node.why}" if node.why else ""
    if node.state is NodeState.LOST:
        yield finding(Severity.ERROR, Cause.NODE_LOST, node.name, f"node {node.name} is lost{why}")
        return
    if node.state is NodeState.SUSPECT:
        yield finding(Severity.WARNING, Cause.NODE_SUSPECT, node.name, f"node {node.name} is suspect{why}")
    elif node.name not in picture.linked:
        what = f"the agent of node {node.name} is not connected"
        yield finding(Severity.WARNING, Cause.AGENT_AWAY, node.name, what)
    if node.draining and (waiting := _without_a_place(picture, node)):
        what = f"node {node.name} is drained{why}, and {waiting} waits for a place elsewhere"
        yield finding(Severity.WARNING, Cause.DRAIN_HELD_UP, node.name, what)
    elif node.draining:
        yield finding(Severity.NOTE, Cause.NODE_DRAINING, node.name, f"node {node.name} is drained{why}")
    elif not node.schedulable:
        yield finding(Severity.NOTE, Cause.NODE_CORDONED, node.name, f"node {node.name} is cordoned{why}")


def _without_a_place(picture: Picture, node: Node) -> str:
    """The first that is to stand in for an instance of the node and finds no room; empty for none."""
    services = {instance.service for instance in picture.world.instances_on(node.name)}
    instances = (i for service in services for i in picture.world.instances_of(service))
    waiting = (i.id for i in instances if i.state is InstanceState.PENDING and i.why)
    return min(waiting, default="")


def of_scheduler(picture: Picture) -> Iterator[Finding]:
    """What keeps the scheduler from replacing what is lost."""
    if picture.brake:
        yield finding(Severity.WARNING, Cause.EVICTION_FROZEN, "scheduler", picture.brake)
