"""Windows: what happened in them, by the time of its arrival; missing is not zero."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metrics.rings import Rings
from services.metrics.tables import Column, Table

COLUMNS = {"sum": Column.SUM, "level": Column.LEVEL}


def reported(table: Table, key: str, sums: list[tuple[float, float]], level: float = 1.0) -> None:
    """Reports of a SUM as (at, how far it came)."""
    for at, value in sums:
        table.take(table.rows([key]), np.array([[value], [level]]), at)


def rate(table: Table, seconds: float, until: float, row: int = 0) -> float:
    return float(table.window(seconds, until).means[0, row])


def test_a_sum_is_its_growth_a_second() -> None:
    table = Table(COLUMNS)
    reported(table, "a", [(1_000.3 + n, 5.0 * n) for n in range(20)])

    assert rate(table, 10, 1_019.3) == pytest.approx(5.0)
    assert rate(table, 3, 1_019.9) == pytest.approx(5.0)


def test_growth_told_late_is_spread_over_the_time_it_took() -> None:
    table = Table(COLUMNS)
    reported(table, "a", [(1_000.0, 0.0), (1_040.0, 80.0)])

    assert [rate(table, 5, until) for until in (1_005.0, 1_020.0, 1_040.0)] == pytest.approx([2.0] * 3)


def test_a_sum_that_fell_began_anew_and_only_adds() -> None:
    table = Table(COLUMNS)
    reported(table, "a", [(1_000.0, 100.0), (1_001.0, 104.0), (1_002.0, 3.0)])

    assert rate(table, 2, 1_002.0) == pytest.approx(3.5)


def test_a_level_is_a_mean_over_time() -> None:
    table = Table(COLUMNS)
    for at, level in ((1_000.0, 0.0), (1_001.0, 10.0), (1_004.0, 2.0)):
        table.take(table.rows(["a"]), np.array([[0.0], [level]]), at)

    assert table.window(10, 1_004.0).means[1, 0] == pytest.approx((10 * 1 + 2 * 3) / 4)


def test_silence_is_zero_and_no_report_is_missing() -> None:
    table = Table(COLUMNS)
    reported(table, "silent", [(1_000.0 + n, 7.0) for n in range(5)])
    reported(table, "gone", [(900.0 + n, 7.0 * n) for n in range(5)])

    window = table.window(10, 1_004.0)

    assert window.means[0, table.row("silent")] == 0.0
    assert math.isnan(window.means[0, table.row("gone")])
    assert window.covered.tolist()[:2] == [4.0, 0.0]


def test_a_number_that_a_report_leaves_out_is_missing() -> None:
    table = Table(COLUMNS)
    for at in (1_000.0, 1_001.0):
        table.take(table.rows(["a"]), np.array([[5.0], [math.nan]]), at)

    assert math.isnan(table.window(5, 1_001.0).means[1, 0])
    assert rate(table, 5, 1_001.0) == 0.0


def test_a_level_that_reports_leave_out_at_times_is_the_mean_of_the_rest() -> None:
    table = Table(COLUMNS)
    levels = [80.0, 80.0, math.nan, math.nan, 60.0, math.nan]
    for second, level in enumerate(levels):
        table.take(table.rows(["a"]), np.array([[2.0 * second], [level]]), 1_000.0 + second)

    means = {seconds: table.window(seconds, 1_005.0).means[:, 0].tolist() for seconds in (1, 2, 5)}

    assert [each[0] for each in means.values()] == pytest.approx([2.0] * 3)
    assert math.isnan(means[1][1])
    assert [means[2][1], means[5][1]] == pytest.approx([60.0, 70.0])
    assert math.isnan(table.window(2, 1_003.0).means[1, 0])


def test_what_is_told_from_some_time_on_is_missing_before_and_not_0() -> None:
    table = Table(COLUMNS)
    for second, level in enumerate([math.nan] * 5 + [50.0] * 5):
        table.take(table.rows(["a"]), np.array([[1.0], [level]]), 1_000.0 + second)

    assert table.window(9, 1_009.0).means[1, 0] == pytest.approx(50.0)
    assert math.isnan(table.window(3, 1_003.0).means[1, 0])


def test_growth_that_nobody_told_is_missing_and_not_0() -> None:
    table = Table(COLUMNS)
    for second, come_so_far in enumerate([0.0, 4.0, math.nan, 16.0, 20.0]):
        table.take(table.rows(["a"]), np.array([[come_so_far], [1.0]]), 1_000.0 + second)

    assert rate(table, 4, 1_004.0) == pytest.approx(4.0)
    assert math.isnan(rate(table, 2, 1_003.0))


def test_a_row_that_is_given_on_has_no_gaps_of_before() -> None:
    table = Table(COLUMNS)
    for second, level in enumerate([1.0, math.nan, math.nan]):
        table.take(table.rows(["a"]), np.array([[0.0], [level]]), 1_000.0 + second)
    table.forget("a")
    for second in range(3):
        table.take(table.rows(["b"]), np.array([[0.0], [7.0]]), 1_000.0 + second)

    assert table.window(5, 1_002.0).means[1, 0] == pytest.approx(7.0)


def test_what_is_older_than_five_minutes_is_known_by_ten_seconds_for_an_hour() -> None:
    table = Table(COLUMNS)
    reported(table, "a", [(10_000.0 + n, 3.0 * n) for n in range(3_600)])

    assert rate(table, 3_600, 13_599.0) == pytest.approx(3.0, rel=0.01)
    assert rate(table, 60, 11_000.0) == pytest.approx(3.0, rel=0.01)


def test_the_row_of_what_is_forgotten_is_given_on_empty() -> None:
    table = Table(COLUMNS)
    reported(table, "old", [(1_000.0 + n, 9.0 * n) for n in range(5)])
    row = table.row("old")

    table.forget("old")

    assert table.row("new") == row
    assert math.isnan(rate(table, 5, 1_004.0, row))


def test_a_table_grows_with_its_rows_and_keeps_what_it_has() -> None:
    table = Table(COLUMNS)
    reported(table, "first", [(1_000.0 + n, 2.0 * n) for n in range(5)])
    rows = table.rows([f"more-{n}" for n in range(200)])

    late = table.rows([f"late-{n}" for n in range(200)])

    assert len({*rows.tolist(), *late.tolist()}) == 400
    assert rate(table, 4, 1_004.0, table.row("first")) == pytest.approx(2.0)


def test_several_tell_of_one_row_and_what_nobody_added_there_is_zero() -> None:
    table = Table(COLUMNS)
    rows = table.rows(["a", "b"])
    table.spread(rows, np.array([[6.0, 0.0], [0.0, 0.0]]), 1_000.0, 1_002.0)
    table.spread(rows, np.array([[4.0, 0.0], [0.0, 0.0]]), 1_000.5, 1_002.0)
    table.cover(rows, 1_000.0, 1_002.0)

    assert table.window(2, 1_002.0).means[0].tolist()[:2] == pytest.approx([5.0, 0.0])


def test_what_happened_before_the_first_report_is_kept_when_a_table_grows() -> None:
    table = Table(COLUMNS)
    rows = table.rows(["a"])
    table.spread(rows, np.array([[60.0], [0.0]]), 940.0, 1_000.0)
    table.cover(rows, 940.0, 1_000.0)

    table.rows([f"more-{n}" for n in range(200)])

    assert rate(table, 60, 1_000.0) == pytest.approx(1.0)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.floats(0.01, 30.0), st.floats(0, 1_000)), min_size=1, max_size=40))
def test_nothing_that_was_added_is_lost_however_it_is_cut(spans: list[tuple[float, float]]) -> None:
    rings, at, total = Rings(1, 16), 50_000.0, 0.0
    for length, amount in spans:
        rings.add(np.array([0]), np.array([[amount]]), at, at + length)
        at, total = at + length, total + amount

    assert rings.total(3_500, at)[0, 0] == pytest.approx(total, rel=1e-3, abs=1e-3)
