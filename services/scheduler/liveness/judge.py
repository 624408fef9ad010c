"""Which nodes are ready, suspect or lost, from when they were last heard of. Pure."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.domain.records import Node
from libs.domain.states import NodeState


@dataclass(frozen=True)
class Limits:
    """How long silence is borne, and the share of nodes whose silence at once is nobody's fault."""

    suspect_after: timedelta
    lost_after: timedelta
    storm_share: float


@dataclass(frozen=True)
class Heard:
    """When nodes last spoke, which have an open link, and since when their silence is their own.

    `since` is later than the start when the scheduler itself stood still, or when the storm brake held.
    """

    last_seen: Mapping[str, datetime]
    linked: Container[str]
    since: datetime


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


def judge(nodes: Iterable[Node], heard: Heard, now: datetime, limits: Limits) -> Judgement:
    """Silence makes a node suspect, longer silence lost; silence of more than `storm_share` of all nodes
    at once says more about the scheduler's own network than about the nodes, so none becomes lost then."""
    nodes = list(nodes)
    silence = {node.name: now - heard.last_seen.get(node.name, now) for node in nodes}
    silent = [node for node in nodes if silence[node.name] >= limits.suspect_after]
    alive_before = [node for node in nodes if node.state is not NodeState.LOST]
    newly_silent = [node for node in silent if node.state is not NodeState.LOST]
    overdue = {node.name for node in newly_silent if silence[node.name] >= limits.lost_after}
    brake = ""
    if overdue and len(newly_silent) > limits.storm_share * len(alive_before):
        brake = (
            f"{len(newly_silent)} of {len(alive_before)} nodes are silent at once; "
            "none is given up on until some answer"
        )
    forgiven = now - heard.since < limits.lost_after
    verdicts = []
    for node in silent:
        quiet = f"not heard of for {silence[node.name].total_seconds():.0f} s"
        if node.name in overdue and not brake and not forgiven:
            verdicts.append(Verdict(node, NodeState.LOST, quiet))
        elif node.state is NodeState.READY:
            verdicts.append(Verdict(node, NodeState.SUSPECT, quiet))
    spoke = [
        n for n in nodes if n not in silent and n.state is not NodeState.READY and n.name in heard.linked
    ]
    verdicts += [Verdict(n, NodeState.READY, "heard of again") for n in spoke]
    return Judgement(tuple(verdicts), brake)
