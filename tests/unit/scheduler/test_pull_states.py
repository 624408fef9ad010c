"""What becomes of what agents say of the images they were asked for."""

from typing import Any

from easel.agent.v1 import agent_pb2
from libs.db.changes import Changes
from libs.domain.assets import ImagePull
from libs.domain.states import NodeState, Runtime
from services.scheduler.images.states import PullStates, on_nodes, pull_events
from services.scheduler.secrets.seal import Seal
from services.scheduler.secrets.vault import Vault
from services.scheduler.world import World
from tests.support.builders import a_node, a_world, at

PULL = ImagePull("pull-1", "model:1", "public", at(10), revision=1)


def a_world_with_the_pull(*nodes: Any) -> World:
    world = a_world(*nodes)
    world.apply(Changes(put=(PULL,)))
    return world


def told(known: PullStates, world: World, **fields: Any) -> list[str]:
    """The events of one more word of node n1."""
    reports = [agent_pb2.ImagePullReport(id="pull-1", **fields)]
    changes = pull_events(world, known, "n1", reports, at(20))
    known.take(world, "n1", reports)
    return [event.reason for event in changes.events]


def test_an_end_is_told_once_and_a_failure_once_until_it_succeeds() -> None:
    world, known = a_world_with_the_pull(), PullStates(started_at=at(0))

    assert told(known, world, why="pulling") == []
    assert told(known, world, failed=True, why="no") == ["ImagePullFailed"]
    assert told(known, world, why="pulling") == []
    assert told(known, world, failed=True, why="still no") == []
    assert told(known, world, done=True) == ["ImagePulled"]
    assert told(known, world, done=True) == []


def test_what_was_done_before_the_scheduler_started_is_no_news() -> None:
    world, known = a_world_with_the_pull(), PullStates(started_at=at(15))

    assert told(known, world, done=True) == []


def test_what_ends_after_the_scheduler_started_again_is_news() -> None:
    world, known = a_world_with_the_pull(), PullStates(started_at=at(15))

    assert told(known, world, why="pulling") == []
    assert told(known, world, done=True) == ["ImagePulled"]


def test_a_word_about_a_pull_that_is_gone_is_nothing() -> None:
    world, known = a_world(), PullStates(started_at=at(0))

    assert told(known, world, done=True) == []
    assert known.states == {}


def test_every_node_of_the_group_has_a_state_with_its_sentence() -> None:
    world = a_world_with_the_pull(
        a_node("n1", runtime=Runtime.DOCKER),
        a_node("n2", runtime=Runtime.DOCKER, state=NodeState.LOST),
        a_node("n3"),
        a_node("n4", runtime=Runtime.DOCKER, resource_group="own"),
        a_node("n5", runtime=Runtime.DOCKER),
    )
    known = PullStates(started_at=at(0))
    told(known, world, why="pulling")

    states = on_nodes(world, PULL, known.states, Vault(world, Seal(())))

    assert [(name, state.why) for name, state in states] == [
        ("n1", "pulling"),
        ("n2", "the node is lost"),
        ("n3", "this node runs processes and has no images"),
        ("n5", "its agent has not answered yet"),
    ]


def test_a_pull_whose_login_cannot_be_read_says_so() -> None:
    world = a_world(a_node("n1", runtime=Runtime.DOCKER))
    pull = ImagePull("pull-1", "model:1", "public", at(10), "secret://gone/login", revision=1)
    world.apply(Changes(put=(pull,)))

    ((_, state),) = on_nodes(world, pull, {}, Vault(world, Seal(())))

    assert state.failed
    assert "cannot be read" in state.why


def test_pulls_and_nodes_that_are_gone_are_forgotten() -> None:
    world, known = a_world_with_the_pull(), PullStates(started_at=at(0))
    told(known, world, done=True)

    known.heard(Changes(delete=(a_node("n1"),)))
    assert known.states == {"pull-1": {}}
    known.heard(Changes(delete=(PULL,)))
    assert known.states == {}
