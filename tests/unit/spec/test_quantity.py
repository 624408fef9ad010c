"""Sizes with units, and counts that may be percentages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.spec.quantity import GIB, CountOrPercent, Quantity, parse_count_or_percent, parse_quantity


@pytest.mark.parametrize(
    ("written", "mib"),
    [
        ("40Gi", 40960),
        ("512Mi", 512),
        ("1.5Gi", 1536),
        ("1Ti", 1048576),
        ("1024Ki", 1),
        ("1G", 954),
        ("1M", 1),
        ("100 Gi", 102400),
        (40, 40960),
        ("40", 40960),
        (0.5, 512),
    ],
)
def test_a_size_is_read_in_mib_rounded_up(written: object, mib: int) -> None:
    assert parse_quantity(written, bare_unit_mib=GIB) == Quantity(mib)


@pytest.mark.parametrize(
    "written", ["", "Gi", "-1Gi", "0", 0, -1, True, None, "1 giga", "9" * 15 + "Pi", "1e3"]
)
def test_a_size_that_cannot_be_read_is_refused(written: object) -> None:
    with pytest.raises(ValueError):
        parse_quantity(written, bare_unit_mib=GIB)


@given(st.integers(1, (1 << 31) - 1))
def test_a_size_that_is_written_reads_as_itself(mib: int) -> None:
    assert parse_quantity(str(Quantity(mib)), bare_unit_mib=GIB) == Quantity(mib)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (3, CountOrPercent(3)),
        ("3", CountOrPercent(3)),
        ("20%", CountOrPercent(20, percent=True)),
        ("0%", CountOrPercent(0, percent=True)),
    ],
)
def test_a_count_may_be_a_percentage(written: object, expected: CountOrPercent) -> None:
    assert parse_count_or_percent(written) == expected


@pytest.mark.parametrize("written", ["", "%", "101%", "-1", -1, 1.5, True, None, "a%"])
def test_a_count_that_cannot_be_read_is_refused(written: object) -> None:
    with pytest.raises(ValueError):
        parse_count_or_percent(written)


@given(st.integers(0, 100), st.integers(0, 10_000))
def test_a_percentage_never_exceeds_the_total(number: int, total: int) -> None:
    share = CountOrPercent(number, percent=True)

    assert 0 <= share.of(total, round_up=False) <= share.of(total) <= total
