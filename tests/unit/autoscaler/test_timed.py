"""Rules of scheduled sizes: which jobs are due, and what they do beside an autoscaler."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.autoscaler import cron
from services.autoscaler.policies.model import Bounds, Decision, Policy
from services.autoscaler.reading import timetable_of
from tests.support.scaling import Story, a_policy

SET_AT = datetime(2026, 6, 1, tzinfo=UTC)  # a Monday


def a_job(name: str, schedule: str, size: int, **more: Any) -> dict[str, Any]:
    return {"Name": name, "Schedule": schedule, "TargetSize": size, **more}


def a_story(
    *jobs: dict[str, Any],
    at: str,
    current: int = 1,
    policy: Policy | None = None,
    excluded: tuple[str, ...] = (),
    last: dict[str, datetime] | None = None,
) -> Story:
    text = json.dumps({"ScaleJobs": jobs, "ExcludeDates": excluded})
    now = datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()
    return Story(policy, current, timetable_of(text, SET_AT, last or {}), now=now)


def states(decision: Decision) -> dict[str, str]:
    return {run.name: run.state for run in decision.jobs}


MORNING = a_job("morning", "0 0 8 * * *", 5)


def test_without_an_autoscaler_the_target_is_the_size() -> None:
    decision = a_story(MORNING, at="2026-06-01T08:00:00").look()

    assert (decision.wanted, decision.policy, decision.bounds) == (5, "timed", None)
    assert decision.why == "1 → 5 instances: morning is due at 2026-06-01 08:00:00 UTC: target 5"
    assert states(decision) == {"morning": "Succeed"}


def test_before_its_time_nothing_is_done() -> None:
    decision = a_story(MORNING, at="2026-06-01T07:59:59").look()

    assert decision.wanted == 1
    assert not decision.jobs


@pytest.mark.parametrize(
    ("target", "current", "least", "most", "wanted", "bounds"),
    [
        (20, 5, 1, 10, 20, Bounds(20, 20)),
        (1, 5, 3, 10, 5, Bounds(1, 10)),
        (2, 3, 3, 10, 3, Bounds(2, 10)),
        (6, 4, 2, 10, 6, Bounds(6, 10)),
        (4, 4, 2, 10, 4, None),
        (3, 7, 2, 10, 7, None),
        (0, 1, 1, 10, 1, Bounds(0, 10)),
    ],
)
def test_beside_an_autoscaler_a_job_moves_the_bounds(
    target: int, current: int, least: int, most: int, wanted: int, bounds: Bounds | None
) -> None:
    policy = a_policy(min=least, max=most)
    story = a_story(
        a_job("job", "0 0 8 * * *", target), at="2026-06-01T08:00:00", current=current, policy=policy
    )

    decision = story.look(10.0)

    assert (decision.wanted, decision.bounds) == (wanted, bounds)


def test_a_job_that_was_carried_out_is_not_due_again() -> None:
    ran = {"morning": datetime(2026, 6, 1, 8, tzinfo=UTC)}

    assert not a_story(MORNING, at="2026-06-01T08:00:01", last=ran).look().jobs


def test_an_excluded_day_is_skipped_and_said() -> None:
    story = a_story(MORNING, at="2026-06-06T08:00:00", excluded=("* * * * * 6,0",), last=_ran(5))

    decision = story.look()

    assert decision.wanted == 1
    assert states(decision) == {"morning": "Skipped"}
    assert "a day that '* * * * * 6,0' excludes" in decision.jobs[0].message


def test_of_missed_jobs_the_newest_is_carried_out_and_the_others_are_told() -> None:
    evening = a_job("evening", "0 0 20 * * *", 2)
    story = a_story(MORNING, evening, at="2026-06-03T23:00:00", last=_ran(1) | {"evening": _at(1, 20)})

    decision = story.look()

    assert decision.wanted == 2
    assert states(decision) == {"morning": "Missed", "evening": "Succeed"}
    assert "evening was due at 2026-06-03 20:00:00 UTC, carried out now" in decision.why


def test_a_job_that_is_carried_out_late_says_so_also_where_it_was_hardly_missed() -> None:
    late = a_story(MORNING, at="2026-06-01T08:00:21").look()
    prompt = a_story(MORNING, at="2026-06-01T08:00:05").look()

    assert "morning was due at 2026-06-01 08:00:00 UTC, carried out now: target 5" in late.why
    assert "morning is due at 2026-06-01 08:00:00 UTC: target 5" in prompt.why


def test_a_missed_job_gives_way_to_one_that_is_due_now() -> None:
    evening = a_job("evening", "0 0 20 * * *", 2)
    story = a_story(MORNING, evening, at="2026-06-03T20:00:05", last=_ran(1) | {"evening": _at(2, 20)})

    decision = story.look()

    assert decision.wanted == 2
    assert states(decision) == {"morning": "Missed", "evening": "Succeed"}


def test_a_run_that_was_missed_before_an_excluded_day_is_made_up_for() -> None:
    story = a_story(MORNING, at="2026-06-07T12:00:00", excluded=("* * * * * 6,0",), last=_ran(4))

    decision = story.look()

    assert decision.wanted == 5
    assert "due at 2026-06-05 08:00:00" in decision.why


def test_what_was_due_before_the_schedule_was_set_is_not_made_up_for() -> None:
    yearly = a_job("yearly", "@date 2026-05-31 23:59:59", 9)

    assert not a_story(yearly, at="2026-06-01T00:00:01").look().jobs


def test_a_job_that_runs_once_is_due_once() -> None:
    once = {**MORNING, "RunOnce": True}

    assert a_story(once, at="2026-06-02T08:00:00").look().wanted == 5
    assert not a_story(once, at="2026-06-03T08:00:00", last=_ran(2)).look().jobs


def test_a_job_that_has_run_once_is_over_though_other_jobs_are_set_later() -> None:
    once, ran_before = {**MORNING, "RunOnce": True}, {"morning": SET_AT - timedelta(days=1)}

    assert not a_story(once, at="2026-06-03T08:00:00", last=ran_before).look().jobs


def test_a_stopped_service_is_not_started_by_its_schedule() -> None:
    decision = a_story(MORNING, at="2026-06-01T08:00:00", current=0).look(stopped=True)

    assert decision.wanted == 0
    assert states(decision) == {"morning": "Failed"}
    assert decision.jobs[0].message.endswith("the service is stopped")


def test_requests_that_wait_for_one_that_sleeps_wake_it_before_its_schedule_runs() -> None:
    story = a_story(MORNING, at="2026-06-01T08:00:00", current=0, policy=a_policy(min=0))

    woken, scheduled = story.look(0.0, waiting=1), story.look(0.0, waiting=1, ready=0)

    assert (woken.policy, woken.wanted, woken.jobs) == ("zero", 1, ())
    assert (scheduled.policy, scheduled.wanted) == ("timed", 5)


def test_jobs_of_the_same_moment_are_carried_out_in_order() -> None:
    story = a_story(MORNING, a_job("more", "0 0 8 * * *", 7), at="2026-06-01T08:00:01")

    decision = story.look()

    assert decision.wanted == 7
    assert states(decision) == {"morning": "Succeed", "more": "Succeed"}


def test_after_a_job_the_metrics_go_on_within_the_moved_bounds() -> None:
    story = a_story(MORNING, at="2026-06-01T07:00:00", policy=a_policy(down_s=60))
    story.for_s(61, 10.0)
    story.now = _at(1, 8).timestamp()

    decision = story.look(10.0)

    assert decision.wanted == 5
    assert decision.bounds == Bounds(5, 100)


@pytest.mark.parametrize(
    ("schedule", "excluded", "newest"),
    [
        ("* * * * * *", ("* * * * * MON",), "2026-06-14 23:59:59"),
        ("* * 0 * * *", (), "2026-06-15 00:59:59"),
        ("*/7 0-9 3 * * *", ("* * * 10-15 * *",), "2026-06-09 03:09:56"),
        ("0 0 8 3 * *", ("* * * 10-15 * *",), "2026-06-03 08:00:00"),
    ],
)
def test_of_a_job_that_was_missed_often_the_newest_time_is_made_up_for_and_only_once(
    schedule: str, excluded: tuple[str, ...], newest: str
) -> None:
    job = a_job("often", schedule, 5)
    story = a_story(job, at="2026-06-15T23:30:00", excluded=excluded, last={"often": SET_AT})

    first = story.look()
    assert story.timetable is not None
    story.timetable = story.timetable.with_runs({run.name: run.due_at for run in first.jobs})

    assert first.jobs[0].message.startswith(f"often was due at {newest} UTC, carried out now")
    assert not any(run.state == "Succeed" for run in story.look().jobs)


@given(
    st.sampled_from(["* * * * * *", "*/20 */7 1-4 * * *", "0 30 2 * * *", "@every 5h7m", "0 0 0 1 * *"]),
    st.sampled_from(["Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu"]),
    st.datetimes(datetime(2017, 1, 1), datetime(2018, 12, 31)),
    st.integers(1, 90_000),
)
def test_the_newest_time_that_was_missed_is_the_one_that_is_followed_by_none(
    schedule: str, zone: str, now: datetime, away: int
) -> None:
    moment = now.replace(tzinfo=UTC)
    text = json.dumps({"ScaleJobs": [a_job("often", schedule, 5, TimeZone=zone)]})
    known = timetable_of(text, moment - timedelta(seconds=away), {})
    assert known is not None

    due = cron.due(known, moment)

    following = known.jobs[0].schedule.next_after
    if due:
        later = following(datetime.fromtimestamp(due[0].at, UTC), known.jobs[0].zone)
        assert later is None or later > moment
    else:
        assert (after := following(known.since, known.jobs[0].zone)) is None or after > moment


def test_a_schedule_of_every_second_is_found_after_a_long_time() -> None:
    story = a_story(a_job("often", "* * * * * *", 3), at="2026-08-30T08:00:00")

    assert story.look().wanted == 3


def _ran(day: int) -> dict[str, datetime]:
    return {"morning": _at(day, 8)}


def _at(day: int, hour: int) -> datetime:
    return SET_AT + timedelta(days=day - 1, hours=hour)
