"""Schedules as they are kept, and when their jobs are due next."""

from datetime import UTC, datetime
from typing import Any

import pytest

from libs.domain.scaling import CronJobState, Cronscaler
from libs.spec import parse_cronscaler
from services.scheduler.scaling.policies import cronscaler_record, next_run
from tests.support.builders import NOON, at


def a_scaler(*jobs: dict[str, Any], **more: Any) -> Any:
    return parse_cronscaler({"ScaleJobs": list(jobs), **more}).cronscaler


def a_job(name: str = "day", schedule: str = "0 0 8 * * *", target: int = 5, **more: Any) -> dict[str, Any]:
    return {"Name": name, "Schedule": schedule, "TargetSize": target, **more}


def test_jobs_that_stay_as_they_are_keep_what_became_of_them() -> None:
    ran = CronJobState("day", "Succeed", "from 1 to 5", 12)
    first = cronscaler_record("digits", a_scaler(a_job(), a_job("night")), None, NOON)
    known = Cronscaler("digits", first.policy_json, NOON, NOON, (ran, CronJobState("night", "Failed")), 3)

    after = cronscaler_record("digits", a_scaler(a_job(), a_job("night", target=9)), known, at(5))

    assert after.jobs == (ran, CronJobState("night"))
    assert (after.created_at, after.updated_at) == (NOON, at(5))


def test_a_job_is_due_next_in_its_own_zone() -> None:
    scaler = a_scaler(a_job(TimeZone="Asia/Shanghai"))

    due = next_run(scaler, scaler.scale_jobs[0], datetime(2026, 3, 1, 1, tzinfo=UTC))

    assert due == datetime(2026, 3, 2, 0, tzinfo=UTC)


def test_days_on_which_the_schedule_rests_are_passed_over() -> None:
    scaler = a_scaler(a_job(), ExcludeDates=["* * * ? * SAT,SUN"])
    friday = datetime(2026, 3, 6, 9, tzinfo=UTC)

    assert next_run(scaler, scaler.scale_jobs[0], friday) == datetime(2026, 3, 9, 8, tzinfo=UTC)


@pytest.mark.parametrize("schedule", ["@date 2030-12-31 08:00:00", "0 0 8 29 2 *"])
def test_a_job_that_is_due_in_years_is_shown_though_the_schedule_rests_at_times(schedule: str) -> None:
    job = a_job(Schedule=schedule)
    resting, always = a_scaler(job, ExcludeDates=["* * * 25 12 *"]), a_scaler(job)

    due = next_run(resting, resting.scale_jobs[0], NOON)

    assert due is not None
    assert due == next_run(always, always.scale_jobs[0], NOON)


def test_a_job_that_always_rests_is_never_due() -> None:
    scaler = a_scaler(a_job(), ExcludeDates=["* * * * * *"])

    assert next_run(scaler, scaler.scale_jobs[0], NOON) is None
