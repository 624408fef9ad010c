"""Updates in stages: a partition, batches, a pause, and going on."""

from dataclasses import replace
from typing import Any

from libs.domain.records import Instance, Rollout
from libs.domain.states import RolloutPhase
from services.scheduler.rollout.begin import Action, PlanAsked, controlled, replanned
from services.scheduler.rollout.plan import ServicePlan
from services.scheduler.rollout.staging import due_at
from tests.support.builders import at
from tests.unit.scheduler.rollout.situations import (
    a_rollout,
    created,
    news,
    olds,
    removed,
    starting,
    updated,
)


def record(plan: ServicePlan) -> Rollout:
    assert plan.rollout is not None
    return plan.rollout


def staged(instances: list[Instance], rollout: Rollout, wanted: int = 4, **fields: Any) -> ServicePlan:
    return updated(instances, wanted, rollout=rollout, surge=4, **fields)


def batches(size: str = "1", interval_s: int | None = None, **changes: Any) -> Rollout:
    return a_rollout(batch_size=size, interval_s=interval_s, **changes)


def test_a_partition_keeps_its_number_of_instances_at_the_version_before() -> None:
    partition = a_rollout(partition="3")

    begun = staged(olds(4), partition)
    reached = staged([*olds(3), *news(1)], partition)

    assert created(begun) == [2]
    assert (created(reached), removed(reached)) == ([], [])
    assert (record(reached).phase, record(reached).why) == (
        RolloutPhase.PAUSED,
        "3 of the instances stay at version 1 until it is promoted",
    )


def test_a_percentage_keeps_that_share_rounded_up() -> None:
    assert created(staged(olds(4), a_rollout(partition="30%"))) == [2, 2]


def test_what_a_partition_keeps_is_replaced_at_the_version_before() -> None:
    assert created(staged([*olds(2), *news(1)], a_rollout(partition="3"))) == [1]


def test_a_smaller_service_keeps_the_version_before_first() -> None:
    plan = staged([*olds(3), *news(1)], a_rollout(partition="3"), wanted=3)

    assert removed(plan) == ["new-0"]


def test_a_promoted_update_goes_all_the_way() -> None:
    promoted = controlled(a_rollout(partition="3"), Action.PROMOTE, at(1))

    assert created(staged([*olds(3), *news(1)], promoted)) == [2, 2, 2]


def test_the_first_batch_is_a_share_of_the_instances_rounded_up_and_no_more() -> None:
    plan = staged(olds(5), batches("25%", phase=RolloutPhase.PENDING), wanted=5)

    assert (created(plan), record(plan).released) == ([2, 2], 2)


def test_a_batch_by_hand_ends_in_a_pause_that_a_resume_ends() -> None:
    done = staged([*olds(3), *news(1)], batches(released=1))
    assert (created(done), record(done).phase) == ([], RolloutPhase.PAUSED)

    resumed = staged([*olds(3), *news(1)], controlled(record(done), Action.RESUME, at(61)))

    assert (created(resumed), record(resumed).released) == ([2], 2)


def test_a_batch_is_done_when_all_it_let_go_serve() -> None:
    plan = staged([*olds(4), starting()], batches(interval_s=0, released=1))

    assert (created(plan), record(plan).stepped_at) == ([], None)


def test_the_next_batch_begins_when_the_interval_is_over() -> None:
    instances = [*olds(3), *news(1)]
    done = record(staged(instances, batches(interval_s=30, released=1), now=at(100)))
    assert (done.phase, due_at(done)) == (RolloutPhase.RUNNING, at(130))

    assert created(staged(instances, done, now=at(129))) == []
    assert created(staged(instances, done, now=at(130))) == [2]


def test_the_last_batch_completes_the_update() -> None:
    plan = staged(news(4), batches(released=4))

    assert record(plan).phase is RolloutPhase.COMPLETED


def test_between_batches_what_is_lost_of_the_old_ones_is_replaced_at_the_version_before() -> None:
    plan = staged([*olds(2), *news(1)], batches(released=1))

    assert created(plan) == [1]


def test_while_paused_nothing_is_made_or_taken_out_for_the_new_version() -> None:
    plan = staged([*olds(4), *news(1)], a_rollout(paused=True, released=1))

    assert (created(plan), removed(plan)) == ([], [])
    assert (record(plan).phase, record(plan).why) == (RolloutPhase.PAUSED, "paused by hand")


def test_while_paused_each_version_replaces_its_own_losses() -> None:
    paused = a_rollout(paused=True, released=2)

    assert created(staged([*olds(2), *news(1)], paused)) == [2]
    assert created(staged([*olds(1), *news(2)], paused)) == [1]


def test_an_update_that_begins_paused_does_nothing() -> None:
    plan = staged(olds(4), a_rollout(paused=True, phase=RolloutPhase.PENDING))

    assert (created(plan), removed(plan)) == ([], [])


def test_a_resumed_update_goes_on() -> None:
    resumed = controlled(a_rollout(paused=True, released=1), Action.RESUME, at(1))

    assert created(staged([*olds(3), *news(1)], resumed)) == [2, 2, 2]


def test_other_batches_take_what_is_updated_already_for_one_that_is_done() -> None:
    reached = a_rollout(partition="1", phase=RolloutPhase.PAUSED, released=1)

    plan = staged([*olds(1), *news(1)], replanned(reached, PlanAsked(batch_size="1"), at(1)), wanted=2)

    assert (created(plan), removed(plan)) == ([], [])
    assert (record(plan).phase, record(plan).released) == (RolloutPhase.PAUSED, 1)


def test_other_batches_begin_at_once_while_nothing_is_updated() -> None:
    held = a_rollout(partition="100%", phase=RolloutPhase.PAUSED)

    plan = staged(olds(4), replanned(held, PlanAsked(batch_size="1", interval_s=9), at(1)))

    assert (created(plan), record(plan).released) == ([2], 1)


def test_time_matters_only_between_batches_with_an_interval() -> None:
    between = batches(interval_s=30, stepped_at=at(10))

    assert due_at(between) == at(40)
    assert due_at(replace(between, paused=True)) is None
    assert due_at(replace(between, interval_s=None)) is None
    assert due_at(replace(between, finished_at=at(11))) is None
