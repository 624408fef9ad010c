"""What services were by the minute: written, read, dropped, and survived."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from services.metrics.history import KEPT, History, Minute
from services.metrics.recording import Recording
from tests.support.metrics_stage import BEGAN, Stage, a_service, an_instance
from tests.support.waiting import until

FIRST = int(BEGAN) // 60
DAY = 24 * 60


def a_history(directory: Path, minutes: int = DAY) -> History:
    history = History(directory / "history.sqlite", minutes)
    history.begin()
    return history


def qps(history: History, step: int = 1, since: int = 0) -> list[tuple[str, int, float]]:
    return history.read("qps", (), since, FIRST + DAY, step)


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    told = {"llm": {"qps": 5.0, "rt[p99]": 80.5}, "idle": {"qps": 0.0}}
    a_history(tmp_path).write(Minute(FIRST, told), there=None)

    again = a_history(tmp_path)

    assert qps(again) == [("idle", FIRST, 0.0), ("llm", FIRST, 5.0)]
    assert again.read("rt[p99]", ("llm", "nobody"), 0, FIRST, 1) == [("llm", FIRST, 80.5)]
    assert qps(again, since=FIRST) == []


def test_a_number_that_was_missing_is_not_told(tmp_path: Path) -> None:
    history = a_history(tmp_path)
    history.write(Minute(FIRST, {"llm": {"qps": 5.0}}), there=None)

    assert history.read("cpu", (), 0, FIRST, 1) == []


def test_a_step_of_several_minutes_is_their_mean_and_of_latencies_the_slowest(tmp_path: Path) -> None:
    history = a_history(tmp_path)
    begin = FIRST // 5 * 5
    for minute, value in enumerate((1.0, 2.0, 6.0), start=begin + 1):
        told = {"llm": {"qps": value, "rt[p99]": value}}
        history.write(Minute(minute, told, {"llm": {"custom[tokens]": value}}), there=None)

    assert qps(history, step=5) == [("llm", begin + 5, 3.0)]
    assert history.read("rt[p99]", (), 0, FIRST + DAY, 5) == [("llm", begin + 5, 6.0)]
    assert history.read("custom[tokens]", ("llm",), 0, FIRST + DAY, 5) == [("llm", begin + 5, 3.0)]


def test_a_service_that_is_gone_takes_its_history_along(tmp_path: Path) -> None:
    history = a_history(tmp_path)
    posted = {"old": {"custom[tokens]": 1.0}}
    history.write(Minute(FIRST, {"old": {"qps": 1.0}, "llm": {"qps": 2.0}}, posted), there=None)

    history.write(Minute(FIRST + 1), there={"llm"})

    assert qps(history) == [("llm", FIRST, 2.0)]
    assert history.read("custom[tokens]", (), 0, FIRST, 1) == []


def test_what_is_older_than_it_is_to_be_is_dropped(tmp_path: Path) -> None:
    history = a_history(tmp_path, minutes=120)
    hour = FIRST // 60 * 60
    for minute in (hour - 121, hour - 120, hour - 119, hour):
        history.write(Minute(minute, {"llm": {"qps": 1.0}}, {"llm": {"custom[a]": 1.0}}), there=None)

    kept = [hour - 119, hour]

    assert [end for _, end, _ in qps(history)] == kept
    assert [end for _, end, _ in history.read("custom[a]", (), 0, hour, 1)] == kept


def test_a_file_from_before_a_measure_was_there_gets_it(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "history.sqlite")) as file, file:
        file.execute(
            "CREATE TABLE minutes (service INTEGER, minute INTEGER, qps REAL, PRIMARY KEY (service, minute)) "
            "WITHOUT ROWID"
        )
    history = a_history(tmp_path)

    history.write(Minute(FIRST, {"llm": dict.fromkeys(KEPT, 1.0)}), there=None)

    for name in KEPT:
        assert history.read(name, (), 0, FIRST, 1) == [("llm", FIRST, 1.0)], name


def test_a_file_that_is_no_database_is_said_and_makes_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "history.sqlite").write_bytes(b"no database" * 1000)

    history = a_history(tmp_path)
    history.write(Minute(FIRST, {"llm": {"qps": 1.0}}), there=None)

    assert qps(history) == [("llm", FIRST, 1.0)]
    assert "history begins anew" in caplog.text


def test_a_file_that_was_taken_away_is_made_again(tmp_path: Path) -> None:
    history = a_history(tmp_path)
    (tmp_path / "history.sqlite").unlink()

    history.write(Minute(FIRST, {"llm": {"qps": 1.0}}), there=None)

    assert qps(history) == [("llm", FIRST, 1.0)]


async def test_a_directory_that_cannot_be_written_is_said_once_and_used_when_it_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stage, history = Stage(), History(tmp_path / "away" / "history.sqlite", DAY)
    recording = Recording(stage.store, stage.samples, history)
    stage.knows(a_service("llm"))
    for _ in range(30):
        stage.pass_seconds()

    await recording.record(FIRST)
    await recording.record(FIRST)
    (tmp_path / "away").mkdir()
    await recording.record(FIRST + 1)

    assert caplog.text.count("history is not written") == 1
    assert [end for _, end, _ in history.read("wanted", (), 0, FIRST + 1, 1)] == [FIRST + 1]


async def test_a_minute_is_written_as_its_windows_are_when_all_have_told_of_it(tmp_path: Path) -> None:
    stage, history = Stage(), a_history(tmp_path)
    stage.knows(a_service("llm", an_instance("llm-1")))
    for _ in range(130):
        stage.pass_seconds()
        stage.envoy("llm", requests=7, answered=7, status_2xx=7)
        stage.answered("llm", 100)
        stage.store.custom.take("llm", "llm-1", "tokens", {"model": "a"}, 12.0, stage.now)
    end = int(stage.now - 3) // 60
    stage.now = (end + 1) * 60 + 2.99
    stop = asyncio.Event()

    async with asyncio.TaskGroup() as loops:
        loops.create_task(Recording(stage.store, stage.samples, history).run(until=stop))
        await until(lambda: history.read("instances", (), 0, FIRST + DAY, 1), "a minute to be written")
        stop.set()

    whole = Recording(stage.store, stage.samples, history)
    await whole.record(end)
    one = (("llm",), end - 1, end, 1)
    assert history.read("qps", *one) == [("llm", end, pytest.approx(7))]
    ((_, _, latency),) = history.read("rt[p90]", *one)
    assert 80 <= latency <= 122
    for name in ("custom[tokens]", "custom[tokens]@model[a]"):
        assert history.read(name, *one) == [("llm", end, 12.0)], name


async def test_nothing_is_written_where_no_history_is_wanted(tmp_path: Path) -> None:
    stage, file = Stage(), tmp_path / "history.sqlite"

    await Recording(stage.store, stage.samples, History(file, 0)).run(until=asyncio.Event())

    assert not await asyncio.to_thread(file.exists)
