"""Lengths of time, percents and sizes on the command line."""

from datetime import timedelta

import pytest
import typer

from cli.quantities import bytes_of, bytes_text, length_of, share_of, share_text


def test_lengths_name_their_unit_or_are_seconds() -> None:
    lengths = [length_of("--every", text) for text in ("90", "60s", "2m", "1h", "30d")]

    assert [each.total_seconds() for each in lengths] == [90, 60, 120, 3600, 30 * 86_400]


def test_percents_may_have_a_plus_and_a_fraction() -> None:
    assert [share_of("--max-p99", text) for text in ("1%", "+20%", "0.5 %", "100%")] == [
        0.01,
        0.2,
        0.005,
        1.0,
    ]


def test_sizes_are_decimal_or_binary() -> None:
    sizes = [bytes_of("--body-limit", text) for text in ("512", "10MB", "10mb", "10MiB", "1K", "2Gi")]

    assert sizes == [512, 10_000_000, 10_000_000, 10 * 1024**2, 1000, 2 * 1024**3]
    assert [bytes_text(size) for size in sizes] == ["512B", "10MB", "10MB", "10MiB", "1KB", "2GiB"]


@pytest.mark.parametrize("read", [length_of, share_of, bytes_of])
@pytest.mark.parametrize("text", ["", "x", "-1", "1 year", "1.2.3%", "999999999999999d"])
def test_what_is_none_is_refused_with_the_option_and_what_is_expected(read, text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"^--it: got .*, expected a") as refused:
        read("--it", text)

    assert repr(text) in refused.value.message


def test_a_time_that_nobody_lives_to_see_is_refused() -> None:
    with pytest.raises(typer.BadParameter, match="at most a hundred years"):
        length_of("--for", "36526d")
    assert length_of("--for", "36525d") == timedelta(days=36_525)


def test_shares_are_shown_in_percent_without_needless_digits() -> None:
    assert [share_text(share) for share in (0.0, 1.0, 1 / 3, 0.09, 0.005, 0.0001)] == [
        "0%",
        "100%",
        "33.3%",
        "9%",
        "0.5%",
        "0.01%",
    ]
