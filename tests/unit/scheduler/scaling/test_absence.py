"""When the autoscaler counts as away, and what is said of it."""

import asyncio
import logging
from datetime import datetime
from typing import Any

import pytest

from easel.facts.v1 import facts_pb2
from libs.domain.scaling import Autoscaler
from services.scheduler.facts_feed.feed import FactsFeed
from services.scheduler.facts_feed.servicer import FactsServicer
from services.scheduler.ledger import Ledger
from services.scheduler.routes.gateways import Gateways
from services.scheduler.routes.table import RoutesTable
from services.scheduler.scaling.absence import COMPONENT, Absence
from services.scheduler.scaling.waiting import WaitingRequests
from services.scheduler.world import World
from tests.support.builders import NOON, a_world, at
from tests.support.memory_store import MemoryStore

A_POLICY = Autoscaler("digits", "{}", NOON, NOON)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "services.scheduler.scaling.absence")
    return caplog


class Stage:
    """An autoscaler that is there or not, at a moment."""

    def __init__(self, *records: Any) -> None:
        self.there, self.second = False, 0.0
        self.absence = Absence(a_world(*records), lambda: self.there, lambda: at(self.second))

    async def at(self, second: float, there: bool) -> datetime | None:
        self.second, self.there = second, there
        await self.absence.look()
        return self.absence.since()


async def test_it_is_away_only_after_a_grace_since_the_start_or_the_loss() -> None:
    stage = Stage()

    assert [await stage.at(second, there=False) for second in (0, 9, 10)] == [None, None, at(0)]
    assert await stage.at(11, there=True) is None
    assert [await stage.at(second, there=False) for second in (20, 29, 31)] == [None, None, at(20)]


async def test_one_that_is_there_again_is_not_away_though_nobody_looked() -> None:
    stage = Stage()
    assert await stage.at(15, there=False) == at(0)

    stage.there = True

    assert stage.absence.since() is None


async def test_a_short_loss_is_no_word_worth(said: pytest.LogCaptureFixture) -> None:
    stage = Stage(A_POLICY)
    for second in range(60):
        await stage.at(second, there=second % 10 >= 8)

    assert said.records == []


async def test_its_absence_is_said_once_and_its_return_once(said: pytest.LogCaptureFixture) -> None:
    stage = Stage(A_POLICY)
    for second in (0, 10, 11, 60):
        await stage.at(second, there=False)
    for second in (61, 62):
        await stage.at(second, there=True)

    assert [(each.levelname, each.message) for each in said.records] == [
        ("WARNING", "the autoscaler is away"),
        ("INFO", "the autoscaler is back"),
    ]


async def test_where_no_service_leaves_its_size_to_it_nobody_misses_it(
    said: pytest.LogCaptureFixture,
) -> None:
    stage = Stage()
    for second in (0, 60, 120):
        await stage.at(second, there=False)

    assert said.records == []


async def test_it_is_there_for_as_long_as_it_follows_the_facts() -> None:
    store = MemoryStore()
    ledger = Ledger(store, World(await store.load()))
    feed = FactsFeed(ledger, Gateways(RoutesTable(ledger.world, base=7), lambda: NOON), WaitingRequests())
    servicer = FactsServicer(feed, asyncio.Event())
    context: Any = None
    others = servicer.Watch(facts_pb2.WatchRequest(component="metrics"), context)
    its = servicer.Watch(facts_pb2.WatchRequest(component="autoscaler"), context)

    await anext(others)
    assert not feed.followed_by(COMPONENT)
    await anext(its)
    assert feed.followed_by(COMPONENT)
    await its.aclose()
    assert not feed.followed_by(COMPONENT)
    await others.aclose()
