"""Releasing members of a group, at once and in steps, against an admin API in memory."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cli.releases import Told, ended, ramp_plan_of
from easel.admin.v1 import admin_pb2 as pb
from easel_sdk.types import Ramp, RampPhase, RampPlan
from tests.support.command_line import CommandLine
from tests.support.fake_admin import FakeAdmin

RAMP = (
    "release",
    "llm-v2",
    "--ramp",
    "5,100",
    "--every",
    "10s",
    "--max-error-rate",
    "1%",
    "--max-p99",
    "+20%",
)
BEGAN = datetime(2030, 1, 1, tzinfo=UTC)
PLAN = RampPlan((5, 100), timedelta(seconds=10))
UNDER_WAY = Ramp("b", "g", PLAN, RampPhase.RUNNING, "waits", 0, BEGAN, BEGAN, None)


@pytest.fixture
def llm(fake: FakeAdmin) -> FakeAdmin:
    for name in ("llm-v1", "llm-v2"):
        fake.create(f'{{"name": "{name}", "metadata": {{"group": "llm"}}}}', "")
    fake.services["llm-v1"].traffic_state = pb.TRAFFIC_STATE_GROUPING
    fake.services["llm-v1"].weight = 9
    return fake


def steps_of(fake: FakeAdmin, *steps: tuple["pb.Ramp.Phase.ValueType", int, str]) -> None:
    """The states the next ramp of llm-v2 goes through; the last one stays."""
    plan = pb.RampPlan(steps=[5, 100])
    made = [
        pb.Ramp(service="llm-v2", group="llm", plan=plan, phase=phase, step=step, why=why)
        for phase, step, why in steps
    ]
    fake.traffic.ramp_steps = made


def test_a_member_is_released_by_state_and_weight(easel: CommandLine, llm: FakeAdmin) -> None:
    ran = easel("release", "llm-v2", "--state", "grouping", "--weight", "1")

    assert (ran.code, ran.err) == (0, "llm-v2 takes 10% of the requests of llm: grouping, weight 1\n")
    assert easel("release", "llm-v2", "--weight", "-1", "-o", "json").value["weight"] == -1
    back = easel("release", "llm-v2", "--state", "standalone")
    assert back.err == "llm-v2 takes no requests of llm, only its own\n"


def test_what_a_member_takes_is_shown_beside_the_others(easel: CommandLine, llm: FakeAdmin) -> None:
    easel("release", "llm-v2", "--state", "grouping", "--weight", "1")

    shown = easel("release", "llm-v2").out

    assert "grouping: 10% of the group's requests, weight 1" in shown
    assert shown.splitlines()[-2].split() == ["llm-v1", "grouping", "9", "1", "90%"]
    assert easel("release", "llm-v2", "-o", "json").value["group"]["traffic_mode"] == "customized"


def test_a_service_of_no_group_is_told_how_to_join_one(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.create('{"name": "echo"}', "")

    assert "easel modify echo -D metadata.group=GROUP" in easel("release", "echo").err
    assert easel("release", "echo", "--weight", "1").code == 4
    assert easel("release", "gone").code == 3


def test_a_ramp_begins_with_its_plan(easel: CommandLine, llm: FakeAdmin) -> None:
    ran = easel(*RAMP, "--min-requests", "20")

    assert ran.code == 0
    assert ran.err.startswith(
        "llm-v2 is on its way: 5%, 100%, each for 10s; back when more than 1% of its requests fail or its "
        "p99 is more than 20% above the others'; at least 20 requests a step\n"
    )
    plan = llm.traffic.groups["llm"].ramp.plan
    assert list(plan.steps) == [5, 100] and plan.every.ToTimedelta() == timedelta(seconds=10)
    assert (plan.max_error_rate, plan.max_p99_increase, plan.min_requests) == (0.01, 0.2, 20)
    assert "llm-v2: Running, step 1 of 2 (5%)" in easel("release", "llm-v2").out


def test_a_ramp_that_is_waited_for_shows_each_step_and_ends_well(easel: CommandLine, llm: FakeAdmin) -> None:
    steps_of(
        llm,
        (pb.Ramp.PHASE_RUNNING, 0, "12 of 50 requests"),
        (pb.Ramp.PHASE_RUNNING, 1, "no failure in 61 requests"),
        (pb.Ramp.PHASE_COMPLETED, 1, "all steps went well"),
    )

    ran = easel(*RAMP, "--wait")

    assert ran.code == 0
    assert ran.out == "llm-v2 takes 100% of the requests of llm: all steps went well\n"
    assert [line.partition(" s   ")[2] for line in ran.err.splitlines()[1:]] == [
        "step 1 of 2 (5%), Running: 12 of 50 requests",
        "step 2 of 2 (100%), Running: no failure in 61 requests",
        "step 2 of 2 (100%), Completed: all steps went well",
    ]


def test_a_ramp_that_goes_back_fails_the_wait_with_its_reason(easel: CommandLine, llm: FakeAdmin) -> None:
    steps_of(llm, (pb.Ramp.PHASE_WENT_BACK, 0, "9.1% of 66 requests failed, at most 1% may"))

    ran = easel(*RAMP, "--wait", "-o", "json")

    assert ran.code == 1
    assert ran.err.splitlines()[-1] == (
        "easel: llm-v2 did not get there: it went back by itself: 9.1% of 66 requests failed, at most 1% may"
    )
    assert ran.value["phase"] == "WentBack"


def test_a_ramp_that_is_under_way_can_be_followed_and_ended(easel: CommandLine, llm: FakeAdmin) -> None:
    assert easel("release", "llm-v2", "--wait").code == 4
    easel(*RAMP)

    late = easel("release", "llm-v2", "--wait", "--timeout", "0.1")
    stays = easel("release", "llm-v2", "--end")
    again = easel("release", "llm-v2", "--end", "--back")

    assert late.code == 6 and "the ramp of llm-v2 is not over after 0.1 s" in late.err
    assert stays.err == "llm-v2 stays at step 1 of 2 (5%)\n"
    assert again.code == 4
    easel(*RAMP)
    assert easel("release", "llm-v2", "--end", "--back").err == "llm-v2 goes back to what it had before\n"


@pytest.mark.parametrize(
    "options",
    [
        ("--ramp", "5,100"),
        ("--ramp", "0,100", "--every", "1m"),
        ("--ramp", "5,a", "--every", "1m"),
        ("--ramp", "5", "--every", "soon"),
        ("--ramp", "5", "--every", "1m", "--max-error-rate", "1"),
        ("--ramp", "5", "--every", "1m", "--weight", "1"),
        ("--ramp", "5,5", "--every", "1m", "--max-error-rate", "1%"),
        ("--every", "1m"),
        ("--back",),
        ("--end", "--wait"),
        ("--weight", "1", "--wait"),
        ("--weight", "1001"),
        ("--state", "odd"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_one_sentence(
    easel: CommandLine, llm: FakeAdmin, options: tuple[str, ...]
) -> None:
    ran = easel("release", "llm-v2", *options)

    assert ran.code == 2 and len(ran.err.splitlines()) == 1
    assert not llm.traffic.groups


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--ramp 5,100 --every 1m", "--ramp needs a bound: --max-error-rate, such as 1%, --max-p99, or both"),
        (
            "--ramp 5,1 --every 1m --max-p99 +20%",
            "--ramp: got '5,1', expected each percent larger than the one before",
        ),
        ("--ramp 5 --every 40d --max-p99 +20%", "--every: got '40d', expected 1s to 30d"),
        (
            "--ramp 5 --every 1m --max-error-rate 101%",
            "--max-error-rate: got '101%', expected less than 100%, such as 1%",
        ),
        ("--max-p99 +20%", "--max-p99 belongs to --ramp"),
        ("--back", "--back belongs to --end"),
        ("--end --wait", "--wait belongs to --ramp, or stands alone while a ramp is under way"),
    ],
)
def test_a_refusal_names_the_option_that_was_given_and_what_was_typed(
    easel: CommandLine, llm: FakeAdmin, options: str, sentence: str
) -> None:
    assert easel("release", "llm-v2", *options.split()).err == f"easel: {sentence}\n"


def test_steps_may_be_written_with_percent_signs_and_blanks() -> None:
    plan = RampPlan((1, 5, 100), timedelta(minutes=2), max_error_rate=0.01)
    assert ramp_plan_of("1%, 5 ,100", "2m", "1%", "", 0) == plan


def test_a_ramp_ends_as_its_phase_says_or_when_another_takes_its_place() -> None:
    done = replace(UNDER_WAY, phase=RampPhase.COMPLETED, why="all went well")
    stopped = ended(UNDER_WAY, replace(UNDER_WAY, phase=RampPhase.ENDED, why="by admin"))
    other = ended(UNDER_WAY, replace(done, started_at=BEGAN + timedelta(hours=1)))

    assert ended(UNDER_WAY, UNDER_WAY) is None
    assert ended(UNDER_WAY, done) is not None and ended(UNDER_WAY, done).ok
    assert stopped is not None and (stopped.ok, stopped.why) == (
        False,
        "it was ended at step 1 of 2 (5%): by admin",
    )
    assert other is not None and (other.ok, other.why) == (False, "another ramp has begun meanwhile")
    assert ended(UNDER_WAY, None) == other


def test_what_a_step_waits_for_is_told_when_it_changes_and_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = [0.0]
    told = Told(lambda: clock[0])
    for second, requests in ((0, 0), (5, 1), (9, 2), (10, 3), (19, 4), (20, 4), (30, 4), (80, 4), (139, 4)):
        clock[0] = float(second)
        told.ramp(replace(UNDER_WAY, why=f"{requests} of 50 requests"))

    lines = [line.split() for line in capsys.readouterr().err.splitlines()]
    assert [(float(words[0]), int(words[-4])) for words in lines] == [(0, 0), (10, 3), (20, 4), (80, 4)]
