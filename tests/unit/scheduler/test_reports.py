"""What agents' reports change."""

from easel.agent.v1 import agent_pb2
from easel.common.v1 import common_pb2
from libs.db.changes import Changes
from libs.domain.states import InstanceState
from services.scheduler.agents.desired import desired_state
from services.scheduler.agents.joining import inventory_told
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


def test_a_report_that_differs_only_in_what_changes_every_moment_is_written_nowhere() -> None:
    world = a_world_with(an_instance(state=InstanceState.PULLING, node="n1", epoch=1, why="pulls a:1"))
    progress = common_pb2.Progress(what="image a:1", done_bytes=17, total_bytes=100)

    changes = told(
        world,
        state=common_pb2.INSTANCE_STATE_PULLING,
        why="pulls a:1",
        progress=progress,
        connections=3,
    )

    assert not changes


def test_an_instance_that_left_is_forgotten_once_its_agent_says_it_is_gone() -> None:
    world = a_world_with(a_ready_instance(state=InstanceState.TERMINATING, ready=False, stopping=True))

    assert [r.id for r in told(world, gone=True).delete] == ["digits-a"]  # type: ignore[union-attr]


def test_an_instance_that_is_wanted_stays_though_its_agent_lost_it_but_takes_no_traffic() -> None:
    changes = told(a_world_with(a_ready_instance()), gone=True, ready=True)

    assert not changes.delete
    assert [r.ready for r in changes.put] == [False]  # type: ignore[union-attr]


def test_an_agent_cannot_say_that_a_wanted_instance_is_to_leave() -> None:
    for state in (common_pb2.INSTANCE_STATE_TERMINATING, common_pb2.INSTANCE_STATE_LOST):
        changes = told(a_world_with(a_ready_instance()), state=state, ready=False)

        assert [(r.state, r.ready) for r in changes.put] == [(InstanceState.RUNNING, False)]  # type: ignore[union-attr]


def test_what_was_ready_is_known_to_have_taken_traffic_also_when_its_agent_gives_no_time() -> None:
    changes = told(
        a_world_with(an_instance(state=InstanceState.STARTING, node="n1", epoch=1)), ready=True, port=1
    )

    assert [r.ready_at for r in changes.put] == [NOON]  # type: ignore[union-attr]


def test_what_a_returning_node_still_runs_keeps_its_share_until_it_was_stopped() -> None:
    changes = told(a_world_with(a_ready_instance(state=InstanceState.LOST, ready=False)), ready=True)

    (kept,) = changes.put
    assert (kept.state, kept.stopping, kept.ready) == (InstanceState.TERMINATING, True, False)  # type: ignore[union-attr]


def test_what_a_node_came_back_without_takes_no_traffic() -> None:
    changes = absent_after_hello(a_world_with(a_ready_instance()), "n1", [], NOON)

    assert not changes.delete
    assert [r.ready for r in changes.put] == [False]  # type: ignore[union-attr]
    assert [event.why for event in changes.events] == ["its agent came back without it"]


def test_free_disk_that_wavers_is_no_news() -> None:
    def heartbeat(disk_mib: int) -> agent_pb2.Inventory:
        capacity = common_pb2.Resources(cpu_milli=8000, memory_mib=16_000, disk_mib=disk_mib)
        return agent_pb2.Inventory(
            capacity=capacity, address="127.0.0.1", first_port=20000, last_port=20999, runtime=1
        )

    world = a_world(a_node())

    assert not inventory_told(world, "n1", heartbeat(100_000 - 1000), NOON)
    assert inventory_told(world, "n1", heartbeat(100_000 - 1024), NOON)


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


def test_the_number_of_a_restart_is_said_once_when_the_agent_has_said_it() -> None:
    changes = told(
        a_world_with(a_ready_instance()),
        state=common_pb2.INSTANCE_STATE_STARTING,
        restarts=1,
        why="exited with code 3; restart 1",
    )

    assert [e.why for e in changes.events if e.reason == "InstanceRestarted"] == [
        "exited with code 3; restart 1"
    ]
