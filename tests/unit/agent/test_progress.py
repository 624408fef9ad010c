"""What is said while an instance is prepared, and when that is given up."""

import asyncio
from datetime import timedelta
from functools import partial

import pytest

from libs.domain.causes import Cause
from libs.domain.progress import Progress
from libs.domain.states import InstanceState
from services.agent.reporting import Reporting
from services.agent.runtime.port import PrepareFailed
from services.agent.stalling import Patience, stalled, while_it_moves

PULLING, PREPARING = InstanceState.PULLING, InstanceState.PREPARING


class Told:
    """A report of a preparation, whose seconds the test counts."""

    def __init__(self) -> None:
        self.now = 0.0
        self.phases: list[tuple[InstanceState, str]] = []
        self.progress: list[Progress] = []
        self.phase = Reporting(
            lambda state, why: self.phases.append((state, why)), self.progress.append, lambda: self.now
        )


async def test_progress_is_told_once_a_second_with_its_rate() -> None:
    told = Told()

    for now, done in ((0.0, 0), (0.3, 300), (0.9, 900), (1.0, 1000), (1.5, 1200), (3.0, 5000)):
        told.now = now
        told.phase.progress("image x", done, 10_000)

    assert [(each.done_bytes, each.bytes_per_second) for each in told.progress] == [
        (0, 0),
        (1000, 1000),
        (5000, 2000),
    ]


async def test_another_transfer_is_told_at_once() -> None:
    told = Told()

    told.phase.progress("image x", 5)
    told.phase.progress("oss://models/llm", 7)

    assert [each.what for each in told.progress] == ["image x", "oss://models/llm"]


async def test_what_another_thread_says_is_told_by_the_loop() -> None:
    told = Told()

    await asyncio.to_thread(partial(told.phase, PULLING, "pulling x"))
    await asyncio.sleep(0)

    assert told.phases == [(PULLING, "pulling x")]


async def test_after_the_end_nothing_is_told() -> None:
    told = Told()
    told.phase.close()

    told.phase(PULLING, "pulling x")
    told.phase.progress("x", 1)

    assert (told.phases, told.progress) == ([], [])


async def test_only_what_moves_is_a_sign_of_life() -> None:
    told = Told()
    told.phase.progress("x", 5)

    told.now = 60.0
    told.phase.progress("x", 5)
    assert told.phase.moved_at == 0.0

    told.phase.progress("x", 6)
    assert told.phase.moved_at == 60.0


@pytest.mark.parametrize(
    ("state", "cause"), [(PULLING, Cause.PULL_STALLED), (PREPARING, Cause.PREPARE_STALLED)]
)
def test_what_has_not_moved_for_long_has_stalled(state: InstanceState, cause: Cause) -> None:
    patience = Patience(timedelta(minutes=2), timedelta(minutes=2))

    assert stalled(state, 0.0, 119.0, patience) is None
    refused = stalled(state, 0.0, 120.0, patience)
    assert refused is not None
    assert refused.cause is cause
    assert "no progress for 2 min" in str(refused)


async def test_a_preparation_that_moves_may_take_as_long_as_it_likes() -> None:
    told, patience = Told(), Patience(timedelta(seconds=0.2), timedelta(seconds=0.2))

    async def long() -> None:
        for done in range(10):
            told.now += 0.15
            told.phase.progress("x", done)
            await asyncio.sleep(0.02)

    await while_it_moves(long(), told.phase, patience, lambda: told.now)


async def test_a_preparation_that_stalls_is_cancelled() -> None:
    told, patience = Told(), Patience(timedelta(seconds=0.2), timedelta(seconds=0.2))
    cancelled = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    told.now = 1.0
    with pytest.raises(PrepareFailed):
        await while_it_moves(hang(), told.phase, patience, lambda: told.now)

    assert cancelled.is_set()
