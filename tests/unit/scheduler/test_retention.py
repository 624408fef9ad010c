"""How long a service that does not run is kept."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from libs.domain.records import Service
from libs.domain.scaling import Autoscaler
from libs.domain.states import SafetyLock, ServiceState
from services.scheduler.retention import delete_at, in_service, retained
from services.scheduler.settings import Settings
from tests.support.builders import NOON, a_ready_instance, a_service, a_version, a_world

HALF_A_YEAR = timedelta(days=180)
DAY = timedelta(days=1)


def after_looks(
    service: Service, days: Iterable[float], after: timedelta = HALF_A_YEAR, serves: bool = False
) -> tuple[Service, list[tuple[float, str]]]:
    """The service and its events (day, reason) after looks on these days."""
    told = []
    for day in days:
        changes = retained([service], lambda _: serves, after, NOON + day * DAY)
        for record in changes.put:
            assert isinstance(record, Service)
            service = record
        told += [(day, event.reason) for event in changes.events]
    return service, told


def test_what_stops_serving_is_idle_from_then_on_and_no_longer_once_it_serves_again() -> None:
    idle, _ = after_looks(a_service(), [3, 4])
    again, _ = after_looks(replace(idle, idle_warned_days=7), [5], serves=True)

    assert idle.idle_since == NOON + 3 * DAY
    assert delete_at(idle, HALF_A_YEAR) == NOON + 183 * DAY
    assert (again.idle_since, again.idle_warned_days) == (None, 0)


def test_a_service_that_serves_is_never_written() -> None:
    assert not retained([a_service()], lambda _: True, HALF_A_YEAR, NOON)


def test_a_deletion_is_told_30_7_and_1_days_before_once_each() -> None:
    gone, told = after_looks(a_service(), [day / 2 for day in range(0, 362)])

    assert told == [
        (150, "ServiceIdle"),
        (173, "ServiceIdle"),
        (179, "ServiceIdle"),
        (180, "IdleServiceDeleted"),
    ]
    assert (gone.deleting, gone.state) == (True, ServiceState.DELETING)


@pytest.mark.parametrize(
    ("days", "warned_on"),
    [(10, [3, 9]), (7, [6]), (2, [1]), (30, [23, 29])],
    ids=["ten days", "a week", "two days", "thirty days"],
)
def test_a_short_wait_has_only_the_warnings_that_fit_into_it(days: int, warned_on: list[int]) -> None:
    _, told = after_looks(a_service(), range(days + 1), timedelta(days=days))

    assert told == [*((day, "ServiceIdle") for day in warned_on), (days, "IdleServiceDeleted")]


def test_a_wait_of_less_than_a_day_has_no_warning() -> None:
    _, told = after_looks(a_service(), [0, 0.1, 0.6], timedelta(hours=12))

    assert told == [(0.6, "IdleServiceDeleted")]


def test_nothing_is_deleted_without_a_warning_the_day_before() -> None:
    """The scheduler may have been away on the days of all warnings, or the setting may be shorter now."""
    kept, told = after_looks(a_service(), [0, 400, 400.5])
    _, later = after_looks(kept, [401])

    assert told == [(400, "ServiceIdle")]
    assert delete_at(kept, HALF_A_YEAR) == NOON + 401 * DAY
    assert later == [(401, "IdleServiceDeleted")]


def test_a_late_look_gives_the_newest_warning_alone_and_says_how_long_is_left() -> None:
    idle = a_service(idle_since=NOON)
    (event,) = retained([idle], lambda _: False, HALF_A_YEAR, NOON + 176 * DAY).events

    assert event.why == (
        "it is not running, and is deleted in 4 days unless it runs before; "
        "`easel lock digits dangerous` keeps it"
    )


@pytest.mark.parametrize("lock", [SafetyLock.DANGEROUS, SafetyLock.ALL])
def test_a_locked_service_is_kept_which_is_said_once(lock: SafetyLock) -> None:
    locked, told = after_looks(a_service(safety_lock=lock), range(0, 300, 10))
    unlocked, warned = after_looks(replace(locked, safety_lock=SafetyLock.NONE), [300])

    assert told == [(180, "IdleServiceKept")]
    assert not locked.deleting
    assert delete_at(locked, HALF_A_YEAR) is None
    assert warned == [(300, "ServiceIdle")]
    assert not unlocked.deleting


def test_zero_deletes_nothing_ever() -> None:
    kept, told = after_looks(a_service(), range(0, 4000, 100), timedelta())

    assert told == []
    assert delete_at(kept, timedelta()) is None


@pytest.mark.parametrize(("text", "means"), [("0", timedelta()), ("P30D", 30 * DAY)])
def test_the_time_is_set_as_a_duration_or_as_zero(text: str, means: timedelta, tmp_path: Path) -> None:
    chosen: dict[str, Any] = {
        "database_url": "sqlite://",
        "admin_token_file": tmp_path / "a",
        "join_token_file": tmp_path / "j",
        "delete_idle_after": text,
    }

    assert Settings(**chosen).delete_idle_after == means


def test_what_is_being_deleted_is_left_alone() -> None:
    assert not retained([a_service(deleting=True)], lambda _: False, HALF_A_YEAR, NOON)


def test_a_time_that_no_date_is_late_enough_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="delete_idle_after"):
        Settings(
            database_url="sqlite://",
            admin_token_file=tmp_path / "a",
            join_token_file=tmp_path / "j",
            delete_idle_after=timedelta(days=999_999_999),
        )


def test_a_service_that_sleeps_is_in_service() -> None:
    sleeps = Autoscaler("digits", '{"min": 0}', NOON, NOON, revision=1)

    def runs(wanted: int, *more: Any) -> bool:
        return in_service(a_world(a_service(wanted=wanted), a_version(), *more), "digits")

    assert runs(0, sleeps)
    assert runs(1, a_ready_instance())
    assert not runs(0)
    assert not runs(1, sleeps)
