"""What policies make of loads, step by step with every reason: one file a load, to be read."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import pi, sin
from pathlib import Path
from typing import Any

import pytest

from services.autoscaler.reading import policy_of, timetable_of
from services.autoscaler.replay import LoadPoint, Outcome, replay

HERE = Path(__file__).parent / "autoscaler"
BEGIN = datetime(2026, 3, 29, 0, 0, tzinfo=UTC)
QPS = {"min": 1, "max": 30, "scaleStrategies": [{"metricName": "qps", "threshold": 10}]}


@dataclass(frozen=True)
class Case:
    """A load in words and in numbers, and what stands against it."""

    about: str
    load: list[LoadPoint]
    policy: dict[str, Any]
    schedule: dict[str, Any] | None = None
    instances: int = 1
    start_s: float = 5


def over(
    seconds: int, value: Callable[[int], float | None], every: int = 1, measure: str = "qps"
) -> list[LoadPoint]:
    """The load by a formula of the second; None is a stretch without numbers."""
    moments = ((second, value(second)) for second in range(0, seconds + 1, every))
    return [
        LoadPoint(BEGIN.timestamp() + second, {} if found is None else {measure: found})
        for second, found in moments
    ]


def with_behavior(policy: dict[str, Any], **behavior: Any) -> dict[str, Any]:
    return {**policy, "behavior": behavior}


CASES = {
    "spike": Case(
        "5 requests/s; from 60 s on 200 requests/s for two minutes; then 5 again",
        over(900, lambda t: 200 if 60 <= t < 180 else 5),
        QPS,
    ),
    "spike_without_burst": Case(
        "the same spike, with the burst window switched off",
        over(900, lambda t: 200 if 60 <= t < 180 else 5),
        with_behavior(QPS, burst={"enabled": False}),
    ),
    "ramp": Case(
        "from 10 to 210 requests/s within ten minutes, then 210",
        over(900, lambda t: 10 + min(t, 600) / 3),
        QPS,
    ),
    "sawtooth": Case(
        "every two minutes anew from 20 up to 140 requests/s: the window keeps what the next tooth needs",
        over(1200, lambda t: 20 + t % 120 if t < 840 else 20),
        QPS,
        instances=2,
    ),
    "diurnal": Case(
        "a day within six hours: 20 requests/s at night, 220 at noon, told once a minute",
        over(21_600, lambda t: 120 - 100 * sin(2 * pi * t / 21_600 + pi / 2), every=60),
        with_behavior(QPS, measureSeconds=120, scaleDown={"stabilizationWindowSeconds": 900}),
        instances=2,
    ),
    "silence": Case(
        "50 requests/s for a minute, then none at all; at least one instance stays",
        over(600, lambda t: 50 if t < 60 else 0),
        QPS,
        instances=5,
    ),
    "flapping": Case(
        "94 and 106 requests/s in turns, for ten instances: within a tenth of the threshold nothing happens",
        over(900, lambda t: 94 if t // 45 % 2 else 106),
        QPS,
        instances=10,
    ),
    "lost_metrics": Case(
        "100 requests/s; no numbers from 60 s to 600 s; then 20: nothing leaves while nothing is known",
        over(1200, lambda t: None if 60 <= t < 600 else 100 if t < 60 else 20),
        QPS,
        instances=10,
    ),
    "slow_up": Case(
        "a rise to 60 requests/s, of which 60 s are asked for before it is followed",
        over(300, lambda t: 60 if t >= 30 else 40),
        with_behavior(QPS, scaleUp={"stabilizationWindowSeconds": 60}),
        instances=4,
    ),
    "cpu": Case(
        "one instance at 40 % of its CPU, then at 180 % of what one has, and back",
        over(900, lambda t: 180 if 60 <= t < 300 else 40, measure="cpu"),
        {"min": 1, "max": 10, "scaleStrategies": [{"metricName": "cpu", "threshold": 60}]},
        start_s=20,
    ),
    "zero_wake": Case(
        "2 requests/s for a minute, none for ten, then 30 requests/s at once",
        over(1200, lambda t: 2 if t < 60 else 0 if t < 660 else 30),
        with_behavior(
            {**QPS, "min": 0},
            onZero={"scaleDownGracePeriodSeconds": 120, "scaleUpActivationReplicas": 1},
        ),
    ),
    "timed_dst": Case(
        "5 requests/s over the night on which the clocks of Berlin are put forward: 2:30 does not exist",
        over(8 * 3600, lambda _: 5, every=600),
        QPS,
        {
            "ScaleJobs": [
                {"Name": "night", "Schedule": "0 30 2 * * *", "TargetSize": 2, "TimeZone": "Europe/Berlin"},
                {"Name": "day", "Schedule": "0 0 8 * * *", "TargetSize": 6, "TimeZone": "Europe/Berlin"},
                {"Name": "rest", "Schedule": "0 0 9 * * *", "TargetSize": 1, "TimeZone": "Europe/Berlin"},
            ]
        },
    ),
    "timed_excluded": Case(
        "a size by the hour alone, without an autoscaler; Sunday rests",
        over(86_400 * 2, lambda _: 5, every=600),
        {},
        {
            "ScaleJobs": [
                {"Name": "open", "Schedule": "0 0 9 * * *", "TargetSize": 4},
                {"Name": "close", "Schedule": "0 0 18 * * *", "TargetSize": 1},
            ],
            "ExcludeDates": ["* * * * * 0"],
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_policy_does_with_a_load_what_its_file_says(name: str, rewrite_golden: bool) -> None:
    file, text = HERE / f"{name}.txt", told(CASES[name])

    if rewrite_golden:
        file.write_text(text, encoding="utf-8")

    assert file.read_text(encoding="utf-8") == text


def told(case: Case) -> str:
    policy = policy_of(json.dumps(case.policy) if case.policy else "")
    timetable = timetable_of(json.dumps(case.schedule) if case.schedule else "", BEGIN, {})
    outcome = replay(policy, timetable, case.load, case.instances, case.start_s)
    return "\n".join([*_head(case), "", *_steps(outcome), "", *_foot(outcome), ""])


def _head(case: Case) -> Iterable[str]:
    yield f"load:       {case.about}"
    if case.policy:
        yield f"autoscaler: {json.dumps(case.policy)}"
    if case.schedule:
        yield from (f"schedule:   {json.dumps(job)}" for job in case.schedule["ScaleJobs"])
        yield from (f"excluded:   {each}" for each in case.schedule.get("ExcludeDates", ()))
    yield f"model:      {case.instances} at first, ready {case.start_s:g} s after they were asked for"


def _steps(outcome: Outcome) -> Iterable[str]:
    for step in outcome.steps:
        seconds = int(step.at - BEGIN.timestamp())
        when = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        yield f"{when}  {step.instances:>3}  {step.policy:<10}  {step.why}".rstrip()


def _foot(outcome: Outcome) -> Iterable[str]:
    yield f"instances:  {outcome.least} to {outcome.most}, {outcome.instance_hours:.2f} instance-hours"
    yield f"over:       {outcome.seconds_over_target:g} s over the target"
