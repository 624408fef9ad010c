"""How far a transfer is, in words."""

import pytest

from cli.progress import bar, milestone, progress_text
from easel_sdk.types import Progress

GIB, MIB = 1 << 30, 1 << 20


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (
            Progress("oss://models/llm", int(1.2 * GIB), 4 * GIB, 120 * MIB),
            "fetching oss://models/llm: 1.2 of 4.0 GiB, 120 MiB/s, 24 s left",
        ),
        (Progress("image a:1", 30 * MIB, 0, 0), "fetching image a:1: 30.0 MiB"),
        (Progress("image a:1", 0, 0, 0), "fetching image a:1: 0 B"),
        (Progress("x", 0, 100 * GIB, 10 * MIB), "fetching x: 0.0 of 100 GiB, 10.0 MiB/s, 2.8 h left"),
        (Progress("x", 5 * GIB, 5 * GIB, MIB), "fetching x: 5.0 of 5.0 GiB, 1.0 MiB/s"),
    ],
)
def test_a_transfer_tells_its_share_its_rate_and_the_time_left(progress: Progress, text: str) -> None:
    assert progress_text(progress) == text


def test_a_bar_is_as_full_as_the_share() -> None:
    assert bar(1, 4) == "█" * 5 + "░" * 15 + " 25 %"
    assert bar(0, 0).endswith(" 0 %") and bar(5, 4).endswith(" 100 %")


def test_a_line_is_due_at_each_tenth_or_doubling_and_for_another_thing() -> None:
    known = [milestone(Progress("a", done, 100, 0)) for done in (0, 9, 10, 19, 100)]
    unknown = [milestone(Progress("a", done * MIB, 0, 0)) for done in (1, 63, 64, 127, 128)]

    assert len(set(known)) == 3 and known[1] == known[0] and known[3] == known[2]
    assert len(set(unknown)) == 3
    assert milestone(Progress("b", 0, 100, 0)) != known[0]
