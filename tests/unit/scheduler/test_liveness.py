"""When a silent node is suspected, given up on, or spared because too many are silent at once."""

from datetime import timedelta

from libs.db.changes import Changes
from libs.domain.records import Node
from libs.domain.states import InstanceState, NodeState
from services.scheduler.agents.sessions import Sessions
from services.scheduler.ledger import Ledger
from services.scheduler.liveness.judge import Heard, Judgement, Limits, judge
from services.scheduler.liveness.watch import NodeWatch, changes_from
from services.scheduler.world import World
from tests.support.builders import a_node, a_ready_instance, a_world, at
from tests.support.memory_store import MemoryStore

LIMITS = Limits(timedelta(seconds=10), timedelta(seconds=40), storm_share=0.5)


def judged(nodes: list[Node], since: float = 0, **heard_at: float) -> Judgement:
    """As of second 100; who spoke has an open link."""
    heard = Heard({name: at(seconds) for name, seconds in heard_at.items()}, set(heard_at), at(since))
    return judge(nodes, heard, at(100), LIMITS)


def states(judgement: Judgement) -> dict[str, NodeState]:
    return {verdict.node.name: verdict.state for verdict in judgement.verdicts}


def test_a_silent_node_is_suspect_first_and_lost_later() -> None:
    nodes = [a_node("n1"), a_node("n2"), a_node("n3")]

    assert states(judged(nodes, n1=85, n2=99, n3=99)) == {"n1": NodeState.SUSPECT}
    assert states(judged(nodes, n1=60, n2=99, n3=99)) == {"n1": NodeState.LOST}


def test_a_suspect_node_that_speaks_is_ready_again() -> None:
    assert states(judged([a_node("n1", state=NodeState.SUSPECT)], n1=99)) == {"n1": NodeState.READY}


def test_a_lost_node_whose_agent_never_went_away_is_ready_once_it_speaks_again() -> None:
    nodes = [a_node("n1", state=NodeState.LOST), a_node("n2", state=NodeState.LOST)]

    assert states(judged(nodes, n1=99)) == {"n1": NodeState.READY}


def test_silence_while_the_scheduler_itself_was_away_is_not_held_against_a_node() -> None:
    nodes = [a_node("n1", state=NodeState.SUSPECT), a_node("n2"), a_node("n3")]

    assert states(judged(nodes, since=61, n1=20, n2=99, n3=99)) == {}
    assert states(judged(nodes, since=60, n1=20, n2=99, n3=99)) == {"n1": NodeState.LOST}


async def test_after_a_storm_those_still_silent_have_their_full_time_to_come_back() -> None:
    nodes = [a_node(f"n{n}", revision=0) for n in range(4)]
    clock = [at(0)]
    store = MemoryStore()
    await store.commit(Changes(put=tuple(nodes)))
    ledger = Ledger(store, World(await store.load()))
    sessions = Sessions(ledger.world, lambda: clock[0])
    watch = NodeWatch(ledger, sessions, lambda: clock[0], LIMITS)

    async def after(seconds: float, *spoke: str) -> dict[str, NodeState]:
        clock[0] += timedelta(seconds=seconds)
        for name in spoke:
            sessions.open(name, 1)
            sessions.seen(name)
        await watch.look()
        return {name: node.state for name, node in ledger.world.nodes.items()}

    for _ in range(11):
        await after(4)
    assert set((await after(4)).values()) == {NodeState.SUSPECT}
    back = await after(4, "n0", "n1", "n2")
    assert (back["n2"], back["n3"]) == (NodeState.READY, NodeState.SUSPECT)
    for _ in range(8):
        assert (await after(4, "n0", "n1", "n2"))["n3"] is NodeState.SUSPECT
    assert (await after(4, "n0", "n1", "n2"))["n3"] is NodeState.LOST


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
