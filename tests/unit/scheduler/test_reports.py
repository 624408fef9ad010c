"""What agents' reports change."""

from easel.agent.v1 import agent_pb2
from easel.common.v1 import common_pb2
from libs.db.changes import Changes
from libs.domain.states import InstanceState
from services.scheduler.agents.desired import desired_state
from services.scheduler.agents.reports import absent_after_hello, changes_from_reports
from services.scheduler.world import World
from tests.support.builders import (
    NOON,
    a_node,
    a_ready_instance,
    a_service,
    a_version,
    a_world,
    an_instance,
)


def a_world_with(instance: object) -> World:
    return a_world(a_service(), a_version(), a_node(), instance)  # type: ignore[arg-type]


def report(**fields: object) -> agent_pb2.InstanceReport:
    base = {"id": "digits-a", "epoch": 1, "state": common_pb2.INSTANCE_STATE_RUNNING}
    return agent_pb2.InstanceReport(**{**base, **fields})  # type: ignore[arg-type]


def told(world: World, node: str = "n1", **fields: object) -> Changes:
    return changes_from_reports(world, node, [report(**fields)], NOON)


def test_a_ready_report_makes_the_instance_ready_where_it_listens() -> None:
    world = a_world_with(an_instance(state=InstanceState.STARTING, node="n1", epoch=1))

    changes = told(world, ready=True, address="10.0.0.5", port=20001)

    (instance,) = changes.put
    assert (instance.ready, instance.address, instance.port) == (True, "10.0.0.5", 20001)  # type: ignore[union-attr]
    assert [event.reason for event in changes.events] == ["InstanceReady"]


def test_a_report_from_another_node_or_an_older_epoch_changes_nothing() -> None:
    world = a_world_with(a_ready_instance(epoch=2))

    assert not told(world, node="n2", epoch=2, ready=False)
    assert not told(world, epoch=1, ready=False)


def test_an_instance_on_its_way_out_never_becomes_ready_again() -> None:
    world = a_world_with(a_ready_instance(state=InstanceState.TERMINATING, ready=False))

    changes = told(world, ready=True)

    assert all(not r.ready and r.state is InstanceState.TERMINATING for r in changes.put)  # type: ignore[union-attr]


def test_an_instance_that_left_is_forgotten_once_its_agent_says_it_is_gone() -> None:
    world = a_world_with(a_ready_instance(state=InstanceState.TERMINATING, ready=False, stopping=True))

    assert [r.id for r in told(world, gone=True).delete] == ["digits-a"]  # type: ignore[union-attr]


def test_an_instance_that_is_wanted_stays_though_its_agent_lost_it() -> None:
    assert not told(a_world_with(a_ready_instance()), gone=True)


def test_a_crash_is_an_event_that_says_how_it_ended() -> None:
    changes = told(
        a_world_with(a_ready_instance()),
        state=common_pb2.INSTANCE_STATE_CRASH_LOOP_BACK_OFF,
        restarts=1,
        last_exit="exited with code 3",
        why="exited with code 3; restarting in 10 s",
    )

    assert [(e.reason, e.why) for e in changes.events] == [
        ("InstanceRestarted", "exited with code 3; restart 1"),
        ("InstanceCrashLoopBackOff", "exited with code 3; restarting in 10 s"),
    ]


def test_a_node_that_returns_is_told_to_stop_what_was_given_up_on_and_it_is_forgotten_when_gone() -> None:
    lost = a_ready_instance(state=InstanceState.LOST, ready=False)
    world = a_world_with(lost)

    assert not desired_state(world, "n1", epoch=3).assignments
    assert not absent_after_hello(world, "n1", ["digits-a"], NOON)
    assert absent_after_hello(world, "n1", [], NOON).delete == (lost,)
