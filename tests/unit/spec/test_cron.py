"""Rules of schedules: the times they name, in any zone, also where its clock is put forward or back."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.errors import InvalidSpec
from libs.spec.cron import instant, parse, zone_of

BERLIN, SHANGHAI, UTC_ZONE = zone_of("Europe/Berlin"), zone_of("Asia/Shanghai"), zone_of(None)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "after", "due"),
    [
        ("0 15,45 * * * *", "2026-03-01T10:15:00", "2026-03-01T10:45:00"),
        ("30 0 8 * * MON-FRI", "2026-03-06T09:00:00", "2026-03-09T08:00:30"),
        ("0 0 9 15 NOV ?", "2026-03-01T00:00:00", "2026-11-15T09:00:00"),
        ("0 0 9 ? * 0", "2026-03-01T09:00:00", "2026-03-08T09:00:00"),
        ("*/20 * * * * *", "2026-03-01T00:00:41", "2026-03-01T00:01:00"),
        ("0 0 0 29 2 *", "2026-03-01T00:00:00", "2028-02-29T00:00:00"),
        ("@yearly", "2026-03-01T00:00:00", "2027-01-01T00:00:00"),
        ("@monthly", "2026-03-01T00:00:00", "2026-04-01T00:00:00"),
        ("@weekly", "2026-03-01T00:00:00", "2026-03-08T00:00:00"),
        ("@daily", "2026-03-01T00:00:00", "2026-03-02T00:00:00"),
        ("@hourly", "2026-03-01T00:00:00", "2026-03-01T01:00:00"),
        ("@every 1h30m", "2026-03-01T00:00:00", "2026-03-01T01:30:00"),
        ("@date 2026-12-31 08:00:00", "2026-03-01T00:00:00", "2026-12-31T08:00:00"),
    ],
)
def test_an_expression_names_its_times(expression: str, after: str, due: str) -> None:
    assert parse(expression).next_after(at(after), UTC_ZONE) == at(due)


def test_a_date_is_due_once() -> None:
    assert parse("@date 2026-12-31 08:00:00").next_after(at("2026-12-31T08:00:00"), UTC_ZONE) is None


def test_fields_are_those_of_the_clock_in_the_zone() -> None:
    assert parse("0 0 8 * * *").next_after(at("2026-03-01T00:30:00"), SHANGHAI) == at("2026-03-02T00:00:00")


def test_a_time_that_does_not_exist_is_due_once_when_the_clock_goes_on() -> None:
    schedule = parse("0 30 2 * * *")

    due = schedule.next_after(at("2026-03-28T12:00:00"), BERLIN)

    assert due == at("2026-03-29T01:00:00")
    assert schedule.next_after(due, BERLIN) == at("2026-03-30T00:30:00")


def test_a_time_that_exists_twice_is_due_at_the_first() -> None:
    schedule = parse("0 30 2 * * *")

    due = schedule.next_after(at("2026-10-24T12:00:00"), BERLIN)

    assert due == at("2026-10-25T00:30:00")
    assert schedule.next_after(due, BERLIN) == at("2026-10-26T01:30:00")


@pytest.mark.parametrize(
    ("expression", "day", "fires"),
    [
        ("* * * * * 6,0", date(2026, 3, 7), True),
        ("* * * * * 6,0", date(2026, 3, 9), False),
        ("* * * 15 11 *", date(2026, 11, 15), True),
        ("* * * 15 11 *", date(2026, 11, 16), False),
        ("0 0 0 * * *", date(2026, 3, 29), True),
        ("@date 2026-12-31 23:59:59", date(2026, 12, 31), True),
        ("@date 2026-12-31 23:59:59", date(2027, 1, 1), False),
    ],
)
def test_a_day_is_named_by_what_is_due_on_it(expression: str, day: date, fires: bool) -> None:
    assert parse(expression).fires_on(day, BERLIN) is fires


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 8 * * *", "six fields"),
        ("60 * * * * *", "a second from 0 to 59"),
        ("0 60 * * * *", "a minute from 0 to 59"),
        ("0 0 24 * * *", "an hour from 0 to 23"),
        ("0 0 0 32 * *", "a day of the month"),
        ("0 0 0 31 2 ?", "a day of the month"),
        ("0 0 0 1 13 *", "a month from 1 to 12"),
        ("0 0 0 * * FUN", "a weekday from 0 to 6"),
        ("? 0 0 * * *", "a second from 0 to 59"),
        ("0 */0 8 * * *", "a step of 1 or more behind the / of the minute field"),
        ("0 0 */x * * *", "a step of 1 or more behind the / of the hour field"),
        ("0 30-10 8 * * *", "a range of the minute field that goes up, not down from 30 to 10"),
        ("0 0 8 * DEC-JAN *", "a range of the month field that goes up, not down from DEC to JAN"),
        ("0 0 8 * * 7", "a weekday from 0 to 6"),
        ("0 0 8 * * 5-7", "a weekday from 0 to 6"),
        (f"0 {'9' * 5000} 8 * * *", "six fields"),
        ("@often", "six fields"),
        ("@every", "@every with a span"),
        ("@every 0s", "@every with a span"),
        ("@every soon", "@every with a span"),
        ("@date 2026-02-30 08:00:00", "@date YYYY-MM-DD"),
        ("@date 9999-12-31 23:59:59", "@date YYYY-MM-DD"),
        ("", "six fields"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_field(expression: str, expected: str) -> None:
    with pytest.raises(InvalidSpec, match=r"ScaleJobs\[0\]\.Schedule: got ") as refused:
        parse(expression, "ScaleJobs[0].Schedule")

    assert expected in str(refused.value)


def test_steps_from_a_weekday_end_with_the_week() -> None:
    week = [date(2026, 11, 22) + timedelta(days=days) for days in range(7)]

    fires = [parse("0 0 8 * * 1/2").fires_on(day, BERLIN) for day in week]

    assert fires == [False, True, False, True, False, True, False]


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "Europe"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidSpec, match="a time zone such as"):
        zone_of(name)


@given(
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    begin=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai"]),
)
def test_a_daily_job_is_due_once_a_day_in_order(minute: int, hour: int, begin: datetime, zone: str) -> None:
    where, schedule = zone_of(zone), parse(f"0 {minute} {hour} * * *")

    moments = [begin.replace(tzinfo=UTC)]
    for _ in range(4):
        due = schedule.next_after(moments[-1], where)
        assert due is not None
        moments.append(due)

    days = [moment.astimezone(where).date() for moment in moments[1:]]
    assert days == [days[0] + timedelta(days=number) for number in range(4)]


@given(
    local=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(
        lambda each: each.replace(microsecond=0)
    ),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]),
)
def test_a_clock_never_shows_less_than_asked(local: datetime, zone: str) -> None:
    where = zone_of(zone)

    shown = instant(local, where).astimezone(where).replace(tzinfo=None)

    assert shown >= local
    assert shown - local <= timedelta(hours=1)
