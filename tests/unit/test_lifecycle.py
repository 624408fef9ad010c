"""A loop that is ended leaves nothing behind it."""

import asyncio
import contextlib

import pytest

from libs.lifecycle import wakes
from tests.support.waiting import until


async def _follow(changed: asyncio.Event, stop: asyncio.Event, seen: list[int]) -> None:
    async for _ in wakes(changed, stop):
        seen.append(len(seen))


@pytest.mark.parametrize("times", [0, 1, 2])
async def test_a_watch_that_is_cut_at_any_moment_leaves_no_task_that_waits(times: int) -> None:
    changed, stop, seen = asyncio.Event(), asyncio.Event(), list[int]()
    others = asyncio.all_tasks()
    watch = asyncio.create_task(_follow(changed, stop, seen))
    # Its own, and one for each of the two events.
    await until(lambda: len(asyncio.all_tasks() - others) == 3, "the watch to wait")
    for number in range(times):
        changed.set()
        await until(lambda number=number: len(seen) > number, "the watch to be woken")

    watch.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watch

    await until(lambda: asyncio.all_tasks() == others, "nothing to be left")
