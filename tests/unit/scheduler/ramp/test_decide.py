"""Whether a ramp holds, takes its next step, is complete, or goes back."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.scheduler.ramp.decide import Move, Standing, decide
from tests.support.builders import NOON, at
from tests.unit.scheduler.groups.builders import a_ramp
from tests.unit.scheduler.ramp.numbers import counted

LATER = at(61)
ERRORS = a_ramp(max_error_rate=0.01)
P99 = a_ramp(max_error_rate=None, max_p99_increase=0.2)
LAST = len(ERRORS.steps) - 1


def standing(member: Any = None, **changes: Any) -> Standing:
    """Counted since noon; a member that does well beside others that do."""
    base: dict[str, Any] = {
        "since": NOON,
        "member": member or counted(1000, at=LATER),
        "rest": counted(100_000, at=LATER),
    }
    return Standing(**{**base, **changes})


def test_a_good_step_is_followed_by_the_next_when_its_time_is_over() -> None:
    early = decide(ERRORS, standing(counted(1000, at=at(20))), at(20))
    verdict = decide(ERRORS, standing(), LATER)

    assert (early.move, verdict.move) == (Move.HOLD, Move.STEP)
    assert early.why == "at 1 % for 40 s longer; 1000 requests so far, 0 % of them failed"
    assert verdict.why == "1 % went well: 0 % of 1000 requests failed (1 % allowed)"


def test_after_the_last_step_it_is_complete() -> None:
    assert decide(replace(ERRORS, step=LAST), standing(), LATER).move is Move.COMPLETE


def test_a_clear_breach_goes_back_at_once() -> None:
    verdict = decide(ERRORS, standing(counted(30, failed=10, at=at(3))), at(3))

    assert verdict.move is Move.BACK
    assert verdict.why == "at 1 %: 33.3 % of 30 requests failed (1 % allowed)"


def test_a_single_failure_among_few_is_no_reason_to_go_back_and_none_to_go_on() -> None:
    verdict = decide(ERRORS, standing(counted(60, failed=1, at=LATER)), LATER)

    assert verdict.move is Move.HOLD
    assert "waiting for more requests" in verdict.why


def test_a_step_with_too_few_requests_waits_and_says_how_many_came() -> None:
    verdict = decide(ERRORS, standing(counted(12, at=LATER)), LATER)

    assert verdict.move is Move.HOLD
    assert verdict.why == "12 requests have come at 1 %, of 50 to judge by; waiting for more"


def test_a_further_gateway_that_has_yet_to_speak_makes_no_numbers_stale() -> None:
    heard = replace(standing(), member=None, heard=at(30))

    assert "of a further gateway" in decide(ERRORS, heard, at(32)).why
    assert "no gateway has told numbers lately" in decide(ERRORS, heard, at(41)).why


@pytest.mark.parametrize("member", [None, counted(1000, at=NOON)])
def test_missing_and_stale_numbers_never_let_it_go_on(member: Any) -> None:
    verdict = decide(ERRORS, replace(standing(), member=member), LATER + timedelta(minutes=9))

    assert verdict.move is Move.HOLD
    assert "no gateway has told numbers lately" in verdict.why


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ready": 0}, "it has no ready instance any more"),
        ({"lost": "it is being deleted"}, "it is being deleted"),
    ],
)
def test_a_member_that_cannot_go_on_goes_back_whatever_its_numbers(
    changes: dict[str, Any], sentence: str
) -> None:
    verdict = decide(ERRORS, standing(**changes), NOON)

    assert (verdict.move, verdict.why) == (Move.BACK, sentence)


def test_one_that_is_left_alone_has_all_requests() -> None:
    assert decide(ERRORS, standing(others=0), NOON).move is Move.COMPLETE
    # Going back would leave nobody who answers.
    assert decide(ERRORS, standing(others=0, ready=0), NOON).move is Move.COMPLETE


def test_a_step_that_has_just_begun_waits_for_its_first_numbers() -> None:
    verdict = decide(ERRORS, replace(standing(), member=None), NOON)

    assert (verdict.move, verdict.why) == (Move.HOLD, "at 1 %: waiting for the first numbers of the gateways")


def test_while_no_other_member_is_ready_nothing_is_judged() -> None:
    verdict = decide(ERRORS, standing(others_ready=0), LATER)

    assert verdict.move is Move.HOLD
    assert "no other member has a ready instance" in verdict.why


def test_latency_near_that_of_the_others_goes_on() -> None:
    verdict = decide(P99, standing(), LATER)

    assert verdict.move is Move.STEP
    assert verdict.why == ("1 % went well: p99 is 99.5 ms, that of the others 99.5 ms (20 % more allowed)")


def test_latency_clearly_above_that_of_the_others_goes_back() -> None:
    verdict = decide(P99, standing(counted(200, slow=20, at=at(5))), at(5))

    assert verdict.move is Move.BACK
    assert "p99 is 470 ms, that of the others 99.5 ms" in verdict.why


def test_a_few_slow_requests_are_waited_for() -> None:
    assert decide(P99, standing(counted(100, slow=2, at=LATER)), LATER).move is Move.HOLD


@pytest.mark.parametrize("rest", [None, counted(40, at=LATER), counted(9000, at=at(-60))])
def test_without_numbers_of_the_others_latency_is_not_judged(rest: Any) -> None:
    assert decide(P99, standing(rest=rest), LATER).move is Move.HOLD


def test_others_that_are_as_slow_are_no_reason_to_go_back() -> None:
    slow = standing(counted(1000, slow=100, at=LATER), rest=counted(10_000, slow=1000, at=LATER))

    assert decide(P99, slow, LATER).move is Move.STEP


def test_at_a_hundred_percent_latency_is_compared_with_what_the_others_had_before() -> None:
    last = replace(P99, step=LAST)
    before = counted(1000, at=at(-60))
    silent = counted(0, at=LATER)

    good = decide(last, standing(rest=silent, compared=before), LATER)
    slow = decide(last, standing(counted(1000, slow=200, at=LATER), rest=silent, compared=before), LATER)
    unknown = decide(last, standing(rest=silent), LATER)

    assert [each.move for each in (good, slow, unknown)] == [Move.COMPLETE, Move.BACK, Move.COMPLETE]
    assert "no other member has requests to compare" in unknown.why


def test_with_two_bounds_both_are_kept_or_it_goes_back() -> None:
    both = replace(ERRORS, max_p99_increase=0.2)

    slow = decide(both, standing(counted(1000, slow=200, at=LATER)), LATER)
    failing = decide(both, standing(counted(1000, failed=200, at=LATER)), LATER)

    assert [each.move for each in (slow, failing)] == [Move.BACK, Move.BACK]
    assert decide(both, standing(), LATER).move is Move.STEP
