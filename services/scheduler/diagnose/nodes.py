"""What is wrong with a node, as far as it matters to what runs on it. Pure."""

from collections.abc import Iterator

from libs.domain.causes import Cause
from libs.domain.records import Node
from libs.domain.states import NodeState
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
    if node.draining:
        yield finding(Severity.NOTE, Cause.NODE_DRAINING, node.name, f"node {node.name} is drained{why}")
    elif not node.schedulable:
        yield finding(Severity.NOTE, Cause.NODE_CORDONED, node.name, f"node {node.name} is cordoned{why}")


def of_scheduler(picture: Picture) -> Iterator[Finding]:
    """What keeps the scheduler from replacing what is lost."""
    if picture.brake:
        yield finding(Severity.WARNING, Cause.EVICTION_FROZEN, "scheduler", picture.brake)
