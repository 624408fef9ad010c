"""What an update is said to do before it is made."""

import json
from dataclasses import replace
from typing import Any

import pytest

from libs.db.changes import Changes
from libs.domain.errors import FailedPrecondition
from libs.domain.records import Instance
from libs.domain.states import InstanceState, RolloutPhase, ServiceState
from services.scheduler.admin.diff import Changed, changed_keys
from services.scheduler.admin.rollouts import way_back
from services.scheduler.admin.steps import steps_of
from services.scheduler.admin.updating import UpdateAsk, changes_of, decide_update
from services.scheduler.rollout.begin import PlanAsked
from services.scheduler.world import World
from tests.support.builders import NOON, a_ready_instance, a_service, a_spec, a_version, a_world, an_instance

CPU = json.dumps({"metadata": {"cpu": 2}})


def a_deployment(wanted: int = 4, **service: Any) -> World:
    instances = [a_ready_instance(f"digits-{n}") for n in range(wanted)]
    spec = {**a_spec(rolling_strategy={"max_surge": 1}), "token": "secret"}
    return a_world(a_service(wanted=wanted, stable_version=1, **service), a_version(spec=spec), *instances)


def steps(world: World, ask: UpdateAsk) -> tuple[str, ...]:
    return steps_of(decide_update(world, ask, NOON), world.instances_of("digits"))


def test_a_new_version_replaces_instances_within_what_the_service_allows() -> None:
    assert steps(a_deployment(), UpdateAsk("digits", CPU)) == (
        "4 instances are replaced, at most 1 more than 4 at a time and never fewer than 4 serving",
    )


def test_another_number_of_instances_replaces_nothing() -> None:
    change = json.dumps({"metadata": {"instance": 6}})

    assert steps(a_deployment(), UpdateAsk("digits", change)) == (
        "only the number of instances changes, from 4 to 6: nothing is replaced",
    )


def test_the_document_in_force_changes_nothing() -> None:
    assert steps(a_deployment(), UpdateAsk("digits", "{}")) == ("nothing changes",)


def test_both_at_once_are_both_said() -> None:
    change = json.dumps({"metadata": {"instance": 2, "cpu": 2}})

    assert steps(a_deployment(), UpdateAsk("digits", change)) == (
        "the number of instances changes from 4 to 2",
        "4 instances are replaced, at most 1 more than 2 at a time and never fewer than 2 serving",
    )


@pytest.mark.parametrize("part", [{"cpu": 2}, {"rpc": {"keepalive": 60_000}}], ids=["replaced", "in place"])
def test_a_size_that_comes_with_a_version_is_in_the_history(part: dict[str, Any]) -> None:
    world = a_deployment()
    change = json.dumps({"metadata": {"instance": 2, **part}})

    events = changes_of(decide_update(world, UpdateAsk("digits", change), NOON), "", NOON).events

    assert [event.reason for event in events] == ["ServiceUpdated", "Scaled"]
    assert events[1].why == "scaled from 4 to 2 instances by the update to version 2"
    assert events[1].details == {"policy": "user", "before": "4", "after": "2"}


def test_a_stopped_service_waits_for_its_start() -> None:
    world = a_deployment(stopped=True)

    assert steps(world, UpdateAsk("digits", CPU)) == (
        "the service is stopped: version 2 runs once it is started",
    )


def test_a_stopped_service_starts_in_the_stages_of_its_update() -> None:
    said = steps(a_deployment(stopped=True), UpdateAsk("digits", CPU, plan=PlanAsked(partition="9")))

    assert said[1:] == ("4 instances stay at version 1 until the update is promoted",)


def test_what_failed_is_removed_first() -> None:
    world = a_deployment()
    world.apply(changes_of(decide_update(world, UpdateAsk("digits", CPU), NOON), "", NOON))
    failed = an_instance("digits-f", version=2, node="n1", state=InstanceState.CRASH_LOOP_BACK_OFF)
    world.apply(Changes(put=(failed,)))

    said = steps(world, UpdateAsk("digits", json.dumps({"metadata": {"cpu": 3}})))
    back = steps(world, UpdateAsk("digits", to_version=1))

    assert said[0] == back[0] == "the failed instance digits-f is removed first"
    assert said[1].startswith("4 instances are replaced")
    assert len(back) == 1


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (PlanAsked(partition="1"), "1 instance stays at version 1 until the update is promoted"),
        (PlanAsked(partition="30%"), "2 instances stay at version 1 until the update is promoted"),
        (
            PlanAsked(batch_size="25%", interval_s=60),
            "25% of the instances at a time, with a pause of 60 s after each",
        ),
        (
            PlanAsked(batch_size="2"),
            "2 of the instances at a time, with a pause until it is resumed after each",
        ),
        (PlanAsked(paused=True), "it begins paused: nothing is replaced until it is resumed"),
    ],
    ids=["partition", "share", "batches", "batches by hand", "paused"],
)
def test_stages_are_said(plan: PlanAsked, said: str) -> None:
    assert steps(a_deployment(), UpdateAsk("digits", CPU, plan=plan))[1:] == (said,)


