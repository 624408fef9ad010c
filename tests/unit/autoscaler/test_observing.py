"""Rules of what is asked of metrics, of what is taken as known, and of who leaves first."""

import json
import math
from dataclasses import replace

import pytest

from easel.facts.v1 import facts_pb2
from easel.metrics.v1 import metrics_pb2 as pb
from services.autoscaler.applying import emptiest_first, request_of
from services.autoscaler.facts import Facts, Subject
from services.autoscaler.observing import Numbers, observed, selectors
from services.autoscaler.policies.model import Bounds, Decision, JobRun, Measured, Policy, Reading, Target
from tests.support.scaling import Story, a_policy


def a_subject(name: str = "chat", policy: Policy | None = None, wanted: int = 2) -> Subject:
    return Subject(name, wanted, wanted, 0, False, False, policy, None, 7, 3, ("i-1", "i-2"))


def asked(*subjects: Subject) -> dict[tuple[str, int], list[str]]:
    return {(each.measure, each.window_s): list(each.subjects) for each in selectors(subjects)}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def a_batch(**values: float) -> pb.InstantResponse:
    """Numbers of the service "chat" over 30 s."""
    return pb.InstantResponse(
        values=[
            pb.Value(measure=measure, kind="service", subject="chat", window_s=30, value=value)
            for measure, value in values.items()
        ]
    )


def test_only_what_policies_need_is_asked_for_and_each_window_once() -> None:
    burst = replace(a_policy(), burst=Policy().burst)

    assert asked(a_subject("a", burst), a_subject("b", a_policy()), a_subject("c")) == {
        ("qps", 30): ["a", "b"],
        ("qps", 3): ["a"],
    }


def test_one_that_may_sleep_needs_to_know_of_requests() -> None:
    assert asked(a_subject("a", a_policy("cpu", 50, min=0))) == {
        ("cpu", 30): ["a"],
        ("qps", 10): ["a"],
        ("in_flight", 0): ["a"],
    }


def test_the_metric_of_another_service_is_asked_of_that() -> None:
    assert asked(a_subject("a", a_policy(targets=(Target("qps", 10, "front"),)))) == {("qps", 30): ["front"]}


def test_what_nobody_measures_is_not_asked_for_and_missing() -> None:
    subject = a_subject("chat", a_policy("queue_length", 5))

    assert asked(subject) == {}
    assert observed(subject, {}).readings == (Reading(None, None),)


def test_durations_are_those_of_ten_seconds_at_least() -> None:
    policy = replace(a_policy("rt[p99]", 200), burst=Policy().burst)

    assert set(asked(a_subject("a", policy))) == {("rt[p99]", 30), ("rt[p99]", 10)}


def test_silence_is_zero_and_missing_is_missing() -> None:
    numbers, subject = (
        Numbers(Clock()),
        a_subject(policy=a_policy(targets=(Target("qps", 1), Target("cpu", 1)))),
    )
    numbers.take(a_batch(qps=0.0))

    assert observed(subject, numbers.fresh()).readings == (Reading(0.0), Reading(None))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_missing(value: float) -> None:
    numbers = Numbers(Clock())
    numbers.take(a_batch(qps=value))

    assert observed(a_subject(policy=a_policy()), numbers.fresh()).readings == (Reading(None),)


def test_a_service_that_names_itself_beside_a_metric_means_its_own() -> None:
    strategy = {"metricName": "concurrency", "threshold": 2, "service": "chat"}
    facts = Facts()
    facts.take(
        facts_pb2.WatchResponse(
            full=True,
            services=[
                facts_pb2.ServiceFacts(
                    name="chat", autoscaler_json=json.dumps({"min": 0, "scaleStrategies": [strategy]})
                )
            ],
        )
    )

    policy = facts.subjects["chat"].policy

    assert policy is not None
    assert policy.targets == (Target("concurrency", 2),)
    # Without it, those that wait for it would count for nothing.
    assert Story(policy, current=0).look(0.0, waiting=6).wanted == 3


def test_numbers_that_stop_coming_are_missing_after_ten_seconds() -> None:
    clock = Clock()
    numbers = Numbers(clock)
    numbers.take(a_batch(qps=1.0))
    clock.now += 10

    assert numbers.fresh()

    clock.now += 0.1
    assert not numbers.fresh()


def test_numbers_of_several_streams_are_one_picture() -> None:
    numbers = Numbers(Clock())
    numbers.take(a_batch(qps=1.0), 0)
    numbers.take(a_batch(cpu=2.0), 1)

    assert len(numbers.fresh()) == 2
    numbers.streams(1)
    assert len(numbers.fresh()) == 1


def test_the_emptiest_leave_first_and_of_those_of_whom_nothing_is_known_nothing_is_said() -> None:
    order = emptiest_first(("a", "b", "c", "d"), {"a": 3, "b": 0, "c": 0}, {"b": 20.0, "c": 10.0})

    assert order == ("c", "b", "a")


def test_a_decision_is_sent_with_what_it_was_made_from() -> None:
    decision = Decision(
        5,
        "2 → 5 instances: …",
        "timed",
        Measured("qps", 25.0, 10.0),
        ("i-2",),
        Bounds(5, 9),
        (JobRun("morning", 1000.5, "Succeed", "…"),),
    )

    request = request_of(a_subject(policy=a_policy()), decision)

    assert (request.expected_wanted, request.autoscaler_revision, request.cronscaler_revision) == (2, 7, 3)
    assert (request.metric, request.value, request.threshold) == ("qps", 25.0, 10.0)
    assert (request.bounds.min, request.bounds.max) == (5, 9)
    assert request.cron_jobs[0].due_at.ToMilliseconds() == 1_000_500
    assert list(request.leave_first) == ["i-2"]
