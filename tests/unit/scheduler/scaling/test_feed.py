"""What followers of the facts are told: everything once, then the newest of what changed."""

import json
from dataclasses import replace
from typing import Any

from libs.db.changes import Changes
from libs.domain.records import Resources
from libs.domain.scaling import Autoscaler, CronJobState, Cronscaler
from libs.domain.states import InstanceState
from services.scheduler.facts_feed.feed import FactsFeed, Follower
from services.scheduler.ledger import Ledger
from services.scheduler.routes.gateways import Gateways
from services.scheduler.routes.table import RoutesTable
from services.scheduler.scaling.waiting import WaitingRequests
from services.scheduler.world import World
from tests.support.builders import NOON, a_node, a_ready_instance, a_service, a_spec, a_version, at
from tests.support.memory_store import MemoryStore


async def a_feed(*records: Any) -> tuple[Ledger, FactsFeed]:
    store = MemoryStore()
    await store.commit(Changes(put=tuple(replace(each, revision=0) for each in records)))
    ledger = Ledger(store, World(await store.load()))
    gateways = Gateways(RoutesTable(ledger.world, base=7), lambda: NOON)
    return ledger, FactsFeed(ledger, gateways, WaitingRequests())


async def put(ledger: Ledger, *records: Any) -> None:
    await ledger.change(lambda _: Changes(put=records))


def names(feed: FactsFeed, follower: Follower) -> list[str]:
    return [each.name for each in feed.since(follower).services]


async def test_only_what_changed_is_told_and_the_newest_of_it_once() -> None:
    ledger, feed = await a_feed(a_service("one"), a_version("one"), a_service("two"), a_version("two"))
    with feed.following() as follower:
        assert [each.name for each in feed.full(follower).services] == ["one", "two"]

        for wanted in (2, 3, 4):
            await put(ledger, replace(ledger.world.services["two"], wanted=wanted))

        (told,) = feed.since(follower).services
        assert (told.name, told.wanted) == ("two", 4)
        assert names(feed, follower) == []


async def test_a_change_that_metrics_and_the_autoscaler_do_not_see_is_not_told() -> None:
    ledger, feed = await a_feed(a_service(), a_version())
    with feed.following() as follower:
        feed.full(follower)

        await put(ledger, replace(ledger.world.services["digits"], why="all is well"))

        assert follower.changed.is_set()
        assert not feed.since(follower).ByteSize()


async def test_each_follower_is_told_by_itself() -> None:
    ledger, feed = await a_feed(a_service(), a_version())
    with feed.following() as early:
        feed.full(early)
        await put(ledger, replace(ledger.world.services["digits"], wanted=5))
        with feed.following() as late:
            assert [each.wanted for each in feed.full(late).services] == [5]
            assert names(feed, late) == []
        assert names(feed, early) == ["digits"]


async def test_an_instance_concerns_its_service_and_its_node() -> None:
    held = Resources(cpu_milli=500)
    ledger, feed = await a_feed(a_node("n1"), a_node("n2"), a_service(), a_version())
    with feed.following() as follower:
        feed.full(follower)

        await put(ledger, a_ready_instance(node="n2", resources=held, pool="public", revision=0))

        told = feed.since(follower)
        assert [each.name for each in told.nodes] == ["n2"]
        assert told.nodes[0].allocated.cpu_milli == 500
        assert [(each.ready, each.pool) for each in told.services[0].instances] == [(True, "public")]


async def test_what_leaves_is_marked_and_what_is_gone_is_told_once() -> None:
    leaving = a_ready_instance(state=InstanceState.TERMINATING, ready=False)
    ledger, feed = await a_feed(a_service(), a_version(), leaving)
    with feed.following() as follower:
        assert [each.leaving for each in feed.full(follower).services[0].instances] == [True]

        await ledger.change(lambda world: Changes(delete=(world.services["digits"],)))

        assert list(feed.since(follower).removed_services) == ["digits"]
        assert not feed.since(follower).ByteSize()


async def test_policies_are_told_with_their_revisions() -> None:
    policy = Autoscaler("digits", json.dumps({"min": 0}), NOON, at(1))
    jobs = (CronJobState("day", "Succeed", "", 1_700_000_000_000), CronJobState("night"))
    schedule = Cronscaler("digits", "{}", NOON, at(2), jobs)
    spec = {**a_spec(), "metrics": [{"name": "depth"}]}
    _, feed = await a_feed(a_service(), a_version(spec=spec), policy, schedule)
    with feed.following() as follower:
        (told,) = feed.full(follower).services

    assert (told.autoscaler_json, told.autoscaler_revision) == ('{"min": 0}', 1)
    assert told.cronscaler_revision == 1
    assert [(job.name, job.HasField("last_run_at")) for job in told.cron_jobs] == [
        ("day", True),
        ("night", False),
    ]
    assert list(told.custom_metrics) == ["depth"]


async def test_a_stopped_service_wants_nothing() -> None:
    _, feed = await a_feed(a_service(stopped=True, wanted=3), a_version())
    with feed.following() as follower:
        (told,) = feed.full(follower).services

    assert (told.stopped, told.wanted) == (True, 0)
