"""When numbers say that a bound is broken."""

import random

import pytest

from services.scheduler.ramp.evidence import clearly_above, slower_than, upper_share


@pytest.mark.parametrize("requests", [1, 2, 3, 50, 1000])
def test_a_single_failure_is_no_evidence_against_one_percent(requests: int) -> None:
    assert not clearly_above(1, requests, 0.01)


@pytest.mark.parametrize(("failed", "requests"), [(2, 2), (3, 10), (6, 100), (22, 1000)])
def test_what_chance_hardly_does_is_evidence(failed: int, requests: int) -> None:
    assert clearly_above(failed, requests, 0.01)


def test_a_bound_of_nothing_is_broken_by_one_and_one_of_everything_by_none() -> None:
    assert clearly_above(1, 1000, 0.0)
    assert not clearly_above(0, 1000, 0.0)
    assert not clearly_above(1000, 1000, 1.0)


def test_looking_at_every_request_blames_no_more_than_five_of_a_hundred_that_keep_the_bound() -> None:
    chance = random.Random(7)

    blamed = sum(_is_blamed(chance, rate=0.05, bound=0.05, requests=2000) for _ in range(100))

    assert blamed <= 5


def test_one_that_fails_four_times_as_often_as_it_may_is_found_within_hundreds() -> None:
    chance = random.Random(7)

    found = sum(_is_blamed(chance, rate=0.04, bound=0.01, requests=600) for _ in range(100))

    assert found >= 95


def test_of_the_bucket_that_a_limit_lies_in_an_even_part_is_slower() -> None:
    latency = {100.0: 90, 200.0: 8, float("inf"): 2}

    assert [slower_than(latency, limit) for limit in (0.0, 100.0, 150.0, 200.0, 300.0)] == [100, 10, 6, 2, 0]


def test_a_quantile_of_few_is_only_known_to_be_below_the_largest() -> None:
    assert upper_share(0.99, 100) == 1.0
    assert 0.99 < upper_share(0.99, 100_000) < 0.991


def _is_blamed(chance: random.Random, rate: float, bound: float, requests: int) -> bool:
    failed = 0
    for count in range(1, requests + 1):
        failed += chance.random() < rate
        if clearly_above(failed, count, bound):
            return True
    return False
