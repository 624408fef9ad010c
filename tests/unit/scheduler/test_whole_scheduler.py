"""Whatever users, agents and gateways do, and in whatever order: what the scheduler never does, and that it
comes to rest."""

import asyncio
import contextlib
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.db.changes import Changes
from libs.domain.errors import EaselError
from libs.domain.records import Instance
from libs.domain.states import ServiceState
from services.scheduler.facts import facts_of
from tests.support.model_cluster import Cluster, a_cluster, a_spec_of, newest

NAMES = ("digits", "letters")
SAYINGS = ("starting", "ready", "crashing", "ready", "gone")

names, places = st.sampled_from(NAMES), st.integers(0, 50)
counts = st.integers(0, 2)
CREATIONS = st.tuples(st.just("create"), names, st.integers(1, 4), counts, counts)
STEPS = st.one_of(
    CREATIONS,
    st.tuples(st.just("scale"), names, st.integers(0, 4)),
    st.tuples(st.sampled_from(["update", "restart"]), names),
    st.tuples(st.sampled_from(["stop", "start", "delete"]), names),
    st.tuples(st.just("report"), places, st.sampled_from(SAYINGS)),
    st.tuples(st.sampled_from(["all ready", "all stopped", "all routed"])),
    st.tuples(st.just("routed"), places),
    st.tuples(st.just("wait"), st.integers(1, 8)),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CREATIONS, st.lists(STEPS, max_size=40), st.integers(1, 2))
def test_no_order_of_events_breaks_a_promise_and_all_comes_to_rest(
    creation: tuple[object, ...], steps: list[tuple[object, ...]], gateways: int
) -> None:
    began: list[tuple[object, ...]] = [creation, ("all ready",), ("all routed",)]
    asyncio.run(promises_hold([*began, *steps], gateways))


async def promises_hold(steps: list[tuple[object, ...]], gateways: int) -> None:
    cluster = await a_cluster(nodes=2, gateways=gateways)
    for number, step in enumerate(steps):
        with contextlib.suppress(EaselError):  # a user may ask for what cannot be
            await carry_out(cluster, number, step)
        await checked_turn(cluster)
    await comes_to_rest(cluster)


async def carry_out(cluster: Cluster, number: int, step: tuple[object, ...]) -> None:
    match step:
        case "create", str(name), int(wanted), int(surge), int(unavailable):
            await cluster.services.create(a_spec_of(name, wanted, surge, unavailable), "")
        case "scale", str(name), int(wanted):
            await cluster.services.scale(name, wanted, "")
        case "update", str(name):
            await cluster.update(name, str(number))
        case ("stop" | "start" | "restart" | "delete") as verb, str(name):
            cluster.wait(0.001)
            await getattr(cluster.services, verb)(name)
        case "report", int(place), str(what):
            await report(cluster, place, what)
        case "routed", int(place):
            cluster.apply_routes(cluster.played[place % len(cluster.played)])
        case "wait", int(seconds):
            cluster.wait(seconds)
        case ("all routed",):
            for gateway in cluster.played:
                cluster.apply_routes(gateway)
        case (("all ready" | "all stopped") as what,):
            await everyone_obeys(cluster, what == "all ready", what == "all stopped")


async def report(cluster: Cluster, place: int, what: str) -> None:
    placed = sorted((i for i in cluster.ledger.world.instances.values() if i.node), key=lambda i: i.id)
    if placed:
        instance = placed[place % len(placed)]
        if what != "gone" or instance.stopping:
            await cluster.say(instance, what)


async def everyone_obeys(cluster: Cluster, ready: bool, stopped: bool) -> None:
    for instance in tuple(cluster.ledger.world.instances.values()):
        if instance.stopping and stopped:
            await cluster.say(instance, "gone")
        elif instance.node and not instance.stopping and ready:
            await cluster.say(instance, "ready")


async def checked_turn(cluster: Cluster) -> Changes:
    before = {name: cluster.live(name) for name in cluster.ledger.world.services}
    stopping = {i.id for i in cluster.told_to_stop()}
    changes = await cluster.turn()
    for name, live in before.items():
        if name in cluster.ledger.world.services:
            assert_bounds(cluster, name, live)
    for instance in cluster.told_to_stop():
        if instance.id not in stopping:
            assert_unrouted(cluster, instance)
    assert_nothing_given_twice(cluster)
    return changes


def assert_bounds(cluster: Cluster, name: str, before: list[Instance]) -> None:
    """Never more than wanted and surge, never fewer ready than an update may leave, if not so before."""
    service, facts = cluster.ledger.world.service(name), facts_of(newest(cluster, name).spec_json)
    wanted = 0 if service.stopped or service.deleting else service.wanted
    after = cluster.live(name)
    assert len(after) <= max(len(before), wanted + facts.surge(wanted))
    ready_before, ready_after = (sum(i.ready for i in live) for live in (before, after))
    assert ready_after >= min(ready_before, wanted - facts.unavailable(wanted))


def assert_unrouted(cluster: Cluster, instance: Instance) -> None:
    for gateway in cluster.played:
        assert instance.id not in gateway.routes, (
            f"{instance.id} was stopped while {gateway.link.name} routed to it"
        )


def assert_nothing_given_twice(cluster: Cluster) -> None:
    ports = [(i.node, i.host_port) for i in cluster.ledger.world.instances.values() if i.host_port]
    assert len(ports) == len(set(ports))


async def comes_to_rest(cluster: Cluster) -> None:
    """With agents and gateways that do as they are told, everything ends where it is wanted, and stays."""
    for _ in range(60):
        changed = bool(await checked_turn(cluster))
        await everyone_obeys(cluster, ready=True, stopped=True)
        for gateway in cluster.played:
            cluster.apply_routes(gateway)
        cluster.wait(1)
        leaving = any(i.drain_started_at for i in cluster.ledger.world.instances.values())
        if not changed and not leaving and not await cluster.turn():
            break
    else:
        raise AssertionError(
            f"still changing: {json.dumps([s.why for s in cluster.ledger.world.services.values()])}"
        )
    for name, service in cluster.ledger.world.services.items():
        assert not service.deleting
        assert service.state is (ServiceState.STOPPED if service.stopped else ServiceState.RUNNING)
        live = cluster.live(name)
        assert len(live) == (0 if service.stopped else service.wanted)
        assert all(i.ready and i.version == service.version for i in live)
        assert len(live) == len(cluster.instances(name))
