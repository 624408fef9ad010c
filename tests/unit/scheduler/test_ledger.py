"""How changes are made one after the other, whoever gives up or fails on the way."""

import asyncio
from dataclasses import replace

import pytest

from libs.db.changes import Changes
from libs.domain.errors import AlreadyExists
from services.scheduler.ledger import Ledger
from services.scheduler.world import World
from tests.support.builders import a_service
from tests.support.memory_store import MemoryStore

NEW = a_service(revision=0)


def made_once(world: World) -> Changes:
    return Changes() if NEW.name in world.services else Changes(put=(NEW,))


class SlowStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.began, self.go_on = asyncio.Event(), asyncio.Event()

    async def before_commit(self) -> None:
        self.began.set()
        await self.go_on.wait()


async def a_ledger(store: MemoryStore) -> Ledger:
    return Ledger(store, World(await store.load()))


async def test_a_call_made_again_after_its_caller_gave_up_sees_what_the_first_one_wrote() -> None:
    store = SlowStore()
    ledger = await a_ledger(store)
    first = asyncio.create_task(ledger.change(made_once))
    await store.began.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)

    again = asyncio.create_task(ledger.change(made_once))
    await asyncio.sleep(0)
    store.go_on.set()

    assert not await again
    assert ledger.world.service(NEW.name).revision == 1


async def test_a_decision_that_refuses_changes_nothing_and_holds_up_nobody() -> None:
    ledger = await a_ledger(MemoryStore())

    def refuse(_: World) -> Changes:
        raise AlreadyExists("there is one already")

    with pytest.raises(AlreadyExists):
        await ledger.change(refuse)

    assert await ledger.change(made_once)


async def test_a_listener_that_fails_keeps_the_news_from_nobody_else() -> None:
    ledger = await a_ledger(MemoryStore())
    heard: list[Changes] = []

    def fail(_: Changes) -> None:
        raise RuntimeError("a bug")

    ledger.subscribe(fail)
    ledger.subscribe(heard.append)

    done = await ledger.change(made_once)

    assert heard == [done]
    await ledger.change(lambda world: Changes(put=(replace(world.service(NEW.name), wanted=2),)))
    assert len(heard) == 2
