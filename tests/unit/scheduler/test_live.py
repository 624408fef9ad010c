"""How far transfers are and which connections are open: kept in memory, told in words."""

from datetime import timedelta

import pytest

from easel.agent.v1 import agent_pb2
from easel.common.v1 import common_pb2
from libs.db.changes import Changes
from libs.domain.progress import Progress
from services.scheduler.live import NOTHING, Live, Told, duration, in_words, next_told
from tests.support.builders import (
    a_node,
    a_ready_instance,
    a_service,
    a_version,
    a_world,
    an_instance,
    at,
)

MIB = 1 << 20
WORLD = a_world(a_service(), a_version(), a_node(), an_instance(node="n1", epoch=1))


def a_report(
    done: int = 0, *, connections: int = 0, ready: bool = False, epoch: int = 1
) -> agent_pb2.InstanceReport:
    progress = common_pb2.Progress(what="image a:1", done_bytes=done, total_bytes=100 * MIB)
    return agent_pb2.InstanceReport(
        id="digits-a",
        epoch=epoch,
        progress=progress if done else None,
        connections=connections,
        ready=ready,
    )


def a_transfer(done: int, rate: int = 10) -> Progress:
    return Progress("image a:1", done * MIB, 100 * MIB, rate * MIB)


def told(*steps: tuple[float, Progress]) -> list[str]:
    """What is said while a transfer goes on."""
    state: Told | None = None
    said = []
    for seconds, progress in steps:
        state, sentence = next_told(state, progress, at(seconds))
        said.append(sentence)
    return said


def test_a_transfer_that_takes_long_is_told_when_it_begins_and_at_each_quarter() -> None:
    said = told(*((s, a_transfer(10 * s)) for s in range(11)))

    assert [sentence.partition(": ")[2] for sentence in said if sentence] == [
        "0 B of 100 MiB, 10 MiB/s, about 10 s left",
        "30 MiB of 100 MiB, 10 MiB/s, about 7 s left",
        "50 MiB of 100 MiB, 10 MiB/s, about 5 s left",
        "80 MiB of 100 MiB, 10 MiB/s, about 2 s left",
    ]


def test_a_short_transfer_is_not_told() -> None:
    assert told(*((s, a_transfer(25 * s, rate=25)) for s in range(5))) == [""] * 5


def test_a_transfer_of_unknown_length_is_told_once_it_has_taken_long() -> None:
    unknown = Progress("oss://models/llm", 5 * MIB)

    assert told((0, unknown), (4, unknown), (6, unknown), (60, unknown)) == [
        "",
        "",
        "oss://models/llm: 5 MiB",
        "",
    ]


def test_the_next_transfer_of_an_instance_is_told_anew() -> None:
    other = Progress("oss://models/llm", 0, 100 * MIB, MIB)

    assert all(told((0, a_transfer(0)), (1, other)))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59, "59 s"), (90, "2 min"), (3_600, "1 h"), (7_500, "2 h 5 min"), (432_000, "5 days")],
)
def test_a_duration_is_rounded_as_people_would(seconds: float, words: str) -> None:
    assert duration(timedelta(seconds=seconds)) == words


def test_bytes_are_shown_in_the_unit_that_fits() -> None:
    assert in_words(Progress("x", 1536 * MIB, 4096 * MIB)) == "x: 1.5 GiB of 4 GiB"


def test_the_newest_report_is_what_is_shown() -> None:
    live = Live()
    live.take(WORLD, "n1", 7, [a_report(10 * MIB)], at(0))
    live.take(WORLD, "n1", 7, [a_report(20 * MIB)], at(1))

    progress = live.of("digits-a").progress

    assert progress is not None
    assert progress.done_bytes == 20 * MIB


def test_a_report_of_another_node_or_of_an_older_placement_says_nothing() -> None:
    live = Live()
    live.take(WORLD, "n2", 7, [a_report(10 * MIB)], at(0))
    live.take(WORLD, "n1", 7, [a_report(10 * MIB, epoch=0)], at(0))

    assert live.of("digits-a") is NOTHING


def test_progress_ends_with_readiness_and_connections_are_kept_while_there_are_some() -> None:
    live = Live()
    live.take(WORLD, "n1", 7, [a_report(10 * MIB, connections=3)], at(0))

    live.heard(Changes(put=(a_ready_instance(),)))

    assert (live.of("digits-a").progress, live.of("digits-a").connections) == (None, 3)
    live.take(WORLD, "n1", 7, [a_report(ready=True)], at(1))
    assert live.of("digits-a") is NOTHING


def test_everything_of_an_instance_goes_with_it() -> None:
    live = Live()
    live.take(WORLD, "n1", 7, [a_report(10 * MIB)], at(0))

    live.heard(Changes(delete=(an_instance(),)))

    assert live.of("digits-a") is NOTHING


def test_what_an_agent_told_is_forgotten_when_its_link_ends_and_not_what_a_newer_link_told() -> None:
    live = Live()
    live.take(WORLD, "n1", 8, [a_report(10 * MIB)], at(0))

    live.ended("n1", 7)
    assert live.of("digits-a").progress is not None
    live.ended("n1", 8)

    assert live.of("digits-a") is NOTHING
