"""When the reconciler looks at which services, and what becomes of a turn that fails."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from libs.db.changes import Changes
from libs.domain.errors import Unavailable
from libs.domain.records import Instance, ResourceGroup, Resources, Rollout, Service, ServiceVersion
from libs.domain.states import InstanceState, ServiceState
from services.scheduler.ledger import Ledger
from services.scheduler.reconcile.drain import Unrouted
from services.scheduler.reconcile.reconciler import Reconciler
from services.scheduler.reconcile.waiting import Waiting
from services.scheduler.world import World
from tests.support.builders import NOON, a_node, a_ready_instance, a_service, a_spec, an_instance, at
from tests.support.memory_store import MemoryStore
from tests.support.waiting import until

HOUR = timedelta(hours=1)
ROUTED_AROUND = Unrouted()


def a_deployment(name: str, **metadata: Any) -> tuple[Service, ServiceVersion]:
    spec = json.dumps(a_spec(name, **metadata))
    service = a_service(name, wanted=metadata.get("instance", 1), revision=0)
    return service, ServiceVersion(name, 1, spec, NOON)


def a_broken_one(name: str) -> tuple[Service, ServiceVersion]:
    """It cannot be planned: the version that it names is not there."""
    service, version = a_deployment(name)
    return replace(service, version=2), version


def an_unreadable_one(name: str) -> tuple[Service, ServiceVersion]:
    service, version = a_deployment(name)
    return service, replace(version, spec_json="this is no service.json")


async def a_ledger(*records: Any, store: MemoryStore | None = None) -> Ledger:
    store = store or MemoryStore()
    group = ResourceGroup("public", "public", NOON)
    await store.commit(Changes(put=(group, *(replace(record, revision=0) for record in records))))
    return Ledger(store, World(await store.load()))


def a_reconciler(
    ledger: Ledger, resync_every: timedelta = HOUR, unrouted: Unrouted = ROUTED_AROUND
) -> Reconciler:
    return Reconciler(ledger, lambda _: unrouted, lambda: NOON, timedelta(seconds=30), resync_every)


@asynccontextmanager
async def running(reconciler: Reconciler) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(reconciler.run(until=stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 5)


def placed(ledger: Ledger, service: str) -> list[str]:
    return [i.node for i in ledger.world.instances_of(service) if i.state is InstanceState.SCHEDULED]


async def test_an_instance_is_placed_anew_where_another_one_listens_on_its_port() -> None:
    stuck = {"state": InstanceState.CRASH_LOOP_BACK_OFF, "host_port": 20_000, "port": 0, "ready": False}
    blocked = a_ready_instance("digits-a", node="n1", **stuck)
    # It was placed when its node left the choice of ports to an engine.
    other = a_ready_instance("letters-a", service="letters", node="n1", host_port=0, port=20_000)
    node = a_node(first_port=20_000, last_port=20_009)
    ledger = await a_ledger(node, *a_deployment("digits"), *a_deployment("letters"), blocked, other)

    async with running(a_reconciler(ledger)):
        await until(lambda: placed(ledger, "digits"), "the successor placed")

    successor = next(i for i in ledger.world.instances_of("digits") if i.id != blocked.id)
    left = ledger.world.instances.get(blocked.id)
    assert successor.host_port not in (0, 20_000)
    assert left is None or left.why == "port 20000 of node n1 belongs to instance letters-a"


async def test_what_was_left_undone_before_a_start_is_done_without_waiting_for_the_resync() -> None:
    ledger = await a_ledger(a_node(), *a_deployment("digits"))

    async with running(a_reconciler(ledger)):
        await until(lambda: placed(ledger, "digits"), "the instance placed")


async def test_a_service_that_cannot_be_planned_holds_up_no_other() -> None:
    ledger = await a_ledger(a_node(), *a_deployment("aaa"), *a_broken_one("bbb"), *a_deployment("ccc"))

    async with running(a_reconciler(ledger)):
        await until(lambda: placed(ledger, "aaa") and placed(ledger, "ccc"), "both placed")


async def test_a_turn_that_breaks_holds_no_room() -> None:
    whole = a_node().capacity.cpu_milli // 1000
    ledger = await a_ledger(
        a_node(), *a_deployment("aaa", cpu=whole), *a_broken_one("bbb"), *a_deployment("ccc", cpu=whole)
    )
    reconciler = a_reconciler(ledger)

    with pytest.raises(Exception, match="no version 2"):
        await reconciler.reconcile(["aaa", "bbb"])
    await reconciler.reconcile(["ccc"])

    assert placed(ledger, "ccc") == ["n1"]


async def test_what_nobody_heard_of_is_found_by_the_resync_however_busy_it_is() -> None:
    ledger = await a_ledger(a_node(), *a_deployment("busy"), *a_deployment("digits"))

    async with running(a_reconciler(ledger, resync_every=timedelta(seconds=0.05))):
        await until(lambda: placed(ledger, "digits"), "the first instance placed")
        (missed,) = ledger.world.instances_of("digits")
        ledger.world.apply(Changes(delete=(missed,)))

        async def another() -> bool:
            await ledger.change(lambda world: Changes(put=(world.service("busy"),)))
            return bool(list(ledger.world.instances_of("digits")))

        await until(another, "the missing instance made again")


async def test_while_the_database_is_away_nothing_is_lost_and_a_stop_is_heard() -> None:
    class Away(MemoryStore):
        away = False

        async def before_commit(self) -> None:
            if self.away:
                raise Unavailable("the database does not answer")

    store = Away()
    ledger = await a_ledger(a_node(), *a_deployment("digits"), store=store)
    store.away = True

    async with running(a_reconciler(ledger)):
        await asyncio.sleep(0)
        assert not placed(ledger, "digits")
        store.away = False
        await until(lambda: placed(ledger, "digits"), "the instance placed")


def test_only_services_with_an_instance_that_waits_are_looked_at_while_it_waits() -> None:
    pending, ready = an_instance("a-1", service="a"), a_ready_instance("b-1", service="b")
    leaving = replace(ready, state=InstanceState.TERMINATING, ready=False)
    waiting = Waiting([pending, ready])
    assert (set(waiting.for_room), set(waiting.for_gateways)) == ({"a"}, set())

    waiting.heard(Changes(put=(replace(pending, state=InstanceState.SCHEDULED, node="n1"), leaving)))
    assert (set(waiting.for_room), set(waiting.for_gateways)) == (set(), {"b"})

    waiting.heard(Changes(put=(replace(leaving, stopping=True),)))
    assert (set(waiting.for_room), set(waiting.for_gateways)) == (set(), set())

    waiting.heard(Changes(put=(replace(ready, restart_asked_at=NOON),)))
    assert set(waiting.for_gateways) == {"b"}


def test_a_service_between_batches_is_looked_at_when_the_next_one_is_due() -> None:
    between = Rollout("a", 2, 1, NOON, batch_size="1", interval_s=30, stepped_at=NOON)
    waiting = Waiting([], [between])
    assert waiting.next_batch() == at(30)

    assert waiting.batches_due(at(29)) == set()
    assert waiting.batches_due(at(30)) == {"a"}
    assert waiting.next_batch() is None


def test_a_batch_that_was_paused_is_not_waited_for() -> None:
    between = Rollout("a", 2, 1, NOON, batch_size="1", interval_s=30, stepped_at=NOON)
    waiting = Waiting([], [between])

    waiting.heard(Changes(put=(replace(between, paused=True),)))

    assert waiting.next_batch() is None


async def test_a_version_that_cannot_be_read_any_more_is_said_and_what_runs_is_left_alone() -> None:
    service, version = an_unreadable_one("digits")
    ledger = await a_ledger(a_node(), service, version, a_ready_instance())

    await a_reconciler(ledger).reconcile(["digits"])

    told = ledger.world.service("digits")
    assert told.state is ServiceState.FAILED
    assert told.why.startswith("version 1 cannot be read any more: ")
    assert [i.ready for i in ledger.world.instances_of("digits")] == [True]


async def test_a_version_that_cannot_be_read_any_more_can_be_deleted() -> None:
    service, version = an_unreadable_one("digits")
    ledger = await a_ledger(a_node(), replace(service, deleting=True), version)

    await a_reconciler(ledger).reconcile(["digits"])

    assert not ledger.world.services


async def test_the_record_of_an_update_goes_with_its_service() -> None:
    service, version = a_deployment("digits")
    rollout = Rollout("digits", 1, 2, NOON)
    ledger = await a_ledger(a_node(), replace(service, deleting=True), version, rollout)

    await a_reconciler(ledger).reconcile(["digits"])

    assert not ledger.world.rollouts


async def a_restarting(lagging: tuple[str, ...]) -> Instance:
    instance = a_ready_instance(restart_asked_at=NOON)
    ledger = await a_ledger(a_node(), *a_deployment("digits"), instance)
    await a_reconciler(ledger, unrouted=Unrouted(lagging)).reconcile(["digits"])
    return ledger.world.instance(instance.id)


async def test_a_soft_restart_waits_until_no_gateway_routes_to_the_instance() -> None:
    waiting, told = await a_restarting(("gateway g1",)), await a_restarting(())

    assert (waiting.run, waiting.restart_asked_at) == (0, NOON)
    assert (told.run, told.restart_asked_at, told.ready) == (1, None, False)
    assert told.state is InstanceState.RUNNING


async def test_a_failing_version_goes_back_in_the_turn_that_sees_it_fail() -> None:
    service, first = a_deployment("digits")
    spec = json.dumps(a_spec("digits", rolling_strategy={"auto_rollback": True}))
    second, rollout = ServiceVersion("digits", 2, spec, NOON), Rollout("digits", 2, 1, NOON)
    failed = an_instance("new", version=2, state=InstanceState.CRASH_LOOP_BACK_OFF, node="n1", why="exited")
    ledger = await a_ledger(
        a_node(),
        replace(service, version=2, stable_version=1),
        first,
        second,
        rollout,
        a_ready_instance(),
        failed,
    )

    changes = await a_reconciler(ledger).reconcile(["digits"])

    told = ledger.world.rollouts["digits"]
    assert (ledger.world.service("digits").version, told.version, told.from_version) == (1, 1, 2)
    assert ledger.world.instance("new").state is InstanceState.TERMINATING
    (event,) = [e for e in changes.events if e.reason == "RolloutRolledBack"]
    assert event.why == "back to version 1: version 2 failed: new: exited"
    assert told.because == "version 2 failed: new: exited"


async def after_an_update_without_room(asks: int) -> InstanceState:
    """The state of the old instance, which holds a whole node, when its successor asks for so many CPUs."""
    whole = a_node().capacity.cpu_milli // 1000
    rolling = {"max_surge": 1, "max_unavailable": 1}
    service, first = a_deployment("digits", cpu=whole, rolling_strategy=rolling)
    second = json.dumps(a_spec("digits", cpu=asks, rolling_strategy=rolling))
    ledger = await a_ledger(
        a_node(),
        replace(service, version=2, stable_version=1),
        first,
        ServiceVersion("digits", 2, second, NOON),
        Rollout("digits", 2, 1, NOON),
        a_ready_instance(resources=Resources(cpu_milli=whole * 1000)),
    )
    for _ in range(3):
        await a_reconciler(ledger, unrouted=Unrouted(("gateway g1",))).reconcile(["digits"])
    return ledger.world.instance("digits-a").state


async def test_an_old_instance_makes_room_for_its_successor_where_it_may_be_missing() -> None:
    assert await after_an_update_without_room(asks=8) is InstanceState.TERMINATING


async def test_an_old_instance_is_not_given_up_for_a_successor_that_fits_nowhere() -> None:
    assert await after_an_update_without_room(asks=9) is InstanceState.RUNNING
