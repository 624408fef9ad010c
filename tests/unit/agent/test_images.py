"""Images that are fetched before anything asks for them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from libs.domain.causes import Cause
from services.agent.images import ImageKeeper, Standing, Wish, next_wish
from services.agent.runtime.port import PullFailed, Told
from tests.support.waiting import until

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Shelf:
    """A node whose registry has what `served` names; the pull of any other fails, and `held` ones wait."""

    def __init__(self, *served: str) -> None:
        self.served, self.asked = set(served), list[str]()
        self.held: dict[str, asyncio.Event] = {}
        self.at_once = self.most_at_once = 0

    async def ensure_image(self, image: str, login: tuple[str, str] | None, told: Told) -> None:
        self.asked.append(image)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            told(f"image {image}", 5, 10)
            if image in self.held:
                await self.held[image].wait()
            if image not in self.served:
                raise PullFailed(f"{image} could not be pulled: manifest unknown", Cause.IMAGE_NOT_FOUND)
        finally:
            self.at_once -= 1


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@asynccontextmanager
async def running(keeper: ImageKeeper) -> AsyncIterator[None]:
    task = asyncio.create_task(keeper.run())
    try:
        yield
    finally:
        task.cancel()


async def test_an_image_that_was_asked_for_is_fetched_once() -> None:
    shelf = Shelf("a:1")
    keeper = ImageKeeper(shelf)
    keeper.want([Wish("p-1", "a:1")])

    async with running(keeper):
        await until(lambda: [report.done for report in keeper.all()] == [True])
        keeper.want([Wish("p-1", "a:1")])
        keeper.want([Wish("p-1", "a:1"), Wish("p-2", "a:1")])
        await until(lambda: [report.done for report in keeper.all()] == [True, True])

    assert shelf.asked == ["a:1", "a:1"]


async def test_images_are_fetched_one_after_the_other() -> None:
    shelf = Shelf("a:1", "b:1", "c:1")
    keeper = ImageKeeper(shelf)
    keeper.want([Wish("p-1", "a:1"), Wish("p-2", "b:1"), Wish("p-3", "c:1")])

    async with running(keeper):
        await until(lambda: sum(report.done for report in keeper.all()) == 3)

    assert (shelf.asked, shelf.most_at_once) == (["a:1", "b:1", "c:1"], 1)


async def test_a_failure_is_told_and_tried_again_later() -> None:
    shelf, clock = Shelf(), Clock()
    keeper = ImageKeeper(shelf, clock=clock)
    keeper.want([Wish("p-1", "a:1")])

    async with running(keeper):
        await until(lambda: [report.failed for report in keeper.all()] == [True])
        assert keeper.all()[0].why == "a:1 could not be pulled: manifest unknown; trying again in 10 s"
        shelf.served.add("a:1")
        clock.now += timedelta(seconds=11)
        keeper.want([Wish("p-1", "a:1")])

        await until(lambda: [report.done for report in keeper.all()] == [True])


async def test_one_that_failed_before_does_not_hold_up_a_new_one() -> None:
    standings = {"old": Standing(failed=True, streak=1, failed_at=NOON - timedelta(hours=1))}
    old, new = Wish("old", "a:1"), Wish("new", "b:1")

    assert next_wish([old, new], standings, NOON) == new
    assert next_wish([old], standings, NOON) == old
    assert next_wish([old], standings, NOON - timedelta(minutes=60) + timedelta(seconds=9)) is None


async def test_what_nobody_wants_any_more_is_not_fetched_to_its_end() -> None:
    shelf = Shelf("a:1", "b:1")
    shelf.held["a:1"] = asyncio.Event()
    keeper = ImageKeeper(shelf)
    keeper.want([Wish("p-1", "a:1"), Wish("p-2", "b:1")])

    async with running(keeper):
        await until(lambda: shelf.asked == ["a:1"])
        keeper.want([Wish("p-2", "b:1")])
        await until(lambda: [(report.id, report.done) for report in keeper.all()] == [("p-2", True)])

    assert shelf.at_once == 0


async def test_progress_is_told_in_bytes() -> None:
    shelf = Shelf("a:1")
    shelf.held["a:1"] = asyncio.Event()
    keeper = ImageKeeper(shelf)
    keeper.want([Wish("p-1", "a:1")])

    async with running(keeper):
        await until(lambda: [report.progress.done_bytes for report in keeper.all()] == [5])

        (report,) = keeper.all()
        assert (report.why, report.progress.total_bytes) == ("pulling a:1", 10)


def test_a_login_is_not_shown() -> None:
    assert "secret" not in repr(Wish("p-1", "a:1", ("reader", "secret")))