def warnings(world: World, ask: UpdateAsk) -> tuple[str, ...]:
    return decide_update(world, ask, NOON).warnings


def test_what_stands_beside_the_wanted_ones_for_a_while_is_not_counted() -> None:
    world = a_deployment()
    world.apply(changes_of(decide_update(world, UpdateAsk("digits", CPU), NOON), "", NOON))
    world.apply(Changes(put=(a_ready_instance("digits-n", version=2),)))

    said = steps(world, UpdateAsk("digits", json.dumps({"metadata": {"cpu": 3}})))

    assert said[0].startswith("4 instances are replaced, at most 1 more than 4")


@pytest.mark.parametrize("partition", ["4", "5", "100%"])
def test_a_partition_that_leaves_nothing_to_replace_is_warned_of(partition: str) -> None:
    said = (
        "plan.partition: all 4 instances stay at version 1; nothing is replaced until the update is promoted",
    )
    plan = PlanAsked(partition=partition)

    assert warnings(a_deployment(), UpdateAsk("digits", CPU, plan=plan)) == said
    assert warnings(a_deployment(), UpdateAsk("digits", CPU, plan=PlanAsked(partition="3"))) == ()


def test_the_size_of_batches_that_nobody_named_is_said() -> None:
    plan = PlanAsked(interval_s=60)

    assert warnings(a_deployment(), UpdateAsk("digits", CPU, plan=plan)) == (
        "plan.interval: no batch size was named; 25% are replaced at a time",
    )
    assert warnings(a_deployment(), UpdateAsk("digits", CPU, plan=PlanAsked("", "1", 60))) == ()


def test_a_change_of_labels_alone_names_the_way_that_replaces_nothing() -> None:
    labels = {"labels": {"team": "vision"}}
    said = "labels: nothing else changes; `easel label digits` sets them without replacing instances"

    assert warnings(a_deployment(), UpdateAsk("digits", json.dumps(labels))) == (said,)
    assert warnings(a_deployment(), UpdateAsk("digits", json.dumps({**labels, "metadata": {"cpu": 2}}))) == ()


def test_an_update_from_no_instances_begins_like_a_start() -> None:
    world = a_deployment(wanted=0, state=ServiceState.STOPPED)
    scaled = decide_update(world, UpdateAsk("digits", json.dumps({"metadata": {"instance": 2}})), NOON)
    updated = decide_update(
        world, UpdateAsk("digits", json.dumps({"metadata": {"cpu": 2, "instance": 2}})), NOON
    )

    assert (scaled.after.state, updated.after.state) == (ServiceState.CREATING, ServiceState.CREATING)


def undone(world: World) -> None:
    world.apply(changes_of(decide_update(world, way_back(world, "digits"), NOON), "", NOON))


def test_an_undo_that_is_repeated_changes_nothing() -> None:
    world = a_deployment()
    world.apply(changes_of(decide_update(world, UpdateAsk("digits", CPU), NOON), "", NOON))
    undone(world)

    assert world.services["digits"].version == 1
    with pytest.raises(FailedPrecondition, match="went back to version 1 already; choose one with"):
        way_back(world, "digits")


def test_an_undo_is_known_as_one_whatever_worked_last() -> None:
    world = a_deployment()
    for cpu in (2, 3):
        change = json.dumps({"metadata": {"cpu": cpu}})
        world.apply(changes_of(decide_update(world, UpdateAsk("digits", change), NOON), "", NOON))
        # Nothing ran it: the service had no instances at the time.
        done = replace(world.rollouts["digits"], finished_at=NOON)
        world.apply(Changes(put=(done if cpu == 2 else replace(done, finished_at=None),)))
    undone(world)

    assert (world.rollouts["digits"].version, world.rollouts["digits"].from_version) == (2, 3)
    with pytest.raises(FailedPrecondition, match="went back to version 2 already"):
        way_back(world, "digits")


def test_a_service_that_goes_back_by_itself_says_so() -> None:
    change = json.dumps({"metadata": {"cpu": 2, "rolling_strategy": {"auto_rollback": True}}})

    assert steps(a_deployment(), UpdateAsk("digits", change))[-1] == (
        "if it fails, the service goes back to version 1 by itself"
    )


