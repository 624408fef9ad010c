"""A page of autoscalers is one reading of the store, whatever happens to its rows meanwhile."""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, cast

from easel.admin.v1 import scaling_pb2 as pb
from libs.db.changes import Changes
from libs.domain.records import Event
from services.scheduler.admin.autoscaler_servicer import AutoscalerServicer
from services.scheduler.ledger import Ledger
from services.scheduler.scaling.begin import remove_autoscaler, set_autoscaler
from services.scheduler.world import World
from tests.support.builders import NOON, a_service, a_version
from tests.support.memory_store import MemoryStore

NAMES = ("digits", "letters", "words")
NO_CONTEXT = cast(Any, None)


class RemovingStore(MemoryStore):
    """Removes the policy of `letters` while it is read from."""

    ledger: Ledger
    readings = 0

    async def newest_events(self, services: Collection[str], reason: str) -> Mapping[str, Event]:
        self.readings += 1
        if "letters" in self.ledger.world.autoscalers:
            await self.ledger.change(lambda world: remove_autoscaler(world, "letters", NOON))
        return await super().newest_events(services, reason)


async def a_servicer() -> tuple[AutoscalerServicer, RemovingStore]:
    store = RemovingStore()
    for name in NAMES:
        await store.commit(
            Changes(put=(replace(a_service(name), revision=0), replace(a_version(name), revision=0)))
        )
    store.ledger = Ledger(store, World(await store.load()))
    policy = json.dumps({"min": 2, "scaleStrategies": [{"metricName": "qps", "threshold": 10}]})
    for name in NAMES:
        await store.ledger.change(lambda world, n=name: set_autoscaler(world, n, policy, False, NOON).changes)
    return AutoscalerServicer(store.ledger, store, lambda _: 0, lambda: NOON), store


async def test_a_policy_that_is_removed_while_a_page_is_made_is_left_out_of_it() -> None:
    servicer, store = await a_servicer()

    listed = await servicer.ListAutoscalers(pb.ListAutoscalersRequest(), NO_CONTEXT)

    assert [(each.service, each.last.after) for each in listed.autoscalers] == [("digits", 2), ("words", 2)]
    assert store.readings == 1
