"""What is shown of the jobs of a schedule beside what was written down of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from easel.admin.v1 import scaling_pb2 as pb
from libs.domain.scaling import CronJobState, Cronscaler
from libs.spec import parse_cronscaler
from services.scheduler.admin.autoscaler_servicer import cronscaler_view
from services.scheduler.scaling.policies import cronscaler_record

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
NEVER = "it never runs: no such time is to come"


def shown(record: Cronscaler, now: datetime) -> pb.CronJob:
    (job,) = cronscaler_view(record, now).jobs
    return job


def once(at: str) -> Cronscaler:
    """A schedule of a single time, set at noon."""
    job = {"Name": "once", "Schedule": f"@date {at}", "TargetSize": 4}
    return cronscaler_record("llm", parse_cronscaler({"ScaleJobs": [job]}).cronscaler, None, NOON)


def test_a_job_whose_time_had_passed_when_it_was_set_says_that_it_never_runs() -> None:
    job = shown(once("2026-03-02 11:00:00"), NOON)

    assert (job.state, job.message, job.HasField("next_run_at")) == ("Submitted", NEVER, False)


def test_a_job_says_nothing_before_its_time_and_while_it_is_yet_to_be_carried_out() -> None:
    record = once("2026-03-02 13:00:00")

    assert [shown(record, NOON + timedelta(hours=each)).message for each in (0, 2)] == ["", ""]


def test_what_became_of_a_job_is_shown_as_it_was_written_down() -> None:
    ran = CronJobState("once", "Succeed", "as it was due", 1_772_456_400_000)

    assert shown(replace(once("2026-03-02 11:00:00"), jobs=(ran,)), NOON).message == "as it was due"
    held = replace(once("2026-03-02 11:00:00"), jobs=(replace(ran, message=""),))
    assert shown(held, NOON).message == ""
