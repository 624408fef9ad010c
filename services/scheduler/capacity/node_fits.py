"""How many more instances of one shape a node takes, and why not one more. Pure.

It counts what the placement rules ask for; the sentence is the rules' own, of the node as it would be then.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from libs.domain.records import Node, Resources
from services.scheduler.placement.ask import Ask, Held
from services.scheduler.placement.names import model_matches
from services.scheduler.placement.node_view import NodeView, port_range
from services.scheduler.placement.rules import FILTERS
from services.scheduler.placement.rules.ports import FIRST_ALLOWED
from services.scheduler.placement.snapshot import Snapshot

# As many as anybody may ask for: nothing that the shape asks for runs out.
UNBOUNDED = 2**32 - 1


@dataclass(frozen=True)
class NodeFits:
    """`why` is the rule's sentence against one more, and `rule` its name."""

    node: str
    fits: int
    why: str = ""
    rule: str = ""


def view_of(snapshot: Snapshot, node: str) -> NodeView:
    """The node for the rules that refuse; how many of the service are near is not looked up."""
    return NodeView(snapshot.node(node), snapshot.held_on(node), snapshot.free_gpus(node), 0, 0)


def fits_on(ask: Ask, view: NodeView) -> NodeFits:
    """Exact: so many can be placed there one after the other, and no more."""
    name = view.node.name
    for rule in FILTERS:
        verdict = rule.verdict(ask, view)
        if not verdict.fits:
            return NodeFits(name, 0, verdict.why, rule.name)
    fits = min(_bounds(ask, view), default=UNBOUNDED)
    if fits >= UNBOUNDED:
        return NodeFits(name, UNBOUNDED)
    filled = _filled(ask, view, fits)
    for rule in FILTERS:
        verdict = rule.verdict(ask, filled)
        if not verdict.fits:
            return NodeFits(name, fits, verdict.why, rule.name)
    return NodeFits(name, fits)


def _bounds(ask: Ask, view: NodeView) -> Iterable[int]:
    """How many fit by each thing that is asked for."""
    free = view.free
    asked = (
        (ask.cpu_milli, free.cpu_milli),
        (ask.memory_mib, free.memory_mib),
        (ask.disk_mib, free.disk_mib),
    )
    yield from (there // each for each, there in asked if each > 0)
    if ask.gpus > 0:
        yield len(_matching(ask, view)) // ask.gpus
    if view.hands_out_ports:
        yield len(_ports(ask, view.node) - view.taken_ports)


def _matching(ask: Ask, view: NodeView) -> list[str]:
    """The free GPUs of the model that is asked for."""
    return [g.uuid for g in view.free_gpus if not ask.gpu_model or model_matches(ask.gpu_model, g.model)]


def _ports(ask: Ask, node: Node) -> frozenset[int]:
    """Those that instances of the shape may be given: of the node's range, and the one they declare."""
    declared = {ask.port} if ask.port >= FIRST_ALLOWED else set()
    return frozenset(port_range(node)) | declared


def _filled(ask: Ask, view: NodeView, count: int) -> NodeView:
    """The node with so many instances of the shape on it."""
    wanted = Resources(ask.cpu_milli * count, ask.memory_mib * count, ask.disk_mib * count)
    taken = set(_matching(ask, view)[: ask.gpus * count])
    node, ports = view.node, sorted(_ports(ask, view.node) - view.taken_ports)
    if view.hands_out_ports:
        node = replace(node, busy_ports=(*node.busy_ports, *ports[:count]))
    gpus = tuple(gpu for gpu in view.free_gpus if gpu.uuid not in taken)
    return replace(view, node=node, held=(*view.held, Held("", "", node.name, wanted)), free_gpus=gpus)
