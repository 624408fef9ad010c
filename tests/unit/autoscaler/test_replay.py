"""Rules of replays: a load in, instances over time out, by the very policies that decide."""

from math import inf

import pytest

from libs.domain.errors import InvalidRequest
from services.autoscaler.curve import Curve
from services.autoscaler.replay import LoadPoint, checked, replay
from tests.support.scaling import BEGIN, a_policy


def points(*values: tuple[float, dict[str, float]]) -> list[LoadPoint]:
    return [LoadPoint(BEGIN + at, seen) for at, seen in values]


def test_a_steady_load_needs_no_step() -> None:
    outcome = replay(a_policy(), None, points((0, {"qps": 20}), (3600, {"qps": 20})), 2, 5)

    assert [(step.instances, step.policy) for step in outcome.steps] == [(2, "")]
    assert (outcome.least, outcome.most) == (2, 2)
    assert outcome.instance_hours == pytest.approx(2)
    assert outcome.seconds_over_target == 0


def test_what_lies_over_the_target_while_instances_start_is_counted() -> None:
    load = points((0, {"qps": 10}), (60, {"qps": 40}), (120, {"qps": 40}))

    quick, slow = (replay(a_policy(), None, load, 1, start_s) for start_s in (1, 30))

    assert 0 < quick.seconds_over_target < slow.seconds_over_target <= 60


def test_a_mean_is_shared_out_among_the_instances_of_the_replay() -> None:
    policy = a_policy("cpu", 60, measure_s=1)
    load = points((0, {"cpu": 90, "instances": 4}), (60, {"cpu": 90, "instances": 4}))

    assert replay(policy, None, load, 4, 0).most == 6


def test_instances_that_start_cost_too() -> None:
    load = points((0, {"qps": 20}), (3600, {"qps": 20}))

    assert replay(a_policy(min=2), None, load, 1, 3600).instance_hours == pytest.approx(2, abs=0.01)


def test_one_point_is_a_load() -> None:
    assert replay(a_policy(), None, points((0, {})), 3, 5).instance_hours == 0


@pytest.mark.parametrize(
    ("load", "instances", "start_s", "said"),
    [
        ([], 1, 5, "1 to 200000 points"),
        (points((0, {}), (0, {})), 1, 5, r"load\[1\].at"),
        (points((5, {}), (0, {})), 1, 5, "later than 2027-01-15 08:00:05"),
        (points((0, {}), (40 * 86_400, {})), 1, 5, "at most 31 days after"),
        (points((0, {}), (9e11, {})), 1, 5, r"load\[1\].at: got '9018\d+ s', expected a time from 1970"),
        (points((-4e9, {})), 1, 5, r"load\[0\].at"),
        (points((0, {"qps": -1})), 1, 5, r"load\[0\].values\[qps\]"),
        (points((0, {"qps": inf})), 1, 5, "a number of 0 or more"),
        (points((0, {})), 3001, 5, "0 to 3000"),
        (points((0, {})), 1, -1, "0 to 86400 seconds"),
    ],
)
def test_what_cannot_be_replayed_is_refused(
    load: list[LoadPoint], instances: int, start_s: float, said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said):
        checked(load, instances, start_s)


def test_a_curve_is_the_mean_of_what_is_known_of_a_window() -> None:
    curve = Curve([0, 10, 20, 30], [1.0, None, 3.0, 5.0])

    assert curve.mean(-1, 5) is None
    assert curve.mean(0, 5) == 1
    assert curve.mean(15, 5) is None
    assert curve.mean(25, 5) == 3
    assert curve.mean(25, 20) == pytest.approx((5 * 1 + 5 * 3) / 10)
    assert curve.mean(30, 10) == 3
    assert curve.mean(1000, 10) == 5
