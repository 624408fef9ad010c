"""When a silent node is suspected, given up on, or spared because too many are silent at once."""

from datetime import timedelta

from libs.domain.records import Node
from libs.domain.states import InstanceState, NodeState
from services.scheduler.liveness.judge import Judgement, judge
from services.scheduler.liveness.watch import changes_from
from tests.support.builders import a_node, a_ready_instance, a_world, at


def judged(nodes: list[Node], **heard_at: float) -> Judgement:
    return judge(
        nodes,
        {name: at(seconds) for name, seconds in heard_at.items()},
        at(100),
        suspect_after=timedelta(seconds=10),
        lost_after=timedelta(seconds=40),
        storm_share=0.5,
    )


def states(judgement: Judgement) -> dict[str, NodeState]:
    return {verdict.node.name: verdict.state for verdict in judgement.verdicts}


def test_a_silent_node_is_suspect_first_and_lost_later() -> None:
    nodes = [a_node("n1"), a_node("n2"), a_node("n3")]

    assert states(judged(nodes, n1=85, n2=99, n3=99)) == {"n1": NodeState.SUSPECT}
    assert states(judged(nodes, n1=60, n2=99, n3=99)) == {"n1": NodeState.LOST}


def test_a_suspect_node_that_speaks_is_ready_again() -> None:
    assert states(judged([a_node("n1", state=NodeState.SUSPECT)], n1=99)) == {"n1": NodeState.READY}


def test_when_most_nodes_are_silent_at_once_none_is_given_up_on() -> None:
    nodes = [a_node(f"n{n}", state=NodeState.SUSPECT) for n in range(3)]

    judgement = judged(nodes, n0=50, n1=50, n2=99.5)

    assert NodeState.LOST not in states(judgement).values()
    assert judgement.brake == "2 of 3 nodes are silent at once; none is given up on until some answer"


def test_a_node_lost_long_ago_does_not_pull_the_storm_brake() -> None:
    nodes = [
        a_node("gone", state=NodeState.LOST),
        a_node("n1", state=NodeState.SUSPECT),
        a_node("n2"),
        a_node("n3"),
    ]

    assert states(judged(nodes, gone=0, n1=50, n2=99, n3=99)) == {"n1": NodeState.LOST}


def test_what_ran_on_a_lost_node_is_given_up_on() -> None:
    world = a_world(a_node("n1"), a_node("n2"), a_node("n3"), a_ready_instance(node="n1"))

    changes = changes_from(world, judged(list(world.nodes.values()), n1=0, n2=99, n3=99), False, at(100))

    (instance,) = [r for r in changes.put if r.__class__.__name__ == "Instance"]
    assert (instance.state, instance.ready) == (InstanceState.LOST, False)  # type: ignore[union-attr]
    assert "InstanceLost" in [event.reason for event in changes.events]
