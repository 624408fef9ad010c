"""Rules of the horizontal policy: what metrics ask for, when it is followed, and what is said."""

from dataclasses import replace

import pytest

from services.autoscaler.policies.model import Policy, Target
from tests.support.scaling import Story, a_policy


@pytest.mark.parametrize(
    ("metric", "threshold", "ready", "value", "wanted"),
    [
        ("qps", 10, 2, 70, 7),
        ("qps", 10, 2, 70.1, 8),
        ("qps1k", 500, 1, 1600, 4),
        ("concurrency", 4, 1, 13, 4),
        ("status[5xx]", 1, 1, 3, 3),
        ("cpu", 60, 2, 90, 3),
        ("rt[p99]", 200, 4, 500, 10),
        ("custom[tokens]@model[a]", 50, 2, 75, 3),
    ],
)
def test_a_total_is_divided_by_its_threshold_and_a_mean_counts_for_each_ready_instance(
    metric: str, threshold: float, ready: int, value: float, wanted: int
) -> None:
    assert Story(a_policy(metric, threshold), current=ready).look(value).wanted == wanted


def test_the_largest_of_several_metrics_wins() -> None:
    policy = a_policy(targets=(Target("qps", 10), Target("cpu", 50)))

    decision = Story(policy, current=2).look(30.0, 100.0)

    assert decision.wanted == 4
    assert decision.metric is not None
    assert decision.metric.metric == "cpu"


@pytest.mark.parametrize(("value", "wanted"), [(110, 10), (111, 12), (90, 10), (89, 9)])
def test_within_a_tenth_of_the_threshold_nothing_changes(value: float, wanted: int) -> None:
    assert Story(a_policy(down_s=0), current=10).look(float(value)).wanted == wanted


def test_a_decision_is_one_sentence_with_its_numbers() -> None:
    assert Story(a_policy(), current=2).look(136.0).why == (
        "2 → 14 instances: qps is 68 for each instance over 30 s and 10 is its threshold"
    )


def test_the_metric_of_another_service_is_named_with_it() -> None:
    decision = Story(a_policy(targets=(Target("qps", 10, "front"),))).look(30.0)

    assert decision.why.startswith("1 → 3 instances: qps of front is 30")


def test_bounds_hold_and_are_said() -> None:
    policy = a_policy(min=2, max=5, down_s=0)

    up, down = Story(policy, current=3).look(200.0), Story(policy, current=3).look(1.0)

    assert (up.wanted, down.wanted) == (5, 2)
    assert up.why.endswith("20 instances would do, and at most 5 are allowed")
    assert down.why.endswith("1 instance would do, and at least 2 are to be there")


def test_a_size_outside_of_bounds_is_brought_inside_at_once() -> None:
    up, down = Story(a_policy(min=3), current=1).look(None), Story(a_policy(max=4), current=9).look(0.0)

    assert (up.wanted, up.why) == (3, "1 → 3 instances: at least 3 are to be there")
    assert (down.wanted, down.why) == (4, "9 → 4 instances: at most 4 are allowed")
    assert down.metric is None


@pytest.mark.parametrize("threshold", [1e-320, 1e-99])
def test_a_threshold_of_next_to_nothing_asks_for_all_that_are_allowed(threshold: float) -> None:
    assert Story(a_policy("qps", threshold), current=1).look(1.0).wanted == 100
    waking = Story(a_policy("concurrency", threshold, min=0), current=0)
    assert waking.look(None, waiting=1).wanted == 100


def test_a_metric_below_zero_asks_for_none() -> None:
    story = Story(a_policy("custom[debt]", down_s=0), current=5)

    decision = story.look(-50.0)

    assert (decision.wanted, decision.metric) == (1, story.said[0].measured[0])


def test_metrics_alone_never_ask_for_none() -> None:
    assert Story(a_policy(min=0, down_s=0), current=1).look(0.0, qps=None).wanted == 1


def test_fewer_must_have_been_enough_for_the_whole_window() -> None:
    story = Story(a_policy(down_s=300), current=10)

    assert set(story.for_s(300, 20.0)) == {10}
    assert "fewer must be asked for during all of 300 s" in story.said[-1].why
    assert story.look(20.0).wanted == 2


def test_the_largest_recommendation_of_the_window_counts() -> None:
    story = Story(a_policy(down_s=60), current=10)
    story.for_s(30, 20.0)
    story.look(70.0)

    assert set(story.for_s(60, 20.0)) == {10, 7}
    assert story.look(20.0).wanted == 2


def test_more_must_be_asked_for_during_the_window_for_more() -> None:
    story = Story(a_policy(up_s=60), current=1)

    assert set(story.for_s(60, 50.0)) == {1}
    assert story.look(50.0).wanted == 5


def test_one_look_that_asks_for_less_begins_the_window_for_more_anew() -> None:
    story = Story(a_policy(up_s=60), current=1)
    story.for_s(50, 50.0)
    story.look(10.0)

    assert set(story.for_s(60, 50.0)) == {1}


def test_those_that_stay_are_measured_before_more_leave() -> None:
    story = Story(a_policy(down_s=0, measure_s=30), current=10)
    story.look(80.0)

    assert set(story.for_s(29, 20.0)) == {8}
    assert "those that stay are measured for 30 s" in story.said[-1].why
    assert story.for_s(2, 20.0)[-1] == 2


