"""How the record of a rollout begins, and what a user may do with it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from libs.domain.errors import FailedPrecondition, InvalidRequest
from libs.domain.records import Rollout
from libs.domain.states import RolloutPhase
from services.scheduler.rollout.begin import (
    Action,
    PlanAsked,
    begin_rollout,
    controlled,
    is_back,
    replanned,
    version_before,
)
from tests.support.builders import a_service, a_spec, at

PLAIN = json.dumps(a_spec())
IN_STAGES = json.dumps({**a_spec(), "features": {"eas.aliyun.com/enable-rollout": "true"}})


def begun(plan: PlanAsked | None = None, spec: str = PLAIN) -> Rollout:
    return begin_rollout("digits", 2, 1, spec, plan, at(0))


def test_an_update_has_no_stages_unless_they_are_asked_for() -> None:
    rollout = begun()

    assert (rollout.partition, rollout.batch_size, rollout.interval_s) == ("", "", None)
    assert rollout.phase is RolloutPhase.PENDING


def test_a_service_with_staged_updates_has_batches_of_a_quarter_a_minute_apart() -> None:
    rollout = begun(spec=IN_STAGES)

    assert (rollout.batch_size, rollout.interval_s) == ("25%", 60)
    assert begun(PlanAsked(), IN_STAGES).batch_size == ""


def test_an_interval_without_a_size_means_batches_of_a_quarter() -> None:
    assert begun(PlanAsked(interval_s=300)).batch_size == "25%"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"partition": "many"}, "plan.partition: got 'many', expected a number of instances"),
        ({"batch_size": "120%"}, "plan.batch_size: got '120%', expected a number of instances"),
        ({"batch_size": "0"}, "plan.batch_size: got '0', expected at least one instance"),
        ({"batch_size": "1", "interval_s": -1}, "plan.interval: got -1, expected 0 or more seconds"),
        ({"partition": "1", "batch_size": "1"}, "plan.partition: got '1', expected either"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_by_field(asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        PlanAsked(**asked)

    assert str(refused.value).startswith(sentence)


def test_the_record_of_the_update_before_is_written_over() -> None:
    before = replace(begun(), revision=7)

    assert begin_rollout("digits", 3, 2, PLAIN, None, at(1), before).revision == 7


def test_an_update_is_paused_and_resumed() -> None:
    paused = controlled(begun(), Action.PAUSE, at(1))

    assert paused.paused
    assert not controlled(paused, Action.RESUME, at(2)).paused


def test_a_resume_after_a_batch_by_hand_lets_the_next_one_go() -> None:
    waiting = replace(begun(PlanAsked(batch_size="1")), phase=RolloutPhase.PAUSED, stepped_at=at(1))

    resumed = controlled(waiting, Action.RESUME, at(2))

    assert (resumed.phase, resumed.stepped_at) == (RolloutPhase.PENDING, None)


def test_what_is_not_paused_is_not_resumed() -> None:
    with pytest.raises(FailedPrecondition, match="is not paused"):
        controlled(begun(), Action.RESUME, at(1))


def test_a_partition_that_was_reached_is_promoted_not_resumed() -> None:
    reached = replace(begun(PlanAsked(partition="2")), phase=RolloutPhase.PAUSED)

    with pytest.raises(FailedPrecondition, match="promote it"):
        controlled(reached, Action.RESUME, at(1))
    assert controlled(reached, Action.PROMOTE, at(1)).promoted


@pytest.mark.parametrize("action", list(Action))
def test_what_is_finished_is_not_changed(action: Action) -> None:
    finished = replace(begun(), phase=RolloutPhase.COMPLETED, finished_at=at(9))

    with pytest.raises(FailedPrecondition, match="finished already"):
        controlled(finished, action, at(10))
    with pytest.raises(FailedPrecondition, match="finished already"):
        replanned(finished, PlanAsked(), at(10))


def test_another_plan_takes_the_place_of_the_one_before_from_now_on() -> None:
    started = replace(begun(PlanAsked(partition="2")), promoted=True, phase=RolloutPhase.RUNNING)

    again = replanned(started, PlanAsked(batch_size="50%", interval_s=5), at(1))

    assert (again.partition, again.batch_size, again.promoted) == ("", "50%", False)


def test_an_update_over_one_that_is_under_way_comes_from_the_last_good_version() -> None:
    service = a_service(version=2, stable_version=1)

    assert version_before(service, begun(), 3) == 1
    assert version_before(service, begun(), 1) == 2
    assert version_before(service, replace(begun(), finished_at=at(1)), 3) == 2


def test_going_to_an_older_version_is_going_back() -> None:
    assert is_back(begin_rollout("digits", 1, 2, PLAIN, None, at(0)))
    assert not is_back(begun())
