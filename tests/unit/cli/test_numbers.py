"""Numbers as people read them, and as charts."""

from datetime import UTC, datetime, timedelta

from cli.charts import chart
from cli.numbers import measured
from easel_sdk.types import MetricPoint

NOW = datetime(2030, 1, 31, 12, tzinfo=UTC)


def points(*values: float | None) -> list[MetricPoint]:
    """One a second, the last one now; None is missing."""
    begin = NOW - timedelta(seconds=len(values) - 1)
    return [
        MetricPoint(begin + timedelta(seconds=at), each) for at, each in enumerate(values) if each is not None
    ]


def test_a_number_has_the_unit_of_its_measure() -> None:
    read = {
        ("qps", 0.0): "0/s",
        ("qps", 0.42): "0.42/s",
        ("qps", 7.31): "7.3/s",
        ("qps", 1234.5): "1234/s",
        ("rt[p99]", 12.34): "12.3 ms",
        ("rt[p99]", 0.0): "–",
        ("cpu", 49.96): "50%",
        ("gpu[util]", 7.25): "7.2%",
        ("error_rate", 0.0123): "1.2%",
        ("memory_bytes", 3 * 1024**3): "3.0 GiB",
        ("net_in", 2048): "2.0 KiB/s",
        ("instances", 3.0): "3",
        ("power", 301.7): "302 W",
        ("temperature", 61.0): "61 °C",
        ("custom[tokens]", 3.25): "3.2",
        ("qps", None): "–",
    }

    assert {key: measured(*key) for key in read} == read


def test_a_chart_has_its_title_its_axis_from_zero_and_the_time_before_now() -> None:
    drawn = chart("qps 3/s", points(1, 2, 3), NOW - timedelta(minutes=5), NOW, width=60, height=10)

    title, *_, axis = drawn.splitlines()
    assert title.strip() == "qps 3/s"
    assert axis.split() == ["-5m", "-3m45s", "-2m30s", "-1m15s", "now"]
    assert len(drawn.splitlines()) == 10 and max(map(len, drawn.splitlines())) <= 60
    assert any(line.lstrip().startswith("0┤") for line in drawn.splitlines())


def test_a_chart_of_whole_numbers_has_whole_ticks_and_moments_as_they_are_told() -> None:
    drawn = chart(
        *("instances", points(1, 2, 3), NOW - timedelta(seconds=2), NOW),
        width=60,
        height=10,
        whole=True,
        when=lambda moment: f"+{(moment - NOW).total_seconds() + 2:g}",
    )

    levels = [line.split("┤")[0].strip() for line in drawn.splitlines() if "┤" in line]
    assert levels == ["3", "2", "1", "0"]
    assert drawn.splitlines()[-1].split() == ["+0", "+0.5", "+1", "+1.5", "+2"]


def test_a_chart_of_hours_has_the_time_of_day() -> None:
    drawn = chart("qps", points(1, 2), NOW - timedelta(hours=4), NOW, width=60, height=8)

    assert drawn.splitlines()[-1].split() == ["08:00", "09:00", "10:00", "11:00", "12:00"]


def test_a_gap_is_not_bridged_and_steps_stay() -> None:
    bridged = chart("a", points(*[5.0] * 20), NOW - timedelta(seconds=19), NOW, width=50, height=8)
    gap = chart(
        "a",
        points(*[5.0] * 4, *[None] * 12, *[5.0] * 4),
        NOW - timedelta(seconds=19),
        NOW,
        width=50,
        height=8,
    )
    stepped = chart(
        "a",
        [points(5.0)[0], MetricPoint(NOW - timedelta(seconds=10), 5.0)][::-1],
        NOW - timedelta(seconds=19),
        NOW,
        width=50,
        height=8,
        steps=True,
    )

    def marks(picture: str) -> int:
        return sum("\u2800" <= sign <= "\u28ff" for sign in picture)

    assert marks(gap) < marks(bridged) * 0.7
    assert marks(stepped) > marks(bridged) * 0.4


def test_a_chart_of_nothing_but_zero_is_drawn() -> None:
    assert "now" in chart("waiting 0", points(0, 0, 0), NOW - timedelta(minutes=1), NOW, width=40, height=6)
