"""Which nodes are ready, suspect or lost, from when they were last heard of. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.domain.records import Node
from libs.domain.states import NodeState


@dataclass(frozen=True)
class Verdict:
    """A node's new state and the sentence why."""

    node: Node
    state: NodeState
    why: str


@dataclass(frozen=True)
class Judgement:
    """The nodes whose state changes, and why none is given up on when the storm brake holds."""

    verdicts: tuple[Verdict, ...] = ()
    brake: str = ""


def judge(
    nodes: Iterable[Node],
    last_seen: Mapping[str, datetime],
    now: datetime,
    suspect_after: timedelta,
    lost_after: timedelta,
    storm_share: float,
) -> Judgement:
    """Silence makes a node suspect, longer silence lost; silence of more than `storm_share` of all nodes
    at once says more about the scheduler's own network than about the nodes, so none becomes lost then."""
    nodes = list(nodes)
    silence = {node.name: now - last_seen.get(node.name, now) for node in nodes}
    silent = [node for node in nodes if silence[node.name] >= suspect_after]
    dying = [n for n in silent if silence[n.name] >= lost_after and n.state is not NodeState.LOST]
    alive_before = [n for n in nodes if n.state is not NodeState.LOST]
    newly_silent = [n for n in silent if n.state is not NodeState.LOST]
    brake = ""
    if dying and len(newly_silent) > storm_share * len(alive_before):
        brake = (
            f"{len(newly_silent)} of {len(alive_before)} nodes are silent at once; "
            "none is given up on until some answer"
        )
    verdicts = []
    for node in silent:
        quiet = f"not heard of for {silence[node.name].total_seconds():.0f} s"
        if node in dying and not brake:
            verdicts.append(Verdict(node, NodeState.LOST, quiet))
        elif node.state is NodeState.READY:
            verdicts.append(Verdict(node, NodeState.SUSPECT, quiet))
    spoke = [n for n in nodes if n not in silent and n.state is NodeState.SUSPECT]
    verdicts += [Verdict(n, NodeState.READY, "heard of again") for n in spoke]
    return Judgement(tuple(verdicts), brake)
