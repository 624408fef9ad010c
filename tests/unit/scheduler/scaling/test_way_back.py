"""What becomes of policies when a service goes back from an update that had brought others."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from libs.db.changes import Changes
from libs.domain.records import ResourceGroup, Rollout, ServiceVersion
from libs.domain.scaling import CronJobState
from libs.domain.states import RolloutPhase
from services.scheduler.admin.services import Services
from services.scheduler.admin.updating import UpdateAsk
from services.scheduler.ledger import Ledger
from services.scheduler.pointer import pointed_at
from services.scheduler.rollout.begin import PlanAsked, begin_rollout
from services.scheduler.scaling.begin import (
    remove_autoscaler,
    set_autoscaler,
    set_cronscaler,
)
from services.scheduler.scaling.by_version import with_policies
from services.scheduler.scaling.policies import moved
from services.scheduler.world import World
from tests.support.builders import NOON, a_spec
from tests.support.memory_store import MemoryStore

QPS = {"scaleStrategies": [{"metricName": "qps", "threshold": 10}]}
SCHEDULE = {"ScaleJobs": [{"Name": "day", "Schedule": "0 0 8 * * *", "TargetSize": 5}]}
NIGHT = {"Name": "night", "Schedule": "0 0 20 * * *", "TargetSize": 1}


class Story:
    """A service, what its user does with it, and an hour between any two steps."""

    def __init__(self, store: MemoryStore, world: World) -> None:
        self.world, self.now = world, NOON
        self.ledger = Ledger(store, world, lambda known, changes: with_policies(known, changes, self.now))
        self.services = Services(self.ledger, lambda: self.now, lambda: "")

    async def change(self, decide: Callable[[World], Changes]) -> Changes:
        self.now += timedelta(hours=1)
        return await self.ledger.change(decide)

    async def update(self, **parts: Any) -> None:
        """Another version, which replaces instances."""
        self.now += timedelta(hours=1)
        await self.services.update(UpdateAsk("digits", json.dumps({"metadata": {"cpu": 2}, **parts})))

    async def set(self, **policy: Any) -> None:
        def decide(world: World) -> Changes:
            return set_autoscaler(world, "digits", json.dumps({**QPS, **policy}), False, self.now).changes

        await self.change(decide)

    async def succeed(self) -> None:
        done = {"phase": RolloutPhase.COMPLETED, "finished_at": self.now}
        service, update = self.world.services["digits"], self.world.rollouts["digits"]
        after = (replace(service, stable_version=service.version), replace(update, **done))
        await self.change(lambda _: Changes(put=after))

    async def fail(self) -> Changes:
        """The service goes back by itself."""

        def back(world: World) -> Changes:
            service, update = world.services["digits"], world.rollouts["digits"]
            before = world.version("digits", update.from_version)
            rollout = begin_rollout(
                *("digits", before.number, service.version, before.spec_json, PlanAsked(), self.now, update),
                because="it failed",
            )
            return Changes(put=(pointed_at(service, before), rollout))

        return await self.change(back)

    async def undo(self) -> None:
        self.now += timedelta(hours=1)
        await self.services.undo_rollout("digits")

    @property
    def policy(self) -> dict[str, Any] | None:
        found = self.world.autoscalers.get("digits")
        return json.loads(found.policy_json) if found is not None else None


async def a_story(**parts: Any) -> Story:
    store = MemoryStore()
    await store.commit(Changes(put=(ResourceGroup("public", "public", NOON),)))
    story = Story(store, World(await store.load()))
    await story.services.create(json.dumps({**a_spec(), **parts}), "")
    proven = replace(story.world.services["digits"], stable_version=1)
    await story.change(lambda _: Changes(put=(proven,)))
    return story


BACK: tuple[Callable[[Story], Awaitable[object]], ...] = (Story.fail, Story.undo)


async def test_a_policy_that_was_set_is_in_force_again_after_the_way_back() -> None:
    for go_back in BACK:
        story = await a_story(autoscaler=QPS)
        await story.set(max=7)
        before = story.world.autoscalers["digits"]
        await story.update(autoscaler={**QPS, "min": 3})
        assert story.policy == {**QPS, "min": 3}

        await go_back(story)

        assert replace(story.world.autoscalers["digits"], revision=before.revision) == before
        assert story.world.services["digits"].wanted == 3


async def test_the_way_back_says_which_policy_it_put_back() -> None:
    story = await a_story()
    await story.set(max=7)
    await story.update(autoscaler={**QPS, "max": 3})

    told = await story.fail()

    (event,) = (each for each in told.events if each.reason == "PolicyPutBack")
    assert event.why == "its autoscaler is what it was before version 2: 1 to 7 instances, by qps 10"


async def test_what_a_version_removed_is_there_again_and_what_it_was_the_first_to_bring_is_gone() -> None:
    for go_back in BACK:
        removed = await a_story(autoscaler=QPS)
        await removed.set(max=7)
        await removed.update(autoscaler=None)
        assert removed.policy is None
        brought = await a_story()
        await brought.update(autoscaler={**QPS, "min": 2})

        await go_back(removed)
        await go_back(brought)

        assert removed.policy == {**QPS, "max": 7}
        assert brought.policy is None
        assert brought.world.services["digits"].wanted == 2


async def test_what_is_set_after_an_update_stays_on_the_way_back() -> None:
    for go_back in BACK:
        story, removed = await a_story(autoscaler=QPS), await a_story(autoscaler=QPS)
        await story.update(autoscaler={**QPS, "min": 3})
        await story.set(max=30)
        await removed.update(autoscaler={**QPS, "min": 3})
        await removed.change(lambda world, s=removed: remove_autoscaler(world, "digits", s.now))

        await go_back(story)
        await go_back(removed)

        assert story.policy == {**QPS, "max": 30}
        assert removed.policy is None


async def test_a_schedule_that_moves_the_bounds_sets_no_policy() -> None:
    story = await a_story(autoscaler=QPS)
    await story.update(autoscaler={**QPS, "min": 3})
    await story.change(lambda world: Changes(put=(moved(world.autoscalers["digits"], 5, 9),)))

    await story.fail()

    assert story.policy == QPS


async def test_a_policy_that_the_update_leaves_alone_is_left_alone_on_the_way_back() -> None:
    story = await a_story(autoscaler=QPS)
    await story.update()
    await story.set(max=7)
    known = story.world.autoscalers["digits"]

    await story.fail()

    assert story.world.autoscalers["digits"] == known


async def test_an_update_in_the_middle_of_another_goes_back_to_the_policies_of_before_both() -> None:
    story = await a_story(autoscaler=QPS)
    await story.set(max=7)
    await story.update(autoscaler={**QPS, "min": 2})
    await story.update(autoscaler={**QPS, "min": 3}, cronScaler=SCHEDULE)
    assert story.world.rollouts["digits"].from_version == 1

    await story.fail()

    assert story.policy == {**QPS, "max": 7}
    assert not story.world.cronscalers


async def test_what_was_set_between_two_updates_is_what_the_second_goes_back_to() -> None:
    for ends in (True, False):
        story = await a_story(autoscaler=QPS)
        await story.update(autoscaler={**QPS, "min": 2})
        if ends:
            await story.succeed()
        await story.set(max=7)
        await story.update(autoscaler={**QPS, "min": 3})

        await story.fail()

        assert story.policy == {**QPS, "max": 7}


async def test_a_version_that_is_gone_to_again_brings_its_policy_again() -> None:
    story = await a_story()
    await story.set(max=7)
    await story.update(autoscaler={**QPS, "min": 3})
    await story.fail()
    await story.succeed()

    await story.services.update(UpdateAsk("digits", to_version=2))
    assert story.policy == {**QPS, "min": 3}
    await story.undo()

    assert story.policy == {**QPS, "max": 7}


async def test_a_job_that_ran_during_the_update_does_not_run_again_after_it() -> None:
    story = await a_story()
    both = json.dumps({"ScaleJobs": [*SCHEDULE["ScaleJobs"], NIGHT]})
    await story.change(lambda world: set_cronscaler(world, "digits", both, story.now).changes)
    since = story.world.cronscalers["digits"].updated_at
    await story.update(cronScaler={"ScaleJobs": [*SCHEDULE["ScaleJobs"], {**NIGHT, "TargetSize": 2}]})
    ran = tuple(CronJobState(name, "Succeed", "", 1) for name in ("day", "night"))
    await story.change(lambda world: Changes(put=(replace(world.cronscalers["digits"], jobs=ran),)))

    told = await story.fail()

    back = story.world.cronscalers["digits"]
    assert back.jobs == (CronJobState("day", "Succeed", "", 1), CronJobState("night"))
    assert back.updated_at == since
    (event,) = (each for each in told.events if each.reason == "PolicyPutBack")
    assert event.why == "its schedule is what it was before version 2: day to 5, night to 1"


async def test_of_an_update_by_an_earlier_release_the_documents_say_what_it_replaced() -> None:
    story = await a_story(autoscaler=QPS)
    await story.update(autoscaler={**QPS, "min": 3})
    forgetful = replace(story.world.rollouts["digits"], policies_before=())
    await story.change(lambda _: Changes(put=(forgetful,)))

    await story.fail()

    assert story.policy == QPS


async def test_a_service_that_goes_back_keeps_policies_that_cannot_be_read_any_more() -> None:
    odd = {**a_spec(), "autoscaler": {"strategies": {"queue length": 5}}}
    story = await a_story()
    version = ServiceVersion("digits", 2, json.dumps(odd), NOON)
    update = Rollout("digits", 2, 1, NOON)
    service = replace(story.world.services["digits"], version=2)
    await story.set(max=7)

    refused = await story.change(lambda _: Changes(put=(service, version, update)))
    await story.fail()

    assert [event.reason for event in refused.events] == ["PolicyRefused"]
    assert story.policy == {**QPS, "max": 7}
