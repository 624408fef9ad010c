"""Rules of going to zero and of waking."""

from dataclasses import replace
from typing import Any

import pytest

from services.autoscaler.policies.model import Measured, Policy, Target
from tests.support.scaling import Story, a_policy

QUIET: dict[str, Any] = {"qps": 0.0, "in_flight": 0.0, "waiting": 0}


def asleep(**changes: Any) -> Story:
    """A service at zero that sleeps after a quiet minute."""
    return Story(a_policy(**{"min": 0, "grace_s": 60, **changes}), current=0)


def awake(current: int = 1, **changes: Any) -> Story:
    return Story(a_policy(**{"min": 0, "grace_s": 60, **changes}), current=current)


def test_after_the_grace_period_without_a_request_none_is_left() -> None:
    story = awake(2)

    assert set(story.for_s(60, 0.0, **QUIET)) == {2}
    assert story.look(0.0, **QUIET).why == "2 → 0 instances: no request for 60 s"
    assert story.said[-1].policy == "zero"


@pytest.mark.parametrize("sign", [{"in_flight": 1.0}, {"waiting": 1}, {"qps": None}, {"in_flight": None}])
def test_a_request_under_way_or_not_knowing_begins_the_grace_period_anew(sign: dict[str, Any]) -> None:
    story = awake()
    story.for_s(59, 0.0, **QUIET)
    story.look(0.0, **{**QUIET, **sign})

    assert set(story.for_s(60, 0.0, **QUIET)) == {1}
    assert story.look(0.0, **QUIET).wanted == 0


def test_the_ten_seconds_in_which_a_request_is_counted_are_part_of_the_grace_period() -> None:
    story = awake()
    story.for_s(59, 0.0, **QUIET)
    # One request is counted in each window of ten seconds that it lies in.
    story.for_s(10, 0.0, **{**QUIET, "qps": 0.1})

    assert set(story.for_s(50, 0.0, **QUIET)) == {1}
    assert story.look(0.0, **QUIET).why == "1 → 0 instances: no request for 60 s"


def test_the_grace_period_begins_neither_before_the_first_look_nor_before_what_was_under_way_ended() -> None:
    begun, ended = awake(), awake()
    ended.for_s(20, 0.0, **{**QUIET, "in_flight": 1.0, "qps": 0.1})

    for story in (begun, ended):
        assert set(story.for_s(60, 0.0, **QUIET)) == {1}
        assert story.look(0.0, **QUIET).wanted == 0


def test_the_history_says_how_many_requests_waited() -> None:
    woken = asleep().look(0.0, **{**QUIET, "waiting": 3})
    story = awake()
    story.for_s(61, 0.0, **QUIET)

    assert (woken.metric, story.said[-1].metric) == (Measured("waiting", 3, 0), Measured("waiting", 0, 0))


def test_with_a_metric_missing_a_service_does_not_sleep() -> None:
    assert set(awake().for_s(100, None, **QUIET)) == {1}


def test_a_service_with_at_least_one_never_sleeps() -> None:
    assert set(Story(a_policy(grace_s=10)).for_s(100, 0.0, **QUIET)) == {1}


def test_a_service_does_not_sleep_during_an_update() -> None:
    assert set(awake().for_s(100, 0.0, updating=True, **QUIET)) == {1}


def test_one_that_was_just_given_an_instance_has_its_whole_grace_period() -> None:
    story = awake(0)
    story.for_s(100, 0.0, **QUIET)
    story.current = 1

    assert set(story.for_s(60, 0.0, **QUIET)) == {1}


def test_the_first_request_wakes_at_once() -> None:
    story = asleep(activation=2)
    story.look(0.0, **QUIET)

    decision = story.look(None, waiting=1)

    assert decision.wanted == 2
    assert decision.policy == "zero"
    assert decision.why == "0 → 2 instances: 1 request waits for the first instance"


@pytest.mark.parametrize(("metric", "wanted"), [("concurrency", 50), ("qps", 17), ("qps1k", 100), ("cpu", 1)])
def test_as_many_wake_as_the_waiting_requests_need(metric: str, wanted: int) -> None:
    assert asleep(targets=(Target(metric, 10),)).look(None, waiting=500).wanted == wanted


def test_no_more_wake_than_are_allowed() -> None:
    assert (
        asleep(targets=(Target("concurrency", 1),), max=7, activation=9).look(None, waiting=500).wanted == 7
    )


def test_more_wake_while_more_requests_wait_and_none_is_ready() -> None:
    story = asleep(targets=(Target("concurrency", 10),))
    story.look(None, waiting=10, ready=0)

    assert story.look(None, waiting=45, ready=0).wanted == 5
    assert story.look(None, waiting=20, ready=0).wanted == 5


def test_without_a_request_none_wakes() -> None:
    assert set(asleep().for_s(100, None)) == {0}


def test_the_total_of_another_service_wakes_and_keeps_awake() -> None:
    story = asleep(targets=(Target("qps", 10, "front"),))

    assert story.look(25.0, **QUIET).wanted == 3
    assert set(story.for_s(200, 25.0, **QUIET)) == {3}
    assert 0 in story.for_s(400, 0.0, **QUIET)


def test_one_at_zero_that_may_not_be_wakes_up() -> None:
    assert Story(a_policy(min=1), current=0).look(None).wanted == 1


def test_a_burst_is_waited_out_before_sleep() -> None:
    story = Story(replace(a_policy(min=0, grace_s=1, measure_s=30), burst=Policy().burst), current=1)
    story.look(0.0, burst=[80.0], **QUIET)

    assert 0 not in story.for_s(28, 0.0, **QUIET)
    assert 0 in story.for_s(5, 0.0, **QUIET)