def test_what_only_gateways_read_replaces_nothing_and_can_be_undone() -> None:
    world = a_deployment()
    change = json.dumps({"metadata": {"rpc": {"keepalive": 60_000}}, "token": "another-token"})

    assert steps(world, UpdateAsk("digits", change)) == (
        "version 2 takes the instances over as they are: nothing is replaced",
    )
    world.apply(changes_of(decide_update(world, UpdateAsk("digits", change), NOON), "", NOON))

    assert {(i.version, i.document_version) for i in world.instances_of("digits")} == {(2, 1)}
    assert world.services["digits"].token == "another-token"
    assert world.rollouts["digits"].phase is RolloutPhase.COMPLETED
    undone(world)
    assert world.services["digits"].version == 1
    assert {(i.version, i.document_version) for i in world.instances_of("digits")} == {(1, 1)}


def test_an_update_under_way_goes_on_with_a_version_that_changes_nothing_more_of_instances() -> None:
    world = a_deployment()
    for change in ({"metadata": {"cpu": 2}}, {"metadata": {"rpc": {"keepalive": 60_000}}}):
        ask = UpdateAsk("digits", json.dumps(change))
        world.apply(changes_of(decide_update(world, ask, NOON), "", NOON))

    rollout = world.rollouts["digits"]
    assert (rollout.from_version, rollout.version, rollout.finished_at) == (1, 3, None)
    assert {i.version for i in world.instances_of("digits")} == {1}


KEEPALIVE = json.dumps({"metadata": {"rpc": {"keepalive": 60_000}}})


def test_a_version_that_takes_over_on_the_way_back_is_not_undone_to_the_one_that_failed() -> None:
    world = a_deployment()
    world.apply(changes_of(decide_update(world, UpdateAsk("digits", CPU), NOON), "", NOON))
    undone(world)
    back = replace(world.rollouts["digits"], because="version 2 failed")
    world.apply(Changes(put=(back,)))

    world.apply(changes_of(decide_update(world, UpdateAsk("digits", KEEPALIVE), NOON), "", NOON))

    rollout = world.rollouts["digits"]
    assert (rollout.from_version, rollout.version, rollout.finished_at) == (1, 3, None)
    assert rollout.because == ""
    undone(world)
    assert world.services["digits"].version == 1
    with pytest.raises(FailedPrecondition, match="went back to version 1 already"):
        way_back(world, "digits")


def test_the_smallest_parts_that_differ_are_named() -> None:
    before = {"metadata": {"cpu": 1, "memory": 5}, "containers": [{"image": "a"}], "labels": {"a.b": "1"}}
    after = {"metadata": {"cpu": 2}, "containers": [{"image": "a", "port": 80}, {"image": "b"}]}

    assert changed_keys(before, after) == (
        Changed("containers[0].port", "", "80"),
        Changed("containers[1]", "", '{"image": "b"}'),
        Changed("labels", '{"a.b": "1"}', ""),
        Changed("metadata.cpu", "1", "2"),
        Changed("metadata.memory", "5", ""),
    )


def test_a_secret_that_changes_is_named_and_not_shown() -> None:
    before = {"token": "first", "storage": [{"git": {"password": "one"}}]}
    after = {"token": "second", "storage": [{"git": {"password": "two"}}]}

    told = changed_keys(before, after)

    assert [change.path for change in told] == ["storage[0].git.password", "token"]
    assert {change.before for change in told} == {change.after for change in told} == {'"********"'}


def test_what_is_said_is_what_is_done() -> None:
    world = a_deployment()
    update = decide_update(world, UpdateAsk("digits", CPU, plan=PlanAsked(partition="2")), NOON)
    world.apply(changes_of(update, "", NOON))

    assert (update.version.number, world.services["digits"].version) == (2, 2)
    assert world.rollouts["digits"].partition == "2"
    assert all(isinstance(i, Instance) for i in world.instances_of("digits"))


def test_a_version_that_may_not_be_any_more_cannot_be_gone_to() -> None:
    ports = {"networking": {"nlb": [{"id": "default", "listener_port": 9000}]}, "token": "secret"}
    world = a_deployment()
    versions = (
        a_version("digits", 1, {**a_spec(), **ports}),
        a_version("digits", 2, {**a_spec(), "token": "secret"}),
    )
    other = (a_service("letters"), a_version("letters", 1, {**a_spec("letters"), **ports}))
    world.apply(Changes(put=(replace(world.service("digits"), version=2), *versions, *other)))

    with pytest.raises(FailedPrecondition, match="version 1 of 'digits' cannot be gone to any more"):
        decide_update(world, UpdateAsk("digits", to_version=1), NOON)
