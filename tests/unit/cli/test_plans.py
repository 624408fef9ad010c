"""How the stages of an update are asked for, and told."""

from datetime import timedelta

import pytest
import typer

from cli.plans import plan_of, plan_text
from easel_sdk.types import RolloutPlan


def test_no_option_asks_for_no_plan_so_that_the_service_json_decides() -> None:
    assert plan_of("", "", "", False) is None


@pytest.mark.parametrize(("text", "length"), [("60s", 60), ("60", 60), ("5m", 300), ("1h", 3600)])
def test_an_interval_has_a_unit(text: str, length: int) -> None:
    assert plan_of("", "25%", text, False) == RolloutPlan(
        batch_size="25%", interval=timedelta(seconds=length)
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("x", "", ""), "--partition: got 'x', expected a number of instances or a percentage"),
        (("", "-1", ""), "--batch: got '-1', expected"),
        (("", "2", "soon"), "--interval: got 'soon', expected a time such as 60s, 5m or 1h"),
        (("2", "2", ""), "give either --partition, or --batch with or without --interval"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(given: tuple[str, str, str], sentence: str) -> None:
    with pytest.raises(typer.BadParameter, match=sentence):
        plan_of(*given, False)


def test_what_is_not_given_stays_as_the_plan_has_it() -> None:
    minutely = RolloutPlan(batch_size="1", interval=timedelta(minutes=1))

    assert plan_of("", "2", "", False, minutely) == RolloutPlan(batch_size="2")
    assert plan_of("", "", "5m", False, minutely) == RolloutPlan(
        batch_size="1", interval=timedelta(minutes=5)
    )
    assert plan_of("", "", "", True, minutely) == RolloutPlan("", "1", timedelta(minutes=1), paused=True)
    assert plan_of("30%", "", "", False, minutely) == RolloutPlan(partition="30%")


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        (RolloutPlan(), "all within max_surge and max_unavailable"),
        (RolloutPlan(partition="2"), "2 stay at the version before until it is promoted"),
        (RolloutPlan(batch_size="25%"), "batches of 25%, each resumed"),
        (RolloutPlan(batch_size="1", interval=timedelta(minutes=5)), "batches of 1, 5m between them"),
        (RolloutPlan(paused=True), "all within max_surge and max_unavailable; paused"),
    ],
)
def test_a_plan_is_told_in_words(plan: RolloutPlan, text: str) -> None:
    assert plan_text(plan) == text