def test_a_missing_metric_takes_nothing_away_and_is_said() -> None:
    story = Story(a_policy(targets=(Target("qps", 10), Target("cpu", 50)), down_s=0), current=8)

    decision = story.look(10.0, None)

    assert decision.wanted == 8
    assert "cpu is missing, so nothing is scaled in" in decision.why
    assert story.look(200.0, None).wanted == 20


def test_nothing_leaves_until_a_whole_window_is_known_after_metrics_are_back() -> None:
    story = Story(a_policy(down_s=60), current=8)
    story.for_s(100, None)

    assert set(story.for_s(60, 10.0)) == {8}
    assert story.look(10.0).wanted == 1


def test_instances_that_start_are_under_way_and_are_not_asked_for_again() -> None:
    story = Story(a_policy("cpu", 60), current=1)

    first = story.look(180.0, ready=1)
    later = story.for_s(30, 180.0, ready=1)

    assert first.wanted == 3
    assert set(later) == {3}


def test_a_mean_over_its_threshold_keeps_those_that_start() -> None:
    story = Story(a_policy("cpu", 60, down_s=0), current=10)

    assert story.look(90.0, ready=5).wanted == 10


def test_while_an_update_is_under_way_nothing_is_scaled_in() -> None:
    story = Story(a_policy(down_s=0), current=10)

    decision = story.look(10.0, updating=True)

    assert decision.wanted == 10
    assert "an update is under way" in decision.why
    assert story.look(200.0, updating=True).wanted == 20


def test_what_a_user_set_stays_for_a_whole_window() -> None:
    story = Story(a_policy(down_s=60), current=2)
    story.for_s(100, 20.0)
    story.current = 9

    assert set(story.for_s(60, 20.0)) == {9}
    assert story.for_s(2, 20.0)[-1] == 2


def test_after_a_gap_between_looks_the_windows_begin_anew() -> None:
    story = Story(a_policy(down_s=60), current=10)
    story.for_s(59, 20.0)
    story.now += 11

    assert set(story.for_s(60, 20.0)) == {10}
    assert story.look(20.0).wanted == 2


def test_a_policy_with_other_windows_begins_anew_and_one_with_other_bounds_goes_on() -> None:
    story = Story(a_policy(down_s=60), current=10)
    story.for_s(60, 20.0)
    story.policy = a_policy(down_s=60, max=50)

    assert story.look(20.0).wanted == 2

    story = Story(a_policy(down_s=60), current=10)
    story.for_s(60, 20.0)
    story.policy = a_policy(down_s=30)

    assert set(story.for_s(30, 20.0)) == {10}


def test_a_policy_without_a_metric_keeps_the_size_within_bounds() -> None:
    story = Story(Policy(min=2, max=4))

    assert story.look().wanted == 2
    assert story.look().why == "stays at 2 instances: no metric is to decide"


def test_a_stopped_service_is_left_alone() -> None:
    assert Story(a_policy(min=3), current=0).look(100.0, stopped=True).wanted == 0


def test_every_metric_is_told_as_it_was_judged() -> None:
    policy = a_policy(targets=(Target("qps", 10), Target("queue", 5)))

    measured = Story(policy, current=2).look(30.0, None).measured

    assert [(each.metric, each.value, each.threshold) for each in measured] == [
        ("qps", 15.0, 10),
        ("queue", None, 5),
    ]


def test_a_burst_is_answered_at_once_by_its_short_window() -> None:
    story = Story(replace(a_policy(), burst=Policy().burst), current=2)
    story.look(20.0)

    decision = story.look(24.0, burst=[80.0])

    assert (decision.wanted, decision.policy) == (8, "burst")
    assert decision.why == ("2 → 8 instances: qps is 40 for each instance over 3 s and 10 is its threshold")


def test_a_burst_that_is_seen_only_in_part_at_first_is_followed_to_its_height() -> None:
    story = Story(replace(a_policy(), burst=Policy().burst), current=2)
    assert story.look(21.0, burst=[50.0]).wanted == 5

    decision = story.look(24.0, burst=[80.0])

    assert (decision.wanted, decision.policy) == (8, "burst")


def test_less_than_a_burst_is_left_to_the_long_window() -> None:
    story = Story(replace(a_policy(), burst=Policy().burst), current=10)

    assert story.look(100.0, burst=[190.0]).wanted == 10
    assert story.look(100.0, burst=[191.0]).wanted == 20


def test_a_burst_does_not_wait_for_the_window_for_more() -> None:
    story = Story(replace(a_policy(up_s=60), burst=Policy().burst), current=2)

    assert story.look(20.0, burst=[80.0]).wanted == 8


def test_what_a_burst_brought_stays_until_a_window_has_passed_without_one() -> None:
    story = Story(replace(a_policy(down_s=0, measure_s=30), burst=Policy().burst), current=2)
    story.look(20.0, burst=[80.0])

    assert set(story.for_s(29, 20.0)) == {8}
    assert "the newest burst was 29 s ago, and what it brought stays for 30 s" in story.said[-1].why
    assert story.look(20.0).wanted == 2
