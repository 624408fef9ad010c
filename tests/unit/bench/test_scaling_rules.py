"""Simulated autoscalers obey the rules that Kubernetes and Knative publish."""

from itertools import pairwise

import pytest

from bench.scaling_rules import HpaRules, Point, Step, horizontal_pod_autoscaler, knative_pod_autoscaler


def a_load(*parts: tuple[int, float]) -> list[Point]:
    """So many seconds of each load, one after another."""
    loads = [load for seconds, load in parts for _ in range(seconds)]
    return [Point(second, load) for second, load in enumerate(loads)]


def changes(steps: list[Step]) -> list[tuple[int, int]]:
    """When the wanted number changed, and to what."""
    return [(after.t, after.wanted) for before, after in pairwise(steps) if before.wanted != after.wanted]


def hpa(load: list[Point], least: int = 1, most: int = 100) -> list[tuple[int, int]]:
    return changes(horizontal_pod_autoscaler(load, 10, 5, least, most))


def kpa(load: list[Point], least: int = 1, most: int = 100) -> list[tuple[int, int]]:
    return changes(knative_pod_autoscaler(load, 10, 5, least, most))


def test_hpa_changes_nothing_but_at_a_sync() -> None:
    found = hpa(a_load((60, 5), (300, 200), (600, 5)))

    assert found
    assert {(second - HpaRules().sync_at) % 15 for second, _ in found} == {0}


def test_hpa_sees_a_step_when_it_was_scraped_and_adds_no_more_than_it_may_in_a_period() -> None:
    assert hpa(a_load((60, 5), (200, 200)))[:4] == [(82, 5), (97, 10), (112, 20)]


def test_hpa_changes_nothing_within_a_tenth() -> None:
    assert hpa(a_load((60, 100), (300, 109)), least=10) == []


def test_hpa_takes_away_what_nothing_asked_for_in_five_minutes() -> None:
    found = hpa(a_load((60, 5), (120, 45), (600, 5)))

    last_asked = 60 + 120 + 15
    down = [(second, wanted) for second, wanted in found if second > last_asked]
    assert [wanted for _, wanted in down] == [1]
    assert last_asked + 285 <= down[0][0] <= last_asked + 300 + 15


@pytest.mark.parametrize("autoscaler", [hpa, kpa])
def test_bounds_hold(autoscaler: object) -> None:
    found = autoscaler(a_load((60, 5), (300, 1000), (900, 0)), least=2, most=7)  # type: ignore[operator]

    assert {wanted for _, wanted in found} <= set(range(2, 8))
    assert max(wanted for _, wanted in found) == 7


def test_kpa_panics_at_twice_what_is_ready_within_its_short_window() -> None:
    first, wanted = kpa(a_load((60, 5), (200, 200)))[0]

    assert 60 < first <= 62
    assert wanted >= 2


def test_kpa_aims_at_seventy_percent_of_the_target() -> None:
    assert kpa(a_load((60, 5), (200, 70)))[-1][1] == 10


def test_kpa_takes_nothing_away_for_a_minute_after_it_panicked() -> None:
    found = kpa(a_load((60, 5), (20, 200), (200, 5)))

    down = next(second for before, (second, wanted) in pairwise(found) if wanted < before[1])
    assert down > 60 + 60


def test_kpa_halves_at_most() -> None:
    steps = knative_pod_autoscaler(a_load((60, 5), (60, 200), (300, 0)), 10, 5, 1, 100)

    assert all(after.wanted >= before.ready // 2 for before, after in pairwise(steps))
