"""An update of a service that is scaled to 0."""

from libs.domain.states import RolloutPhase
from tests.support.builders import at
from tests.unit.scheduler.rollout.situations import a_rollout, olds, planned, removed, updated


def test_an_update_at_no_instances_is_done_at_once_but_has_proven_nothing() -> None:
    plan = updated([], wanted=0, rollout=a_rollout(phase=RolloutPhase.PENDING))

    assert plan.rollout is not None
    assert (plan.rollout.phase, plan.rollout.finished_at) == (RolloutPhase.COMPLETED, at(60))
    assert plan.rollout.why == "there is no instance to replace; the next ones run version 2"
    assert plan.stable_version == 1


def test_a_service_that_is_scaled_to_0_in_the_middle_of_its_update_ends_it() -> None:
    plan = updated(olds(2), wanted=0, rollout=a_rollout(batch_size="1"))

    assert plan.rollout is not None
    assert plan.rollout.phase is RolloutPhase.COMPLETED
    assert removed(plan) == ["old-0", "old-1"]


def test_what_was_to_stay_at_the_version_before_does_so_when_the_service_is_scaled_up_again() -> None:
    paused = updated([], wanted=0, rollout=a_rollout(paused=True)).rollout
    partition = updated([], wanted=0, rollout=a_rollout(partition="50%")).rollout
    promoted = updated([], wanted=0, rollout=a_rollout(partition="50%", promoted=True)).rollout

    assert paused is not None and partition is not None and promoted is not None
    assert (paused.phase, paused.why) == (RolloutPhase.PAUSED, "paused by hand")
    assert partition.phase is RolloutPhase.PAUSED
    assert partition.why == "50% of the instances stay at version 1 until it is promoted"
    assert promoted.phase is RolloutPhase.COMPLETED


def test_an_update_that_failed_has_not_succeeded_because_nothing_is_left_of_it() -> None:
    failed = a_rollout(phase=RolloutPhase.FAILED)

    assert updated([], wanted=0, rollout=failed).rollout == failed


def test_the_update_of_a_stopped_service_waits_for_its_start() -> None:
    waits = a_rollout(phase=RolloutPhase.PENDING)

    assert planned(service={"version": 2, "stopped": True}, rollout=waits).rollout == waits
